//! What docs/backends/vault.md quotes is what the code says.

use std::path::Path;

use strongroom::SecretsFactory;

const PAGE: &str = include_str!("../../../../docs/backends/vault.md");

/// The library's code, with the texts that go on in the next line joined.
fn sources() -> String {
    fn collect(dir: &Path, code: &mut String) {
        for entry in std::fs::read_dir(dir).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                collect(&path, code);
            } else {
                code.push_str(&std::fs::read_to_string(path).unwrap());
            }
        }
    }
    let library = Path::new(env!("CARGO_MANIFEST_DIR")).join("../strongroom/src");
    let mut code = String::new();
    collect(&library, &mut code);
    let lines = code.split("\\\n").map(str::trim_start);
    lines.collect()
}

#[test]
fn every_quoted_message_is_one_of_the_code() {
    let sources = sources();
    let quoted = PAGE
        .lines()
        .filter_map(|line| line.strip_prefix("### `")?.strip_suffix('`'));
    let quoted: Vec<_> = quoted.collect();
    assert!(quoted.len() > 20);
    for message in quoted {
        // The parts stand in this order in one text of the code.
        let mut parts = message.split('…').filter(|part| !part.trim().is_empty());
        let first = parts.next().unwrap();
        let rest: Vec<_> = parts.collect();
        let follows = |(at, _): (usize, &str)| {
            let literal = sources[at..].split('"').next().unwrap();
            let mut left = literal;
            rest.iter().all(|part| match left.split_once(part) {
                Some((_, behind)) => {
                    left = behind;
                    true
                }
                None => false,
            })
        };
        let found = sources.match_indices(first).any(follows);
        assert!(found, "no text of the code says {message:?}");
    }
}

#[test]
fn the_table_has_every_setting_and_no_other() {
    let rows = SecretsFactory::backends();
    let row = rows.iter().find(|row| row.scheme() == "vault").unwrap();
    let (_, table) = PAGE
        .split_once("| setting | what it is | without it |")
        .unwrap();
    let (table, _) = table.split_once("\n\n").unwrap();
    let settings = table
        .lines()
        .filter_map(|line| line.strip_prefix("| `")?.split('`').next());
    assert_eq!(settings.collect::<Vec<_>>(), row.url_keys());
}
