//! Checks of the committed text itself: what no compiler and no linter looks for.

use std::fmt;
use std::fs;

use crate::Result;
use crate::command::{output, program};
use crate::rust_code::code_only;
use crate::workspace::root;

mod code;
mod comparisons;
mod exposures;
mod supply;
mod text;

/// Finds what breaks one rule.
type Rule = fn(&[SourceFile]) -> Vec<Finding>;

const RULES: &[Rule] = &[
    text::lock_files,
    text::registries,
    text::machine_paths,
    text::links,
    text::long_files,
    code::backends_unnamed,
    code::layers_unnamed,
    code::environment_read_once,
    code::environment_unchanged,
    code::no_unsafe,
    code::random_in_one_room,
    code::no_build_scripts,
    code::derive_is_pure,
    exposures::reasons,
    supply::dependencies_listed,
    comparisons::of_exposed,
    comparisons::of_seals,
];

/// One file of the repository.
#[derive(Debug, PartialEq, Eq)]
struct SourceFile {
    /// Its path from the root, with `/` between the parts.
    path: String,
    text: String,
    /// Its code without comments and texts, if it is Rust; else nothing.
    code: String,
}

impl SourceFile {
    fn new(path: impl Into<String>, text: impl Into<String>) -> Self {
        let (path, text) = (path.into(), text.into());
        let code = match path.ends_with(".rs") {
            true => code_only(&text),
            false => String::new(),
        };
        Self { path, text, code }
    }
}

/// What is wrong, and where.
#[derive(Debug, PartialEq, Eq)]
struct Finding {
    path: String,
    /// Counted from one; zero for the file as a whole.
    line: usize,
    message: String,
    /// Whether it stops the check, or is only shown.
    fatal: bool,
}

impl Finding {
    fn new(file: &SourceFile, line: usize, message: impl Into<String>) -> Self {
        Self {
            path: file.path.clone(),
            line,
            message: message.into(),
            fatal: true,
        }
    }

    fn warning(file: &SourceFile, message: impl Into<String>) -> Self {
        Self {
            fatal: false,
            ..Self::new(file, 0, message)
        }
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let word = if self.fatal { "error" } else { "warning" };
        match self.line {
            0 => write!(f, "{word}: {}: {}", self.path, self.message),
            line => write!(f, "{word}: {}:{line}: {}", self.path, self.message),
        }
    }
}

pub(crate) fn check() -> Result<String> {
    let files = committed()?;
    let findings: Vec<_> = RULES.iter().flat_map(|rule| rule(&files)).collect();
    for finding in &findings {
        eprintln!("{finding}");
    }
    let fatal = findings.iter().filter(|finding| finding.fatal).count();
    let warnings = findings.len().saturating_sub(fatal);
    match fatal {
        0 => Ok(format!("{} files, {warnings} warnings", files.len())),
        _ => Err(format!("{fatal} findings in the sources, listed above")),
    }
}

/// Shows every place that exposes, endangers or is `unsafe`, with its reason.
pub(crate) fn show_exposures() -> Result<()> {
    let files = committed()?;
    print!("{}", exposures::list(&files));
    match exposures::reasons(&files).len() {
        0 => Ok(()),
        without => Err(format!("{without} of them have no reason beside them")),
    }
}

/// Reads the text files that are committed, or would be by `git add`.
fn committed() -> Result<Vec<SourceFile>> {
    let args = [
        "ls-files",
        "-z",
        "--cached",
        "--others",
        "--exclude-standard",
    ];
    let paths = output(program("git", &args))?;
    let files = paths.split_terminator('\0').filter_map(|path| {
        // A file that is deleted and not yet committed so, or that is no text, has nothing to check.
        let text = fs::read_to_string(root().join(path)).ok()?;
        Some(SourceFile::new(path, text))
    });
    Ok(files.collect())
}

/// Returns the number of the line that holds the byte `at`.
fn line_of(text: &str, at: usize) -> usize {
    let before = text.get(..at).unwrap_or_default();
    before.matches('\n').count().saturating_add(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Runs a rule on files of path and text; returns `path:line` of each finding.
    #[track_caller]
    pub(super) fn found(rule: Rule, files: &[(&str, &str)]) -> Vec<String> {
        let files: Vec<_> = files
            .iter()
            .map(|(path, text)| SourceFile::new(*path, *text))
            .collect();
        let place = |finding: Finding| format!("{}:{}", finding.path, finding.line);
        rule(&files).into_iter().map(place).collect()
    }

    #[test]
    fn this_repository_keeps_the_rules() {
        check().unwrap();
        assert!(
            committed()
                .unwrap()
                .iter()
                .any(|file| file.path == "xtask/src/sources.rs")
        );
    }

    #[test]
    fn a_finding_names_its_place() {
        let file = SourceFile::new("a.rs", "");
        assert_eq!(
            Finding::new(&file, 3, "is wrong").to_string(),
            "error: a.rs:3: is wrong"
        );
        assert_eq!(
            Finding::warning(&file, "is long").to_string(),
            "warning: a.rs: is long"
        );
    }
}
