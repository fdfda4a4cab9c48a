//! Finds secret variables that source code hands to a log or to standard output.
//!
//! This reads the arguments of a call, not the whole language: a name counts if it stands for the value
//! itself, `config.api_token` and `password.trim()`, and not if only something about it is printed,
//! `token.len()`, `secret_name`, `fingerprint(&token)`.

use std::ops::Range;
use std::path::Path;

use regex::bytes::{Regex, RegexBuilder};
use strongroom::{Error, ErrorKind, Result};

use super::lines::Lines;

mod arguments;
mod names;

/// The rule's identifier.
pub(super) const RULE: &str = "logged-secret";

/// The most bytes of one call's arguments that are read.
const MOST_ARGUMENTS: usize = 4096;

/// How a language logs.
struct Language {
    extensions: &'static [&'static str],
    /// Ends behind the parenthesis that opens the arguments.
    call: &'static str,
    syntax: arguments::Syntax,
}

const LANGUAGES: &[Language] = &[
    Language {
        extensions: &["rs"],
        call: r"\b(?:e?print(?:ln)?|dbg|panic|(?:tracing::|log::)?(?:trace|debug|info|warn|error))!\s{0,4}\(",
        syntax: arguments::Syntax {
            comment: "//",
            quotes: "\"",
            holes: Some(("", "{", "}")),
        },
    },
    Language {
        extensions: &["js", "jsx", "mjs", "cjs", "ts", "tsx", "mts", "cts"],
        call: r"\b(?:console|log|logger)\.(?:trace|debug|info|log|warn|error|fatal|dir)\(",
        syntax: arguments::Syntax {
            comment: "//",
            quotes: "\"'`",
            holes: Some(("`", "${", "}")),
        },
    },
    Language {
        extensions: &["py"],
        call: r"\b(?:print|pprint|(?:logging|log|logger)\.(?:debug|info|warn|warning|error|exception|critical|log))\(",
        syntax: arguments::Syntax {
            comment: "#",
            quotes: "\"'",
            holes: Some(("f", "{", "}")),
        },
    },
    Language {
        extensions: &["go"],
        call: r"\b(?:fmt\.Print(?:f|ln)?|fmt\.Fprint(?:f|ln)?|(?i-u:slog|log|logger)\.(?:Print|Fatal|Panic|Trace|Debug|Info|Warn|Error)(?:f|ln|w)?)\(",
        syntax: arguments::Syntax {
            comment: "//",
            quotes: "\"`",
            holes: None,
        },
    },
    Language {
        extensions: &["java", "kt", "kts", "scala", "cs"],
        call: r"\b(?:System\.(?:out|err)\.print(?:f|ln)?|println|Console\.Write(?:Line)?|(?i-u:log|logger)\.(?:trace|debug|info|warn|error|severe|warning|fine|finer|finest))\(",
        syntax: arguments::Syntax {
            comment: "//",
            quotes: "\"",
            holes: Some(("$", "{", "}")),
        },
    },
];

/// The calls of each language, compiled.
pub(super) struct Logging(Vec<Regex>);

impl Logging {
    pub(super) fn new() -> Result<Self> {
        let calls = LANGUAGES.iter().map(|language| {
            let mut call = RegexBuilder::new(language.call);
            call.unicode(false).build().map_err(|_| {
                Error::new(
                    ErrorKind::Unsupported,
                    "the rules for logging can't be compiled",
                )
            })
        });
        Ok(Self(calls.collect::<Result<_>>()?))
    }

    /// Finds the names of secret variables in calls that log.
    pub(super) fn find(&self, path: &Path, text: &[u8]) -> Vec<Range<usize>> {
        let extension = path.extension().and_then(|extension| extension.to_str());
        let of = |language: &&Language| {
            extension.is_some_and(|found| language.extensions.contains(&found))
        };
        let languages = LANGUAGES.iter().zip(&self.0);
        let Some((language, call)) = languages.into_iter().find(|(language, _)| of(language))
        else {
            return Vec::new();
        };
        let mut found = Vec::new();
        let lines = Lines::of(text);
        let is_comment = |line: &[u8]| {
            let line = line.trim_ascii_start();
            line.starts_with(language.syntax.comment.as_bytes()) || line.starts_with(b"*")
        };
        // The line that was looked at last.
        let mut last = None;
        for call in call.find_iter(text) {
            let start = lines.start_of(call.start());
            let (_, comment) = match last {
                Some((at, comment)) if at == start => (at, comment),
                _ => *last.insert((start, is_comment(lines.line_at(start)))),
            };
            if comment {
                continue;
            }
            let end = call.end().saturating_add(MOST_ARGUMENTS).min(text.len());
            let rest = text.get(call.end()..end).unwrap_or_default();
            let name = arguments::secret(rest, &language.syntax);
            found.extend(name.map(|name| {
                let at = |offset: usize| call.end().saturating_add(offset);
                at(name.start)..at(name.end)
            }));
        }
        found
    }
}

#[cfg(test)]
mod tests;
