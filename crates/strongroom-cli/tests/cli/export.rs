//! `export`: values where they were asked for, and nowhere else.

use std::os::unix::fs::PermissionsExt as _;

use crate::canary::CANARY;
use crate::harness::{Room, TOKEN};

fn room() -> Room {
    Room::new()
        .var("STRONGROOM_PROVIDER", "file:in")
        .dir_of_mode("in", 0o700)
}

#[test]
fn a_file_is_private_and_never_replaced_unasked() {
    let room = room().file("in/api/token", TOKEN);
    room.run(&["export", "--output", "x.env"]).ends(0);
    let mode = std::fs::metadata(room.path("x.env"))
        .unwrap()
        .permissions()
        .mode();
    assert_eq!(mode & 0o777, 0o600);
    assert_eq!(
        std::fs::read_to_string(room.path("x.env")).unwrap(),
        format!("API_TOKEN={TOKEN}\n")
    );
    room.run(&["export", "--output", "x.env", "--as", "json"])
        .ends(7);
    let ran = room.run(&[
        "export", "--output", "x.env", "--as", "json", "--force", "--format", "json",
    ]);
    assert_eq!(
        ran.ends(0).stdout(),
        "{\"schema\":1,\"file\":\"x.env\",\"names\":[\"api/token\"]}\n"
    );
    assert!(
        std::fs::read_to_string(room.path("x.env"))
            .unwrap()
            .starts_with('{')
    );
    let mode = std::fs::metadata(room.path("x.env"))
        .unwrap()
        .permissions()
        .mode();
    assert_eq!(mode & 0o777, 0o600);
}

#[test]
fn a_name_alone_and_a_prefix_narrow() {
    let room = room().file("in/a/x", TOKEN).file("in/b", CANARY);
    for narrow in [&["a/x"][..], &["--prefix", "a/"]] {
        let arguments = [&["export"], narrow].concat();
        assert_eq!(
            room.run(&arguments).ends(0).stdout(),
            format!("A_X={TOKEN}\n")
        );
    }
    room.run(&["export", "none"]).ends(3);
    room.run(&["export", "--prefix", "none"]).ends(3);
}

#[test]
fn what_a_format_can_not_carry_is_refused_before_anything_is_written() {
    let lines = room()
        .file("in/a", TOKEN)
        .file("in/pem", format!("{CANARY}\nx"));
    lines.run(&["export", "--as", "dotenv"]).ends(0);
    let ran = lines.run(&["export", "--as", "docker"]).ends(1);
    assert!(ran.stderr().contains("several lines"), "{}", ran.stderr());
    assert_eq!(ran.stdout(), "");
    assert!(!ran.stderr().contains("canary"));
    let bytes = room().file("in/a", TOKEN).file("in/raw", [0xff, 0, 0xfe]);
    for format in ["dotenv", "json", "docker"] {
        let ran = bytes.run(&["export", "--as", format]).ends(1);
        assert!(ran.stderr().contains("encoding"), "{}", ran.stderr());
        assert_eq!(ran.stdout(), "");
    }
    let ran = bytes.run(&["export", "--as", "kubernetes"]).ends(0);
    assert!(
        ran.stdout().contains("\"raw\": \"/wD+\""),
        "{}",
        ran.stdout()
    );
    // A file that is sourced must not change how programs load.
    let path = room().file("in/path", CANARY);
    path.run(&["export"]).ends(2);
    let ran = room()
        .file("in/a/b", TOKEN)
        .file("in/a.c", TOKEN)
        .file("in/a/c", TOKEN);
    let ran = ran
        .run(&["export", "--as", "kubernetes", "a/b", "a/c"])
        .code();
    assert!(ran == 0 || ran == 2);
    room()
        .file("in/a", TOKEN)
        .run(&["export", "--as", "kubernetes", "--secret-name", "No_Name"])
        .ends(2);
}

#[test]
fn what_is_exported_is_imported_as_it_was() {
    let odd = "quote' \"double\" $x `y` # not a comment \\n 'ä";
    let room = room()
        .file("in/one", TOKEN)
        .file("in/two", odd)
        .dir_of_mode("back", 0o700);
    for format in ["dotenv", "json", "kubernetes", "docker"] {
        let text = room.run(&["export", "--as", format]).ends(0).stdout();
        let import = ["import", "-", "--from", format, "--provider", "file:back"];
        room.run_with(&import, text.as_bytes()).ends(0);
        room.run(&["diff", "file:in", "file:back"]).ends(0);
        std::fs::remove_dir_all(room.path("back")).unwrap();
        std::fs::create_dir(room.path("back")).unwrap();
    }
}

#[test]
fn git_is_answered_by_host() {
    let room = room()
        .file(
            "in/git/git.example.org.json",
            format!("{{\"username\": \"robot\", \"password\": \"{TOKEN}\"}}"),
        )
        .file(
            "in/git/git.example.org_8443.json",
            "{\"username\": \"other\", \"password\": \"a\\nquit=1\"}",
        );
    let ask = |asked: &str| room.run_with(&["git-credential", "get"], asked.as_bytes());
    let both = format!("username=robot\npassword={TOKEN}\n");
    assert_eq!(
        ask("protocol=https\nhost=git.example.org\n\n")
            .ends(0)
            .stdout(),
        both
    );
    let named = "capability[]=authtype\nprotocol=https\nhost=git.example.org\nusername=robot\n";
    assert_eq!(ask(named).ends(0).stdout(), both);
    for nothing in [
        "protocol=http\nhost=git.example.org\n",
        "protocol=https\nhost=elsewhere.example\n",
        "protocol=https\nhost=git.example.org\nusername=somebody\n",
        "",
    ] {
        let ran = ask(nothing).ends(0);
        assert_eq!(ran.stdout() + &ran.stderr(), "", "{nothing}");
    }
    // No value becomes a line that git would obey.
    let ran = ask("protocol=https\nhost=git.example.org:8443\n").ends(1);
    assert!(!ran.stdout().contains("quit"), "{}", ran.stdout());
    ask("protocol=https\nhost=../../etc\n").ends(2);
    for action in ["store", "erase", "capability"] {
        let ran = room
            .run_with(&["git-credential", action], b"password=x\n")
            .ends(0);
        assert_eq!(ran.stdout() + &ran.stderr(), "");
    }
}

#[test]
fn only_a_regular_file_is_replaced() {
    let room = room().file("in/api/token", TOKEN).file("real", "kept");
    std::os::unix::fs::symlink("real", room.path("link")).unwrap();
    let fifo = room.path("fifo");
    rustix::fs::mknodat(
        rustix::fs::CWD,
        &fifo,
        rustix::fs::FileType::Fifo,
        rustix::fs::Mode::from_raw_mode(0o600),
        0,
    )
    .unwrap();
    for place in ["link", "fifo"] {
        room.run(&["export", "--force", "--output", place]).ends(2);
    }
    assert_eq!(std::fs::read_to_string(room.path("real")).unwrap(), "kept");
    assert!(room.path("link").is_symlink());
}
