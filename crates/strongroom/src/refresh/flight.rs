//! One reading of several names of one provider, and what it means for each.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::timeout;

use super::entry::Entry;
use super::is_snapshot;
use crate::connection::Connection;
use crate::declared::Declared;
use crate::error::{Error, ErrorKind, Result};
use crate::name::SecretName;
use crate::policy;
use crate::provider::Reply;
use crate::report::{Report, Severity};
use crate::secret::{Secret, Version};
use crate::validation;

/// How long a reading or a write may take, retries included. A provider that never answers must not keep
/// a name from ever being read again.
pub(super) const LIMIT: Duration = Duration::from_secs(60);

/// A name to read, with what is held of it.
pub(super) struct Wanted {
    pub(super) name: SecretName,
    pub(super) held: Option<Arc<Entry>>,
    /// What a type declares of it that the boot didn't know.
    pub(super) own: Option<Arc<Declared>>,
}

/// What a reading found out about one name.
pub(super) enum Answer {
    /// The value that is held is the one in force; what is known of it may be new.
    Same(Option<Secret>),
    /// Another value is in force, and it is good.
    New(Secret),
    /// Another value is in force, and it is not good enough.
    Refused(Error),
    Failed(Error),
}

/// A reading that came back.
pub(super) struct Landed {
    pub(super) provider: Option<String>,
    /// When it began: what it confirms was in force then.
    pub(super) began: Duration,
    pub(super) answers: Vec<(SecretName, Answer)>,
}

/// Reads names of one provider, and judges what comes back.
pub(super) async fn read(
    connection: Connection,
    provider: Option<String>,
    wanted: Vec<Wanted>,
    began: Duration,
) -> Landed {
    let mut replies = fetch(&connection, &wanted).await;
    confirm_denials(&connection, provider.as_deref(), &wanted, &mut replies).await;
    let answers = wanted.into_iter().zip(replies);
    let answers = answers.map(|(wanted, reply)| {
        let answer = judge(&connection, &wanted, reply);
        (wanted.name, answer)
    });
    Landed {
        provider,
        began,
        answers: answers.collect(),
    }
}

/// Demands of one value what the boot demanded of all.
pub(super) fn prove(declared: &Declared, secret: Secret) -> Result<Secret> {
    let findings = policy::check_one(declared, &secret);
    if findings
        .iter()
        .any(|finding| finding.severity == Severity::Violation)
    {
        let message = "the value doesn't pass the strength policy";
        return Err(Error::new(ErrorKind::Policy, message)
            .with_name(&declared.name)
            .with_report(Report::new(findings)));
    }
    let strong = policy::is_strong(declared, &secret, &findings);
    Ok(validation::mark(secret, strong))
}

async fn fetch(connection: &Connection, wanted: &[Wanted]) -> Vec<Result<Reply>> {
    let known: Vec<_> = wanted
        .iter()
        .map(|wanted| (wanted.name.clone(), wanted.known(connection)))
        .collect();
    match timeout(LIMIT, connection.fetch_unless_known(&known)).await {
        Ok(replies) => replies,
        Err(_) => wanted
            .iter()
            .map(|wanted| Err(slow(&wanted.name)))
            .collect(),
    }
}

/// Believes a denial of what is held only if our own credential is alive: a token that was revoked is
/// denied everything, and a new one may be on its way.
async fn confirm_denials(
    connection: &Connection,
    provider: Option<&str>,
    wanted: &[Wanted],
    replies: &mut [Result<Reply>],
) {
    let is_denied =
        |reply: &Result<Reply>| matches!(reply, Err(error) if error.kind() == ErrorKind::Denied);
    let mut places = Vec::new();
    let mut denied = Vec::new();
    for (at, (wanted, reply)) in wanted.iter().zip(replies.iter()).enumerate() {
        if wanted.holds_a_value() && is_denied(reply) {
            places.push(at);
            denied.push(Wanted {
                name: wanted.name.clone(),
                held: wanted.held.clone(),
                own: wanted.own.clone(),
            });
        }
    }
    if denied.is_empty() {
        return;
    }
    let alive = matches!(
        timeout(LIMIT, connection.health_of(provider)).await,
        Ok(Ok(_))
    );
    let again = if alive {
        fetch(connection, &denied).await
    } else {
        let doubtful = |wanted: &Wanted| Err(doubtful(&wanted.name));
        denied.iter().map(doubtful).collect()
    };
    for (at, reply) in places.into_iter().zip(again) {
        if let Some(place) = replies.get_mut(at) {
            *place = reply;
        }
    }
}

fn judge(connection: &Connection, wanted: &Wanted, reply: Result<Reply>) -> Answer {
    let secret = match reply {
        Ok(Reply::Unchanged) => return Answer::Same(None),
        Ok(Reply::Value(secret)) => secret,
        Err(error) => return Answer::Failed(error),
    };
    let secret = match &wanted.own {
        Some(own) => match own.encoding.decode(&secret) {
            Ok(secret) => secret,
            Err(error) => return Answer::Refused(error),
        },
        None => secret,
    };
    let held = wanted.held.as_ref().and_then(|entry| entry.live.held());
    if let Some(held) = held.filter(|held| is_same(held, &secret)) {
        // It was judged when it was new; rules that depend on the date don't undo that.
        let strong = held.metadata().is_strong();
        return Answer::Same(Some(validation::mark(secret, strong)));
    }
    let declared = connection.declaration(wanted.name.as_str());
    match declared.or(wanted.own.as_deref()) {
        Some(declared) => match prove(declared, secret) {
            Ok(secret) => Answer::New(secret),
            Err(error) => Answer::Refused(error),
        },
        None => Answer::New(secret),
    }
}

fn is_same(held: &Secret, read: &Secret) -> bool {
    // An empty value never verifies.
    // EXPOSES: to a comparison in constant time
    (held.is_empty() && read.is_empty()) || held.verify(read.expose_bytes())
}

impl Wanted {
    fn known(&self, connection: &Connection) -> Option<Version> {
        let held = self.held.as_ref()?.live.held()?;
        // A value that ends by itself is read anew: that is how its new end is learnt.
        if connection.is_lent(&self.name) || held.metadata().expires().is_some() {
            return None;
        }
        // A backend that was made anew since may have given the same version to another value.
        let known = Some(held).filter(|held| !is_snapshot(held))?;
        known.metadata().version().cloned()
    }

    fn holds_a_value(&self) -> bool {
        let held = self.held.as_ref();
        held.is_some_and(|entry| entry.live.held().is_some())
    }
}

pub(super) fn slow(name: &SecretName) -> Error {
    let message = format!("the provider gave no answer within {} s", LIMIT.as_secs());
    Error::new(ErrorKind::Transient, message).with_name(name)
}

fn doubtful(name: &SecretName) -> Error {
    let message = "the backend denies it, and our own credential doesn't work either";
    Error::new(ErrorKind::Auth, message)
        .with_help("look at the provider's credential: `strongroom doctor` does")
        .with_name(name)
}
