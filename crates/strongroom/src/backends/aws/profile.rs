//! The user's AWS configuration files, found as AWS's own tools find them.

use std::borrow::Cow;
use std::collections::HashMap;
use std::path::{Path, PathBuf};

use aws_config::profile::{self, ProfileSet};
use aws_runtime::env_config::file::{EnvConfigFileKind, EnvConfigFiles};
use aws_types::os_shim_internal;

use super::client;
use super::settings::wrong;
use crate::env::{Env, read_text_file};
use crate::error::Result;

const DEFAULT: &str = "default";
/// The most bytes that a file of profiles may have.
const MAX_BYTES: usize = 1024 * 1024;

/// The files that exist, and the profile that is meant. Reads nothing of the process's environment:
/// every path is given.
#[derive(Debug, Clone)]
pub(super) struct Profile {
    config: Option<PathBuf>,
    credentials: Option<PathBuf>,
    /// The profile's name, and whether a variable names it.
    pub(super) name: String,
    pub(super) is_named: bool,
}

impl Profile {
    /// Finds the files.
    ///
    /// # Errors
    /// [`ErrorKind::Config`](crate::ErrorKind::Config) if a variable names a file that isn't there.
    pub(super) fn find(env: &Env) -> Result<Self> {
        let named = match env.var("AWS_PROFILE")? {
            None => env.var("AWS_DEFAULT_PROFILE")?,
            named => named,
        };
        Ok(Self {
            config: file(env, "AWS_CONFIG_FILE", ".aws/config")?,
            credentials: file(env, "AWS_SHARED_CREDENTIALS_FILE", ".aws/credentials")?,
            name: named.unwrap_or(DEFAULT).to_owned(),
            is_named: named.is_some(),
        })
    }

    /// Returns the files' contents, where there is one. AWS's client would open whatever is there, and
    /// read for as long as it goes on.
    ///
    /// # Errors
    /// [`ErrorKind::Config`](crate::ErrorKind::Config) if one can't be read.
    pub(super) fn files(&self) -> Result<Option<EnvConfigFiles>> {
        let mut files = EnvConfigFiles::builder();
        for (kind, path) in [
            (EnvConfigFileKind::Config, &self.config),
            (EnvConfigFileKind::Credentials, &self.credentials),
        ] {
            if let Some(path) = path {
                let text = read_text_file(path, MAX_BYTES).map_err(|error| {
                    wrong(format!("can't read {}", path.display()))
                        .with_help("it must be a readable file of at most 1 MiB")
                        .with_source(error)
                })?;
                files = files.with_contents(kind, text);
            }
        }
        let is_there = self.config.is_some() || self.credentials.is_some();
        Ok(is_there.then(|| files.build()))
    }

    /// Reads the files.
    ///
    /// # Errors
    /// [`ErrorKind::Config`](crate::ErrorKind::Config) if they can't be read, or have no profile of
    /// the name that a variable gives.
    pub(super) async fn read(&self) -> Result<Option<ProfileSet>> {
        let Some(files) = self.files()? else {
            return match self.is_named {
                true => Err(self.no_such()),
                false => Ok(None),
            };
        };
        let no_variables = os_shim_internal::Env::from(HashMap::new());
        let disk = os_shim_internal::Fs::real();
        let name = Some(Cow::Owned(self.name.clone()));
        let read = profile::load(&disk, &no_variables, &files, name);
        // Its own message may quote a line of the file.
        let read = client::quietly(read).await.map_err(|_| {
            wrong(format!("{} can't be read", self.shown()))
                .with_help("`aws configure list` reads the same files, and says what is wrong")
        })?;
        if self.is_named && read.get_profile(&self.name).is_none() {
            return Err(self.no_such());
        }
        Ok(Some(read))
    }

    /// Names the files, for people.
    pub(super) fn shown(&self) -> String {
        let paths = [&self.config, &self.credentials].into_iter().flatten();
        let paths: Vec<_> = paths.map(|path| path.display().to_string()).collect();
        paths.join(" or ")
    }

    fn no_such(&self) -> crate::Error {
        let message = format!("there is no AWS profile `{}`", self.name);
        wrong(message).with_help("correct AWS_PROFILE, or take it away")
    }
}

/// The file that a variable names, else the one beneath the home directory, if it is there.
fn file(env: &Env, variable: &str, beneath_home: &str) -> Result<Option<PathBuf>> {
    let home = env.var("HOME")?.map(Path::new);
    let Some(named) = env.var(variable)? else {
        let path = home.map(|home| home.join(beneath_home));
        return Ok(path.filter(|path| path.is_file()));
    };
    let path = match (named.strip_prefix("~/"), home) {
        (Some(rest), Some(home)) => home.join(rest),
        _ => env.working_dir().join(named),
    };
    if !path.exists() {
        return Err(wrong(format!(
            "{variable} names a file that is not there: {}",
            path.display()
        )));
    }
    Ok(Some(path))
}
