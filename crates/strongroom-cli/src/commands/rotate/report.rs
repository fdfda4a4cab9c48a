//! What `rotate` says: what it would do, what it did, and where everything stands where it failed.

use std::fmt;
use std::time::SystemTime;

use serde::Serialize;
use strongroom::rotation::{Begun, Completed, Method, Rotation, Undone};
use strongroom::{Error, ErrorKind, SecretName, Version};

use super::{Args, TIMEOUT};
use crate::context::Context;
use crate::exit::{FINE, Failure, Outcome};
use crate::report::ErrorBody;

/// The steps that would be taken.
#[derive(Serialize)]
pub(super) struct Plan<'a> {
    name: &'a SecretName,
    provider: String,
    method: Method,
    former: Option<&'a Version>,
    steps: Vec<String>,
    undo: &'static str,
}

impl<'a> Plan<'a> {
    pub(super) fn of(rotation: &'a Rotation, args: &Args) -> Self {
        let provider = rotation.provider();
        let former = version(rotation.former(), "the value in force");
        let made = match args.stdin {
            true => "write the value from standard input",
            false => "write a generated value",
        };
        let staged = rotation.method() == Method::Staged;
        let mut steps = vec![match staged {
            true => format!("{made} to {provider} as the pending version; readers keep {former}"),
            false => {
                format!("{made} to {provider} over {former}; readers get it from now on")
            }
        }];
        if let Some(program) = &args.exec {
            let timeout = humantime::format_duration(args.timeout.unwrap_or(TIMEOUT));
            let program = program.to_string_lossy();
            steps.push(format!(
                "start `{program}` with the value on its input, for at most {timeout}"
            ));
        }
        steps.push(match staged {
            true => format!("put the pending version in force, keep {former} as the previous one, and read it back"),
            false => "read it back".to_owned(),
        });
        let undo = match staged {
            true => "discard the pending version",
            false => "write the former value back, unless somebody else wrote meanwhile",
        };
        Self {
            name: rotation.name(),
            provider,
            method: rotation.method(),
            former: rotation.former(),
            steps,
            undo,
        }
    }

    pub(super) fn show(&self, context: &Context<'_>) -> Outcome {
        if context.screen.is_json() {
            context.screen.json(self)?;
            return Ok(FINE);
        }
        for (number, step) in (1..).zip(&self.steps) {
            context.screen.text(&format!("{number}. {step}"))?;
        }
        if self.steps.len() > 2 {
            context
                .screen
                .text(&format!("If step 2 fails: {}", self.undo))?;
        }
        Ok(FINE)
    }
}

/// What was done.
#[derive(Serialize)]
pub(super) struct Rotated<'a> {
    name: &'a SecretName,
    method: Method,
    version: Option<&'a Version>,
    former: Option<&'a Version>,
    hook: bool,
    previous: Option<Previous<'a>>,
}

#[derive(Serialize)]
struct Previous<'a> {
    version: Option<&'a Version>,
    until: Option<String>,
}

impl<'a> Rotated<'a> {
    pub(super) fn new(begun: &'a Begun, done: &'a Completed, hook: bool) -> Self {
        let previous = done.previous.as_ref().map(|previous| Previous {
            version: previous.version.as_ref(),
            until: previous.until.map(shown),
        });
        Self {
            name: begun.rotation().name(),
            method: begun.rotation().method(),
            version: done.version.as_ref(),
            former: begun.rotation().former(),
            hook,
            previous,
        }
    }
}

impl fmt::Display for Rotated<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "rotated {}", self.name)?;
        if let Some(version) = self.version {
            write!(f, ", version {version}")?;
        }
        match &self.previous {
            None => f.write_str("; the former value is kept nowhere: there is no overlap"),
            Some(previous) => {
                let kept = version(previous.version, "the former value");
                write!(f, "; {kept} can be read as the previous one")?;
                match &previous.until {
                    Some(until) => write!(f, " until {until}"),
                    None => Ok(()),
                }
            }
        }
    }
}

/// What was discarded.
#[derive(Serialize)]
pub(super) struct Aborted<'a> {
    pub(super) name: &'a SecretName,
    pub(super) discarded: &'a Version,
}

