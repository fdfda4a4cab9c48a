use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt as _;
use std::os::unix::fs::OpenOptionsExt as _;

use super::*;

/// Variables that hold the values themselves.
struct Variables;

#[async_trait]
impl Harness for Variables {
    async fn open(&self, held: &[(SecretName, Secret)]) -> Result<Arc<dyn SecretProvider>> {
        let mut env = Env::empty();
        for (name, value) in held {
            let value = OsString::from_vec(value.expose_bytes().to_vec());
            env = env.with_var(format!("T_{}", name.to_variable()), value);
        }
        open("env:?prefix=T_", env, held).await
    }

    fn holds_bytes(&self) -> bool {
        false
    }

    fn tells_spellings_apart(&self) -> bool {
        false
    }
}

/// Variables that name files.
struct Files(tempfile::TempDir);

#[async_trait]
impl Harness for Files {
    async fn open(&self, held: &[(SecretName, Secret)]) -> Result<Arc<dyn SecretProvider>> {
        let dir = tempfile::Builder::new()
            .tempdir_in(self.0.path())
            .unwrap()
            .keep();
        let mut env = Env::empty().with_working_dir(&dir);
        for (at, (name, value)) in held.iter().enumerate() {
            let mut options = std::fs::OpenOptions::new();
            let options = options.create_new(true).write(true).mode(0o600);
            let mut file = options.open(dir.join(at.to_string())).unwrap();
            std::io::Write::write_all(&mut file, value.expose_bytes()).unwrap();
            env = env.with_var(format!("{}_FILE", name.to_variable()), at.to_string());
        }
        open("env:", env, held).await
    }

    fn strips_final_newline(&self) -> bool {
        true
    }

    fn tells_spellings_apart(&self) -> bool {
        false
    }
}

const SPELLINGS: &str = "names that differ in spelling alone are different secrets";
const DOCUMENTS: &str = "fields of one document come from one version of it";
/// What can't be tried on a backend that is read-only.
const WRITES: [&str; 19] = [
    "text is written as it is, byte for byte",
    "a write replaces the value, and no other",
    "a write that expects nothing creates only",
    "a write that expects a version replaces only that one",
    "of several writers that expect nothing, one creates",
    "of several writers that expect one version, one replaces it",
    "a deleted secret is Absent, and the others stay",
    "deleting what is not there is Absent",
    "a deletion that expects another state is a Conflict",
    "a deleted secret can be made again, as another version",
    "each write gives another version, whatever the value",
    "the previous value is the former one",
    "the history begins with the current version, and can be read",
    "a pending value waits until it is promoted",
    "pending values are read and written, or neither",
    "a pending value can be discarded",
    "an overlap is kept or refused",
    "a deleted secret is restored whole",
    "a list follows writes and deletions",
];
const DROPPED_WRITE: &str = "a dropped write happened as a whole or not at all";

#[tokio::test]
async fn variables_conform() {
    let unchanged = "Unchanged answers only a request that knows the current version";
    let skipped = [
        &[unchanged, SPELLINGS, DOCUMENTS],
        &WRITES[..],
        &[DROPPED_WRITE],
    ];
    conforms(&Variables, &skipped.concat()).await;
}

#[tokio::test]
async fn files_that_variables_name_conform() {
    let files = Files(tempfile::tempdir().unwrap());
    let skipped = [&[SPELLINGS, DOCUMENTS], &WRITES[..], &[DROPPED_WRITE]];
    conforms(&files, &skipped.concat()).await;
}
