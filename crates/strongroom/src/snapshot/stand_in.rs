//! A boot whose backend can't be reached: what the snapshot has stands in.

use std::collections::BTreeMap;
use std::time::{Duration, SystemTime};

use super::content::{Content, Kept, Place};
use super::{RULE, Snapshot, in_minutes};
use crate::connection::{Connection, Document};
use crate::declared::Declared;
use crate::error::{Error, ErrorKind, Result};
use crate::report::Finding;
use crate::secret::Secret;

/// What reading the declared secrets answered.
pub(crate) type Answers<'a> = [(&'a Declared, Result<Secret>)];

/// Puts values of the snapshot in the place of what could not be read now and may be readable later,
/// by whole documents. Returns what is to be said of it, and the worst kind of what keeps it from that.
pub(crate) async fn stand_in(
    connection: &Connection,
    snapshot: &Snapshot,
    answers: &mut Answers<'_>,
) -> (Vec<Finding>, Option<ErrorKind>) {
    let mut said_of = Vec::new();
    if !answers.iter().any(|(_, answer)| is_transient(answer)) {
        return (said_of, None);
    }
    let now = SystemTime::now();
    let content = match snapshot.read(now).await {
        Ok(content) => content,
        Err(error) => {
            let message = format!("the snapshot can't stand in: {error}");
            let help = error.help().unwrap_or_default();
            said_of.push(Finding::violation(None, RULE, message, help));
            return (said_of, Some(error.kind()));
        }
    };
    let mut documents: BTreeMap<Document, Vec<usize>> = BTreeMap::new();
    for (at, (declared, _)) in answers.iter().enumerate() {
        let document = connection.document(&declared.name);
        documents.entry(document).or_default().push(at);
    }
    for places in documents.into_values() {
        let members = places.iter().filter_map(|at| answers.get(*at));
        let members: Vec<_> = members.collect();
        if !members.iter().any(|(_, answer)| is_transient(answer)) {
            continue;
        }
        let found = members.iter();
        let found = found.map(|(declared, answer)| kept(&content, declared, answer));
        match found.collect::<Result<Vec<_>, String>>() {
            Ok(values) => {
                for (at, value) in places.into_iter().zip(values) {
                    if let Some((declared, answer)) = answers.get_mut(at) {
                        let failure = answer.as_ref().err().map(Error::to_string);
                        said_of.push(used(declared, failure, &content, snapshot, now));
                        *answer = match value {
                            Some(value) => Ok(value),
                            None => {
                                Connection::default_of(declared).ok_or_else(|| absent(declared))
                            }
                        };
                    }
                }
            }
            Err(why) => {
                let failed = members.iter().filter(|(_, answer)| is_transient(answer));
                said_of.extend(failed.map(|(declared, _)| {
                    Finding::violation(Some(&declared.name), RULE, why.as_str(), "")
                }));
            }
        }
    }
    (said_of, None)
}

/// Finds what stands in for one secret of a document, or says why nothing can.
fn kept(
    content: &Content,
    declared: &Declared,
    answer: &Result<Secret>,
) -> Result<Option<Secret>, String> {
    let kept = content.kept.get(&declared.name);
    let kept = kept.filter(|kept| kept.place == Place::of(declared));
    match (kept, answer) {
        (Some(Kept { value: None, .. }), Err(error)) if error.kind() == ErrorKind::Absent => {
            Ok(None)
        }
        (_, Err(error)) if error.kind() != ErrorKind::Transient => Err(format!(
            "the snapshot can't stand in: `{}`, of the same document, is {} in the backend",
            declared.name,
            error.kind()
        )),
        (Some(kept), _) => Ok(kept.value.clone()),
        (None, _) if declared.is_leased() => {
            Err("the snapshot can't stand in: what is lent is never kept".to_owned())
        }
        (None, _) => Err(format!(
            "the snapshot can't stand in: it holds no value of `{}`",
            declared.name
        )),
    }
}

fn is_transient(answer: &Result<Secret>) -> bool {
    matches!(answer, Err(error) if error.kind() == ErrorKind::Transient)
}

fn used(
    declared: &Declared,
    failure: Option<String>,
    content: &Content,
    snapshot: &Snapshot,
    now: SystemTime,
) -> Finding {
    let ago = now.duration_since(content.taken).unwrap_or_default();
    let left = snapshot.ends(content.taken).duration_since(now);
    let mut message = started(ago, left.unwrap_or_default());
    if let Some(failure) = failure {
        message = format!("{message}; the backend: {failure}");
    }
    let help = "it is replaced when the backend answers again; look at the backend";
    Finding::warning(Some(&declared.name), RULE, message, help)
}

/// Says that a value is from a snapshot, and for how long it still serves.
pub(crate) fn started(ago: Duration, left: Duration) -> String {
    format!(
        "started from a snapshot of {} ago; it ends in {}",
        in_minutes(ago),
        in_minutes(left)
    )
}

fn absent(declared: &Declared) -> Error {
    let message = "the backend held none when the snapshot was taken";
    Error::new(ErrorKind::Absent, message).with_name(&declared.name)
}
