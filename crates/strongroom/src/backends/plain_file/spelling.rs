//! How one name is spelled in a directory and in a document.

use crate::error::{Error, ErrorKind, Result};
use crate::name::SecretName;
use crate::provider::Target;

/// One file that may hold a secret: the whole of it, or one field of the JSON document in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct FileSpelling {
    /// Relative to the root, with `/` between directories.
    pub(super) path: String,
    pub(super) field: Option<String>,
}

impl FileSpelling {
    fn whole(path: String) -> Self {
        Self { path, field: None }
    }
}

/// The files that may hold a secret; the first is the one that a new secret gets.
///
/// `a/b-c` is the file `a/b-c`, `a.b-c`, `a_b-c` or `A_B_C`: only the last, the form of a variable,
/// changes characters. `a/b#c` is the field `c` of `a/b.json`, `a.b.json` or `a_b.json`, or the file
/// `a.b.c`, `a_b_c` or `A_B_C`. A backend's own id is exactly one path.
pub(super) fn files(target: &Target) -> Result<Vec<FileSpelling>> {
    if let Some(id) = &target.id {
        check_id(id)?;
        let field = target.field.clone();
        let path = id.clone();
        return Ok(vec![FileSpelling { path, field }]);
    }
    let name = &target.name;
    let mut found = match name.field() {
        None => vec![FileSpelling::whole(name.path().to_owned())],
        Some(field) => documents(name)
            .into_iter()
            .map(|path| FileSpelling {
                path,
                field: Some(field.to_owned()),
            })
            .collect(),
    };
    for flat in flat(name) {
        let flat = FileSpelling::whole(flat);
        if !found.contains(&flat) {
            found.push(flat);
        }
    }
    Ok(found)
}

/// The JSON documents that hold the fields of `name`'s path.
pub(super) fn documents(name: &SecretName) -> Vec<String> {
    let mut found: Vec<String> = ["/", ".", "_"]
        .map(|joint| format!("{}.json", name.path().replace('/', joint)))
        .into();
    found.dedup();
    found
}

/// The keys that may hold a secret in a document, each as the way from the top.
///
/// A backend's own id is one key at the top, and its field a key in the object there.
pub(super) fn keys(target: &Target) -> Vec<Vec<String>> {
    if let Some(id) = &target.id {
        return vec![
            [Some(id), target.field.as_ref()]
                .into_iter()
                .flatten()
                .cloned()
                .collect(),
        ];
    }
    let name = &target.name;
    let way = || name.segments().chain(name.field()).map(str::to_owned);
    let mut found: Vec<Vec<String>> = vec![way().collect()];
    let slashed = way().collect::<Vec<_>>().join("/");
    for flat in [name.as_str().to_owned(), slashed]
        .into_iter()
        .chain(flat(name))
        .chain([variable(name)])
    {
        let flat = vec![flat];
        if !found.contains(&flat) {
            found.push(flat);
        }
    }
    found
}

/// The variable that a new secret gets in a dotenv document, where none begins with a digit.
pub(super) fn variable(name: &SecretName) -> String {
    let variable = name.to_variable();
    match variable.starts_with(|first: char| first.is_ascii_digit()) {
        true => format!("_{variable}"),
        false => variable,
    }
}

/// The flat forms: joined by dots, joined by underscores, and as a variable.
fn flat(name: &SecretName) -> Vec<String> {
    let join = |joint: &str| {
        let parts: Vec<_> = name.segments().chain(name.field()).collect();
        parts.join(joint)
    };
    let mut found = vec![join("."), join("_"), name.to_variable()];
    found.dedup();
    found
}

/// An id is a path inside the root, without hidden entries.
fn check_id(id: &str) -> Result<()> {
    let bad = |part: &str| part.is_empty() || part.starts_with('.') || part.contains('\0');
    if id.split('/').any(bad) {
        return Err(Error::new(
            ErrorKind::Config,
            "the id of a secret in a directory is a relative path without hidden or empty parts",
        )
        .with_help("for example `id = \"team/token.txt\"`"));
    }
    Ok(())
}

/// Every spelling of a target in a directory, as one text each.
pub(super) fn in_directory(target: &Target) -> Vec<String> {
    let found = files(target).unwrap_or_default();
    found
        .into_iter()
        .map(|file| match file.field {
            Some(field) => format!("{}#{field}", file.path),
            None => file.path,
        })
        .collect()
}

/// Every spelling of a target in a document, as one text each.
pub(super) fn in_document(target: &Target) -> Vec<String> {
    keys(target).iter().map(|way| shown(way)).collect()
}

/// A key of a document as errors show it.
pub(super) fn shown(way: &[String]) -> String {
    way.join(" → ")
}

/// Refuses two spellings of one name that are both there.
pub(super) fn ambiguous(first: &str, second: &str, place: &str) -> Error {
    Error::new(
        ErrorKind::Config,
        format!("{first} and {second} are both in {place}, and both spell this name"),
    )
    .with_help("keep one of them")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn target(name: &str) -> Target {
        Target::new(name.parse().unwrap())
    }

    #[test]
    fn files_of_a_name() {
        for (name, expected) in [
            ("token", &["token", "TOKEN"][..]),
            ("TOKEN", &["TOKEN"]),
            ("a/b-c", &["a/b-c", "a.b-c", "a_b-c", "A_B_C"]),
            (
                "db#pass",
                &["db.json#pass", "db.pass", "db_pass", "DB_PASS"],
            ),
            (
                "a/b#c",
                &[
                    "a/b.json#c",
                    "a.b.json#c",
                    "a_b.json#c",
                    "a.b.c",
                    "a_b_c",
                    "A_B_C",
                ],
            ),
        ] {
            assert_eq!(in_directory(&target(name)), expected, "{name}");
        }
    }

    #[test]
    fn keys_of_a_name() {
        for (name, expected) in [
            ("token", &["token", "TOKEN"][..]),
            ("a/b", &["a → b", "a/b", "a.b", "a_b", "A_B"]),
            ("a#b", &["a → b", "a#b", "a/b", "a.b", "a_b", "A_B"]),
            ("1a", &["1a", "1A", "_1A"]),
        ] {
            assert_eq!(in_document(&target(name)), expected, "{name}");
        }
    }

    #[test]
    fn an_id_stays_inside_the_root() {
        for id in [
            "../x",
            "/etc/passwd",
            "a//b",
            ".hidden",
            "a/..data/b",
            "",
            "a\0",
        ] {
            let error = files(&target("a").with_id(id, None)).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Config, "{id:?}");
        }
        let with_field = target("a").with_id("x/y!.json", Some("z".to_owned()));
        assert_eq!(in_directory(&with_field), ["x/y!.json#z"]);
    }
}
