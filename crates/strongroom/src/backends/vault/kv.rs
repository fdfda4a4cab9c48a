//! The key-value engine of one mount: what it answers about one path, in either generation.

use std::sync::Arc;
use std::time::SystemTime;

use rustify::Endpoint;
use rustify::enums::RequestMethod;
use vaultrs::api::{kv1, kv2};
use zeroize::Zeroizing;

use super::answer::Answer;
use super::raw::Raw;
use super::session::Session;
use super::settings::{KvVersion, Settings};
use crate::backends::files::json::{self, Tree};
use crate::error::{Error, ErrorKind, Result};
use crate::secret::{Secret, Version};

pub(super) mod mount;

/// The engine behind the address.
#[derive(Debug)]
pub(super) struct Kv {
    session: Arc<Session>,
    shown: String,
    mount: String,
    generation: mount::Generation,
}

/// What a read of one path found.
pub(super) enum Read {
    Found(Document),
    /// The version that was asked for, or the newest, was deleted or destroyed.
    Gone(Gone),
    Nothing,
}

/// One version of what a path holds.
pub(super) struct Document {
    answer: Tree,
    data: &'static [&'static str],
    pub(super) version: Option<u64>,
    pub(super) created: Option<SystemTime>,
    /// When the engine deletes it by itself.
    pub(super) ends: Option<SystemTime>,
}

/// A version that can't be read.
#[derive(Debug, Clone, Copy)]
pub(super) struct Gone {
    pub(super) version: u64,
    pub(super) destroyed: bool,
}

/// One version in a path's history.
pub(super) struct Past {
    pub(super) version: u64,
    pub(super) created: Option<SystemTime>,
    pub(super) readable: bool,
}

/// Another write came first.
pub(super) struct Conflict;

impl Kv {
    pub(super) fn new(session: Arc<Session>, settings: &Settings) -> Self {
        Self {
            generation: mount::Generation::new(settings.kv),
            shown: settings.shown.clone(),
            mount: settings.mount.clone(),
            session,
        }
    }

    /// The engine's generation: as the address says it, else as the server does.
    ///
    /// # Errors
    /// Where neither says it. It is never guessed: either generation answers "absent" to the
    /// other's requests.
    pub(super) async fn generation(&self) -> Result<KvVersion> {
        self.generation.get(&self.session, &self.mount).await
    }

    /// Reads the newest version of a path, or a named one.
    pub(super) async fn read(&self, path: &str, version: Option<u64>) -> Result<Read> {
        match self
            .read_as(self.generation().await?, path, version)
            .await?
        {
            Some(read) => Ok(read),
            // The mount was upgraded since it was looked at.
            None => {
                self.generation.forget().await;
                let again = self
                    .read_as(self.generation().await?, path, version)
                    .await?;
                again.ok_or_else(|| {
                    let message = format!(
                        "{}: the mount `{}` is not of the generation that `kv` in the address says",
                        self.shown, self.mount
                    );
                    Error::new(ErrorKind::Config, message)
                        .with_help("correct `kv`, or leave it out")
                })
            }
        }
    }

    /// `None` says that the path is not of this generation.
    async fn read_as(
        &self,
        generation: KvVersion,
        path: &str,
        version: Option<u64>,
    ) -> Result<Option<Read>> {
        let (mount, path) = (self.mount.clone(), path.to_owned());
        let doing = "read the secret";
        let answer = match generation {
            KvVersion::V1 => {
                self.ask(doing, &kv1::requests::GetSecretRequest { mount, path })
                    .await?
            }
            KvVersion::V2 => {
                let request = kv2::requests::ReadSecretRequest {
                    mount,
                    path,
                    version,
                };
                self.ask(doing, &request).await?
            }
        };
        Read::of(answer, generation)
    }

