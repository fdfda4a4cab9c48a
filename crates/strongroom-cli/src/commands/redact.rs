//! `redact`: a filter that lets no known value through.

use std::fs::File;
use std::io::{self, Read, Write};
use std::os::fd::AsFd;
use std::path::PathBuf;

use rustix::event::{PollFd, PollFlags, poll};
use strongroom::{Error, ErrorKind};

use crate::context::Context;
use crate::exit::{CHECK_FAILED, FINE, Failure, Outcome, output};
use crate::known;
use crate::mask::{Mask, Masker, PAUSE};

/// Copy text from standard input or files to standard output, with the values of secrets masked
///
/// The values are those of the declared secrets, as the chosen provider has them now. Each is found as it
/// is, in base64, percent-encoded, escaped for JSON or a shell and in hexadecimal digits, also when it is broken over
/// lines. `[REDACTED:name]` stands for it. Everything else is copied exactly, and at once: only what may
/// be the beginning of a value waits for what follows; at the end of a line, up to 3 characters of it wait for
/// a tenth of a second only.
///
/// A value of fewer than 6 bytes, which is in ordinary text, is not masked; a warning names it. If a value can't
/// be read, nothing is copied.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  ./deploy 2>&1 | strongroom redact
  strongroom redact --check build.log > build.clean.log
  kubectl logs deploy/api | strongroom redact --all --with '***'")]
pub(crate) struct Args {
    /// Files to read, one after the other; `-`, and none, is standard input
    #[arg(value_name = "FILE", value_hint = clap::ValueHint::FilePath)]
    files: Vec<PathBuf>,
    /// Mask all secrets that the provider lists, beside the declared ones
    #[arg(long)]
    all: bool,
    /// What stands for a value, instead of `[REDACTED:name]`
    #[arg(long, value_name = "TEXT")]
    with: Option<String>,
    /// End with exit code 1 if something was masked, and say what
    #[arg(long, visible_alias = "fail-on-match")]
    check: bool,
}

pub(crate) fn run(args: &Args, context: &Context<'_>) -> Outcome {
    let forms = known::forms(context, args.all)?;
    let mask = Mask::new(args.with.as_deref(), &forms)?;
    let mut masker = Masker::new(&forms, &mask, unbuffered(io::stdout())?);
    let from_input = [PathBuf::from("-")];
    let files = match args.files.as_slice() {
        [] => &from_input,
        files => files,
    };
    for file in files {
        let source = match file.as_os_str().as_encoded_bytes() {
            b"-" => unbuffered(io::stdin())?,
            _ => match File::open(file) {
                Ok(source) => source,
                Err(error) => {
                    output(masker.end())?;
                    return Err(unread(file, error));
                }
            },
        };
        match copy(source, &mut masker) {
            Ok(()) => {}
            Err(Stopped::Read(error)) => {
                // What was held is not a whole value: it is the end of what could be read.
                output(masker.end())?;
                return Err(unread(file, error));
            }
            Err(Stopped::Write(error)) => {
                output(Err(error))?;
                return Ok(code(args, &masker, context));
            }
        }
    }
    output(masker.end())?;
    Ok(code(args, &masker, context))
}

/// Why copying stopped before the end.
enum Stopped {
    Read(io::Error),
    Write(io::Error),
}

fn copy(mut from: File, masker: &mut Masker<'_, File>) -> Result<(), Stopped> {
    loop {
        if masker.waits_for_line() && is_pausing(&from) {
            masker.pause().map_err(Stopped::Write)?;
        }
        match from.read(masker.room()) {
            Ok(0) => return Ok(()),
            Ok(count) => masker.filled(count).map_err(Stopped::Write)?,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(Stopped::Read(error)),
        }
    }
}

/// Reports whether nothing comes for a while.
fn is_pausing(from: &File) -> bool {
    let mut input = [PollFd::new(from, PollFlags::IN)];
    matches!(poll(&mut input, Some(&PAUSE)), Ok(0))
}

/// Returns the exit code, and says what was masked to who asked for a check.
fn code<W: Write>(args: &Args, masker: &Masker<'_, W>, context: &Context<'_>) -> u8 {
    let (count, masked) = masker.masked();
    if !args.check || count == 0 {
        return FINE;
    }
    let times = match count {
        1 => "once".to_owned(),
        count => format!("{count} times"),
    };
    let names: Vec<_> = masked
        .iter()
        .map(|(name, form)| format!("{name} ({})", form.as_str()))
        .collect();
    let said = format!("a value was masked {times}: {}", names.join(", "));
    context.screen.done(&said);
    CHECK_FAILED
}

/// Returns a standard stream without the buffer that the standard library has for it.
fn unbuffered(stream: impl AsFd) -> Result<File, Failure> {
    let own = stream.as_fd().try_clone_to_owned();
    own.map(File::from).map_err(|error| {
        let failed = Error::new(ErrorKind::Config, "can't use the standard streams");
        failed.with_source(error).into()
    })
}

fn unread(file: &std::path::Path, error: io::Error) -> Failure {
    let message = format!("can't read `{}`", file.display());
    let kind = match error.kind() {
        io::ErrorKind::NotFound => ErrorKind::Absent,
        io::ErrorKind::PermissionDenied => ErrorKind::Denied,
        _ => ErrorKind::Config,
    };
    Error::new(kind, message).with_source(error).into()
}
