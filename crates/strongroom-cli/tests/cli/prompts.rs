//! What the command asks on a terminal: never shown, never cut, and nothing is written without an
//! answer.

use std::path::Path;

use crate::harness::{Ran, TOKEN};
use crate::project::{FILE, PASSPHRASE, Project};
use crate::terminal::{Terminal, again};

const OTHER: &str = "eleven ferries under a quiet moon";
const CTRL_C: &str = "\x03";
const CTRL_D: &str = "\x04";

fn on_terminal(project: &Project, arguments: &[&str]) -> Terminal {
    Terminal::start(&project.room.command(arguments))
}

/// A project whose only slot is for the passphrase.
fn with_passphrase() -> Project {
    let project = Project::new();
    let file = project.private("passphrase", PASSPHRASE);
    project.run(&["init", "--passphrase-file", &file]).ends(0);
    std::fs::remove_file(file).unwrap();
    project
}

/// All files of the project and of the home, but for the one that each test's directory has.
fn files(project: &Project) -> Vec<String> {
    fn walk(dir: &Path, found: &mut Vec<String>) {
        for entry in std::fs::read_dir(dir).unwrap() {
            let path = entry.unwrap().path();
            match path.is_dir() {
                true => walk(&path, found),
                false => found.push(path.display().to_string()),
            }
        }
    }
    let mut found = Vec::new();
    for dir in [project.room.path(""), project.home("")] {
        walk(&dir, &mut found);
    }
    found.retain(|path| !path.ends_with("tmp/.keep"));
    found
}

#[test]
fn init_asks_for_the_passphrase_twice_and_offers_a_recovery_slot() {
    let project = Project::new();
    let screen = on_terminal(&project, &["init", "--passphrase"])
        .answer("New passphrase (not shown): ", PASSPHRASE)
        .answer("The same again (not shown): ", PASSPHRASE)
        .answer("to which file? (Enter for none): ", "")
        .ends(0);
    assert!(
        screen.contains("created .strongroom/secrets.sealed"),
        "{screen}"
    );
    assert!(screen.contains("one slot only"), "{screen}");
    assert!(!screen.contains("lamps"), "{screen}");
    assert!(!project.home(".config/strongroom/keys").exists());

    let question = "Passphrase of sealed:.strongroom/secrets.sealed (not shown): ";
    let screen = on_terminal(&project, &["key", "list"])
        .answer(question, PASSPHRASE)
        .ends(0);
    assert!(screen.contains("first  passphrase"), "{screen}");
    assert!(!screen.contains("lamps"), "{screen}");
}

#[test]
fn init_writes_nothing_without_an_answer() {
    let question = "New passphrase (not shown): ";
    for (keys, code, says) in [
        (CTRL_C, 2, "interrupted"),
        ("seven la\x03", 2, "interrupted"),
        (CTRL_D, 2, "the input ended"),
        ("seven la\x04", 2, "the input ended"),
        ("\r", 2, "nothing was typed"),
        ("seven\tlamps\r", 2, "no character"),
        ("\x1b[A\r", 2, "no character"),
    ] {
        let project = Project::new();
        let mut terminal = on_terminal(&project, &["init", "--passphrase"]);
        let screen = terminal.wait_for(question).press(keys).ends(code);
        assert!(
            screen.contains("error: ") && screen.contains(says),
            "{screen}"
        );
        assert!(screen.contains("help: nothing was done"), "{screen}");
        assert_eq!(files(&project), [""; 0], "{keys:?}");
    }
    for (second, code, says) in [(OTHER, 2, "differ"), (CTRL_C, 2, "interrupted")] {
        let project = Project::new();
        let screen = on_terminal(&project, &["init", "--passphrase"])
            .answer(question, PASSPHRASE)
            .answer("The same again (not shown): ", second)
            .ends(code);
        assert!(screen.contains(says), "{screen}");
        assert!(
            !screen.contains("lamps") && !screen.contains("ferries"),
            "{screen}"
        );
        assert_eq!(files(&project), [""; 0], "{second:?}");
    }
}

