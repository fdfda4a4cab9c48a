//! Everything that is printed: data to standard output, what is for people to standard error.

use std::borrow::Cow;
use std::error::Error as _;
use std::ffi::OsString;
use std::io::{self, IsTerminal as _, Write};

use anstream::{AutoStream, ColorChoice};
use clap::ValueEnum;
use clap::builder::styling::{AnsiColor, Style};
use serde::Serialize;
use serde_json::ser::Formatter;
use strongroom::{Env, Error, Finding, Report, SecretName, Severity};

use crate::args::{Color, Format, Global};
use crate::exit::{Failure, output};
use crate::paint::Marks;

const ERROR: Style = AnsiColor::Red.on_default().bold();
const WARNING: Style = AnsiColor::Yellow.on_default().bold();
const HELP: Style = AnsiColor::Cyan.on_default().bold();

/// The version of the JSON output.
pub(crate) const SCHEMA: u32 = 1;

/// How this run prints.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Screen {
    format: Format,
    quiet: bool,
    color: Color,
    unicode: bool,
}

impl Screen {
    pub(crate) fn new(global: &Global, env: &Env) -> Self {
        Self {
            format: global.format,
            quiet: global.quiet,
            color: global.color,
            unicode: is_unicode(env),
        }
    }

    /// Reads from a command line, which may be wrong elsewhere, how to say so.
    pub(crate) fn before_parsing(arguments: &[OsString]) -> Self {
        Self {
            format: option(arguments, "--format"),
            quiet: false,
            color: option(arguments, "--color"),
            unicode: true,
        }
    }

    pub(crate) fn color(&self) -> Color {
        self.color
    }

    pub(crate) fn is_json(&self) -> bool {
        self.format == Format::Json
    }

    /// Reports whether the user's locale can show more than ASCII.
    pub(crate) fn is_unicode(&self) -> bool {
        self.unicode
    }

    /// Reports whether there is somebody at standard error who wants to see how work goes on.
    pub(crate) fn shows_progress(&self) -> bool {
        !self.quiet && !self.is_json() && io::stderr().is_terminal()
    }

    /// Reports whether standard error gets colours.
    pub(crate) fn colors_stderr(&self) -> bool {
        self.stderr().current_choice() != ColorChoice::Never
    }

    /// Writes bytes to standard output, exactly.
    pub(crate) fn bytes(&self, bytes: &[u8]) -> Result<(), Failure> {
        output(write(bytes))
    }

    /// Writes text for people to standard output, where it is the result.
    pub(crate) fn text(&self, text: &str) -> Result<(), Failure> {
        self.bytes(printable(text).as_bytes())?;
        self.bytes(b"\n")
    }

    /// Writes lines of [`Span`](crate::paint::Span)s to standard output, where they are the result; in colour
    /// where that is wanted.
    pub(crate) fn painted(&self, lines: &str) -> Result<(), Failure> {
        output(self.write_painted(lines))
    }

    fn write_painted(&self, lines: &str) -> io::Result<()> {
        let stdout = io::stdout();
        let choice = self.choice(AutoStream::choice(&stdout));
        let mut out = AutoStream::new(stdout.lock(), choice);
        writeln!(out, "{lines}")?;
        out.flush()
    }

    /// Writes one JSON object, with the version of its form, to standard output.
    pub(crate) fn json(&self, body: &impl Serialize) -> Result<(), Failure> {
        output(write_json(body))
    }

    /// Writes one of many results, as a line of text or as a JSON object. Reports whether there is
    /// somebody who reads it.
    pub(crate) fn item(&self, text: &str, body: &impl Serialize) -> Result<bool, Failure> {
        self.painted_item(&printable(text), body)
    }

    /// As [`item`](Self::item), of a line of [`Span`](crate::paint::Span)s.
    pub(crate) fn painted_item(&self, line: &str, body: &impl Serialize) -> Result<bool, Failure> {
        let written = match self.is_json() {
            true => write_json(body),
            false => self.write_painted(line),
        };
        let unread = |error: &io::Error| error.kind() == io::ErrorKind::BrokenPipe;
        let is_read = !written.as_ref().is_err_and(unread);
        output(written).map(|()| is_read)
    }

    /// Says on standard error what was done.
    pub(crate) fn done(&self, text: &str) {
        if !self.quiet {
            self.line(&printable(text));
        }
    }

