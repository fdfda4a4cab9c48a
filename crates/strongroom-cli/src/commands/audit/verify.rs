//! `audit verify`: every line is as it was written, in its place, and none is missing.

use std::path::{Path, PathBuf};

use clap::ValueHint;
use strongroom::audit::{self, Head, Key, Verified};
use strongroom::sealed_file::Outline;
use strongroom::{Error, ErrorKind, Result};

use super::log_of_manifest;
use crate::context::Context;
use crate::exit::{FINE, Failure, Outcome};
use crate::key_source::{read_audit_key, read_sealed};

/// Prove that no line of the log was edited, removed or moved
///
/// Names the first line that is not as it was written. A cut tail, and an older copy of the whole log, can
/// only be seen against a head that was kept elsewhere (--expect-head): the last line of the output, and of
/// the log target `strongroom::audit::head`, is one. The exit code is 6 if anything is wrong.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  strongroom audit verify
  strongroom audit verify /var/log/app/audit.jsonl --key-file /etc/app/audit.key
  strongroom audit verify --expect-head \"$(cat /srv/kept-elsewhere/head)\"
  strongroom audit verify --sealed .strongroom/secrets.sealed")]
pub(super) struct Verify {
    /// The log; the files beside it that were set aside are found. Or all files of a log, the oldest first
    #[arg(value_name = "FILE", value_hint = ValueHint::FilePath)]
    files: Vec<PathBuf>,
    /// The key's file, instead of the key that the manifest names
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    key_file: Option<PathBuf>,
    /// Demand that the log holds this event, which was its head
    #[arg(long, value_name = "SEQ:MAC")]
    expect_head: Option<String>,
    /// Demand that this sealed file is not older than the newest state of it that the log knows
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    sealed: Option<PathBuf>,
}

pub(super) fn run(args: &Verify, context: &Context<'_>) -> Outcome {
    let expect: Option<Head> = args.expect_head.as_deref().map(str::parse).transpose()?;
    let (files, key) = find(args, context)?;
    let verified = match files.as_slice() {
        [path] => audit::verify(path, &key, expect.as_ref())?,
        files => audit::verify_in_order(files, &key, expect.as_ref())?,
    };
    let sealed = match &args.sealed {
        Some(path) => Some(compare(path, &verified)?),
        None => None,
    };
    if context.screen.is_json() {
        context.screen.json(&verified)?;
        return Ok(FINE);
    }
    context.screen.text(&shown(&verified))?;
    if let Some(sealed) = sealed {
        context.screen.text(&sealed)?;
    }
    context.screen.text(&format!("head {}", verified.head))?;
    Ok(FINE)
}

/// Finds the files and the key, of the manifest where they are not given.
fn find(args: &Verify, context: &Context<'_>) -> Result<(Vec<PathBuf>, Key), Failure> {
    if let (false, Some(key_file)) = (args.files.is_empty(), &args.key_file) {
        return Ok((args.files.clone(), read_audit_key(key_file)?));
    }
    let log = log_of_manifest(context)?;
    let files = match args.files.as_slice() {
        [] => vec![log.path],
        files => files.to_vec(),
    };
    if let Some(key_file) = args.key_file.as_ref().or(log.key_file.as_ref()) {
        return Ok((files, read_audit_key(key_file)?));
    }
    let Some(name) = log.key_secret else {
        return Err(Error::new(ErrorKind::Config, "the audit log has no key").into());
    };
    let secret =
        context.connected_quietly(async |connection| Ok(connection.read(&name).await?))?;
    let key = Key::from_text(&secret).map_err(|error| error.with_name(&name))?;
    Ok((files, key))
}

/// Compares a sealed file with the newest state of it that the log knows.
fn compare(path: &Path, verified: &Verified) -> Result<String> {
    let shown = path.display();
    let outline = Outline::read(read_sealed(path)?)?;
    let subject = format!("sealed file {}", outline.id);
    let known = verified
        .anchors
        .iter()
        .find(|anchor| anchor.subject == subject);
    let Some(known) = known else {
        let message = format!("{shown}: the log knows no state of this sealed file");
        return Err(Error::new(ErrorKind::Absent, message)
            .with_help("it is recorded when a service or a command opens the file"));
    };
    let older = |what: String| {
        Err(Error::new(ErrorKind::Integrity, format!("{shown}: {what}"))
            .with_help("somebody may have put an old file back: restore the newest one"))
    };
    if outline.epoch < known.epoch {
        return older(format!(
            "its epoch is {}, and the log knows epoch {}",
            outline.epoch, known.epoch
        ));
    }
    if known.is_another(outline.epoch, &outline.seal) {
        return older(format!(
            "the log knows another state of epoch {}",
            known.epoch
        ));
    }
    Ok(format!(
        "{shown}: epoch {}, not older than epoch {} of the log",
        outline.epoch, known.epoch
    ))
}

fn shown(verified: &Verified) -> String {
    let files = match verified.files {
        1 => "1 file".to_owned(),
        files => format!("{files} files"),
    };
    let mut lines = vec![format!(
        "{} events in {files}, {} to {}, as they were written",
        verified.events,
        verified.first,
        verified.head.seq()
    )];
    if verified.first > 1 {
        let before = verified.first.saturating_sub(1);
        lines.push(format!(
            "events 1 to {before} were removed by retention: nothing proves what they were"
        ));
    }
    lines.extend(verified.notes.iter().map(|note| {
        format!(
            "note: {}, line {}: {}",
            note.file.display(),
            note.line,
            note.message
        )
    }));
    lines.join("\n")
}
