//! One event: who did what to which secret, when, and how it ended. Never a value.

use std::time::{Duration, SystemTime};

use serde::Serialize;

use super::identity::Identity;
use super::line::{Anchor, Extras};
use crate::error::{Error, ErrorKind};
use crate::name::SecretName;
use crate::secret::Version;

/// The class "API Activity" of the Open Cybersecurity Schema Framework, in its category
/// "Application Activity".
const CLASS: u32 = 6003;
const CATEGORY: u32 = 6;

/// The most characters of a text that somebody else chose: an address, a version, a service.
const MOST: usize = 512;

/// The bytes of an event, as a rule.
const USUAL: usize = 1_024;

/// What was done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Operation {
    Open,
    Fetch,
    HandOut,
    List,
    Versions,
    Create,
    Put,
    Delete,
    Restore,
    Promote,
    Discard,
    /// Another value was found in force, and taken up.
    Rotated,
    /// A new value, or what a boot found, was not good enough.
    Refuse,
    Expire,
    Withdraw,
    ReportRejected,
    RotationBegin,
    RotationComplete,
    RotationUndo,
    RotationAbort,
    /// The state of something that may be rolled back was seen.
    Anchor,
    LogOpen,
    LogRemove,
    /// Events could not be recorded.
    LogGap,
    /// The log ended before an event that it had.
    LogCut,
}

impl Operation {
    /// Returns its word, its activity of the class, and what that is called.
    const fn row(self) -> (&'static str, u32, &'static str) {
        match self {
            Self::Open => ("open", 99, "Open"),
            Self::Fetch => ("fetch", 2, "Read"),
            Self::HandOut => ("hand_out", 2, "Read"),
            Self::List => ("list", 2, "Read"),
            Self::Versions => ("versions", 2, "Read"),
            Self::Create => ("put", 1, "Create"),
            Self::Put => ("put", 3, "Update"),
            Self::Delete => ("delete", 4, "Delete"),
            Self::Restore => ("restore", 1, "Create"),
            Self::Promote => ("promote", 3, "Update"),
            Self::Discard => ("discard", 4, "Delete"),
            Self::Rotated => ("rotated", 3, "Update"),
            Self::Refuse => ("refuse", 99, "Refuse"),
            Self::Expire => ("expire", 99, "Expire"),
            Self::Withdraw => ("withdraw", 99, "Withdraw"),
            Self::ReportRejected => ("report_rejected", 99, "Report"),
            Self::RotationBegin => ("rotation.begin", 3, "Update"),
            Self::RotationComplete => ("rotation.complete", 3, "Update"),
            Self::RotationUndo => ("rotation.undo", 3, "Update"),
            Self::RotationAbort => ("rotation.abort", 4, "Delete"),
            Self::Anchor => ("anchor", 99, "Anchor"),
            Self::LogOpen => ("audit.open", 1, "Create"),
            Self::LogRemove => ("audit.remove", 4, "Delete"),
            Self::LogGap => ("audit.gap", 99, "Gap"),
            Self::LogCut => ("audit.cut", 99, "Cut"),
        }
    }

    pub(crate) const fn as_str(self) -> &'static str {
        self.row().0
    }
}

/// How it ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Outcome {
    Success,
    /// With the kind of error, or another word of ours.
    Failure(&'static str),
    /// It begins now: how it ends is another event.
    Begun,
}

impl Outcome {
    pub(crate) fn of<T>(outcome: &Result<T, Error>) -> Self {
        match outcome {
            Ok(_) => Self::Success,
            Err(error) => Self::Failure(error.kind().as_str()),
        }
    }

    pub(super) const fn word(self) -> &'static str {
        match self {
            Self::Success => "success",
            Self::Failure(_) => "failure",
            Self::Begun => "unknown",
        }
    }

    const fn status(self) -> (u32, &'static str) {
        match self {
            Self::Success => (1, "Success"),
            Self::Failure(_) => (2, "Failure"),
            Self::Begun => (0, "Unknown"),
        }
    }

    /// Returns the schema's severity: informational, low, medium, high.
    fn severity(self) -> u32 {
        let words = |kinds: &[ErrorKind], word| kinds.iter().any(|kind| kind.as_str() == word);
        match self {
            Self::Success | Self::Begun => 1,
            Self::Failure(word) if words(&[ErrorKind::Integrity], word) => 4,
            Self::Failure(word)
                if words(
                    &[ErrorKind::Denied, ErrorKind::Auth, ErrorKind::Policy],
                    word,
                ) =>
            {
                3
            }
            Self::Failure(_) => 2,
        }
    }
}

/// Who did what to which secret, when, and how it ended.
#[derive(Debug, Clone)]
pub(crate) struct Event {
    pub(crate) at: SystemTime,
    pub(crate) operation: Operation,
    pub(crate) outcome: Outcome,
    /// The address of the provider.
    pub(crate) provider: Option<String>,
    pub(crate) resource: Option<Resource>,
    pub(crate) took: Option<Duration>,
    pub(super) extras: Extras,
}

/// What it was done to.
#[derive(Debug, Clone)]
pub(crate) struct Resource {
    kind: &'static str,
    name: String,
    version: Option<String>,
}

