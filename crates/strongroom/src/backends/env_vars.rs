//! The environment: a secret is a variable, or the file that a variable names.
//!
//! `env:?prefix=APP_` reads `database/password` and `database#password` from
//! `APP_DATABASE_PASSWORD`. The prefix is taken as it is: nothing is put between it and the name. A
//! declared secret's own variable, and the `id` of a manifest's `source`, are whole names without
//! the prefix.
//!
//! - `APP_DATABASE_PASSWORD_FILE` names a file that holds the value instead; a relative path starts
//!   in the working directory, and symbolic links may lead anywhere: the guard rails judge the file
//!   at their end and its directory. Both set is an error. As with every setting, an empty `…_FILE`
//!   counts as not set.
//! - An empty variable is an empty value: it is handed out, and the strength policy refuses it.
//! - Exactly one final newline, LF or CRLF, of a text file is taken off; a variable is taken as it is.
//! - The environment of a process never changes, so a variable has no version. A file has one.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use async_trait::async_trait;
use zeroize::Zeroizing;

use super::files::batch::fail_all;
use super::files::blocking::blocking;
use super::files::guard::Guard;
use super::files::watch::{Subject, Watch};
use super::files::{read, value};
use super::{Backend, Connect};
use crate::env::Env;
use crate::error::{Error, ErrorKind, Result};
use crate::name::SecretName;
use crate::provider::{
    Description, Expect, ProviderHealth, Put, Reply, Request, SecretProvider, Stage, Target,
};
use crate::rails::GuardRails;
use crate::secret::{MAX_VALUE_BYTES, Metadata, Provenance, Secret, Version};

mod detect;
mod mapping;

use mapping::{FILE_SUFFIX, Mapping};

pub(super) const BACKEND: Backend = Backend::new("env", "environment", |connect| {
    Box::pin(async move { open(connect) })
})
.with_url_keys(&["prefix"])
.with_detect(detect::detect);

fn open(connect: Connect) -> Result<Arc<dyn SecretProvider>> {
    if !connect.url.path().is_empty() || connect.url.authority().is_some() {
        return Err(Error::new(
            ErrorKind::Config,
            "an `env:` address has nothing after its colon but `?prefix=…`",
        )
        .with_help("for example env:?prefix=APP_"));
    }
    let prefix = connect.url.query("prefix").unwrap_or_default();
    Ok(Arc::new(Environment {
        watch: Arc::new(Watch::new(connect.url.to_string())),
        address: connect.url.to_string(),
        mapping: Mapping::new(prefix, &connect.declared)?,
        env: connect.env,
        rails: connect.rails,
        block_in_place: connect.block_in_place,
        closed: AtomicBool::new(false),
    }))
}

#[derive(Debug)]
struct Environment {
    address: String,
    mapping: Mapping,
    env: Arc<Env>,
    rails: GuardRails,
    block_in_place: bool,
    /// The files that were asked for.
    watch: Arc<Watch>,
    closed: AtomicBool,
}

/// Where the value of one request is.
enum Place {
    Here(Secret),
    File(InFile),
}

struct InFile {
    path: PathBuf,
    variable: String,
    name: SecretName,
    known: Option<Version>,
}

impl Environment {
    fn check_open(&self) -> Result<()> {
        match self.closed.load(Ordering::Acquire) {
            true => Err(closed()),
            false => Ok(()),
        }
    }

    fn find(&self, request: &Request) -> Result<Place> {
        let target = &request.target;
        let found = self.check_open().and_then(|()| {
            if request.stage != Stage::Current {
                let message = "the environment holds the current value only";
                return Err(Error::new(ErrorKind::Unsupported, message));
            }
            self.place(target, request.known.clone())
        });
        found.map_err(|error| error.with_name(&target.name))
    }

    fn place(&self, target: &Target, known: Option<Version>) -> Result<Place> {
        let variable = self.mapping.variable(target)?;
        let file_variable = format!("{variable}{FILE_SUFFIX}");
        match (self.env.raw(&variable), self.env.var(&file_variable)?) {
            (Some(_), Some(_)) => Err(Error::new(
                ErrorKind::Config,
                format!("{variable} and {file_variable} are both set"),
            )
            .with_help("keep one of them: the value, or the file that holds it")),
            (Some(value), None) => Ok(Place::Here(from_variable(&variable, value, target)?)),
            (None, Some(path)) => Ok(Place::File(InFile {
                path: absolute(self.env.working_dir().join(path)),
                variable: file_variable,
                name: target.name.clone(),
                known,
            })),
            (None, None) => Err(Error::new(
                ErrorKind::Absent,
                format!("neither {variable} nor {file_variable} is set"),
            )
            .with_help(format!("set {variable} where the service is started"))),
        }
    }

    fn read_only(&self, target: &Target) -> Error {
        let error = match self.check_open() {
            Err(closed) => return closed.with_name(&target.name),
            Ok(()) => Error::new(
                ErrorKind::Unsupported,
                "the environment is read-only: a program can't change the variables that a \
                 service is started with",
            ),
        };
        let error = match self.mapping.variable(target) {
            Ok(variable) => error.with_help(format!(
                "set {variable}, or {variable}{FILE_SUFFIX}, where the service is started"
            )),
            Err(_) => error,
        };
        error.with_name(&target.name)
    }
}