    /// Writes a path as a whole: over the version `expected` (0: over nothing), or over anything
    /// where the engine has no versions. Returns the new version.
    pub(super) async fn write(
        &self,
        path: &str,
        data: &[u8],
        expected: Option<u64>,
    ) -> Result<Result<Option<u64>, Conflict>> {
        let (mount, doing) = (&self.mount, "write the secret");
        let Some(expected) = expected else {
            let body = Zeroizing::new(data.to_vec());
            let request = Raw::new(RequestMethod::POST, format!("{mount}/{path}")).with_body(body);
            let answer = self.session.call(doing, &request).await?;
            return match answer.status {
                200..=299 => Ok(Ok(None)),
                _ => Err(answer.refusal(doing)),
            };
        };
        let options = format!("{{\"options\":{{\"cas\":{expected}}},\"data\":");
        let body = Zeroizing::new([options.as_bytes(), data, b"}"].concat());
        let request = Raw::new(RequestMethod::POST, format!("{mount}/data/{path}")).with_body(body);
        let mut answer = self.session.call(doing, &request).await?;
        match answer.status {
            200..=299 => {
                let version = number(&answer.tree()?, &["data", "version"]);
                Ok(Ok(Some(version.ok_or_else(|| {
                    unexpected(&self.shown, "a write without a version")
                })?)))
            }
            // The same status stands for a failed comparison, for a mount that is being upgraded, and
            // for a write that is no good: what is there now tells the first; the reading fails for
            // the second.
            400 => {
                let now = self.read(path, None).await;
                let now = match now.map_err(Error::with_no_effect)? {
                    Read::Found(document) => document.version.unwrap_or_default(),
                    Read::Gone(gone) => gone.version,
                    Read::Nothing => 0,
                };
                if now == expected {
                    return Err(answer.refusal(doing));
                }
                Ok(Err(Conflict))
            }
            _ => Err(answer.refusal(doing)),
        }
    }

    /// Deletes one version of a path; every version, where the engine has none.
    pub(super) async fn delete(&self, path: &str, version: Option<u64>) -> Result<()> {
        let (mount, path) = (self.mount.clone(), path.to_owned());
        let doing = "delete the secret";
        let answer = match version {
            None => {
                let request = kv1::requests::DeleteSecretRequest { mount, path };
                self.session.call(doing, &request).await?
            }
            Some(version) => {
                let versions = vec![version];
                let request = kv2::requests::DeleteSecretVersionsRequest {
                    mount,
                    path,
                    versions,
                };
                self.session.call(doing, &request).await?
            }
        };
        done(answer, doing)
    }

    /// Brings back one deleted version of a path.
    pub(super) async fn undelete(&self, path: &str, version: u64) -> Result<()> {
        let (mount, path, versions) = (self.mount.clone(), path.to_owned(), vec![version]);
        let request = kv2::requests::UndeleteSecretVersionsRequest {
            mount,
            path,
            versions,
        };
        let doing = "bring back the secret";
        done(self.session.call(doing, &request).await?, doing)
    }

    /// The history of a path, newest first; `None` where there is none.
    pub(super) async fn history(&self, path: &str) -> Result<Option<Vec<Past>>> {
        let (mount, path) = (self.mount.clone(), path.to_owned());
        let request = kv2::requests::ReadSecretMetadataRequest { mount, path };
        Past::all(self.ask("list the secret's versions", &request).await?)
    }

    /// What lies directly beneath a path: names, and folders with a `/` at their end.
    pub(super) async fn list(&self, path: &str) -> Result<Vec<String>> {
        let (mount, doing) = (self.mount.clone(), "list the secrets");
        let answer = match self.generation().await? {
            KvVersion::V1 => {
                let path = path.to_owned();
                self.ask(doing, &kv1::requests::ListSecretRequest { mount, path })
                    .await?
            }
            KvVersion::V2 => {
                let path = path.to_owned();
                self.ask(doing, &kv2::requests::ListSecretsRequest { mount, path })
                    .await?
            }
        };
        keys(answer)
    }

    async fn ask(&self, doing: &str, request: &impl Endpoint) -> Result<Answer> {
        let answer = self.session.call(doing, request).await?;
        match answer.status {
            // A well-formed read is answered so while the mount is being upgraded to versions.
            400 if answer.is_vaults_refusal() => {
                let message = format!("{}: the mount can't answer now (400)", self.shown);
                Err(Error::new(ErrorKind::Transient, message).with_help(
                    "a mount that is being upgraded to version 2 answers so for a while",
                ))
            }
            400 => Err(answer.refusal(doing)),
            _ => Ok(answer),
        }
    }
}

impl Read {
    /// Reads an answer about one path; `None` says that the path is not of this generation.
    pub(super) fn of(mut answer: Answer, generation: KvVersion) -> Result<Option<Self>> {
        let status = answer.status;
        let tree = answer.tree()?;
        let data: &'static [_] = match generation {
            KvVersion::V1 => &["data"],
            KvVersion::V2 => &["data", "data"],
        };
        // Version 1 has none: what stands there is a field of the secret.
        let has_metadata = generation == KvVersion::V2;
        let metadata = |key| text(&tree, &["data", "metadata", key]).filter(|_| has_metadata);
        let number = metadata("version").and_then(|version| version.parse().ok());
        if status == 404 {
            return Ok(match number {
                Some(version) => Some(Self::Gone(Gone {
                    version,
                    destroyed: metadata("destroyed").as_deref() == Some("true"),
                })),
                // Warnings come with a request that the engine's generation has no answer to.
                None if tree.find(&["warnings"]).is_some() => None,
                None => Some(Self::Nothing),
            });
        }
        if !tree.raw(data).is_some_and(|raw| raw.starts_with(b"{")) {
            return Err(unexpected(answer.shown(), "a secret without data"));
        }
        if (generation, number) == (KvVersion::V2, None) {
            // A write would take it for a secret of the other generation.
            return Err(unexpected(answer.shown(), "a secret without its version"));
        }
        Ok(Some(Self::Found(Document {
            created: metadata("created_time").and_then(time),
            ends: metadata("deletion_time").and_then(time),
            version: number,
            data,
            answer: tree,
        })))
    }
}