/// What became of the new value after its hook failed.
pub(super) enum Kept {
    Undone(Undone),
    /// It waits, since the consumer may have it from the first time.
    Pending(Option<Version>),
}

/// A hook that failed, and whether what came before it could be undone.
pub(super) struct NotTold<'a> {
    pub(super) begun: &'a Begun,
    pub(super) why: String,
    pub(super) undo: Result<Kept, Error>,
}

#[derive(Serialize)]
struct Body<'a> {
    error: NotToldBody<'a>,
}

#[derive(Serialize)]
struct NotToldBody<'a> {
    #[serde(flatten)]
    error: ErrorBody<'a>,
    rotation: State<'a>,
}

#[derive(Serialize)]
struct State<'a> {
    method: Method,
    former: Option<&'a Version>,
    version: Option<&'a Version>,
    undone: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    undo_error: Option<ErrorBody<'a>>,
}

impl NotTold<'_> {
    pub(super) fn show(&self, context: &Context<'_>) -> Result<(), Failure> {
        let rotation = self.begun.rotation();
        // The kind is replaced in JSON: none of the library's says it.
        let failed = Error::new(ErrorKind::Policy, &*self.why).with_name(rotation.name());
        let failed = match &self.undo {
            Ok(kept) => failed.with_help(self.state(kept)),
            Err(_) => failed,
        };
        let undo_error = self.undo.as_ref().err().map(|error| self.by_hand(error));
        if context.screen.is_json() {
            let state = State {
                method: rotation.method(),
                former: rotation.former(),
                version: self.begun.version(),
                undone: matches!(self.undo, Ok(Kept::Undone(_))),
                undo_error: undo_error.as_ref().map(ErrorBody::new),
            };
            return context.screen.json(&Body {
                error: NotToldBody {
                    error: ErrorBody::new(&failed).of_kind("hook"),
                    rotation: state,
                },
            });
        }
        context.screen.error(&failed);
        if let Some(error) = &undo_error {
            context.screen.error(error);
        }
        Ok(())
    }

    /// What is in force after an undo.
    fn state(&self, kept: &Kept) -> String {
        let former = version(self.begun.rotation().former(), "the former value");
        let name = self.begun.rotation().name();
        match kept {
            Kept::Undone(Undone::Restored(now)) => match now {
                Some(now) => {
                    format!("it was undone: the former value is in force again, as version {now}")
                }
                None => "it was undone: the former value is in force again".to_owned(),
            },
            Kept::Undone(_) => format!(
                "it was undone: the pending version is discarded, and {former} stays in force"
            ),
            Kept::Pending(pending) => format!(
                "{former} stays in force, and {} stays pending, since the consumer may have it from \
                 the first time: mend the hook and `strongroom rotate {name} --resume` again, or, if \
                 the consumer doesn't have it, `strongroom rotate {name} --abort`",
                version(pending.as_ref(), "the new value")
            ),
        }
    }

    /// Says what is in force after an undo that failed, and what to do.
    fn by_hand(&self, error: &Error) -> Error {
        let rotation = self.begun.rotation();
        let name = rotation.name();
        let new = version(self.begun.version(), "the new value");
        let former = version(rotation.former(), "the former value");
        let help = match (rotation.method(), error.kind()) {
            (Method::Staged, _) => format!(
                "readers are not affected: {former} is in force unless somebody wrote it meanwhile, and \
                 {new} is still pending; `strongroom rotate {name} --abort` discards it"
            ),
            (_, ErrorKind::Conflict) => format!(
                "readers get what somebody else wrote; find out what the consumer accepts, and \
                 rotate `{name}` once more"
            ),
            _ => format!(
                "READERS MAY GET {new}, WHICH THE CONSUMER DOES NOT ACCEPT: `strongroom inspect` shows \
                 the version of `{name}`; put {former} back by `strongroom set {name}`, or make the \
                 consumer accept what `strongroom get {name}` prints"
            ),
        };
        Error::new(error.kind(), format!("NOT UNDONE: {error}"))
            .with_name(name)
            .with_help(help)
    }
}

fn version(version: Option<&Version>, otherwise: &str) -> String {
    version.map_or_else(
        || otherwise.to_owned(),
        |version| format!("version {version}"),
    )
}

fn shown(time: SystemTime) -> String {
    humantime::format_rfc3339_seconds(time).to_string()
}
