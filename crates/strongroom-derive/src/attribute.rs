//! Reading `#[secret(…)]`: each setting once, and everything that is wrong at once.

use std::fmt::Display;

use syn::meta::ParseNestedMeta;
use syn::spanned::Spanned;
use syn::{Attribute, Error, LitInt, LitStr, Result, Token};

/// What is wrong, all of it.
#[derive(Default)]
pub(crate) struct Problems(Option<Error>);

impl Problems {
    pub(crate) fn push(&mut self, error: Error) {
        match &mut self.0 {
            Some(all) => all.combine(error),
            None => self.0 = Some(error),
        }
    }

    pub(crate) fn say(&mut self, at: impl Spanned, message: impl Display) {
        self.push(Error::new(at.span(), message));
    }

    /// Keeps what is wrong with a value, and returns the value where nothing is.
    pub(crate) fn keep<T>(&mut self, result: Result<T>) -> Option<T> {
        result.map_err(|error| self.push(error)).ok()
    }

    pub(crate) fn finish(self) -> Result<()> {
        self.0.map_or(Ok(()), Err)
    }
}

/// Calls `read` for each setting of each `#[secret(…)]`. A setting that was read twice is refused.
pub(crate) fn each(
    attributes: &[Attribute],
    problems: &mut Problems,
    mut read: impl FnMut(&str, &ParseNestedMeta<'_>, &mut Problems) -> Result<()>,
) {
    let mut seen: Vec<String> = Vec::new();
    for attribute in attributes {
        if !attribute.path().is_ident("secret") {
            continue;
        }
        let parsed = attribute.parse_nested_meta(|meta| {
            let key = match meta.path.get_ident() {
                Some(key) => key.to_string(),
                None => return Err(meta.error("a setting is one word")),
            };
            if seen.contains(&key) {
                problems.say(&meta.path, format!("`{key}` stands here twice"));
            }
            seen.push(key.clone());
            read(&key, &meta, problems)
        });
        if let Err(error) = parsed {
            problems.push(error);
        }
    }
}

/// Refuses a setting, and says which there are.
pub(crate) fn unknown(key: &str, meta: &ParseNestedMeta<'_>, known: &[&str]) -> Error {
    let known = known.join("`, `");
    meta.error(match key {
        "default" => {
            "a secret has no default in code, where everybody who has the program could read \
                      it; for development, write one into the manifest"
                .to_owned()
        }
        _ => format!("`{key}` is no setting here; there are `{known}`"),
    })
}

/// Reads `key = "text"`.
pub(crate) fn text(meta: &ParseNestedMeta<'_>) -> Result<LitStr> {
    meta.value()?.parse()
}

/// Reads `key = 12`.
pub(crate) fn number(meta: &ParseNestedMeta<'_>) -> Result<usize> {
    let literal: LitInt = meta.value()?.parse()?;
    match literal.base10_parse() {
        Ok(0) | Err(_) => Err(Error::new(
            literal.span(),
            "a length is a whole number, 1 or more",
        )),
        Ok(number) => Ok(number),
    }
}

/// Reads a `key` that stands alone.
pub(crate) fn flag(key: &str, meta: &ParseNestedMeta<'_>) -> Result<()> {
    match meta.input.peek(Token![=]) {
        true => Err(meta.error(format!("`{key}` stands alone, without a value"))),
        false => Ok(()),
    }
}

/// Checks that a text is one of the known words.
pub(crate) fn one_of(literal: &LitStr, what: &str, known: &[&str]) -> Result<String> {
    let word = literal.value();
    match known.contains(&word.as_str()) {
        true => Ok(word),
        false => Err(Error::new(
            literal.span(),
            format!("`{word}` is no {what}; there are `{}`", known.join("`, `")),
        )),
    }
}
