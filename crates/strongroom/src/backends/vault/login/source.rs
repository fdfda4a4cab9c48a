//! Where a credential of ours lies: in a file, or in a variable.

use std::fmt;
use std::path::PathBuf;

use crate::backends::Connect;
use crate::backends::files::credential;
use crate::backends::vault::variables;
use crate::error::{Error, ErrorKind, Result};
use crate::secret::Secret;

/// A place, not its content. `Display` says it as it stands after "in".
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Source {
    File(PathBuf),
    Variable(String),
}

impl Source {
    /// The file that the address names.
    pub(super) fn file(connect: &Connect, key: &str) -> Option<Self> {
        let path = connect.url.query(key)?;
        Some(Self::File(connect.resolve(path)))
    }

    /// The file that the address names, else the variable, where it is set.
    pub(super) fn file_or_variable(
        connect: &Connect,
        key: &str,
        variable: &str,
    ) -> Result<Option<Self>> {
        match Self::file(connect, key) {
            Some(file) => Ok(Some(file)),
            None => {
                let found = variables::either(&connect.env, variable)?;
                Ok(found.map(|(variable, _)| Self::Variable(variable)))
            }
        }
    }

    /// The token, where Vault's own tools look for it: `BAO_TOKEN` or `VAULT_TOKEN`, the file that
    /// `BAO_TOKEN_PATH` names, `~/.vault-token`.
    pub(super) fn token(connect: &Connect) -> Result<Self> {
        if let Some(source) = Self::file_or_variable(connect, "token_file", "TOKEN")? {
            return Ok(source);
        }
        let env = &connect.env;
        if let Some(path) = variables::value(env, "TOKEN_PATH")? {
            return Ok(Self::File(env.working_dir().join(path)));
        }
        match env.var("HOME")? {
            Some(home) => Ok(Self::File(env.working_dir().join(home).join(".vault-token"))),
            None => Err(Error::new(ErrorKind::Auth, "there is no token for Vault").with_help(
                "set VAULT_TOKEN, name a file in `token_file`, or log in by another method: `auth=…`",
            )),
        }
    }

    /// Reads it, less one newline at the end. A file is read anew each time.
    ///
    /// # Errors
    /// [`ErrorKind::Auth`] if there is none, [`ErrorKind::Malformed`] if it can't be a credential,
    /// [`ErrorKind::Policy`] if a guard rail refuses the file.
    pub(super) async fn read(&self, connect: &Connect) -> Result<Secret> {
        let none = |help: &str| {
            Error::new(
                ErrorKind::Auth,
                format!("there is no credential for Vault in {self}"),
            )
            .with_help(help)
        };
        let text = match self {
            Self::Variable(variable) => {
                let text = connect.env.var(variable)?.unwrap_or_default();
                Secret::from_text(text)
            }
            Self::File(path) => {
                let (connect, path) = (connect.clone(), path.clone());
                let read = tokio::task::spawn_blocking(move || credential::read(&connect, &path));
                let interrupted = |_| {
                    Error::new(
                        ErrorKind::Transient,
                        "reading the credential was interrupted",
                    )
                };
                let found = read.await.map_err(interrupted)??;
                let mut found = found.ok_or_else(|| {
                    none("create the file, or name another way to log in: `auth=…`, VAULT_TOKEN")
                })?;
                if let Some(line) = found.strip_suffix(b"\n") {
                    let length = line.strip_suffix(b"\r").unwrap_or(line).len();
                    found.truncate(length);
                }
                Secret::from_utf8_or_bytes(found)
            }
        };
        if text.is_empty() {
            return Err(none("it is empty"));
        }
        // EXPOSES: only whether it is one line of text is looked at
        let fits = text
            .expose_str()
            .is_ok_and(|text| !text.contains(char::is_control));
        if !fits {
            let message = format!("what is in {self} is no credential: it is not one line of text");
            return Err(Error::new(ErrorKind::Malformed, message)
                .with_help("it is one line, and may end in one newline"));
        }
        Ok(text)
    }
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(path) => write!(f, "{}", path.display()),
            Self::Variable(variable) => f.write_str(variable),
        }
    }
}
