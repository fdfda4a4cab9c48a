//! URLs as they may be shown.

use percent_encoding::percent_decode;

use super::url::{is_host, is_scheme};

const REDACTED: &str = "[REDACTED]";

/// Shows a URL without its credentials: user and password, sensitive parameters of the query and
/// of the fragment, and long random segments of the path.
///
/// In doubt it hides too much: of a text that is no URL nothing is shown, and where an `@` stands
/// behind a `/`, `?`, `#` or `;`, which may belong to a password that should have escaped it, the
/// scheme alone.
///
/// ```
/// use strongroom::policy::redact_url;
///
/// let url = "postgres://app:hunter2@db.internal:5432/app?sslpassword=x&sslmode=require";
/// assert_eq!(
///     redact_url(url),
///     "postgres://[REDACTED]@db.internal:5432/app?sslpassword=[REDACTED]&sslmode=require",
/// );
/// assert_eq!(redact_url("host=db password=hunter2"), "[REDACTED]");
/// ```
pub fn redact_url(text: &str) -> String {
    let parts = text.split_once("://").filter(|(scheme, rest)| {
        is_scheme(scheme) && !rest.contains(|c: char| c.is_control() || c.is_whitespace())
    });
    let Some((scheme, rest)) = parts else {
        return REDACTED.to_owned();
    };
    let mut out = format!("{scheme}://");
    let rest = match rest.rsplit_once('@') {
        None => rest,
        Some((user_info, rest)) => {
            out.push_str(REDACTED);
            if user_info.contains(['/', '?', '#', ';']) {
                return out;
            }
            out.push('@');
            rest
        }
    };
    let location_end = rest.find(['?', '#', ';']).unwrap_or(rest.len());
    let (location, parameters) = rest.split_at_checked(location_end).unwrap_or((rest, ""));
    redact_location(location, &mut out);
    redact_parameters(parameters, &mut out);
    out
}

/// Writes host and path. `hooks.example.com/services/T0/B0/…` has its credential in the path.
fn redact_location(location: &str, out: &mut String) {
    let host_end = location.find('/').unwrap_or(location.len());
    let (host, path) = location
        .split_at_checked(host_end)
        .unwrap_or((location, ""));
    // Credentials whose `@host` is missing or was cut off must not be taken for a host.
    out.push_str(if host.is_empty() || is_host(host) {
        host
    } else {
        REDACTED
    });
    let is_random = |segment: &str| {
        segment.len() >= 20 && segment.contains(|c: char| c.is_ascii_digit() || c == '%')
    };
    for segment in path.split('/').skip(1) {
        out.push('/');
        out.push_str(if is_random(segment) {
            REDACTED
        } else {
            segment
        });
    }
}

/// Writes `?key=value&key=value#…`, without the values of sensitive keys.
fn redact_parameters(mut rest: &str, out: &mut String) {
    while let Some(separator) = rest.chars().next() {
        let after = rest.get(separator.len_utf8()..).unwrap_or_default();
        let until = |separators: &[char]| {
            let end = after.find(separators).unwrap_or(after.len());
            after.split_at_checked(end).unwrap_or((after, ""))
        };
        let (pair, next) = until(&['?', '&', ';', '#']);
        rest = next;
        out.push(separator);
        match pair.split_once('=') {
            Some((key, _)) if is_sensitive(key) => {
                out.extend([key, "=", REDACTED]);
                // Another separator may be a part of the value.
                (_, rest) = until(&['&']);
            }
            None if !is_plain_word(pair) => out.push_str(REDACTED),
            _ => out.push_str(pair),
        }
    }
}

fn is_plain_word(text: &str) -> bool {
    text.len() < 20
        && text
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || "-_.".contains(c))
}

fn is_sensitive(key: &str) -> bool {
    const WORDS: &[&str] = &[
        "pass", "pwd", "secret", "token", "key", "sig", "cred", "auth", "jwt", "code", "user",
    ];
    // Some programs decode more than once; a key that still holds an escape then is hidden too.
    let mut key = key.as_bytes().to_vec();
    for _ in 0..3 {
        key = percent_decode(&key).collect();
    }
    let key = String::from_utf8_lossy(&key).to_ascii_lowercase();
    key.contains('%') || WORDS.iter().any(|word| key.contains(word))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn redacts() {
        for (url, shown) in [
            (
                "https://db.example/a/b?x=1#top",
                "https://db.example/a/b?x=1#top",
            ),
            (
                "redis://:canary@[::1]:6379/0",
                "redis://[REDACTED]@[::1]:6379/0",
            ),
            ("https://canary@host", "https://[REDACTED]@host"),
            ("pg://u:can/ary@host/db", "pg://[REDACTED]"),
            ("pg://u:can?ary@x@host/db", "pg://[REDACTED]"),
            ("pg://u:canary", "pg://[REDACTED]"),
            (
                "pg://h/d?password=canary&x=1",
                "pg://h/d?password=[REDACTED]&x=1",
            ),
            (
                "pg://h/d?pass%77ord=canary",
                "pg://h/d?pass%77ord=[REDACTED]",
            ),
            (
                "pg://h/d?pass%2577ord=canary",
                "pg://h/d?pass%2577ord=[REDACTED]",
            ),
            ("pg://h/d?PassWord=can;ary", "pg://h/d?PassWord=[REDACTED]"),
            (
                "https://h/#access_token=canary",
                "https://h/#access_token=[REDACTED]",
            ),
            (
                "jdbc:sqlserver://h:1;password=canary;x=1",
                "jdbc:sqlserver://h:1;password=[REDACTED]",
            ),
            (
                "https://h/services/T0/canary-abcdefghijklm-123/x",
                "https://h/services/T0/[REDACTED]/x",
            ),
            (
                "https://h/?canary-abcdefghijklm-123",
                "https://h/?[REDACTED]",
            ),
            ("host=h password=canary", "[REDACTED]"),
            ("user:canary@tcp(h)/db", "[REDACTED]"),
            ("pg://h/d\npassword=canary", "[REDACTED]"),
            ("", "[REDACTED]"),
        ] {
            assert_eq!(redact_url(url), shown, "{url}");
        }
    }

    proptest! {
        #[test]
        fn no_password_survives(
            password in "[!-~]{0,10}canary[!-~]{0,10}",
            path in "[a-z/]{0,10}",
        ) {
            let value = password.replace('&', "%26");
            for url in [
                format!("pg://user:{password}@host/{path}"),
                format!("pg://{password}@host/{path}"),
                format!("pg://host/{path}?a=1&api_key={value}"),
                format!("pg://user:p@host/{path}?sslpassword={value}&x=1"),
                format!("jdbc:pg://host:1;user=x;password={value}"),
                format!("https://host/{path}#access_token={value}"),
            ] {
                prop_assert!(!redact_url(&url).contains("canary"), "{}", url);
            }
        }

        #[test]
        fn never_panics(text in ".{0,200}") {
            redact_url(&text);
        }
    }
}
