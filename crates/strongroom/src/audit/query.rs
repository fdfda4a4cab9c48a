//! What is asked of a log: its events, picked by time, name, actor, outcome and operation.

use std::path::Path;
use std::time::{Duration, SystemTime};

use serde::{Deserialize, Serialize};

use super::files;
use super::line::Line;
use crate::error::Result;

/// One event of a log, as a reader finds it. Nobody vouches for it: that is what
/// [`verify`](super::verify) is for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Entry {
    /// Its number in the chain.
    pub seq: u64,
    /// When it was, in milliseconds since 1970.
    pub time: u64,
    /// What was done: `fetch`, `hand_out`, `put` and so on.
    pub operation: String,
    /// `success`, `failure` or `unknown`.
    pub outcome: String,
    /// The kind of error, where it failed.
    pub detail: Option<String>,
    /// The secret.
    pub name: Option<String>,
    /// Its version.
    pub version: Option<String>,
    /// The address of the provider.
    pub provider: Option<String>,
    /// The service.
    pub service: Option<String>,
    /// The id of the user.
    pub user: Option<String>,
    /// The id of the process.
    pub process: Option<u32>,
    /// How long it took, in milliseconds.
    pub duration: Option<u64>,
}

impl Entry {
    /// Returns when it was.
    pub fn at(&self) -> SystemTime {
        let time = SystemTime::UNIX_EPOCH.checked_add(Duration::from_millis(self.time));
        time.unwrap_or(SystemTime::UNIX_EPOCH)
    }

    fn parse(line: &[u8]) -> Option<Self> {
        let seq = Line::parse(line)?.head.seq;
        let whole: Whole = serde_json::from_slice(line).ok()?;
        let resource = whole.resources.into_iter().next().unwrap_or_default();
        Some(Self {
            seq,
            time: whole.time,
            operation: whole.api.operation,
            outcome: whole.status.to_ascii_lowercase(),
            detail: whole.status_detail,
            name: resource.name,
            version: resource.version,
            provider: whole.api.service.and_then(|service| service.name),
            service: whole.actor.app_name,
            user: whole.actor.user.and_then(|user| user.uid),
            process: whole.actor.process.and_then(|process| process.pid),
            duration: whole.duration,
        })
    }
}

/// Which events are wanted. What is not said is not asked for.
#[derive(Debug, Clone, Default)]
#[non_exhaustive]
pub struct Filter {
    /// At this time or later.
    pub since: Option<SystemTime>,
    /// Before this time.
    pub until: Option<SystemTime>,
    /// Of names that match this pattern, in which `*` stands for any text.
    pub name: Option<String>,
    /// By the service, the user id or the process id of exactly this text.
    pub actor: Option<String>,
    /// With this outcome, or this kind of error.
    pub outcome: Option<String>,
    /// Of this operation.
    pub operation: Option<String>,
}

impl Filter {
    /// Reports whether an event is wanted.
    pub fn wants(&self, entry: &Entry) -> bool {
        let is = |wanted: &Option<String>, found: &[Option<&str>]| {
            wanted
                .as_deref()
                .is_none_or(|wanted| found.contains(&Some(wanted)))
        };
        let process = entry.process.map(|pid| pid.to_string());
        let named = |pattern: &str| {
            entry
                .name
                .as_deref()
                .is_some_and(|name| matches(pattern, name))
        };
        self.since.is_none_or(|since| entry.at() >= since)
            && self.until.is_none_or(|until| entry.at() < until)
            && self.name.as_deref().is_none_or(named)
            && is(
                &self.actor,
                &[
                    entry.service.as_deref(),
                    entry.user.as_deref(),
                    process.as_deref(),
                ],
            )
            && is(
                &self.outcome,
                &[Some(&entry.outcome), entry.detail.as_deref()],
            )
            && is(&self.operation, &[Some(&entry.operation)])
    }
}

/// Hands out the events of the log at `path` that a filter wants, in their order, until `each` returns
/// `false`. Returns how many lines were passed over because they are none.
///
/// The files are read as a stream. Nothing is verified.
///
/// # Errors
/// [`ErrorKind::Absent`](crate::ErrorKind::Absent) if there is no log, whatever reading fails with, and
/// what `each` fails with.
pub fn read<E: From<crate::Error>>(
    path: &Path,
    filter: &Filter,
    mut each: impl FnMut(Entry) -> Result<bool, E>,
) -> Result<u64, E> {
    let mut passed_over = 0_u64;
    for mut file in files::open(path)? {
        while let Some(raw) = file.next()? {
            match Entry::parse(&raw.bytes).filter(|_| raw.is_whole) {
                Some(entry) if filter.wants(&entry) => {
                    if !each(entry)? {
                        return Ok(passed_over);
                    }
                }
                Some(_) => {}
                None => passed_over = passed_over.saturating_add(1),
            }
        }
    }
    Ok(passed_over)
}

/// Compares with a pattern, in which `*` stands for any text.
fn matches(pattern: &str, text: &str) -> bool {
    let mut parts = pattern.split('*');
    let first = parts.next().unwrap_or_default();
    let Some(mut rest) = text.strip_prefix(first) else {
        return false;
    };
    let Some(last) = parts.next_back() else {
        return rest.is_empty();
    };
    for part in parts {
        match rest.split_once(part) {
            Some((_, behind)) => rest = behind,
            None => return false,
        }
    }
    rest.ends_with(last)
}

#[derive(Deserialize)]
struct Whole {
    time: u64,
    status: String,
    status_detail: Option<String>,
    duration: Option<u64>,
    api: Api,
    actor: Actor,
    #[serde(default)]
    resources: Vec<Resource>,
}

#[derive(Deserialize)]
struct Api {
    operation: String,
    service: Option<Service>,
}

#[derive(Deserialize)]
struct Service {
    name: Option<String>,
}

#[derive(Deserialize)]
struct Actor {
    app_name: Option<String>,
    user: Option<User>,
    process: Option<Process>,
}

#[derive(Deserialize)]
struct User {
    uid: Option<String>,
}

#[derive(Deserialize)]
struct Process {
    pid: Option<u32>,
}

#[derive(Deserialize, Default)]
struct Resource {
    name: Option<String>,
    version: Option<String>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pattern_matches_whole_names() {
        for (pattern, name, is) in [
            ("api/token", "api/token", true),
            ("api/token", "api/token2", false),
            ("api/*", "api/token", true),
            ("api/*", "apis/token", false),
            ("*/token", "api/token", true),
            ("*", "anything", true),
            ("a*b*c", "a-b-c", true),
            ("a*b*c", "a-c-b", false),
            ("a*a", "a", false),
            ("", "a", false),
        ] {
            assert_eq!(matches(pattern, name), is, "{pattern} {name}");
        }
    }
}
