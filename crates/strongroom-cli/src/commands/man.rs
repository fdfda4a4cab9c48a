//! `man`: the manual, of the same definitions as the help.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, UNIX_EPOCH};

use clap::{CommandFactory as _, ValueHint};
use clap_mangen::{Man, roff};
use humantime::format_rfc3339_seconds;
use strongroom::{Env, Error, ErrorKind, Result};

use crate::args::Cli;
use crate::context::Context;
use crate::exit::{FINE, Outcome};

mod sections;

/// Print a page of the manual, or write all of them
///
/// The pages are in the format of man(1): what `--help` says, with the exit codes, the variables and the
/// files. A package has them all; this is for who built the program.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  strongroom man get | man -l -
  strongroom man key add | man -l -
  strongroom man --dir ~/.local/share/man/man1")]
pub(crate) struct Args {
    /// The command, if not the whole program
    #[arg(conflicts_with = "dir")]
    command: Vec<String>,
    /// Write every page to this directory, each as NAME.1
    #[arg(long, value_name = "DIR", value_hint = ValueHint::DirPath)]
    dir: Option<PathBuf>,
}

pub(crate) fn run(args: &Args, context: &Context<'_>) -> Outcome {
    let mut cli = Cli::command();
    cli.build();
    let date = date(&context.env)?;
    if let Some(dir) = &args.dir {
        let pages = write_all(&cli, &date, dir)?;
        context
            .screen
            .done(&format!("wrote {pages} pages to {}", dir.display()));
        return Ok(FINE);
    }
    let mut command = &cli;
    for name in &args.command {
        command = command.find_subcommand(name).ok_or_else(|| {
            Error::new(ErrorKind::Absent, "there is no page for this command")
                .with_help("`strongroom --help` lists the commands")
        })?;
    }
    context.screen.bytes(&page(command, &date)?)?;
    Ok(FINE)
}

/// Writes the pages of a command and of those below it, and counts them.
fn write_all(command: &clap::Command, date: &str, dir: &Path) -> Result<usize> {
    let cannot = |error| {
        let message = format!("can't write the pages to {}", dir.display());
        Error::new(ErrorKind::Config, message).with_source(error)
    };
    fs::create_dir_all(dir).map_err(cannot)?;
    let path = dir.join(format!("{}.1", name(command)));
    fs::write(path, page(command, date)?).map_err(cannot)?;
    let inner = command.get_subcommands().filter(|inner| is_listed(inner));
    inner
        .map(|inner| write_all(inner, date, dir))
        .try_fold(1_usize, |count, more| Ok(count.saturating_add(more?)))
}

fn is_listed(command: &clap::Command) -> bool {
    !command.is_hide_set() && command.get_name() != "help"
}

/// Returns a page's name: `strongroom-key-add`.
fn name(command: &clap::Command) -> &str {
    command.get_display_name().unwrap_or(command.get_name())
}

/// In seconds since 1970: years of more digits can't be written.
const YEAR_10000: u64 = 253_402_300_800;

/// Returns the date of the pages: that of the sources where a build says it, and none otherwise, so that the
/// same program writes the same pages on every day.
fn date(env: &Env) -> Result<String> {
    let seconds = env
        .var("SOURCE_DATE_EPOCH")?
        .and_then(|seconds| seconds.parse().ok());
    let seconds = seconds.filter(|seconds| *seconds < YEAR_10000);
    let time = seconds.and_then(|seconds| UNIX_EPOCH.checked_add(Duration::from_secs(seconds)));
    Ok(time.map_or_else(String::new, |time| {
        let shown = format_rfc3339_seconds(time).to_string();
        shown.chars().take_while(|c| *c != 'T').collect()
    }))
}

fn page(command: &clap::Command, date: &str) -> Result<Vec<u8>> {
    let man = Man::new(command.clone());
    let source = concat!("strongroom ", env!("CARGO_PKG_VERSION"));
    // An empty date must stand in quotes, which the library leaves away.
    let title = format!(
        ".TH {} 1 \"{date}\" \"{source}\" Strongroom\n",
        name(command)
    );
    let mut page = title.into_bytes();
    let written = man
        .render_name_section(&mut page)
        .and_then(|()| man.render_synopsis_section(&mut page))
        .and_then(|()| man.render_description_section(&mut page))
        .and_then(|()| man.render_options_section(&mut page))
        .and_then(|()| match command.has_subcommands() {
            true => man.render_subcommands_section(&mut page),
            false => Ok(()),
        })
        .and_then(|()| sections::of(command).to_writer(&mut page));
    written.map_err(|error| {
        Error::new(ErrorKind::Config, "can't write the page").with_source(error)
    })?;
    Ok(page)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_date_is_that_of_the_sources() {
        let date =
            |seconds: &str| date(&Env::empty().with_var("SOURCE_DATE_EPOCH", seconds)).unwrap();
        assert_eq!(date("1767225600"), "2026-01-01");
        assert_eq!(date(""), "");
        assert_eq!(date("18446744073709551615"), "");
        assert_eq!(super::date(&Env::empty()).unwrap(), "");
    }

    #[test]
    fn each_command_has_a_page_with_its_examples() {
        let mut cli = Cli::command();
        cli.build();
        let dir = tempfile::tempdir().unwrap();
        let pages = write_all(&cli, "2026-01-31", dir.path()).unwrap();
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), pages);
        assert!(!dir.path().join("strongroom-__complete.1").exists());
        let read = |name: &str| fs::read_to_string(dir.path().join(name)).unwrap();
        let get = read("strongroom-get.1");
        for part in [
            "\n.SH EXAMPLES\n",
            "strongroom get tls/key > key.pem",
            "\n.SH \"EXIT STATUS\"\n",
        ] {
            assert!(get.contains(part), "{part}: {get}");
        }
        assert!(read("strongroom-key-add.1").contains("strongroom key add anna"));
        assert!(read("strongroom.1").contains("STRONGROOM_PROVIDER"));
        // What is shown on a terminal is escaped in the page.
        assert!(!read("strongroom.1").contains('\u{1b}'));
    }
}
