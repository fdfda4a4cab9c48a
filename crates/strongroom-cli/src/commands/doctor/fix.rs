//! `doctor --fix`: repairs that are safe, each named. Nothing of a backend's data, and nothing of others.

use std::path::{Path, PathBuf};

use serde::Serialize;
use strongroom::Connect;

use crate::context::Context;
use crate::exit::{CHECK_FAILED, FINE, Outcome};
use crate::key_source::default_keys_dir;
use crate::paint::{BAD, GOOD, Marks, PLAIN, Span};

mod git;
mod leftovers;
mod permissions;

/// Something that is to be repaired, or that can't be.
#[derive(Serialize)]
struct Fix {
    /// What it is about.
    path: PathBuf,
    /// What is repaired.
    action: String,
    outcome: Repaired,
    /// Why it was left as it is.
    #[serde(skip_serializing_if = "Option::is_none")]
    why: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
enum Repaired {
    Fixed,
    WouldFix,
    Left,
}

impl Fix {
    /// Repairs, unless it is only to be said. What can't be repaired is left, with the reason.
    fn of(
        path: &Path,
        action: String,
        dry_run: bool,
        repair: impl FnOnce() -> Result<(), String>,
    ) -> Self {
        let (outcome, why) = match dry_run {
            true => (Repaired::WouldFix, None),
            false => match repair() {
                Ok(()) => (Repaired::Fixed, None),
                Err(why) => (Repaired::Left, Some(why)),
            },
        };
        Self {
            path: path.to_owned(),
            action,
            outcome,
            why,
        }
    }

    fn left(path: &Path, action: String, why: impl Into<String>) -> Self {
        Self {
            path: path.to_owned(),
            action,
            outcome: Repaired::Left,
            why: Some(why.into()),
        }
    }

    fn line(&self, marks: &Marks) -> String {
        let (mark, style, verb) = match self.outcome {
            Repaired::Fixed => (marks.ok, GOOD, "fixed"),
            Repaired::WouldFix => (marks.to, PLAIN, "would fix"),
            Repaired::Left => (marks.bad, BAD, "left"),
        };
        let verb = Span::new(style, &format!("{mark} {verb}"));
        let text = format!("{}: {}", self.path.display(), self.action);
        match &self.why {
            Some(why) => format!(
                "{verb} {}\n    {}",
                Span::from(text),
                Span::from(why.as_str())
            ),
            None => format!("{verb} {}", Span::from(text)),
        }
    }
}

#[derive(Serialize)]
struct Body<'a> {
    dry_run: bool,
    fixes: &'a [Fix],
}

pub(super) fn run(dry_run: bool, context: &Context<'_>) -> Outcome {
    let places = Places::of(context);
    let mut fixes = permissions::fix(&places, dry_run);
    fixes.extend(leftovers::fix(&places, dry_run));
    fixes.extend(git::fix(&context.env, &places, dry_run));
    let left = fixes.iter().any(|fix| fix.outcome == Repaired::Left);
    let code = match left {
        true => CHECK_FAILED,
        false => FINE,
    };
    let screen = &context.screen;
    if screen.is_json() {
        let fixes = &fixes;
        screen.json(&Body { dry_run, fixes })?;
        return Ok(code);
    }
    let marks = Marks::of(screen);
    for fix in &fixes {
        screen.painted(&fix.line(&marks))?;
    }
    screen.done(match (fixes.is_empty(), dry_run) {
        (true, _) => "there is nothing to fix",
        (_, true) => "nothing was changed: this is what `strongroom doctor --fix` would do",
        _ if left => "what was left is for you; `strongroom doctor` checks the rest",
        _ => "`strongroom doctor` checks the rest",
    });
    Ok(code)
}

/// Where the files are that strongroom reads here.
struct Places {
    working_dir: PathBuf,
    /// Files that hold keys, passphrases or values, and directories of nothing else.
    secret: Vec<PathBuf>,
    /// Files and directories that hold no secret, and that others must not write to.
    guarded: Vec<PathBuf>,
    /// Plain files and directories of values, which no repository may take.
    plain: Vec<PathBuf>,
}

impl Places {
    fn of(context: &Context<'_>) -> Self {
        let env = &context.env;
        let working_dir = env.working_dir().to_owned();
        let mut places = Self {
            secret: Vec::new(),
            guarded: vec![
                working_dir.join(".strongroom"),
                working_dir.join(".strongroom/secrets.sealed"),
            ],
            plain: vec![working_dir.join(".env")],
            working_dir,
        };
        if let Some(dir) = env.config_dir() {
            places.secret.push(default_keys_dir(&dir));
        }
        for variable in ["STRONGROOM_KEY_FILE", "STRONGROOM_PASSPHRASE_FILE"] {
            if let Ok(Some(path)) = env.var(variable) {
                places.secret.push(places.working_dir.join(path));
            }
        }
        // Where nothing is chosen, what is always looked for is still put right.
        let connect = context
            .builder()
            .and_then(|builder| builder.explain_connect());
        if let Ok(connect) = &connect {
            places.add(connect);
        }
        places.secret.extend(places.plain.clone());
        places
    }

    /// Adds what the address of the chosen provider names.
    fn add(&mut self, connect: &Connect) {
        let path = connect.resolve(connect.url.path());
        match connect.url.scheme() {
            "file" => self.plain.push(path),
            "sealed" => self.guarded.push(path),
            _ => {}
        }
        let named = ["key_file", "passphrase_file"];
        let named = named.iter().filter_map(|key| connect.url.query(key));
        self.secret.extend(named.map(|path| connect.resolve(path)));
    }
}
