//! A CLI with a backend of its own: `notebook:PATH`, a file with one line for each secret.
//!
//! ```text
//! cargo run -p strongroom-cli --example own_backend -- list --provider notebook:/tmp/notes
//! ```
//!
//! It shows how a third party's row gets into the command, and keeps nothing safe: a name beginning
//! with `fault/` is answered by that kind of error, so that scripts can be tried against it.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

use async_trait::async_trait;
use strongroom::provider::{
    Description, Expect, ProviderHealth, Put, Reply, Request, Stage, Target,
};
use strongroom::{Backend, Error, ErrorKind, Metadata, Result, Secret, SecretName};
use strongroom::{SecretProvider, Version};

fn main() -> ExitCode {
    if std::env::args_os().len() < 2 {
        println!("try: own_backend list --provider notebook:notes");
        return ExitCode::SUCCESS;
    }
    strongroom_cli::main_with(&[NOTEBOOK])
}

const NOTEBOOK: Backend = Backend::new("notebook", "notebook", |connect| {
    let path = connect.resolve(connect.url.path());
    Box::pin(async { Ok(Arc::new(Notebook { path }) as Arc<dyn SecretProvider>) })
})
.with_credentials(&["NOTEBOOK_TOKEN"]);

#[derive(Debug)]
struct Notebook {
    path: PathBuf,
}

/// Each secret's version and its value in hexadecimal.
type Lines = BTreeMap<SecretName, (u64, String)>;

impl Notebook {
    fn read(&self) -> Result<Lines> {
        let text = match std::fs::read_to_string(&self.path) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => String::new(),
            text => text.map_err(|error| self.unreachable().with_source(error))?,
        };
        text.lines().map(|line| self.parse(line)).collect()
    }

    fn parse(&self, line: &str) -> Result<(SecretName, (u64, String))> {
        let malformed = || {
            let message = format!("a line of {} is malformed", self.path.display());
            Error::new(ErrorKind::Malformed, message)
        };
        let mut words = line.split(' ');
        let mut word = || words.next().ok_or_else(malformed);
        let (name, version, value) = (word()?, word()?, word()?);
        let version = version.parse().map_err(|_| malformed())?;
        Ok((name.parse()?, (version, value.to_owned())))
    }

    fn write(&self, lines: &Lines) -> Result<()> {
        let line =
            |(name, (version, value)): (_, &(u64, String))| format!("{name} {version} {value}\n");
        let text: String = lines.iter().map(line).collect();
        std::fs::write(&self.path, text).map_err(|error| self.unreachable().with_source(error))
    }

    fn unreachable(&self) -> Error {
        let message = format!("can't reach {}", self.path.display());
        Error::new(ErrorKind::Transient, message)
    }

    fn fetch_one(&self, request: &Request) -> Result<Reply> {
        let target = &request.target;
        fault(&target.name)?;
        current_only(&target.name, &request.stage)?;
        let lines = self.read()?;
        let (version, value) = lines
            .get(&target.name)
            .ok_or_else(|| absent(&target.name))?;
        let bytes = base16ct::lower::decode_vec(value).map_err(|_| {
            Error::new(ErrorKind::Malformed, "not hexadecimal").with_name(&target.name)
        })?;
        let metadata = Metadata::new().with_version(Version::new(version.to_string()));
        Ok(Reply::Value(
            Secret::from_utf8_or_bytes(bytes).with_metadata(metadata),
        ))
    }

    /// Returns the version that is there, if it is what the caller expects.
    fn expect(&self, lines: &Lines, name: &SecretName, expect: &Expect) -> Result<u64> {
        fault(name)?;
        let held = lines.get(name).map(|(version, _)| *version);
        let met = match expect {
            Expect::Any => true,
            Expect::Absent => held.is_none(),
            Expect::Version(wanted) => held.is_some_and(|held| wanted.as_str() == held.to_string()),
            _ => false,
        };
        match met {
            true => Ok(held.unwrap_or(0)),
            false => {
                Err(Error::new(ErrorKind::Conflict, "another version is there").with_name(name))
            }
        }
    }
}

/// Refuses what the notebook doesn't have: pending and former values.
fn current_only(name: &SecretName, stage: &Stage) -> Result<()> {
    match stage {
        Stage::Current => Ok(()),
        _ => {
            let message = "the notebook holds current values alone";
            Err(Error::new(ErrorKind::Unsupported, message).with_name(name))
        }
    }
}

fn absent(name: &SecretName) -> Error {
    Error::new(ErrorKind::Absent, "the notebook has no line for it").with_name(name)
}

/// Answers `fault/denied` with a denial, and so on.
fn fault(name: &SecretName) -> Result<()> {
    let kinds = [
        ErrorKind::Denied,
        ErrorKind::Auth,
        ErrorKind::Malformed,
        ErrorKind::Transient,
        ErrorKind::Stale,
        ErrorKind::Conflict,
        ErrorKind::Policy,
        ErrorKind::Integrity,
        ErrorKind::Config,
        ErrorKind::Unsupported,
        ErrorKind::Closed,
    ];
    let wanted = name.as_str().strip_prefix("fault/");
    match kinds.into_iter().find(|kind| Some(kind.as_str()) == wanted) {
        Some(kind) => Err(Error::new(kind, "as was asked for").with_name(name)),
        None => Ok(()),
    }
}

#[async_trait]
impl SecretProvider for Notebook {
    fn describe(&self) -> Description {
        Description::new(
            "notebook",
            format!("notebook:{}", self.path.display()),
            true,
        )
    }

    async fn fetch(&self, wanted: &[Request]) -> Vec<Result<Reply>> {
        wanted
            .iter()
            .map(|request| self.fetch_one(request))
            .collect()
    }

    async fn put(&self, put: &Put) -> Result<Option<Version>> {
        let mut lines = self.read()?;
        let name = &put.target.name;
        current_only(name, &put.stage)?;
        if put.overlap.is_some() {
            let message = "the notebook keeps no former value";
            return Err(Error::new(ErrorKind::Unsupported, message).with_name(name));
        }
        let version = self.expect(&lines, name, &put.expect)?.saturating_add(1);
        let value = base16ct::lower::encode_string(put.value.expose_bytes());
        lines.insert(name.clone(), (version, value));
        self.write(&lines)?;
        Ok(Some(Version::new(version.to_string())))
    }

    async fn delete(&self, target: &Target, expect: &Expect) -> Result<()> {
        let mut lines = self.read()?;
        self.expect(&lines, &target.name, expect)?;
        lines
            .remove(&target.name)
            .ok_or_else(|| absent(&target.name))?;
        self.write(&lines)
    }

    async fn list(&self, prefix: &str) -> Result<Vec<SecretName>> {
        let names = self.read()?.into_keys();
        Ok(names
            .filter(|name| name.as_str().starts_with(prefix))
            .collect())
    }

    async fn health(&self) -> Result<ProviderHealth> {
        self.read().map(|_| ProviderHealth::ready())
    }

    async fn close(&self) -> Result<()> {
        Ok(())
    }
}