impl Event {
    pub(crate) fn new(operation: Operation, outcome: Outcome) -> Self {
        Self {
            at: SystemTime::now(),
            operation,
            outcome,
            provider: None,
            resource: None,
            took: None,
            extras: Extras::default(),
        }
    }

    pub(crate) fn of(mut self, name: &SecretName, version: Option<&Version>) -> Self {
        self.resource = Some(Resource {
            kind: "secret",
            name: name.to_string(),
            version: version.map(|version| bounded(version.as_str()).to_owned()),
        });
        self
    }

    pub(crate) fn below(mut self, prefix: &str) -> Self {
        self.resource = Some(Resource {
            kind: "prefix",
            name: bounded(prefix).to_owned(),
            version: None,
        });
        self
    }

    pub(super) fn of_file(mut self, name: String) -> Self {
        self.resource = Some(Resource {
            kind: "audit log",
            name: bounded(&name).to_owned(),
            version: None,
        });
        self
    }

    pub(crate) fn at_provider(mut self, address: &str) -> Self {
        self.provider = Some(bounded(address).to_owned());
        self
    }

    pub(crate) fn took(mut self, time: Duration) -> Self {
        self.took = Some(time);
        self
    }

    pub(crate) fn anchor(anchor: Anchor) -> Self {
        let mut event = Self::new(Operation::Anchor, Outcome::Success);
        event.resource = Some(Resource {
            kind: "state",
            name: bounded(&anchor.subject).to_owned(),
            version: Some(anchor.epoch.to_string()),
        });
        event.extras.anchor = Some(anchor);
        event
    }

    pub(super) fn with(mut self, extras: Extras) -> Self {
        self.extras = extras;
        self
    }

    /// Tells it to `tracing`.
    pub(super) fn trace(&self) {
        let secret = self.resource.as_ref().map(|known| known.name.as_str());
        let version = self
            .resource
            .as_ref()
            .and_then(|known| known.version.as_deref());
        let (operation, outcome) = (self.operation.as_str(), self.outcome.word());
        let provider = self.provider.as_deref();
        if let Outcome::Failure(detail) = self.outcome {
            tracing::warn!(
                target: "strongroom::audit", operation, outcome, detail, secret, version, provider
            );
        } else {
            tracing::info!(
                target: "strongroom::audit", operation, outcome, secret, version, provider
            );
        }
    }

    /// Writes it as the schema has it, without what the line adds.
    pub(super) fn to_json(&self, identity: &Identity) -> Vec<u8> {
        let (operation, activity_id, activity_name) = self.operation.row();
        let (status_id, status) = self.outcome.status();
        let detail = match self.outcome {
            Outcome::Failure(detail) => Some(detail),
            _ => None,
        };
        let body = Body {
            activity_id,
            activity_name,
            actor: identity.actor(),
            api: Api {
                operation,
                service: self.provider.as_deref().map(|name| Service { name }),
            },
            category_uid: CATEGORY,
            class_uid: CLASS,
            duration: self.took.map(millis),
            metadata: identity.metadata(),
            resources: self.resource.as_ref().map(|known| [Named::of(known)]),
            severity_id: self.outcome.severity(),
            src_endpoint: identity.endpoint(),
            status,
            status_code: detail,
            status_detail: detail,
            status_id,
            time: millis(
                self.at
                    .duration_since(SystemTime::UNIX_EPOCH)
                    .unwrap_or_default(),
            ),
            type_uid: CLASS.saturating_mul(100).saturating_add(activity_id),
        };
        let mut json = Vec::with_capacity(USUAL);
        // Text and numbers have nothing to fail on.
        let _ = serde_json::to_writer(&mut json, &body);
        json
    }
}

#[derive(Serialize)]
struct Body<'a> {
    activity_id: u32,
    activity_name: &'static str,
    actor: &'a serde_json::value::RawValue,
    api: Api<'a>,
    category_uid: u32,
    class_uid: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    duration: Option<u64>,
    metadata: &'a serde_json::value::RawValue,
    #[serde(skip_serializing_if = "Option::is_none")]
    resources: Option<[Named<'a>; 1]>,
    severity_id: u32,
    src_endpoint: &'a serde_json::value::RawValue,
    status: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    status_code: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    status_detail: Option<&'static str>,
    status_id: u32,
    time: u64,
    type_uid: u32,
}

#[derive(Serialize)]
struct Api<'a> {
    operation: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    service: Option<Service<'a>>,
}

#[derive(Serialize)]
struct Service<'a> {
    name: &'a str,
}

#[derive(Serialize)]
struct Named<'a> {
    name: &'a str,
    #[serde(rename = "type")]
    kind: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    version: Option<&'a str>,
}

impl<'a> Named<'a> {
    fn of(resource: &'a Resource) -> Self {
        Self {
            name: &resource.name,
            kind: resource.kind,
            version: resource.version.as_deref(),
        }
    }
}

fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

/// The beginning of a text that may be of any length.
pub(super) fn bounded(text: &str) -> &str {
    match text.char_indices().nth(MOST) {
        Some((end, _)) => text.get(..end).unwrap_or_default(),
        None => text,
    }
}