    /// Shows warnings on standard error.
    pub(crate) fn warnings<'a>(&self, findings: impl IntoIterator<Item = &'a Finding>) {
        if self.quiet {
            return;
        }
        let mut findings = findings.into_iter().peekable();
        while let Some(finding) = findings.next() {
            let name = finding.name.as_ref();
            let about = name.map_or_else(String::new, |name| format!("{name}: "));
            let message = format!("{about}{} [{}]", finding.message, finding.rule);
            let message = printable(&message);
            self.line(&format!("{WARNING}warning:{WARNING:#} {message}"));
            // What is mended in one way is said once.
            let more = findings
                .peek()
                .is_some_and(|next| next.help == finding.help);
            if !more && !finding.help.is_empty() {
                self.line(&format!("  {}", printable(&finding.help)));
            }
        }
    }

    /// Says what went wrong, and returns the exit code.
    pub(crate) fn failure(&self, failure: &Failure) -> u8 {
        let Failure { error, code } = failure;
        if self.is_json() {
            #[derive(Serialize)]
            struct Body<'a> {
                error: ErrorBody<'a>,
            }
            let error = ErrorBody::new(error);
            // If standard output can't be written either, the exit code still says it.
            let _ = self.json(&Body { error });
        } else {
            self.error(error);
        }
        *code
    }

    /// Says on standard error what went wrong.
    pub(crate) fn error(&self, error: &Error) {
        let message = error.to_string();
        self.line(&format!("{ERROR}error:{ERROR:#} {}", printable(&message)));
        if let Some(report) = error.report() {
            self.line(&self.report(report));
        }
        for cause in causes(error) {
            self.line(&format!("  caused by: {}", printable(&cause)));
        }
        if let Some(help) = error.help() {
            self.line(&format!("{HELP}help:{HELP:#} {}", printable(help)));
        }
    }

    /// Lays a report out; without warnings where nobody wants them.
    fn report(&self, report: &Report) -> String {
        let marks = Marks::of(self);
        let shown = report
            .findings
            .iter()
            .filter(|finding| !self.quiet || finding.severity == Severity::Violation);
        let lines = shown.map(|finding| {
            let (style, mark) = match finding.severity {
                Severity::Violation => (ERROR, marks.bad),
                Severity::Warning => (WARNING, marks.warning),
            };
            format!(
                "  {style}{mark}{style:#} {}",
                printable(&finding.to_string())
            )
        });
        lines.collect::<Vec<_>>().join("\n")
    }

    fn line(&self, line: &str) {
        // Nobody can be told that standard error can't be written.
        let _ = writeln!(self.stderr(), "{line}");
    }

    fn stderr(&self) -> AutoStream<io::Stderr> {
        let choice = self.choice(AutoStream::choice(&io::stderr()));
        AutoStream::new(io::stderr(), choice)
    }

    fn choice(&self, auto: ColorChoice) -> ColorChoice {
        match self.color {
            Color::Auto => auto,
            Color::Always => ColorChoice::Always,
            Color::Never => ColorChoice::Never,
        }
    }
}

fn write(bytes: &[u8]) -> io::Result<()> {
    let mut out = io::stdout().lock();
    out.write_all(bytes)?;
    out.flush()
}

fn write_json(body: &impl Serialize) -> io::Result<()> {
    #[derive(Serialize)]
    struct Document<'a, T> {
        schema: u32,
        #[serde(flatten)]
        body: &'a T,
    }
    let document = Document {
        schema: SCHEMA,
        body,
    };
    let mut out = io::stdout().lock();
    let mut json = serde_json::Serializer::with_formatter(&mut out, Escaped);
    document.serialize(&mut json)?;
    out.write_all(b"\n")?;
    out.flush()
}

/// Escapes what JSON may leave as it is and a terminal obeys: DEL, and the control characters of Latin-1.
struct Escaped;

impl Formatter for Escaped {
    fn write_string_fragment<W>(&mut self, out: &mut W, fragment: &str) -> io::Result<()>
    where
        W: ?Sized + Write,
    {
        for part in fragment.split_inclusive(char::is_control) {
            let plain = part.trim_end_matches(char::is_control);
            out.write_all(plain.as_bytes())?;
            if let Some(control) = part.chars().next_back().filter(|c| c.is_control()) {
                write!(out, "\\u{:04x}", u32::from(control))?;
            }
        }
        Ok(())
    }
}

/// Reports whether standard output is a terminal.
pub(crate) fn stdout_is_terminal() -> bool {
    io::stdout().is_terminal()
}

/// An error as JSON shows it.
#[derive(Debug, Serialize)]
pub(crate) struct ErrorBody<'a> {
    kind: &'static str,
    message: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    help: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<&'a SecretName>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    caused_by: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none", flatten)]
    report: Option<&'a Report>,
}

