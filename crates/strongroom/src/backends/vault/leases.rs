//! Dynamic secrets: reading a path makes one, which is lent for a time.
//!
//! One is read once and shared by all who ask for it. Its lease is renewed; when it can't be renewed
//! any more, or its token is gone, the next read gets another secret, and who watches is told.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::{Duration, SystemTime};

use rustify::enums::RequestMethod;
use sha2::{Digest as _, Sha256};
use tokio::sync::{Mutex as AsyncMutex, Notify};

use super::answer::Answer;
use super::kv::text;
use super::raw::{self, Raw};
use super::session::Session;
use super::session::keeper::sleep;
use super::session::life::{Life, Step, chance};
use super::session::token::Moment;
use crate::backends::files::json::Tree;
use crate::error::{Error, ErrorKind, Result};
use crate::secret::{Metadata, Secret, Version};

/// How long all leases together may take to be given back.
const FAREWELL: Duration = Duration::from_secs(3);

/// The dynamic secrets of one connection, by the path that makes them.
pub(super) struct Leases {
    session: Arc<Session>,
    shown: String,
    slots: Mutex<HashMap<String, Arc<Slot>>>,
    changed: Arc<Notify>,
}

struct Slot {
    path: String,
    held: Mutex<Option<Held>>,
    /// One reads anew, whoever waits: each reading makes another secret.
    reading: AsyncMutex<()>,
}

struct Held {
    lease: Arc<Lease>,
    /// The lease can't be kept much longer: the next read gets another.
    ending: bool,
    /// Since its reading or its last renewal.
    since: Moment,
    life: Life,
    keeper: Option<tokio::task::AbortHandle>,
}

/// One secret that was made for us.
pub(super) struct Lease {
    answer: Tree,
    id: String,
    /// The login that it was made by: it ends with its token.
    generation: u64,
    created: SystemTime,
    expires: Mutex<Option<SystemTime>>,
}

impl Leases {
    pub(super) fn new(session: Arc<Session>, shown: &str) -> Self {
        Self {
            session,
            shown: shown.to_owned(),
            slots: Mutex::default(),
            changed: Arc::default(),
        }
    }

    /// Returns the secret of a path: the one that is held, while its lease lasts, or a new one.
    pub(super) async fn read(&self, path: &str) -> Result<Arc<Lease>> {
        let slot = Arc::clone(lock(&self.slots).entry(path.to_owned()).or_insert_with(|| {
            Arc::new(Slot {
                path: path.to_owned(),
                held: Mutex::new(None),
                reading: AsyncMutex::new(()),
            })
        }));
        if let Some(lease) = slot.usable(self.session.generation()) {
            return Ok(lease);
        }
        let _alone = slot.reading.lock().await;
        if let Some(lease) = slot.usable(self.session.generation()) {
            return Ok(lease);
        }
        let since = Moment::now();
        let (lease, life) = self.make(path).await?;
        // What no lease stands behind is not ours to keep.
        if !lease.id.is_empty() {
            let keeper = keep(
                Arc::clone(&self.session),
                Arc::downgrade(&slot),
                Arc::clone(&self.changed),
            );
            let held = Held {
                lease: Arc::clone(&lease),
                ending: false,
                since,
                life,
                keeper: None,
            };
            *lock(&slot.held) = Some(held);
            let keeper = tokio::spawn(keeper).abort_handle();
            if let Some(held) = lock(&slot.held).as_mut() {
                held.keeper = Some(keeper);
            }
        }
        Ok(lease)
    }

    /// Returns when a lease was renewed, ended or is about to, since the last call, and at the end.
    pub(super) async fn changed(&self) {
        self.changed.notified().await;
    }

    /// Gives every lease back, within seconds. What can't be given back ends by itself.
    pub(super) async fn close(&self) {
        let held: Vec<_> = {
            let slots = std::mem::take(&mut *lock(&self.slots));
            slots
                .into_values()
                .filter_map(|slot| lock(&slot.held).take())
                .collect()
        };
        let mut running = tokio::task::JoinSet::new();
        for held in held {
            let session = Arc::clone(&self.session);
            let body = raw::object(&[("lease_id", &held.lease.id)]);
            let request = Raw::new(RequestMethod::PUT, "sys/leases/revoke").with_body(body);
            running.spawn(async move { session.call("give back the lease", &request).await });
        }
        let all = async {
            while let Some(returned) = running.join_next().await {
                if let Ok(Err(error)) = returned {
                    tracing::warn!(kind = %error.kind(), %error, "a lease was not given back");
                }
            }
        };
        let _ = tokio::time::timeout(FAREWELL, all).await;
        self.changed.notify_waiters();
    }

    async fn make(&self, path: &str) -> Result<(Arc<Lease>, Life)> {
        let doing = "read the dynamic secret";
        let request = Raw::new(RequestMethod::GET, path);
        let answer = self.session.call(doing, &request).await?;
        if answer.status != 200 {
            return Err(answer.refusal(doing).with_help(
                "the `id` of its source is the path that makes it, such as `database/creds/ROLE`",
            ));
        }
        let (lease, life) = Lease::of(answer, path, self.session.generation())?;
        Ok((Arc::new(lease), life))
    }
}

impl Drop for Leases {
    fn drop(&mut self) {
        for slot in lock(&self.slots).values() {
            drop(lock(&slot.held).take());
        }
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        if let Some(keeper) = self.keeper.take() {
            keeper.abort();
        }
    }
}

impl fmt::Debug for Leases {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Leases")
            .field("address", &self.shown)
            .finish_non_exhaustive()
    }
}

