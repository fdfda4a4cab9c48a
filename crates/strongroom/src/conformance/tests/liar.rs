//! A memory that breaks one rule.

use std::fmt;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use super::super::check::text;
use super::*;
use crate::provider::{Description, Expect, ProviderHealth, Reply, Request, Stage, VersionInfo};
use crate::secret::{MAX_VALUE_BYTES, Metadata, Version};

pub(super) const CREDENTIAL: &str = "s.credential-9Kq2";

#[rustfmt::skip]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Lie {
    None,
    AnswersTheEmptyBatch, SwapsAnswers, AbsentIsTransient, OneAbsentFailsAll, AnswersOnce,
    AtMostFifty, OneReadAtATime, Nameless, AlwaysUnchanged, NeverUnchanged, IgnoresStage,
    ShortNames, IgnoresCase, IgnoresFields, ReadsOneByOne, Panics,
    Trims, StripsNewline, OnlyText, EmptyIsAbsent, Truncates, TakesAnySize,
    SaysReadOnly, SaysWritable, IgnoresExpect, WritesInSpiteOfConflict, LooksThenWrites,
    KeepsTheFirst, KeepsDeleted, DeletesNothingGladly, DeletesWhatever, WritesInParts,
    VersionOfTheValue, PutInventsVersions, OldestFirst, PromotesNothing, RestoresNothing,
    FindsHistoryAnywhere, DiscardsNothing, DiscardsWhatever, IgnoresOverlap,
    PendingIsCurrent, RefusesPendingLate,
    Unsorted, Repeats, IgnoresPrefix, PrefixOfSegments, ListsItself,
    ForgetsClose, ClosesOnce, Sick, NeverHealthy, BreaksWhenDropped, DescribesCredential,
    DescribesChange, OneStoreForAll,
    ErrorQuotesValue, DebugShowsValues, DebugShowsCredential, LogsValues, LogsBytes, QuotesDocument,
}

pub(super) struct Liar {
    inner: Memory,
    lie: Lie,
    under_way: AtomicUsize,
    closed: AtomicBool,
    seen: std::sync::Mutex<Vec<String>>,
}

impl Liar {
    pub(super) fn new(inner: Memory, lie: Lie) -> Self {
        Self {
            inner,
            lie,
            under_way: AtomicUsize::new(0),
            closed: AtomicBool::new(false),
            seen: std::sync::Mutex::default(),
        }
    }

    fn is(&self, lie: Lie) -> bool {
        self.lie == lie
    }

    fn request(&self, request: &Request) -> Request {
        let mut request = request.clone();
        match self.lie {
            Lie::NeverUnchanged | Lie::VersionOfTheValue => request.known = None,
            Lie::IgnoresStage => request.stage = Stage::Current,
            Lie::IgnoresCase => {
                let name = request.target.name.as_str().to_lowercase();
                request.target.name = SecretName::parse(name).unwrap();
            }
            Lie::IgnoresFields if request.target.name.path() == "account" => {
                request.target.name = SecretName::from_static("account#user");
            }
            Lie::ShortNames => {
                let name: String = request.target.name.as_str().chars().take(200).collect();
                request.target.name = SecretName::parse(name).unwrap();
            }
            _ => {}
        }
        request
    }

    fn secret(&self, secret: Secret) -> Secret {
        let bytes = secret.expose_bytes();
        let changed = match self.lie {
            Lie::Trims => bytes.trim_ascii().to_vec(),
            Lie::StripsNewline => bytes.strip_suffix(b"\n").unwrap_or(bytes).to_vec(),
            Lie::OnlyText => String::from_utf8_lossy(bytes).into_owned().into_bytes(),
            Lie::Truncates => bytes[..bytes.len().min(MAX_VALUE_BYTES - 1)].to_vec(),
            Lie::LogsValues => {
                tracing::trace!(value = secret.expose_str().unwrap_or_default(), "read");
                bytes.to_vec()
            }
            Lie::LogsBytes => {
                tracing::trace!(?bytes, "read");
                bytes.to_vec()
            }
            _ => bytes.to_vec(),
        };
        if self.is(Lie::DebugShowsValues) {
            let text = String::from_utf8_lossy(&changed).into_owned();
            self.seen.lock().unwrap().push(text);
        }
        let metadata = match self.lie {
            Lie::Nameless => {
                Metadata::new().with_version(secret.metadata().version().unwrap().clone())
            }
            Lie::VersionOfTheValue => secret.metadata().clone().with_version(digest(&changed)),
            _ => secret.metadata().clone(),
        };
        Secret::from_utf8_or_bytes(changed).with_metadata(metadata)
    }

