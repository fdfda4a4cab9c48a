//! `trust`: which manifests the user vouches for.

use std::path::{Path, PathBuf};

use clap::ValueHint;
use serde::Serialize;
use strongroom::ErrorKind;
use strongroom::trust::{self, Trusted};

use crate::context::Context;
use crate::exit::{self, FINE, Outcome};
use crate::table::Table;

/// Vouch for a manifest that commands find in the working directory
///
/// A manifest that is merely found, as in somebody else's checkout, is not trusted: its `danger_…` keys
/// and its `snapshot` are ignored, what it names outside of its folder is read and not changed, and no
/// credential of the environment goes to an address that stands there alone. This records its path and
/// the SHA-256 of its text in the user's configuration; once it is edited, it is not trusted any more. A
/// manifest that --manifest or STRONGROOM_MANIFEST names needs no record.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  strongroom trust                             trust ./strongroom.toml as it is now
  strongroom trust ../api/strongroom.toml
  strongroom trust --list
  strongroom trust --revoke")]
pub(crate) struct Args {
    /// The manifest, or its folder [default: strongroom.toml]
    #[arg(value_name = "PATH", value_hint = ValueHint::AnyPath)]
    path: Option<PathBuf>,
    /// List the manifests that are trusted, with the SHA-256 of each
    #[arg(long, conflicts_with_all = ["path", "revoke"])]
    list: bool,
    /// Take the trust back
    #[arg(long)]
    revoke: bool,
}

const MANIFEST: &str = "strongroom.toml";

#[derive(Serialize)]
struct Body {
    #[serde(skip_serializing_if = "Option::is_none")]
    trusted: Option<Vec<Trusted>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    revoked: Option<bool>,
}

pub(crate) fn run(args: &Args, context: &Context<'_>) -> Outcome {
    if args.list {
        return list(context);
    }
    let given = args.path.as_deref().or(context.manifest());
    let path = given.unwrap_or(Path::new(MANIFEST));
    let path = match context.env.working_dir().join(path).is_dir() {
        true => path.join(MANIFEST),
        false => path.to_owned(),
    };
    if args.revoke {
        return revoke(&path, context);
    }
    let trusted = trust::add(&context.env, &path)?;
    if context.screen.is_json() {
        context.screen.json(&Body {
            trusted: Some(vec![trusted]),
            revoked: None,
        })?;
    } else {
        let shown = trusted.path.display();
        let done = format!("trusted {shown} as it is now; once it is edited, it is not");
        context.screen.done(&done);
    }
    Ok(FINE)
}

fn list(context: &Context<'_>) -> Outcome {
    let all = trust::list(&context.env)?;
    if context.screen.is_json() {
        context.screen.json(&Body {
            trusted: Some(all),
            revoked: None,
        })?;
    } else {
        let mut table = Table::new(["SHA-256", "MANIFEST"]);
        for trusted in &all {
            let path = trusted.path.display().to_string();
            table.row([trusted.sha256.as_str().into(), path.into()]);
        }
        if !table.is_empty() {
            table.show(&context.screen)?;
        }
    }
    Ok(FINE)
}

fn revoke(path: &Path, context: &Context<'_>) -> Outcome {
    let revoked = trust::revoke(&context.env, path)?;
    if context.screen.is_json() {
        context.screen.json(&Body {
            trusted: None,
            revoked: Some(revoked),
        })?;
    } else {
        let path = path.display();
        context.screen.done(&match revoked {
            true => format!("{path} is not trusted any more"),
            false => format!("{path} was not trusted"),
        });
    }
    Ok(match revoked {
        true => FINE,
        false => exit::code(ErrorKind::Absent),
    })
}
