//! What is drawn while something takes long: on a terminal, and nowhere else.

use crate::harness::Ran;
use crate::project::{PASSPHRASE, Project};
use crate::terminal::{Ended, Terminal};

const DERIVING: &str = "deriving the key from the passphrase";
/// Goes to the beginning of the line, and empties it.
const CLEARED: &str = "\r\u{1b}[2K";

/// A project whose only slot is for the passphrase, which a file outside of it holds.
fn with_passphrase() -> Project {
    let mut project = Project::new();
    let file = project.private("passphrase", PASSPHRASE);
    project.run(&["init", "--passphrase-file", &file]).ends(0);
    project.room = project
        .room
        .var("STRONGROOM_PASSPHRASE_FILE", &file)
        .var("TERM", "xterm");
    project
}

fn on_terminal(project: &Project, arguments: &[&str]) -> Ended {
    Terminal::start(&project.room.command(arguments)).end()
}

/// What a terminal shows in the end, of which a line was emptied before something else was written on it.
fn left(screen: &str) -> String {
    let lines = screen.lines();
    let rest = lines.map(|line| line.rsplit(CLEARED).next().unwrap_or_default());
    rest.collect::<Vec<_>>().join("\n")
}

fn silent(ran: &Ran) {
    let printed = ran.stdout() + &ran.stderr();
    assert!(!printed.contains(DERIVING), "{printed}");
    assert!(!printed.contains('\u{1b}'), "{printed}");
}

#[test]
fn a_spinner_turns_while_a_key_is_derived_and_is_gone_after_it() {
    let project = with_passphrase();
    for arguments in [&["list"][..], &["doctor"], &["inspect"], &["key", "list"]] {
        let Ended { status, screen } = on_terminal(&project, arguments);
        assert_eq!(status.code(), Some(0), "{screen}");
        assert!(screen.contains(DERIVING), "{arguments:?}: {screen}");
        assert!(
            !left(&screen).contains(DERIVING),
            "{arguments:?}: {screen:?}"
        );
        // The harness sets NO_COLOR.
        assert!(!screen.contains("\u{1b}[36m"), "{screen:?}");
    }
    let Ended { screen, .. } = on_terminal(&project, &["list", "--color", "always"]);
    assert!(screen.contains("\u{1b}[36m"), "{screen:?}");
}

#[test]
fn it_is_gone_before_an_error_is_told() {
    let mut project = with_passphrase();
    let wrong = project.private("wrong", "eleven ferries under a quiet moon");
    project.room = project
        .room
        .without("STRONGROOM_PASSPHRASE_FILE")
        .var("STRONGROOM_PASSPHRASE_FILE", &wrong);
    let Ended { status, screen } = on_terminal(&project, &["list"]);
    assert_eq!(status.code(), Some(4), "{screen}");
    assert!(screen.contains(DERIVING), "{screen}");
    let left = left(&screen);
    assert!(!left.contains(DERIVING), "{screen:?}");
    assert!(left.contains("error: "), "{screen:?}");
}

#[test]
fn a_pipe_a_script_and_who_wants_quiet_see_nothing_of_it() {
    let project = with_passphrase();
    silent(&project.run(&["list"]).ends(0));
    silent(&project.run(&["list", "--color", "always"]).ends(0));
    for arguments in [&["list", "--quiet"][..], &["list", "--format", "json"]] {
        let Ended { status, screen } = on_terminal(&project, arguments);
        assert_eq!(status.code(), Some(0), "{screen}");
        assert!(!screen.contains(DERIVING), "{arguments:?}: {screen}");
    }
    let mut dumb = project;
    dumb.room = dumb.room.without("TERM").var("TERM", "dumb");
    let Ended { screen, .. } = on_terminal(&dumb, &["list"]);
    assert!(!screen.contains(DERIVING), "{screen}");
}

#[test]
fn what_was_generated_stays_above_the_bar() {
    let mut project = Project::begun();
    project.room = project.room.var("TERM", "xterm");
    let manifest = project.read("strongroom.toml");
    let more = "\n[default.secrets]\n\"a/one\" = { kind = \"token\" }\n\"a/two\" = { kind = \"token\" }\n\
                \"a/three\" = { kind = \"token\" }\n";
    let (before, _) = manifest
        .split_once("[default.secrets]")
        .unwrap_or((&manifest, ""));
    project.write("strongroom.toml", &format!("{before}{more}"));
    let Ended { status, screen } = on_terminal(&project, &["generate", "--all-missing"]);
    assert_eq!(status.code(), Some(0), "{screen}");
    assert!(screen.contains("generating"), "{screen:?}");
    let left = left(&screen);
    assert!(!left.contains("generating"), "{screen:?}");
    for name in ["a/one", "a/two", "a/three"] {
        assert!(left.contains(&format!("generated {name}")), "{left}");
    }
}
