use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;

use super::*;

fn write(path: PathBuf, content: &[u8]) {
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    // As careful deployments do it: never is half a file there to be read.
    let new = path.with_extension("new");
    fs::write(&new, content).unwrap();
    fs::set_permissions(&new, fs::Permissions::from_mode(0o600)).unwrap();
    fs::rename(new, path).unwrap();
}

/// A directory of files.
struct Directory(tempfile::TempDir);

#[async_trait]
impl Harness for Directory {
    async fn open(&self, held: &[(SecretName, Secret)]) -> Result<Arc<dyn SecretProvider>> {
        let dir = tempfile::Builder::new()
            .tempdir_in(self.0.path())
            .unwrap()
            .keep();
        let provider = open(&format!("file:{}", dir.display()), Env::empty(), held).await?;
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
        let address: crate::ProviderUrl = provider.describe().address.parse()?;
        let file = PathBuf::from(address.path()).join(format!("{path}.json"));
        write(file, document.to_string().as_bytes());
        Ok(())
    }

    fn strips_final_newline(&self) -> bool {
        true
    }

    fn tells_spellings_apart(&self) -> bool {
        false
    }
}

/// One dotenv file, which is written through the provider.
struct Dotenv(tempfile::TempDir);

#[async_trait]
impl Harness for Dotenv {
    async fn open(&self, held: &[(SecretName, Secret)]) -> Result<Arc<dyn SecretProvider>> {
        let dir = tempfile::Builder::new()
            .tempdir_in(self.0.path())
            .unwrap()
            .keep();
        let file = dir.join("secrets.env");
        write(file.clone(), b"# a comment that stays\n");
        let provider = open(&format!("file:{}", file.display()), Env::empty(), held).await?;
        conformance::fill(&*provider, held).await?;
        Ok(provider)
    }

    fn holds_bytes(&self) -> bool {
        false
    }

    fn tells_spellings_apart(&self) -> bool {
        false
    }
}

/// One JSON file, which is read-only.
struct Json(tempfile::TempDir);

#[async_trait]
impl Harness for Json {
    async fn open(&self, held: &[(SecretName, Secret)]) -> Result<Arc<dyn SecretProvider>> {
        let mut document = serde_json::Map::new();
        for (name, value) in held {
            let text = value.expose_str().map_err(|_| cant_hold("bytes"))?;
            document.insert(name.to_string(), text.into());
        }
        let dir = tempfile::Builder::new()
            .tempdir_in(self.0.path())
            .unwrap()
            .keep();
        let file = dir.join("secrets.json");
        let document = serde_json::Value::from(document).to_string();
        write(file.clone(), document.as_bytes());
        open(&format!("file:{}", file.display()), Env::empty(), held).await
    }

    fn holds_bytes(&self) -> bool {
        false
    }

    fn tells_spellings_apart(&self) -> bool {
        false
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_directory_conforms() {
    conformance::assert_conforms(&Directory(tempfile::tempdir().unwrap())).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_dotenv_file_conforms() {
    conformance::assert_conforms(&Dotenv(tempfile::tempdir().unwrap())).await;
}

#[tokio::test]
async fn a_json_file_conforms() {
    conformance::assert_conforms(&Json(tempfile::tempdir().unwrap())).await;
}