#[test]
fn a_weak_passphrase_is_refused_with_advice_and_leaves_nothing() {
    let project = Project::new();
    let screen = on_terminal(&project, &["init", "--passphrase", "--no-recovery"])
        .answer("New passphrase (not shown): ", "short")
        .answer("The same again (not shown): ", "short")
        .ends(1);
    assert!(screen.contains("too weak for a slot"), "{screen}");
    assert!(screen.contains("six or more words"), "{screen}");
    assert!(screen.contains("15 characters"), "{screen}");
    assert!(!screen.contains("generate"), "{screen}");
    assert_eq!(files(&project), [""; 0]);
}

#[test]
fn the_recovery_key_goes_where_the_answer_says() {
    let question = "to which file? (Enter for none): ";
    let project = Project::new();
    let path = project.home_text("recovery.key");
    let screen = on_terminal(&project, &["init"])
        .answer(question, &path)
        .ends(0);
    // Here the terminal does show what is typed, so these tests would see it elsewhere.
    assert!(screen.contains(&format!("none): {path}")), "{screen}");
    let address = format!("sealed:{FILE}?key_file={path}");
    project
        .run(&["key", "list", "--provider", &address])
        .ends(0);

    let project = Project::new();
    on_terminal(&project, &["init"])
        .answer(question, "~/recovery.key")
        .ends(0);
    assert!(project.home("recovery.key").exists());

    let project = Project::new();
    let screen = on_terminal(&project, &["init"])
        .answer(question, "recovery.key")
        .ends(2);
    assert!(screen.contains("inside of the repository"), "{screen}");
    assert_eq!(files(&project), [""; 0]);

    let project = Project::new();
    let mut terminal = on_terminal(&project, &["init"]);
    let screen = terminal.wait_for(question).press(CTRL_D).ends(2);
    assert!(screen.contains("the input ended"), "{screen}");
    assert!(screen.contains("--no-recovery"), "{screen}");
    assert_eq!(files(&project), [""; 0]);

    let project = Project::new();
    let mut terminal = on_terminal(&project, &["init"]);
    let ended = terminal.wait_for(question).press(CTRL_C).end();
    assert!(!ended.status.success(), "{}", ended.screen);
    assert_eq!(files(&project), [""; 0]);

    let project = Project::new();
    let screen = on_terminal(&project, &["init", "--no-recovery"]).ends(0);
    assert!(!screen.contains(question), "{screen}");
}

#[test]
fn get_asks_for_the_passphrase_that_is_missing() {
    let project = with_passphrase();
    let question = "Passphrase of sealed:.strongroom/secrets.sealed (not shown): ";
    let screen = on_terminal(&project, &["set", "api/token"])
        .answer(question, PASSPHRASE)
        .answer("Value of api/token (not shown): ", TOKEN)
        .answer("The same again (not shown): ", TOKEN)
        .ends(0);
    assert!(screen.contains("set api/token"), "{screen}");
    assert!(
        !screen.contains(TOKEN) && !screen.contains("lamps"),
        "{screen}"
    );

    let get = ["get", "api/token"];
    let screen = on_terminal(&project, &get)
        .answer(question, PASSPHRASE)
        .ends(0);
    assert!(
        screen.contains(TOKEN) && !screen.contains("lamps"),
        "{screen}"
    );

    let screen = on_terminal(&project, &get).answer(question, OTHER).ends(4);
    assert!(
        screen.contains("no slot opens with this passphrase"),
        "{screen}"
    );
    assert!(screen.contains("help: "), "{screen}");
    assert!(
        !screen.contains(TOKEN) && !screen.contains("ferries"),
        "{screen}"
    );

    for (key, says) in [(CTRL_C, "interrupted"), (CTRL_D, "the input ended")] {
        let mut terminal = on_terminal(&project, &get);
        let screen = terminal.wait_for(question).press(key).ends(2);
        assert!(screen.contains(says), "{screen}");
    }
}

#[test]
fn nothing_that_is_typed_at_a_question_is_ever_shown() {
    let project = with_passphrase();
    let question = "Passphrase of sealed:.strongroom/secrets.sealed (not shown): ";
    // Both answers at once, as a pasted text has them.
    let screen = on_terminal(&project, &["set", "api/token"])
        .answer(question, PASSPHRASE)
        .answer(
            "Value of api/token (not shown): ",
            &format!("{TOKEN}\r{TOKEN}"),
        )
        .ends(0);
    assert!(!screen.contains(TOKEN), "{screen}");
    let mut terminal = on_terminal(&project, &["set", "api/token"]);
    assert!(!terminal.wait_for(question).echoes());
    terminal.press(CTRL_C).ends(2);
}

