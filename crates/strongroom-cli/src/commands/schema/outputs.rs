//! The schemas of what commands print, one file for each: a command's entry here is all that adds it.

/// What the schemas refer to, by name.
pub(super) const COMMON: &str = include_str!("../../schemas/common.json");

/// The commands that print documents of their own. The version is added to each of their forms.
pub(super) const COMMANDS: &[(&str, &str)] = &[
    ("init", include_str!("../../schemas/init.json")),
    ("inspect", include_str!("../../schemas/inspect.json")),
    ("validate", include_str!("../../schemas/validate.json")),
    ("doctor", include_str!("../../schemas/doctor.json")),
    ("get", include_str!("../../schemas/get.json")),
    ("set", include_str!("../../schemas/set.json")),
    ("rm", include_str!("../../schemas/rm.json")),
    ("list", include_str!("../../schemas/list.json")),
    ("generate", include_str!("../../schemas/generate.json")),
    ("rotate", include_str!("../../schemas/rotate.json")),
    ("diff", include_str!("../../schemas/diff.json")),
    ("copy", include_str!("../../schemas/copy.json")),
    ("import", include_str!("../../schemas/import.json")),
    ("export", include_str!("../../schemas/export.json")),
    ("watch", include_str!("../../schemas/watch.json")),
    ("scan", include_str!("../../schemas/scan.json")),
    (
        "conformance",
        include_str!("../../schemas/conformance.json"),
    ),
    ("key", include_str!("../../schemas/key.json")),
    ("trust", include_str!("../../schemas/trust.json")),
    ("audit", include_str!("../../schemas/audit.json")),
    ("git-merge", include_str!("../../schemas/git-merge.json")),
    (
        "git-textconv",
        include_str!("../../schemas/git-textconv.json"),
    ),
];

/// The commands that print no document but that of a failure.
#[cfg(test)]
pub(super) const WITHOUT: &[&str] = &[
    "run",
    "redact",
    "git-credential",
    "completions",
    "man",
    "schema",
    "__complete",
];
