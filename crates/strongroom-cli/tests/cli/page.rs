//! The page of `inspect --html`: one file, without a script, without a value, whatever the manifest says.

use std::os::unix::fs::PermissionsExt as _;

use crate::harness::{Room, TOKEN};

const HOSTILE: &str = r#"
[default.secrets]
"api/token" = { kind = "token", description = "<script>alert('x')</script><img src=https://evil.example/x onerror=1>" }
"b" = { kind = "token", required = false, description = "\" onload=\"x\" \u202E \u001b[2J </title></style><!-- `" }
"c" = { kind = "password" }
[development]
provider = "file:se<crets>'\"&"
"#;

fn hostile() -> Room {
    Room::new()
        .file("strongroom.toml", HOSTILE)
        .file("se<crets>'\"&/api.token", TOKEN)
        .file("se<crets>'\"&/c", "hunter2-canary")
}

/// Walks through the tags of a page: each that opens is closed, in the same order.
fn well_formed(page: &str) {
    let mut open: Vec<&str> = Vec::new();
    let (_, mut rest) = page.split_once("<!DOCTYPE html>").unwrap();
    while let Some((_, tag)) = rest.split_once('<') {
        let (tag, behind) = tag.split_once('>').unwrap();
        rest = behind;
        let name = tag.split([' ', '/']).find(|word| !word.is_empty()).unwrap();
        assert!(tag.matches('"').count() % 2 == 0, "<{tag}>");
        match tag.strip_prefix('/') {
            Some(closed) => assert_eq!(open.pop(), Some(closed), "</{closed}>"),
            None if name == "meta" => {}
            None => open.push(name),
        }
        if name == "style" && !tag.starts_with('/') {
            // What is between is no text of others.
            rest = &rest[rest.find("</style>").unwrap()..];
        }
    }
    assert!(open.is_empty(), "{open:?}");
}

#[test]
fn a_hostile_manifest_puts_nothing_into_the_page_but_text() {
    let room = hostile();
    let page = room.run(&["inspect", "--html", "-"]).ends(0).stdout();
    well_formed(&page);
    let lower = page.to_lowercase();
    for never in [
        "<script",
        "<img",
        "<link",
        "<iframe",
        "<a ",
        "src=\"",
        "href",
        "url(",
        "@import",
        " onload=\"x",
        TOKEN,
        "hunter2-canary",
        "\u{202e}",
        "\u{1b}",
    ] {
        assert!(!lower.contains(&never.to_lowercase()), "{never:?}");
    }
    // An address stands there as text only.
    for (at, _) in page.match_indices("https:") {
        assert!(
            !page[..at].ends_with(['"', '\'', '(']),
            "{}",
            &page[at - 20..at + 20]
        );
    }
    assert!(page.contains("&lt;script&gt;alert(&#39;x&#39;)"), "{page}");
    assert!(
        page.contains("content=\"default-src 'none'; style-src 'unsafe-inline'"),
        "{page}"
    );
    for said in [
        "<h1>file:se",
        "<caption>",
        "scope=\"col\"",
        "scope=\"row\"",
        "✗ weak",
        "✓ ok",
        "· absent (optional)",
    ] {
        assert!(page.contains(said), "{said}: {page}");
    }
}

#[test]
fn the_page_comes_with_the_error_where_nothing_can_be_chosen() {
    let room = Room::new()
        .var("VAULT_ADDR", "https://vault.internal:8200")
        .var("STRONGROOM_AWS_PREFIX", "payments");
    let page = room.run(&["inspect", "--html", "-"]).ends(2).stdout();
    well_formed(&page);
    assert!(page.contains("both point to a provider"), "{page}");
    assert!(page.contains("✗ ambiguous"), "{page}");
}

#[test]
fn only_a_page_of_ours_is_overwritten() {
    let room = hostile().file("notes.html", "mine");
    let ran = room.run(&["inspect", "--html", "page.html"]).ends(0);
    assert_eq!(ran.stdout(), "");
    assert!(ran.stderr().contains("wrote page.html"), "{}", ran.stderr());
    let mode = room
        .path("page.html")
        .metadata()
        .unwrap()
        .permissions()
        .mode();
    assert_eq!(mode & 0o777, 0o600);
    room.run(&["inspect", "--html", "page.html", "--quiet"])
        .ends(0);
    let ran = room.run(&["inspect", "--html", "notes.html"]).ends(7);
    assert!(ran.stderr().contains("exists already"), "{}", ran.stderr());
    assert_eq!(
        std::fs::read_to_string(room.path("notes.html")).unwrap(),
        "mine"
    );
    // Nothing is written through a link, to a place that is not there yet either.
    std::os::unix::fs::symlink("elsewhere", room.path("link.html")).unwrap();
    room.run(&["inspect", "--html", "link.html"]).ends(7);
    assert!(!room.path("elsewhere").exists());
    room.run(&["inspect", "--html", "tmp"]).ends(7);
    room.run(&["inspect", "--html", "-", "--format", "json"])
        .ends(2);
    let json = room.run(&["inspect", "--html", "page.html", "--format", "json"]);
    assert!(json.ends(0).stdout().starts_with("{\"schema\":1,"));
}

#[test]
fn a_terminal_without_unicode_gets_the_tree_in_ascii() {
    for locale in ["C", "de_CH.ISO-8859-1"] {
        let room = Room::new()
            .var("LC_ALL", locale)
            .var("STRONGROOM_PROVIDER", "env:");
        let shown = room.run(&["inspect"]).ends(0).stdout();
        assert!(shown.is_ascii(), "{shown}");
        assert!(shown.contains("|- deployment  development"), "{shown}");
    }
}

#[test]
fn colour_is_for_terminals_and_for_who_asks() {
    let room = hostile();
    for (arguments, variables, coloured) in [
        (&["inspect"][..], &[][..], false),
        (&["inspect", "--color", "always"], &[], true),
        (&["inspect"], &[("CLICOLOR_FORCE", "1")], true),
        (
            &["inspect", "--color", "never"],
            &[("CLICOLOR_FORCE", "1")],
            false,
        ),
        (
            &["inspect"],
            &[("CLICOLOR_FORCE", "1"), ("NO_COLOR", "1")],
            false,
        ),
    ] {
        let mut command = room.command(arguments);
        let output = command.envs(variables.iter().copied()).output().unwrap();
        let shown = String::from_utf8(output.stdout).unwrap();
        assert_eq!(
            shown.contains("\u{1b}[31m"),
            coloured,
            "{arguments:?} {variables:?}"
        );
    }
}