#[test]
fn the_usual_keys_correct_an_answer() {
    let project = with_passphrase();
    let question = "Passphrase of sealed:.strongroom/secrets.sealed (not shown): ";
    let (start, last) = PASSPHRASE.rsplit_once(' ').unwrap();
    for answer in [
        format!("{PASSPHRASE}xü\x7f\x08"),
        format!("wrong\x15{PASSPHRASE}"),
        format!("{start} wrong\x17{last}"),
    ] {
        on_terminal(&project, &["key", "list"])
            .answer(question, &answer)
            .ends(0);
    }
}

#[test]
fn key_add_asks_twice_and_adds_nothing_in_doubt() {
    let project = Project::begun();
    let before = project.read(FILE);
    let add = ["key", "add", "anna", "--passphrase"];
    let first = "New passphrase (not shown): ";
    let second = "The same again (not shown): ";
    for (again, says) in [
        (OTHER, "differ"),
        (CTRL_C, "interrupted"),
        (CTRL_D, "the input ended"),
    ] {
        let screen = on_terminal(&project, &add)
            .answer(first, PASSPHRASE)
            .answer(second, again)
            .ends(2);
        assert!(screen.contains(says), "{screen}");
        assert_eq!(project.read(FILE), before, "{again:?}");
    }
    let screen = on_terminal(&project, &add)
        .answer(first, PASSPHRASE)
        .answer(second, PASSPHRASE)
        .ends(0);
    assert!(
        screen.contains("added slot") && !screen.contains("lamps"),
        "{screen}"
    );

    let known = "Passphrase of a slot that stays (not shown): ";
    let rotate = ["key", "rotate", "--passphrase"];
    let screen = on_terminal(&project, &rotate).answer(known, OTHER).ends(4);
    assert!(screen.contains("`anna`"), "{screen}");
    on_terminal(&project, &rotate)
        .answer(known, PASSPHRASE)
        .ends(0);
}

#[test]
fn set_asks_for_a_value_twice() {
    let project = Project::begun();
    let before = project.read(FILE);
    let question = "Value of api/token (not shown): ";
    let again = "The same again (not shown): ";
    let set = ["set", "api/token"];
    let screen = on_terminal(&project, &set)
        .answer(question, TOKEN)
        .answer(again, OTHER)
        .ends(2);
    assert!(
        screen.contains("differ") && !screen.contains(TOKEN),
        "{screen}"
    );
    for (key, says) in [
        (CTRL_C, "interrupted"),
        (CTRL_D, "the input ended"),
        ("\r", "nothing"),
    ] {
        let mut terminal = on_terminal(&project, &set);
        let screen = terminal.wait_for(question).press(key).ends(2);
        assert!(screen.contains(says), "{screen}");
    }
    assert_eq!(project.read(FILE), before);
    // Longer than a line of a terminal can be.
    let long = "pX4v-Tz0qL9e".repeat(500);
    on_terminal(&project, &set)
        .answer(question, &long)
        .answer(again, &long)
        .ends(0);
    assert_eq!(project.run(&["get", "api/token"]).ends(0).stdout(), long);
}

#[test]
fn without_a_terminal_nothing_is_asked() {
    let project = Project::new();
    let command = project.room.command(&["init", "--passphrase"]);
    let ran = Ran(again(&command).output().unwrap()).ends(2);
    assert!(
        ran.stderr().contains("there is no terminal to ask on"),
        "{}",
        ran.stderr()
    );
    assert!(
        ran.stderr().contains("--passphrase-file"),
        "{}",
        ran.stderr()
    );
    assert_eq!(files(&project), [""; 0]);

    let project = with_passphrase();
    let ran = Ran(again(&project.room.command(&["key", "list"]))
        .output()
        .unwrap())
    .ends(4);
    assert!(
        ran.stderr().contains("there is no key for sealed file"),
        "{}",
        ran.stderr()
    );
    assert!(
        ran.stderr().contains("STRONGROOM_PASSPHRASE_FILE"),
        "{}",
        ran.stderr()
    );
}
