use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use async_trait::async_trait;
use percent_encoding::{AsciiSet, CONTROLS, percent_encode};
use strongroom::conformance::{self, Harness};
use strongroom::{
    Connect, Declared, Deployment, Env, ErrorKind, GuardRails, Kind, ProviderUrl, Result, Secret,
    SecretName, SecretProvider, SecretsFactory,
};
use tempfile::TempDir;

use crate::program::{example, run};

#[path = "../../custom_provider/ini.rs"]
mod ini;

const ESCAPED: &AsciiSet = &CONTROLS.add(b'%');

struct InFiles {
    dir: TempDir,
    stores: AtomicUsize,
}

#[async_trait]
impl Harness for InFiles {
    async fn open(&self, held: &[(SecretName, Secret)]) -> Result<Arc<dyn SecretProvider>> {
        let number = self.stores.fetch_add(1, Ordering::Relaxed);
        let file = self.dir.path().join(number.to_string());
        let entry = |(name, value): &(SecretName, Secret)| {
            let (section, key) = match name.as_str().rsplit_once(['/', '#']) {
                Some((section, key)) => (format!("[{section}]\n"), key),
                None => (String::new(), name.as_str()),
            };
            let value = percent_encode(value.expose_bytes(), ESCAPED);
            format!("{section}{key} = {value}\n")
        };
        // What has no section stands before the first one.
        let mut held = held.to_vec();
        held.sort_by_key(|(name, _)| name.as_str().contains(['/', '#']));
        fs::write(&file, held.iter().map(entry).collect::<String>()).unwrap();
        let url = ProviderUrl::new("ini", file.display().to_string());
        // Development lets plain files pass.
        let rails = GuardRails::new(Deployment::Development, []);
        ini::open(&Connect::new(url, Env::empty(), rails))
    }

    async fn write_document(
        &self,
        provider: &dyn SecretProvider,
        path: &SecretName,
        keys: &[(&str, &str)],
    ) -> Result<()> {
        let address = provider.describe().address;
        let file = Path::new(address.strip_prefix("ini:").unwrap());
        let lines = keys.iter().map(|(key, value)| format!("{key} = {value}\n"));
        let text = format!("[{path}]\n{}", lines.collect::<String>());
        let new = file.with_extension("new");
        fs::write(&new, text).unwrap();
        fs::rename(new, file).unwrap();
        Ok(())
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_ini_backend_conforms() {
    let harness = InFiles {
        dir: tempfile::tempdir().unwrap(),
        stores: AtomicUsize::new(0),
    };
    conformance::assert_conforms(&harness).await;
}

#[test]
fn it_boots_through_its_own_scheme_and_its_own_variable() {
    let dir = tempfile::tempdir().unwrap();
    let (ok, printed) = run(&mut example("custom_provider", dir.path()));
    assert!(ok, "{printed}");
    assert!(
        printed.contains("provider    ini:target/strongroom-example/secrets.ini (explicit class"),
        "{printed}"
    );
    assert_eq!(printed.matches("[REDACTED]").count(), 2, "{printed}");

    let mut noticed = example("custom_provider", dir.path());
    noticed
        .env("STRONGROOM_ENV", "test")
        .env("SECRETS_INI", "target/strongroom-example/secrets.ini");
    let (ok, printed) = run(&mut noticed);
    assert!(
        ok && printed.contains("(marker class: SECRETS_INI)"),
        "{printed}"
    );
}

#[tokio::test]
async fn production_refuses_it_and_a_broken_line_is_not_quoted() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("a.ini"), "[partner]\ntoken: canary-9\n").unwrap();
    let boot = async |deployment| {
        let env = Env::empty()
            .with_var("STRONGROOM_ENV", deployment)
            .with_working_dir(dir.path());
        let token = SecretName::from_static("partner/token");
        let builder = SecretsFactory::builder()
            .env(env)
            .backend(ini::BACKEND)
            .provider_url("ini:a.ini".parse().unwrap())
            .declare([Declared::new(token, Kind::Token)]);
        builder.detect().await.unwrap_err()
    };
    let refused = boot("production").await;
    assert_eq!(refused.kind(), ErrorKind::Policy);
    assert!(refused.help().unwrap().contains("danger_allow_plain_files"));

    let shown = format!("{:?}", boot("test").await);
    assert!(shown.contains("a.ini, line 2"), "{shown}");
    assert!(!shown.contains("canary"), "{shown}");
}