    fn answer(&self, request: &Request, answer: Result<Reply>) -> Result<Reply> {
        match (answer, self.lie) {
            (Ok(_), Lie::AlwaysUnchanged) if request.known.is_some() => Ok(Reply::Unchanged),
            (Ok(Reply::Value(secret)), Lie::EmptyIsAbsent) if secret.is_empty() => {
                Err(Error::new(ErrorKind::Absent, "nothing there"))
            }
            (Ok(Reply::Value(secret)), _) => Ok(Reply::Value(self.secret(secret))),
            (Err(error), Lie::AbsentIsTransient) if error.kind() == ErrorKind::Absent => {
                Err(Error::new(ErrorKind::Transient, "try again"))
            }
            (Err(error), Lie::QuotesDocument) if error.kind() == ErrorKind::Malformed => {
                Err(Error::new(
                    ErrorKind::Malformed,
                    "can't parse {\"password\": \"canary-q7Zx-5f1c09\"",
                ))
            }
            (answer, _) => answer,
        }
    }
}

fn digest(value: &[u8]) -> Version {
    use sha2::Digest as _;
    Version::new(base16ct::lower::encode_string(&sha2::Sha256::digest(value)))
}

fn one_store() -> &'static Memory {
    static STORE: std::sync::OnceLock<Memory> = std::sync::OnceLock::new();
    STORE.get_or_init(|| {
        Memory::new()
            .with("alpha/one", "value of a")
            .with("beta/two", "value of b")
    })
}

fn unsupported() -> Error {
    Error::new(ErrorKind::Unsupported, "read-only")
}

#[async_trait]
impl SecretProvider for Liar {
    fn describe(&self) -> Description {
        let mut description = self.inner.describe();
        match self.lie {
            Lie::SaysReadOnly => description.writable = false,
            Lie::DescribesCredential => {
                description.address = format!("memory://user:{CREDENTIAL}@host/");
            }
            Lie::DescribesChange if self.closed.load(Ordering::SeqCst) => {
                description.address = "memory:closed".to_owned();
            }
            _ => {}
        }
        description
    }