impl Past {
    /// Reads an answer about the history of a path, newest first; `None` where there is none.
    pub(super) fn all(mut answer: Answer) -> Result<Option<Vec<Self>>> {
        let (status, tree) = (answer.status, answer.tree()?);
        if status == 404 {
            return Ok(None);
        }
        let past = |version: &str| {
            let at = |key| text(&tree, &["data", "versions", version, key]);
            let deleted = at("deletion_time").and_then(time);
            Some(Self {
                version: version.parse().ok()?,
                created: at("created_time").and_then(time),
                readable: at("destroyed").as_deref() != Some("true")
                    && deleted.is_none_or(|deleted| deleted > SystemTime::now()),
            })
        };
        let versions = tree.keys(&["data", "versions"]);
        let mut history: Vec<_> = versions.into_iter().filter_map(past).collect();
        history.sort_by_key(|past| std::cmp::Reverse(past.version));
        Ok(Some(history))
    }
}

/// Reads an answer about what lies beneath a path.
pub(super) fn keys(mut answer: Answer) -> Result<Vec<String>> {
    let (status, tree) = (answer.status, answer.tree()?);
    if status == 404 {
        return Ok(Vec::new());
    }
    let keys = tree.raw(&["data", "keys"]).unwrap_or_default();
    serde_json::from_slice(keys).map_err(|_| unexpected(answer.shown(), "a list without keys"))
}

impl Document {
    /// The value of a field; `None` where there is no such field.
    pub(super) fn field(&self, field: &str) -> Result<Option<Secret>> {
        let way = self.way(field);
        if self.answer.find(&way).is_none() {
            return Ok(None);
        }
        let value = self.answer.value(&way).map_err(|_| {
            let message = format!("the field `{field}` is no text that JSON can hold");
            Error::new(ErrorKind::Malformed, message)
        })?;
        Ok(Some(Secret::from_utf8_or_bytes(value)))
    }

    pub(super) fn fields(&self) -> Vec<&str> {
        self.answer.keys(self.data)
    }

    pub(super) fn name_of_version(&self) -> Option<Version> {
        self.version
            .map(|version| Version::new(version.to_string()))
    }

    /// The data with one field set or taken out; `None` where nothing is left.
    pub(super) fn with_field(
        &self,
        field: &str,
        value: Option<&Secret>,
    ) -> Result<Option<Zeroizing<Vec<u8>>>> {
        let data = self.answer.raw(self.data).unwrap_or_default();
        let unfit = |_| Error::new(ErrorKind::Malformed, "the data of the secret is no object");
        let data = Tree::parse(Zeroizing::new(data.to_vec())).map_err(unfit)?;
        with_field(Some(&data), field, value)
    }

    fn way<'a>(&self, field: &'a str) -> Vec<&'a str>
    where
        'static: 'a,
    {
        self.data.iter().copied().chain([field]).collect()
    }
}

/// The data of a secret with one field set or taken out; `None` where nothing is left.
pub(super) fn with_field(
    data: Option<&Tree>,
    field: &str,
    value: Option<&Secret>,
) -> Result<Option<Zeroizing<Vec<u8>>>> {
    json::with_field(data, field, value)
        .map_err(|fault| Error::new(ErrorKind::Malformed, fault.what))
}

fn unexpected(shown: &str, what: &str) -> Error {
    Error::new(ErrorKind::Malformed, format!("{shown}: it answered {what}"))
}

fn done(answer: Answer, doing: &str) -> Result<()> {
    match answer.status {
        200..=299 => Ok(()),
        _ => Err(answer.refusal(doing)),
    }
}

/// A string or number of the server's own, never of a secret.
pub(super) fn text(tree: &Tree, way: &[&str]) -> Option<String> {
    tree.find(way)?;
    let text = tree.value(way).ok()?;
    String::from_utf8(text.to_vec()).ok()
}

fn number(tree: &Tree, way: &[&str]) -> Option<u64> {
    text(tree, way)?.parse().ok()
}

/// A date of the server's; empty where there is none.
fn time(text: String) -> Option<SystemTime> {
    humantime::parse_rfc3339_weak(&text).ok()
}
