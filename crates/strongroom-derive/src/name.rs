//! Names of secrets: their rules, which are those of `strongroom::SecretName`, and their conventions.

/// The most bytes that a name may have.
const MOST_BYTES: usize = 256;

/// Says which rule a name breaks.
pub(crate) fn problem(name: &str) -> Option<String> {
    if name.is_empty() {
        return Some("a secret's name can't be empty".to_owned());
    }
    if name.len() > MOST_BYTES {
        return Some(format!("a secret's name has at most {MOST_BYTES} bytes"));
    }
    let allowed = |c: &char| c.is_ascii_alphanumeric() || "._-/#".contains(*c);
    if let Some(other) = name.chars().find(|c| !allowed(c)) {
        return Some(format!(
            "a secret's name can't hold {other:?}: it consists of A-Z a-z 0-9 . _ - with / between segments, \
             such as `database/password` or `database#password`"
        ));
    }
    let (path, field) = match name.split_once('#') {
        Some((path, field)) => (path, Some(field)),
        None => (name, None),
    };
    if field.is_some_and(|field| field.contains(['#', '/'])) {
        return Some("a secret's name ends with its one `#field`".to_owned());
    }
    for segment in path.split('/').chain(field) {
        if segment.is_empty() {
            return Some("a secret's name has no empty segment".to_owned());
        }
        if segment.starts_with('.') {
            return Some("no segment of a secret's name begins with a dot".to_owned());
        }
    }
    None
}

/// Says why a text can't stand before names.
pub(crate) fn prefix_problem(prefix: &str) -> Option<String> {
    if prefix.is_empty() {
        return None;
    }
    if prefix.ends_with('/') {
        return Some("write a prefix without its last `/`".to_owned());
    }
    if prefix.contains('#') {
        return Some("a prefix is a path, without a `#field`".to_owned());
    }
    problem(prefix)
}

/// Puts a prefix before a name.
pub(crate) fn join(prefix: &str, name: &str) -> String {
    match (prefix, name) {
        ("", name) => name.to_owned(),
        (prefix, "") => prefix.to_owned(),
        (prefix, name) => format!("{prefix}/{name}"),
    }
}

/// The conventions by which a field's name is the secret's.
pub(crate) const CONVENTIONS: [&str; 6] = [
    "snake_case",
    "kebab-case",
    "camelCase",
    "PascalCase",
    "SCREAMING_SNAKE_CASE",
    "path",
];

/// Returns the name of a field's secret by a convention.
pub(crate) fn renamed(field: &str, convention: &str) -> String {
    let words = || field.split('_').filter(|word| !word.is_empty());
    match convention {
        "kebab-case" => words().collect::<Vec<_>>().join("-"),
        "path" => words().collect::<Vec<_>>().join("/"),
        "SCREAMING_SNAKE_CASE" => field.to_ascii_uppercase(),
        "PascalCase" => words().map(capital).collect(),
        "camelCase" => words()
            .enumerate()
            .map(|(at, word)| {
                if at == 0 {
                    word.to_owned()
                } else {
                    capital(word)
                }
            })
            .collect(),
        _ => field.to_owned(),
    }
}

fn capital(word: &str) -> String {
    let mut letters = word.chars();
    letters.next().map_or_else(String::new, |first| {
        first.to_uppercase().chain(letters).collect()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rules_are_those_of_the_library() {
        let long = "a".repeat(257);
        for name in [
            "a",
            "database/password",
            "a.b_c-D/9",
            "database#password",
            "a/b#c.d",
            "",
            "/a",
            "a/",
            "a//b",
            ".a",
            "a/.b",
            "a/..",
            "..",
            "a#",
            "#a",
            "a#b#c",
            "a#b/c",
            "a#.b",
            "a b",
            "a\0",
            "ä",
            "a/\n",
            "a:b",
            &long,
        ] {
            let valid = strongroom::SecretName::parse(name).is_ok();
            assert_eq!(
                problem(name).is_none(),
                valid,
                "{name:?}: {:?}",
                problem(name)
            );
        }
    }

    #[test]
    fn a_field_is_named_by_a_convention() {
        let all = CONVENTIONS.map(|convention| renamed("api_signing_key", convention));
        assert_eq!(
            all,
            [
                "api_signing_key",
                "api-signing-key",
                "apiSigningKey",
                "ApiSigningKey",
                "API_SIGNING_KEY",
                "api/signing/key"
            ]
        );
    }
}