    async fn fetch(&self, wanted: &[Request]) -> Vec<Result<Reply>> {
        let same: Vec<Request> = wanted.iter().map(|request| self.request(request)).collect();
        let before = self.under_way.fetch_add(1, Ordering::SeqCst);
        if matches!(self.lie, Lie::OneReadAtATime | Lie::BreaksWhenDropped) {
            if before > 0 {
                return wanted
                    .iter()
                    .map(|_| Err(Error::new(ErrorKind::Transient, "busy")))
                    .collect();
            }
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        self.under_way.fetch_sub(1, Ordering::SeqCst);
        let mut answers = Vec::new();
        if self.is(Lie::OneStoreForAll) {
            answers = one_store().fetch(&same).await;
        } else if self.is(Lie::ReadsOneByOne) {
            for request in &same {
                answers.extend(self.inner.fetch(std::slice::from_ref(request)).await);
                tokio::task::yield_now().await;
            }
        } else {
            answers = self.inner.fetch(&same).await;
        }
        let answers = wanted.iter().zip(answers);
        let mut answers: Vec<_> = answers
            .map(|(request, answer)| self.answer(request, answer))
            .collect();
        match self.lie {
            Lie::AnswersTheEmptyBatch if wanted.is_empty() => {
                answers.push(Err(Error::new(ErrorKind::Absent, "nothing asked")));
            }
            Lie::Panics if wanted.is_empty() => panic!("index out of bounds"),
            Lie::SwapsAnswers => answers.reverse(),
            Lie::OneAbsentFailsAll if answers.iter().any(Result::is_err) => {
                for answer in &mut answers {
                    *answer = Err(Error::new(ErrorKind::Absent, "one is absent"));
                }
            }
            Lie::AnswersOnce if wanted.len() == 3 && wanted[0].target == wanted[2].target => {
                answers.pop();
            }
            Lie::AtMostFifty => answers.truncate(50),
            _ => {}
        }
        answers
    }

    async fn put(&self, put: &Put) -> Result<Option<Version>> {
        let mut put = put.clone();
        let name = put.target.name.clone();
        let present = self.inner.list(name.as_str()).await?.contains(&name);
        match self.lie {
            Lie::SaysWritable => return Err(unsupported()),
            Lie::IgnoresExpect => put.expect = Expect::Any,
            Lie::IgnoresOverlap => put.overlap = None,
            Lie::PendingIsCurrent => put.stage = Stage::Current,
            Lie::RefusesPendingLate if put.stage == Stage::Pending => return Err(unsupported()),
            Lie::KeepsTheFirst if present => return Ok(None),
            Lie::TakesAnySize if put.value.len() > MAX_VALUE_BYTES => {
                return Ok(self.inner.set(name.as_str(), put.value));
            }
            Lie::LooksThenWrites => {
                let reply = self.inner.fetch(&[name.into()]).await.remove(0);
                let current = match &reply {
                    Ok(Reply::Value(secret)) => secret.metadata().version(),
                    _ => None,
                };
                match &put.expect {
                    Expect::Absent if current.is_some() => return self.inner.put(&put).await,
                    Expect::Version(version) if current != Some(version) => {
                        return self.inner.put(&put).await;
                    }
                    _ => put.expect = Expect::Any,
                }
                tokio::task::yield_now().await;
            }
            Lie::WritesInParts => {
                let half = put.value.len() / 2;
                let part = String::from_utf8_lossy(&put.value.expose_bytes()[..half]).into_owned();
                self.inner.set(name.as_str(), text(&part));
                tokio::task::yield_now().await;
            }
            _ => {}
        }
        match (self.inner.put(&put).await, self.lie) {
            (Err(error), Lie::WritesInSpiteOfConflict) if error.kind() == ErrorKind::Conflict => {
                self.inner.set(put.target.name.as_str(), put.value);
                Err(error)
            }
            (Err(error), Lie::ErrorQuotesValue) => {
                let value = put.value.expose_str().unwrap_or_default();
                Err(Error::new(error.kind(), format!("can't write {value}")))
            }
            (Ok(_), Lie::VersionOfTheValue) => Ok(Some(digest(put.value.expose_bytes()))),
            (Ok(_), Lie::PutInventsVersions) => Ok(Some(Version::new("invented"))),
            (outcome, _) => outcome,
        }
    }

    async fn delete(&self, target: &Target, expect: &Expect) -> Result<()> {
        match self.lie {
            Lie::KeepsDeleted => Ok(()),
            Lie::SaysWritable => Err(unsupported()),
            Lie::DeletesWhatever => self.inner.delete(target, &Expect::Any).await,
            Lie::DeletesNothingGladly => match self.inner.delete(target, expect).await {
                Err(error) if error.kind() == ErrorKind::Absent => Ok(()),
                outcome => outcome,
            },
            _ => self.inner.delete(target, expect).await,
        }
    }

    async fn list(&self, prefix: &str) -> Result<Vec<SecretName>> {
        let mut names = match self.lie {
            Lie::IgnoresPrefix => self.inner.list("").await?,
            _ => self.inner.list(prefix).await?,
        };
        match self.lie {
            Lie::Unsorted => names.reverse(),
            Lie::Repeats => names.extend(names.last().cloned()),
            Lie::ListsItself => names.push(SecretName::from_static("zzz")),
            Lie::PrefixOfSegments => names.retain(|name| {
                let rest = &name.as_str()[prefix.len()..];
                prefix.is_empty() || prefix.ends_with('/') || rest.starts_with('/')
            }),
            _ => {}
        }
        Ok(names)
    }

    async fn health(&self) -> Result<ProviderHealth> {
        match self.lie {
            Lie::Sick => Err(Error::new(ErrorKind::Auth, "the token expired")),
            Lie::NeverHealthy => std::future::pending().await,
            _ => self.inner.health().await,
        }
    }

    async fn close(&self) -> Result<()> {
        let was_closed = self.closed.swap(true, Ordering::SeqCst);
        match self.lie {
            Lie::ForgetsClose | Lie::OneStoreForAll => Ok(()),
            Lie::ClosesOnce if was_closed => Err(Error::new(ErrorKind::Closed, "closed")),
            _ => self.inner.close().await,
        }
    }

    async fn versions(&self, target: &Target) -> Result<Vec<VersionInfo>> {
        let mut versions = match self.lie {
            Lie::FindsHistoryAnywhere => Vec::new(),
            _ => self.inner.versions(target).await?,
        };
        if self.is(Lie::OldestFirst) {
            versions.reverse();
        }
        Ok(versions)
    }

    async fn restore(&self, target: &Target) -> Result<()> {
        match self.lie {
            Lie::RestoresNothing => Ok(()),
            _ => self.inner.restore(target).await,
        }
    }

    async fn promote(&self, target: &Target, version: &Version) -> Result<()> {
        match self.lie {
            Lie::PromotesNothing => Ok(()),
            _ => self.inner.promote(target, version).await,
        }
    }

    async fn discard(&self, target: &Target, version: &Version) -> Result<()> {
        match self.lie {
            Lie::DiscardsNothing => Ok(()),
            Lie::DiscardsWhatever => {
                let _ = self.inner.discard(target, version).await;
                Ok(())
            }
            _ => self.inner.discard(target, version).await,
        }
    }
}

impl fmt::Debug for Liar {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut out = f.debug_struct("Liar");
        match self.lie {
            Lie::DebugShowsValues => out.field("seen", &self.seen.lock().unwrap()).finish(),
            Lie::DebugShowsCredential => out.field("token", &CREDENTIAL).finish(),
            _ => out.finish_non_exhaustive(),
        }
    }
}