/// The path from the root, for a working directory that is no more than `.`.
fn absolute(path: PathBuf) -> PathBuf {
    std::path::absolute(&path).unwrap_or(path)
}

fn closed() -> Error {
    Error::new(ErrorKind::Closed, "the environment was closed")
}

fn from_variable(variable: &str, value: &[u8], target: &Target) -> Result<Secret> {
    let malformed = |what: String| Err(Error::new(ErrorKind::Malformed, what));
    if value.len() > MAX_VALUE_BYTES {
        return malformed(format!(
            "variable {variable} has {} bytes; a value has at most {MAX_VALUE_BYTES}",
            value.len()
        ));
    }
    if std::str::from_utf8(value).is_err() {
        return malformed(format!("variable {variable} is not UTF-8 text"));
    }
    let metadata = Metadata::new()
        .with_name(&target.name)
        .with_provenance(Provenance::new().visible_in_proc());
    let secret = Secret::from_utf8_or_bytes(Zeroizing::new(value.to_vec()));
    Ok(secret.with_metadata(metadata))
}

impl InFile {
    fn read(&self, env: &Env, rails: &GuardRails) -> Result<Reply> {
        let reply = self.reply(env, rails);
        reply.map_err(|error| error.with_name(&self.name))
    }

    fn reply(&self, env: &Env, rails: &GuardRails) -> Result<Reply> {
        // Never the path: a value that was put where its file's path belongs must not be printed.
        let shown = format!("the file that {} names", self.variable);
        let Some((dir, mut file)) = read::open_path(&self.path, &shown)? else {
            // The variable promises a file: a wrong setting, not a secret that nobody set.
            let message = format!("{shown} does not exist");
            let help = format!("set {} to the path of the file", self.variable);
            return Err(Error::new(ErrorKind::Config, message).with_help(help));
        };
        let (guard, name) = (Guard::new(env, rails, &dir), Some(&self.name));
        let provenance = guard.file(&file, &shown, name)?;
        guard.directory_and_parent(&dir, |_| format!("a directory above {shown}"), name)?;
        if self.known == Some(read::version(&file.metadata, None)) {
            return Ok(Reply::Unchanged);
        }
        let value = value::read(&mut file, &shown, &self.name, &guard)?;
        let version = read::version(&file.metadata, None);
        let metadata = file.describe(&self.name, version, provenance.wipeable());
        let secret = Secret::from_utf8_or_bytes(value);
        Ok(Reply::Value(secret.with_metadata(metadata)))
    }
}

#[async_trait]
impl SecretProvider for Environment {
    fn describe(&self) -> Description {
        Description::new("env", self.address.clone(), false)
    }

    async fn fetch(&self, wanted: &[Request]) -> Vec<Result<Reply>> {
        let places: Vec<_> = wanted.iter().map(|request| self.find(request)).collect();
        let has_files = places
            .iter()
            .any(|place| matches!(place, Ok(Place::File(_))));
        let (env, rails) = (Arc::clone(&self.env), self.rails.clone());
        let watch = Arc::clone(&self.watch);
        let answer = move |place: Result<Place>| match place? {
            Place::Here(secret) => Ok(Reply::Value(secret)),
            Place::File(file) => {
                watch.add(Subject::Anywhere(file.path.clone()));
                file.read(&env, &rails)
            }
        };
        let answers = move || places.into_iter().map(answer).collect();
        if !has_files {
            return answers();
        }
        match blocking(self.block_in_place, move || Ok(answers())).await {
            Ok(answers) => answers,
            Err(error) => fail_all(wanted, &error),
        }
    }

    async fn put(&self, put: &Put) -> Result<Option<Version>> {
        Err(self.read_only(&put.target))
    }

    async fn delete(&self, target: &Target, _: &Expect) -> Result<()> {
        Err(self.read_only(target))
    }

    /// Lists the declared names whose variable or file variable is set.
    ///
    /// A variable can't be traced back to one name. With a prefix, a variable that no declared
    /// name maps to is listed by the one name that certainly reads it: its rest in lower case,
    /// `database_password` for `APP_DATABASE_PASSWORD`. Without a prefix that would list the whole
    /// environment, so only declared names are.
    async fn list(&self, prefix: &str) -> Result<Vec<SecretName>> {
        self.check_open()?;
        let mut names = self.mapping.names(&self.env);
        names.retain(|name| name.as_str().starts_with(prefix));
        Ok(names.into_iter().collect())
    }

    async fn health(&self) -> Result<ProviderHealth> {
        self.check_open().map(|()| ProviderHealth::ready())
    }

    async fn close(&self) -> Result<()> {
        self.closed.store(true, Ordering::Release);
        self.watch.close();
        Ok(())
    }

    /// Returns after a change of one of the files that were asked for. Each change is told to one of
    /// several callers. Variables never change.
    async fn changed(&self) -> Result<()> {
        match self.watch.changed().await? {
            true => Ok(()),
            false => Err(closed()),
        }
    }
}

#[cfg(test)]
mod tests;
