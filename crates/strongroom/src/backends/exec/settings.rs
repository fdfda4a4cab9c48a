//! What an address says: which program, for how long, with which variables.

use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt as _;
use std::time::Duration;

use super::program::Program;
use crate::backends::Connect;
use crate::error::{Error, ErrorKind, Result};
use crate::provider_url::ProviderUrl;
use crate::trust;

/// The variables that every program gets. All others it gets only if the address passes them on.
const ENVIRONMENT: [(&str, &str); 2] = [
    ("PATH", "/usr/local/bin:/usr/bin:/bin"),
    ("LANG", "C.UTF-8"),
];

/// How long one call takes at most, unless the address says otherwise.
const TIMEOUT: Duration = Duration::from_secs(10);

const SHORTEST: Duration = Duration::from_millis(100);
const LONGEST: Duration = Duration::from_secs(300);

/// The most that one call of the doctor takes, which ends within a minute.
pub(super) const DOCTOR_TIMEOUT: Duration = Duration::from_secs(20);

/// One address, read.
#[derive(Debug, Clone)]
pub(super) struct Settings {
    /// The address, as errors show it.
    pub(super) shown: String,
    pub(super) program: Program,
    pub(super) timeout: Duration,
    /// The whole environment of the program.
    pub(super) environment: Vec<(String, OsString)>,
    /// A text of the operator's for the program, part of each request.
    pub(super) config: Option<String>,
}

impl Settings {
    /// Reads an address that somebody vouches for.
    ///
    /// # Errors
    /// [`ErrorKind::Config`] if nobody does, or if it is wrong.
    pub(super) fn read(connect: &Connect) -> Result<Self> {
        check_trust(connect)?;
        Ok(Self {
            shown: connect.url.to_string(),
            program: Program::new(&connect.url)?,
            timeout: timeout(&connect.url)?,
            environment: environment(connect)?,
            config: connect.url.query("config").map(str::to_owned),
        })
    }
}

/// A manifest that was merely found must not say which program we run.
fn check_trust(connect: &Connect) -> Result<()> {
    if connect.is_trusted() {
        return Ok(());
    }
    let message = format!(
        "{} stands in a manifest that nobody named: its program is not run",
        connect.url
    );
    Err(wrong(message).with_help(trust::REMEDY))
}

fn timeout(url: &ProviderUrl) -> Result<Duration> {
    let Some(text) = url.query("timeout") else {
        return Ok(TIMEOUT);
    };
    match humantime::parse_duration(text) {
        Ok(timeout) if (SHORTEST..=LONGEST).contains(&timeout) => Ok(timeout),
        _ => Err(
            wrong("`timeout` in the address of a program is a time from 100ms to 5m")
                .with_help("for example `timeout=10s`, which is the default"),
        ),
    }
}

/// A variable that the address passes on, and that is not set, is not set there either.
fn environment(connect: &Connect) -> Result<Vec<(String, OsString)>> {
    let fixed = ENVIRONMENT.map(|(name, value)| (name.to_owned(), OsString::from(value)));
    let mut environment = Vec::from(fixed);
    let passed = connect.url.query("pass").unwrap_or_default();
    for name in passed.split(',').filter(|name| !name.is_empty()) {
        if !is_variable(name) {
            let message = "`pass` in the address of a program is a list of names of variables";
            return Err(wrong(message).with_help("for example `pass=HOME,PASSWORD_STORE_DIR`"));
        }
        if let Some(value) = connect.env.raw(name) {
            environment.retain(|(known, _)| known != name);
            environment.push((name.to_owned(), OsString::from_vec(value.to_vec())));
        }
    }
    Ok(environment)
}

fn is_variable(name: &str) -> bool {
    let fits = |c: char| c.is_ascii_alphanumeric() || c == '_';
    name.chars().all(fits) && !name.starts_with(|c: char| c.is_ascii_digit())
}

pub(super) fn wrong(message: impl Into<String>) -> Error {
    Error::new(ErrorKind::Config, message)
}