impl<'a> ErrorBody<'a> {
    pub(crate) fn new(error: &'a Error) -> Self {
        Self {
            kind: error.kind().as_str(),
            message: error.to_string(),
            help: error.help(),
            name: error.name(),
            caused_by: causes(error),
            report: error.report(),
        }
    }
}

impl ErrorBody<'_> {
    /// Replaces the kind, for what none of the library's says.
    pub(crate) fn of_kind(self, kind: &'static str) -> Self {
        Self { kind, ..self }
    }
}

pub(crate) fn causes(error: &Error) -> Vec<String> {
    std::iter::successors(error.source(), |cause| (*cause).source())
        .map(ToString::to_string)
        .collect()
}

/// Replaces control characters: a manifest or a path of others must not steer the terminal.
pub(crate) fn printable(text: &str) -> Cow<'_, str> {
    // What turns the direction of the text makes it read as something else.
    let turns = |c: char| matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    let steers = |c: char| (c.is_control() && c != '\n') || turns(c);
    if text.contains(steers) {
        Cow::Owned(text.replace(steers, "\u{fffd}"))
    } else {
        Cow::Borrowed(text)
    }
}

/// Reports whether the locale is one of UTF-8. Where none is named, as in most containers, the terminal
/// that is attached to them decides, and that is one of UTF-8 nearly everywhere.
fn is_unicode(env: &Env) -> bool {
    let mut locale = ["LC_ALL", "LC_CTYPE", "LANG"]
        .iter()
        .filter_map(|name| env.raw(name));
    let locale = locale.find(|locale| !locale.is_empty());
    locale.is_none_or(|locale| {
        let locale = String::from_utf8_lossy(locale).to_ascii_lowercase();
        locale.ends_with("utf-8") || locale.ends_with("utf8")
    })
}

/// Finds an option's value in a command line that was not parsed; its default if it can't be found.
fn option<T: ValueEnum + Default>(arguments: &[OsString], name: &str) -> T {
    let ours = arguments.iter().take_while(|argument| *argument != "--");
    let mut ours = ours.filter_map(|argument| argument.to_str());
    while let Some(argument) = ours.next() {
        let value = match argument.strip_prefix(name) {
            Some("") => ours.next(),
            Some(rest) => rest.strip_prefix('='),
            None => None,
        };
        if let Some(value) = value.and_then(|value| T::from_str(value, false).ok()) {
            return value;
        }
    }
    T::default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn control_characters_are_not_printed() {
        assert_eq!(printable("a\u{1b}[2Jb\r\nc"), "a\u{fffd}[2Jb\u{fffd}\nc");
        assert_eq!(printable("a\u{9b}31mb\u{202e}c"), "a\u{fffd}31mb\u{fffd}c");
        assert!(matches!(printable("plain ✗"), Cow::Borrowed(_)));
    }

    #[test]
    fn json_says_the_same_without_a_control_character() {
        let text = "a\u{9b}31m\u{7f}\u{85}\u{1b}\n✗";
        let mut out = Vec::new();
        let mut json = serde_json::Serializer::with_formatter(&mut out, Escaped);
        text.serialize(&mut json).unwrap();
        let written = String::from_utf8(out).unwrap();
        assert!(!written.contains(char::is_control), "{written:?}");
        assert_eq!(serde_json::from_str::<String>(&written).unwrap(), text);
    }

    #[test]
    fn the_first_variable_that_names_a_locale_decides() {
        let unicode = |variables: &[(&str, &str)]| {
            let set = |env: Env, (name, value): &(&str, &str)| env.with_var(name, value);
            is_unicode(&variables.iter().fold(Env::empty(), set))
        };
        assert!(unicode(&[]));
        assert!(unicode(&[("LANG", "de_CH.UTF-8")]));
        assert!(unicode(&[
            ("LC_ALL", ""),
            ("LC_CTYPE", "C.utf8"),
            ("LANG", "C")
        ]));
        assert!(!unicode(&[("LC_ALL", "POSIX"), ("LANG", "en_US.UTF-8")]));
        assert!(!unicode(&[("LANG", "de_CH.ISO-8859-1")]));
    }

    #[test]
    fn finds_the_format_of_a_wrong_command_line() {
        let format = |arguments: &[&str]| {
            let arguments: Vec<_> = arguments.iter().map(OsString::from).collect();
            option::<Format>(&arguments, "--format")
        };
        assert_eq!(format(&["x", "--format", "json", "oops"]), Format::Json);
        assert_eq!(format(&["x", "--format=json"]), Format::Json);
        assert_eq!(format(&["x", "--formatted=json"]), Format::Text);
        assert_eq!(format(&["x", "--format"]), Format::Text);
        assert_eq!(format(&["x", "run", "--", "--format=json"]), Format::Text);
    }
}
