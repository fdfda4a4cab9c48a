//! `set`: writes one value, from standard input or a prompt.

use std::fmt;
use std::io::{self, IsTerminal as _, Read as _};

use serde::Serialize;
use strongroom::provider::Expect;
use strongroom::{
    Connection, Declared, Error, ErrorKind, Finding, MAX_VALUE_BYTES, Report, Result, Secret,
    SecretName, Version, policy,
};
use zeroize::Zeroizing;

use crate::context::{Context, nearest, parse_name};
use crate::exit::{FINE, Outcome};
use crate::prompt::ask_twice;

/// Write a secret's value, read from standard input
///
/// Standard input is taken byte for byte, less one final newline (LF or CRLF). On a terminal the
/// value is asked for twice and not shown. A value never comes from the command line, where process
/// lists, shell histories and logs would keep it. A declared secret must pass the strength policy.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  strongroom set database/password                     asks for the value
  pass show db | strongroom set database/password
  strongroom set tls/key < key.pem
  strongroom set api/token --if-absent < token         creates, never replaces")]
pub(crate) struct Args {
    /// The secret's name, `path` or `path#field`
    name: String,
    /// Only if there is no such secret yet; otherwise the exit code is 7
    #[arg(long, conflicts_with = "if_version")]
    if_absent: bool,
    /// Only if this is its version; otherwise nothing happens and the exit code is 7
    #[arg(long, value_name = "VERSION")]
    if_version: Option<String>,
    // Taken so that it can be refused with the reason, and without repeating it.
    #[arg(hide = true)]
    values: Vec<std::ffi::OsString>,
}

/// What was written.
#[derive(Debug, Serialize)]
pub(crate) struct Written<'a> {
    pub(crate) name: &'a SecretName,
    pub(crate) version: Option<Version>,
}

impl fmt::Display for Written<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.name)?;
        match &self.version {
            Some(version) => write!(f, ", version {version}"),
            None => Ok(()),
        }
    }
}

pub(crate) fn run(args: &Args, context: &Context<'_>) -> Outcome {
    if !args.values.is_empty() {
        let message = "a value can't be given on the command line: process lists, shell histories \
                       and logs would keep it";
        return Err(Error::new(ErrorKind::Config, message)
            .with_help("pipe it in, or run `strongroom set NAME` on a terminal, which asks for it")
            .into());
    }
    let name = parse_name(&args.name)?;
    let expect = match &args.if_version {
        Some(version) => Expect::Version(Version::new(version.as_str())),
        None if args.if_absent => Expect::Absent,
        None => Expect::Any,
    };
    context.connected(async |connection| {
        let value = input(&name)?;
        match connection.declaration(name.as_str()) {
            Some(declared) => prove(declared, &value, context)?,
            None => context.screen.warnings(&undeclared(connection, &name)),
        }
        let version = connection.put(&name, &value, expect).await?;
        let written = Written {
            name: &name,
            version,
        };
        if context.screen.is_json() {
            context.screen.json(&written)?;
        } else {
            context.screen.done(&format!("set {written}"));
        }
        Ok(FINE)
    })
}

/// Reads a value from standard input, or asks for it on a terminal.
pub(super) fn input(name: &SecretName) -> Result<Secret> {
    match io::stdin().is_terminal() {
        true => ask_twice(&format!("Value of {name}")),
        false => read(io::stdin().lock()),
    }
}

/// Warns of a name that the manifest doesn't have: it may be mistyped.
fn undeclared(connection: &Connection, name: &SecretName) -> Option<Finding> {
    // Without any declaration nobody expects one.
    connection.declared().next()?;
    let message = "it is not declared, so its strength was not checked";
    let help = nearest(connection, name).map(|near| format!("did you mean `{near}`?"));
    let help = help.unwrap_or_default();
    Some(Finding::warning(Some(name), "undeclared", message, help))
}

/// Refuses a value that a boot would refuse.
fn prove(declared: &Declared, value: &Secret, context: &Context<'_>) -> Result<()> {
    let report = Report::new(policy::check_one(declared, value));
    if report.is_clean() {
        context.screen.warnings(report.warnings());
        return Ok(());
    }
    let message = format!("the value for `{}` doesn't pass the policy", declared.name);
    Err(Error::new(ErrorKind::Policy, message)
        .with_help("nothing was written; `strongroom generate NAME` makes one that passes")
        .with_report(report))
}

/// Reads a value from a stream, less one final newline.
fn read(input: impl io::Read) -> Result<Secret> {
    let limit = MAX_VALUE_BYTES.saturating_add("\r\n".len());
    // One byte more than can be right, and never a reallocation that leaves a copy behind.
    let most = limit.saturating_add(1);
    let mut value = Zeroizing::new(Vec::with_capacity(most));
    let mut input = input.take(u64::try_from(most).unwrap_or(u64::MAX));
    input.read_to_end(&mut value).map_err(|error| {
        Error::new(ErrorKind::Config, "can't read standard input").with_source(error)
    })?;
    if value.ends_with(b"\n") {
        value.pop();
        if value.ends_with(b"\r") {
            value.pop();
        }
    }
    if value.is_empty() {
        return Err(
            Error::new(ErrorKind::Config, "standard input holds no value")
                .with_help("the command before the pipe may have failed"),
        );
    }
    if value.len() > MAX_VALUE_BYTES {
        let message =
            format!("the value has more than {MAX_VALUE_BYTES} bytes, which are the most");
        return Err(Error::new(ErrorKind::Config, message)
            .with_help("keep large data elsewhere, encrypted under a key that is a secret here"));
    }
    Ok(Secret::from_utf8_or_bytes(value))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_final_newline_is_not_the_value() {
        for (input, value) in [
            (&b"abc"[..], &b"abc"[..]),
            (b"abc\n", b"abc"),
            (b"abc\r\n", b"abc"),
            (b"abc\n\n", b"abc\n"),
            (b"abc\r", b"abc\r"),
            (b" abc ", b" abc "),
            (b"\xff\n", b"\xff"),
        ] {
            assert_eq!(read(input).unwrap().expose_bytes(), value, "{input:?}");
        }
        assert!(!read(&b"\xff"[..]).unwrap().is_text());
        assert!(read(&b"abc"[..]).unwrap().is_text());
    }

    #[test]
    fn nothing_and_too_much_are_refused() {
        for input in [&b""[..], b"\n", b"\r\n"] {
            assert_eq!(read(input).unwrap_err().kind(), ErrorKind::Config);
        }
        let mut input = vec![b'x'; MAX_VALUE_BYTES];
        input.extend_from_slice(b"\r\n");
        assert_eq!(read(&*input).unwrap().len(), MAX_VALUE_BYTES);
        let input = vec![b'x'; MAX_VALUE_BYTES + 1];
        assert!(read(&*input).is_err());
        assert!(read(&*[b'x'].repeat(MAX_VALUE_BYTES * 2)).is_err());
    }
}
