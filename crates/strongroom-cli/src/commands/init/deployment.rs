//! What this machine is, recorded for the user.

use std::fmt;
use std::io::ErrorKind as ErrorOfSystem;
use std::path::PathBuf;

use serde::Serialize;
use strongroom::{Deployment, DeploymentChoice, Env, Error, ErrorKind, Result};

use super::{not_a_deployment, place};
use crate::files;

/// The most bytes of a record: it is one word.
const MAX_BYTES: usize = 64;

/// A record that is to be written.
pub(super) struct Record {
    path: PathBuf,
    deployment: Deployment,
}

/// A record that was written.
#[derive(Serialize)]
pub(super) struct Recorded {
    recorded: Deployment,
    path: PathBuf,
}

impl fmt::Display for Recorded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (word, path) = (self.recorded, self.path.display());
        write!(
            f,
            "recorded this machine as {word}, in {path}; STRONGROOM_ENV overrides it"
        )
    }
}

pub(super) fn parse(word: &str) -> Result<Deployment> {
    word.parse().map_err(|_| not_a_deployment())
}

/// Decides what is to be recorded: the word that was asked for; without one, development where
/// nothing says what this machine is.
pub(super) fn plan(env: &Env, word: Option<Deployment>) -> Result<Option<Record>> {
    let Some(dir) = env.config_dir() else {
        return match word {
            None => Ok(None),
            Some(_) => Err(place::no_config_dir()),
        };
    };
    let path = dir.join("strongroom/deployment");
    let record = |deployment| {
        Some(Record {
            path: path.clone(),
            deployment,
        })
    };
    let known = match files::read(&path, MAX_BYTES) {
        Ok(known) => Some(String::from_utf8_lossy(&known).trim().parse().ok()),
        Err(error) if error.kind() == ErrorOfSystem::NotFound => None,
        Err(error) => return Err(files::failed("read", &path, error)),
    };
    match (word, known) {
        (None, Some(_)) => Ok(None),
        (Some(word), Some(known)) if known == Some(word) => Ok(None),
        (Some(_), Some(_)) => {
            let message = format!("{} records another deployment", path.display());
            Err(Error::new(ErrorKind::Conflict, message)
                .with_help("it was left as it is: edit it, or leave --deployment out"))
        }
        (Some(word), None) => Ok(record(word)),
        (None, None) => {
            let undeclared = DeploymentChoice::from_env(env)?.deployment == Deployment::Undeclared;
            // A word of the application's own in APP_ENV would win over a record.
            let silent = undeclared && !env.has("APP_ENV");
            Ok(silent.then(|| record(Deployment::Development)).flatten())
        }
    }
}

impl Record {
    pub(super) fn write(self) -> Result<Recorded> {
        place::create_private_dirs(&self.path)?;
        files::create(
            &self.path,
            format!("{}\n", self.deployment).as_bytes(),
            0o600,
        )?;
        Ok(Recorded {
            recorded: self.deployment,
            path: self.path,
        })
    }
}
