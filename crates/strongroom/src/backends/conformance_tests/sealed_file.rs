use std::fs;

use super::*;
use crate::backends::sealed_file::{Argon2Cost, FileId, NewSlot, SealedFile, SlotKey};
use crate::provider::{Put, Target};

/// A new file for each store, opened by the key file that its address names.
struct ByKey(tempfile::TempDir);

fn new_dir(parent: &tempfile::TempDir) -> std::path::PathBuf {
    tempfile::Builder::new()
        .tempdir_in(parent.path())
        .unwrap()
        .keep()
}

fn write_key(path: &std::path::Path, text: &Secret) {
    use std::os::unix::fs::PermissionsExt as _;
    fs::write(path, text.expose_bytes()).unwrap();
    fs::set_permissions(path, fs::Permissions::from_mode(0o600)).unwrap();
}

#[async_trait]
impl Harness for ByKey {
    async fn open(&self, held: &[(SecretName, Secret)]) -> Result<Arc<dyn SecretProvider>> {
        let dir = new_dir(&self.0);
        let (key, id) = (SlotKey::generate()?, FileId::random()?);
        write_key(&dir.join("key"), &key.to_text(id)?);
        SealedFile::create(dir.join("secrets.sealed"), id, &NewSlot::new("test", key))?;
        let address = format!("sealed:{0}/secrets.sealed?key_file={0}/key", dir.display());
        let env = Env::empty().with_var("XDG_STATE_HOME", dir.join("state"));
        let provider = open(&address, env, held).await?;
        conformance::fill(&*provider, held).await?;
        Ok(provider)
    }

    async fn write_document(
        &self,
        provider: &dyn SecretProvider,
        path: &SecretName,
        keys: &[(&str, &str)],
    ) -> Result<()> {
        let keys = keys
            .iter()
            .map(|(key, value)| (*key, serde_json::Value::from(*value)));
        let document: serde_json::Value = keys.collect();
        let document = Secret::from_text(document.to_string());
        let put = Put::new(Target::new(path.clone()), document);
        provider.put(&put).await.map(drop)
    }
}

/// Opened with a passphrase.
struct ByPassphrase(tempfile::TempDir);

#[async_trait]
impl Harness for ByPassphrase {
    async fn open(&self, held: &[(SecretName, Secret)]) -> Result<Arc<dyn SecretProvider>> {
        const PASSPHRASE: &str = "seven lamps over the old harbour";
        let dir = new_dir(&self.0);
        write_key(
            &dir.join("phrase"),
            &Secret::from_text(format!("{PASSPHRASE}\n")),
        );
        let key = SlotKey::passphrase(Secret::from_text(PASSPHRASE))?;
        let slot = NewSlot::new("test", key).with_cost(Argon2Cost::new(19 * 1024, 2, 1)?);
        SealedFile::create(dir.join("secrets.sealed"), FileId::random()?, &slot)?;
        let address = format!("sealed:{}/secrets.sealed", dir.display());
        let env = Env::empty().with_var(
            "STRONGROOM_PASSPHRASE_FILE",
            dir.join("phrase").display().to_string(),
        );
        let provider = open(&address, env, held).await?;
        conformance::fill(&*provider, held).await?;
        Ok(provider)
    }

    fn credentials(&self) -> Vec<String> {
        vec!["seven lamps over the old harbour".to_owned()]
    }
}

/// What does not apply: it can be written, keeps no pending values and no deleted ones.
const SKIPPED: [&str; 4] = [
    "a read-only backend refuses writes as Unsupported",
    "a pending value waits until it is promoted",
    "a pending value can be discarded",
    "a deleted secret is restored whole",
];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_sealed_file_conforms() {
    conforms(&ByKey(tempfile::tempdir().unwrap()), &SKIPPED).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_sealed_file_with_a_passphrase_conforms() {
    conformance::assert_conforms(&ByPassphrase(tempfile::tempdir().unwrap())).await;
}
