//! Which names stand for the value of a secret.

/// Words that name a secret by themselves, at the end of a name.
const SECRET: &[&str] = &[
    "password",
    "passwd",
    "passphrase",
    "secret",
    "secrets",
    "token",
    "credential",
    "credentials",
    "apikey",
    "passwords",
    "tokens",
];

/// Pairs of words that do.
const PAIRS: &[(&str, &str)] = &[
    ("api", "key"),
    ("api", "keys"),
    ("private", "key"),
    ("secret", "key"),
    ("access", "key"),
    ("master", "key"),
    ("signing", "key"),
    ("encryption", "key"),
    ("session", "key"),
];

/// Words behind those that still mean the value.
const VALUE: &[&str] = &[
    "value",
    "text",
    "str",
    "string",
    "bytes",
    "raw",
    "plain",
    "plaintext",
];

/// Methods that hand the value on as it is.
const TRANSPARENT: &[&str] = &[
    "clone",
    "cloned",
    "to_string",
    "to_owned",
    "into",
    "as_str",
    "as_ref",
    "as_bytes",
    "as_deref",
    "unwrap",
    "expect",
    "unwrap_or_default",
    "unwrap_or",
    "trim",
    "toString",
    "String",
    "trimEnd",
    "valueOf",
    "get",
    "getOrDefault",
    "decode",
    "encode",
    "strip",
    "iter",
    "first",
    "last",
];

/// Functions whose result shows their argument.
const SHOWING: &[&str] = &[
    "String",
    "str",
    "repr",
    "format",
    "stringify",
    "dumps",
    "toString",
    "string",
    "String.valueOf",
    "inspect",
    "Some",
    "Ok",
    "Sprintf",
    "Sprint",
    "Errorf",
    "valueOf",
    "display",
    "debug",
    "format_args",
    "anyhow",
    "join",
    "concat",
];

/// Methods by which a value is exposed.
const EXPOSING: &[&str] = &[
    "expose_secret",
    "expose_str",
    "expose_bytes",
    "to_secret_string",
];

/// Reports whether a path of names, `config.api_token.clone`, is the value of a secret.
pub(super) fn is_secret(path: &[&str]) -> bool {
    if path.iter().any(|name| EXPOSING.contains(name)) {
        return true;
    }
    let mut names = path
        .iter()
        .rev()
        .skip_while(|name| TRANSPARENT.contains(name));
    let Some(name) = names.next() else {
        return false;
    };
    let mut words = words(name);
    while words.len() > 1
        && words
            .last()
            .is_some_and(|last| VALUE.contains(&last.as_str()))
    {
        words.pop();
    }
    match words.as_slice() {
        [.., first, last] if PAIRS.contains(&(first.as_str(), last.as_str())) => true,
        [.., last] => SECRET.contains(&last.as_str()),
        [] => false,
    }
}

/// Reports whether a method that takes an argument hands on the value that it is called on.
pub(super) fn hands_on(method: &str) -> bool {
    ["expect", "unwrap_or"].contains(&method)
}

/// Reports whether a function shows what it is given, so that a secret within it is still shown.
pub(super) fn shows(function: &str) -> bool {
    SHOWING.contains(&function)
}

/// Splits a name into its words: at underscores, and where capitals begin.
fn words(name: &str) -> Vec<String> {
    let mut words: Vec<String> = Vec::new();
    let mut before = '_';
    for c in name.chars() {
        let begins = before == '_' || (c.is_uppercase() && before.is_lowercase());
        if c != '_' {
            if begins {
                words.push(String::new());
            }
            if let Some(word) = words.last_mut() {
                word.extend(c.to_lowercase());
            }
        }
        before = c;
    }
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_values_and_names_of_what_is_about_them() {
        for path in [
            "password",
            "db_password",
            "config.apiToken",
            "API_KEY",
            "token.clone",
            "secret_value",
            "x.expose_str",
            "userPassword",
            "secret.as_str.unwrap",
        ] {
            assert!(is_secret(&path.split('.').collect::<Vec<_>>()), "{path}");
        }
        for path in [
            "token_count",
            "token.len",
            "secret_name",
            "secret.name",
            "tokenizer",
            "passwordless",
            "key",
            "secrets.len",
            "password_hash",
            "clone",
            "public_key",
            "tokenType",
        ] {
            assert!(!is_secret(&path.split('.').collect::<Vec<_>>()), "{path}");
        }
    }
}