impl Slot {
    /// The secret that is held, if it may still be handed out.
    fn usable(&self, generation: u64) -> Option<Arc<Lease>> {
        let held = lock(&self.held);
        let held = held.as_ref().filter(|held| !held.ending)?;
        let alive = held.life.ttl.is_none_or(|ttl| held.since.elapsed() < ttl);
        (alive && held.lease.generation == generation).then(|| Arc::clone(&held.lease))
    }

    fn end(&self) {
        if let Some(held) = lock(&self.held).as_mut() {
            held.ending = true;
        }
    }
}

impl Lease {
    /// Reads what a path answered that makes secrets.
    pub(super) fn of(mut answer: Answer, path: &str, generation: u64) -> Result<(Self, Life)> {
        let tree = answer.tree()?;
        if tree.keys(&["data"]).is_empty() {
            let message = format!("{}: `{path}` answered without data", answer.shown());
            return Err(Error::new(ErrorKind::Malformed, message));
        }
        let id = text(&tree, &["lease_id"]).unwrap_or_default();
        let (ttl, renewable) = told(&tree);
        let created = SystemTime::now();
        let lent = !id.is_empty();
        let lease = Self {
            answer: tree,
            id,
            generation,
            created,
            // Without a lease nothing ends; a lease of no duration never does.
            expires: Mutex::new(created.checked_add(ttl).filter(|_| lent && !ttl.is_zero())),
        };
        let ttl = Some(ttl).filter(|ttl| !ttl.is_zero());
        Ok((lease, Life::new(ttl, renewable)))
    }

    /// The value of a field; `None` where there is no such field.
    pub(super) fn field(&self, field: &str) -> Result<Option<Secret>> {
        let way = ["data", field];
        if self.answer.find(&way).is_none() {
            return Ok(None);
        }
        let unfit = |_| {
            let message = format!("the field `{field}` is no text that JSON can hold");
            Error::new(ErrorKind::Malformed, message)
        };
        let value = self.answer.value(&way).map_err(unfit)?;
        let secret = Secret::from_utf8_or_bytes(value);
        let mut metadata = Metadata::new().with_created(self.created);
        if let Some(version) = self.version() {
            metadata = metadata.with_version(version);
        }
        if let Some(expires) = *lock(&self.expires) {
            metadata = metadata.with_expires(expires);
        }
        Ok(Some(secret.with_metadata(metadata)))
    }

    pub(super) fn fields(&self) -> Vec<&str> {
        self.answer.keys(&["data"])
    }

    /// Differs from lease to lease, and says nothing of its id, by which it could be revoked. `None`
    /// where no lease stands behind the secret.
    pub(super) fn version(&self) -> Option<Version> {
        let digest = Sha256::digest(self.id.as_bytes());
        let short = digest.get(..8).unwrap_or_default();
        let version = || Version::new(base16ct::lower::encode_string(short));
        (!self.id.is_empty()).then(version)
    }
}

/// Renews a lease until it can't be, and says so then.
async fn keep(session: Arc<Session>, slot: Weak<Slot>, changed: Arc<Notify>) {
    let mut failures = 0_u32;
    loop {
        let step = {
            let Some(slot) = slot.upgrade() else { return };
            let held = lock(&slot.held);
            let Some(held) = held.as_ref() else { return };
            held.life.next(held.since.elapsed(), failures, chance())
        };
        let (Step::Renew(wait) | Step::Replace(wait)) = step else {
            return;
        };
        sleep(wait).await;
        let Some(slot) = slot.upgrade() else { return };
        let renewed = match step {
            Step::Renew(_) => renew(&session, &slot).await,
            _ => Ok(false),
        };
        match renewed {
            Ok(true) => {
                failures = 0;
                // What holds the secret learns that it lives for longer.
                changed.notify_one();
            }
            Ok(false) => {
                tracing::debug!(
                    path = slot.path,
                    "a lease ends: the next read gets another secret"
                );
                slot.end();
                changed.notify_one();
                return;
            }
            Err(error) => {
                failures = failures.saturating_add(1);
                tracing::warn!(
                    path = slot.path, kind = %error.kind(), %error, failures,
                    "the lease of a dynamic secret was not renewed"
                );
            }
        }
    }
}

/// Renews a lease; `false` if the server won't, or it is of a login that is over.
async fn renew(session: &Session, slot: &Slot) -> Result<bool> {
    let lease = match lock(&slot.held).as_ref() {
        Some(held) => Arc::clone(&held.lease),
        None => return Ok(false),
    };
    let doing = "renew the lease";
    let body = raw::object(&[("lease_id", &lease.id)]);
    let request = Raw::new(RequestMethod::PUT, "sys/leases/renew").with_body(body);
    let since = Moment::now();
    let mut answer = match session.call(doing, &request).await {
        Ok(answer) => answer,
        // The lease is not ours any more, or never was.
        Err(error) if error.kind() == ErrorKind::Denied => return Ok(false),
        Err(error) => return Err(error),
    };
    if answer.status != 200 || session.generation() != lease.generation {
        return Ok(false);
    }
    let (ttl, renewable) = told(&answer.tree()?);
    if let Some(held) = lock(&slot.held).as_mut() {
        held.life = held.life.renewed(ttl, renewable);
        held.since = since;
    }
    *lock(&lease.expires) = SystemTime::now().checked_add(ttl);
    Ok(true)
}

/// How long a lease lasts, and whether it can be renewed.
fn told(tree: &Tree) -> (Duration, bool) {
    let seconds = text(tree, &["lease_duration"]).and_then(|text| text.parse().ok());
    let renewable = text(tree, &["renewable"]).as_deref() == Some("true");
    (Duration::from_secs(seconds.unwrap_or(0)), renewable)
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
