//! The two programs that show the protocol keep every rule of the suite, and the page that specifies it is true.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use async_trait::async_trait;
use strongroom::conformance::{self, Harness};
use strongroom::{
    Connect, Deployment, Env, GuardRails, ProviderUrl, Result, Secret, SecretName, SecretProvider,
    SecretsFactory,
};
use tempfile::TempDir;

use crate::program::executable;

/// A program, and a folder with its stores.
struct Program {
    dir: TempDir,
    path: PathBuf,
    stores: AtomicUsize,
}

impl Program {
    /// Installs a copy where nobody else can write: a checkout may lie where others can.
    fn install(from: &Path) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().canonicalize().unwrap().join("provider");
        fs::copy(from, &path).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
        Self {
            dir,
            path,
            stores: AtomicUsize::new(0),
        }
    }
}

#[async_trait]
impl Harness for Program {
    async fn open(&self, held: &[(SecretName, Secret)]) -> Result<Arc<dyn SecretProvider>> {
        let number = self.stores.fetch_add(1, Ordering::Relaxed);
        let store = self.dir.path().join(format!("store-{number}.json"));
        let url = ProviderUrl::new("exec", self.path.display().to_string())
            .with_query("config", store.display().to_string())
            .with_query("timeout", "1m");
        let backend = SecretsFactory::backends()
            .iter()
            .find(|row| row.scheme() == "exec");
        let rails = GuardRails::new(Deployment::Production, []);
        let connect = Connect::new(url, Env::empty(), rails);
        let provider = backend.unwrap().open(connect).await?;
        conformance::fill(&*provider, held).await?;
        Ok(provider)
    }

    /// A machine that is busy starts many processes slowly.
    fn patience(&self) -> std::time::Duration {
        std::time::Duration::from_secs(300)
    }
}

async fn conforms(program: &Program, skipped: &[&str]) {
    let outcome = conformance::run(program).await;
    assert!(outcome.is_conforming(), "{outcome}");
    let found: Vec<_> = outcome.skipped.iter().map(|(case, _)| *case).collect();
    assert_eq!(found, skipped, "{outcome}");
}

const READ_ONLY: &str = "a read-only backend refuses writes as Unsupported";
const DOCUMENTS: &str = "fields of one document come from one version of it";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_program_with_every_operation_conforms() {
    let program = Program::install(&executable("exec_provider"));
    conforms(&program, &[DOCUMENTS, READ_ONLY]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_program_in_python_conforms() {
    // By the environment that the program itself gets.
    let found = ["/usr/local/bin", "/usr/bin", "/bin"].map(|dir| Path::new(dir).join("python3"));
    if !found.iter().any(|python| python.exists()) {
        let is_ci = Env::process()
            .var("CI")
            .unwrap()
            .is_some_and(|ci| ci == "true");
        assert!(!is_ci, "CI has no python3");
        eprintln!("skipped: there is no python3");
        return;
    }
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("exec_provider/provider.py");
    let skipped = [
        DOCUMENTS,
        READ_ONLY,
        "the history begins with the current version, and can be read",
        "a pending value waits until it is promoted",
        "a pending value can be discarded",
        "an overlap is kept or refused",
        "a deleted secret is restored whole",
    ];
    conforms(&Program::install(&source), &skipped).await;
}

const PAGE: &str = include_str!("../../../docs/write-a-backend.md");

/// The blocks of code of one language.
fn blocks(language: &str) -> impl Iterator<Item = &'static str> {
    let fence = format!("```{language}\n");
    let mut rest = PAGE;
    std::iter::from_fn(move || {
        let (_, behind) = rest.split_once(&fence)?;
        let (block, after) = behind.split_once("```").unwrap();
        rest = after;
        Some(block)
    })
}

#[test]
fn the_page_shows_what_is_compiled_and_run() {
    let python = include_str!("../../exec_provider/provider.py");
    assert_eq!(blocks("python").collect::<Vec<_>>(), [python]);
    let ini = include_str!("../../custom_provider/ini.rs");
    let test = include_str!("custom_provider.rs");
    let mut shown = 0;
    for block in blocks("rust") {
        // What a reader needs of a file, each piece as it stands there.
        for piece in block.split("// …\n") {
            let piece = piece.trim_matches('\n');
            assert!(
                ini.contains(piece) || test.contains(piece),
                "not in the example:\n{piece}"
            );
            shown += 1;
        }
    }
    assert!(shown > 3, "the page shows nothing");
}
