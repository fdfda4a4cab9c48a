//! What the fuzz target of a program's answers runs.

use zeroize::Zeroizing;

use super::answer;
use super::introduction::Introduction;
use super::object::Problem;
use crate::fuzzing::never_quotes;
use crate::name::SecretName;
use crate::provider::{Reply, Request};
use crate::secret::{MAX_VALUE_BYTES, Version};

/// An answer to the operation that the first byte chooses.
#[allow(
    clippy::missing_panics_doc,
    reason = "to panic is what these functions are for"
)]
pub fn exec_answer(data: &[u8]) {
    const NAME: SecretName = SecretName::from_static("a/b#c");
    let Some((operation, text)) = data.split_first() else {
        return;
    };
    let body = || Zeroizing::new(text.to_vec());
    match operation % 7 {
        0 => {
            let known = Request::from(NAME).with_known(Version::new("1"));
            let wanted = [&Request::from(NAME), &known];
            for reply in unquoted(text, answer::replies(body(), &wanted)).unwrap_or_default() {
                if let Some(Reply::Value(secret)) = unquoted(text, reply) {
                    assert!(secret.len() <= MAX_VALUE_BYTES);
                    assert_eq!(secret.metadata().name(), Some(&NAME));
                }
            }
        }
        1 => {
            if let Some(introduction) = unquoted(text, Introduction::read(body())) {
                assert!(!introduction.name.contains(char::is_control));
                assert!(!introduction.version.contains(char::is_control));
            }
        }
        2 => {
            let names = unquoted(text, answer::names(body(), "a")).unwrap_or_default();
            assert!(names.iter().all(|name| name.as_str().starts_with("a")));
            assert!(names.is_sorted());
        }
        3 => drop(unquoted(text, answer::history(body()))),
        4 => drop(unquoted(text, answer::written(body()))),
        5 => drop(unquoted(text, answer::degraded(body()))),
        _ => drop(unquoted(text, answer::done(body()))),
    }
}

fn unquoted<T>(text: &[u8], outcome: Result<T, Problem>) -> Option<T> {
    outcome
        .map_err(|problem| never_quotes(text, &format!("{problem:?}")))
        .ok()
}
