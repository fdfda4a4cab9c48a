//! URLs that hold a password: their check, and their redaction.

use percent_encoding::percent_decode;
use zeroize::Zeroizing;

use super::{Findings, password, placeholders, rule};
use crate::declared::Kind;

const REDACTED: &str = "[REDACTED]";

pub(super) fn check(value: &[u8], found: &mut Findings<'_>) {
    let Some(url) = std::str::from_utf8(value).ok().and_then(Parts::of) else {
        if placeholders::is_placeholder(value, Kind::Url) {
            found.placeholder("the value");
        }
        let message = "the value is not a URL of the form scheme://user:password@host";
        let help = "write the scheme and the host; in user and password, write the characters \
                    / ? # @ : % and blanks as %2F %3F %23 %40 %3A %25 %20";
        found.violation(rule::URL_MALFORMED, message, help);
        return;
    };
    let password = url
        .password()
        .map(decode)
        .filter(|password| !password.is_empty());
    let Some(password) = password else {
        let message = "the URL holds no password";
        let help = "write it as scheme://user:password@host; a URL without one is no secret, \
                    and belongs in the configuration";
        found.violation(rule::URL_WITHOUT_PASSWORD, message, help);
        return;
    };
    let is_placeholder = placeholders::is_placeholder(&password, Kind::Password);
    if is_placeholder {
        found.placeholder("the URL's password");
    }
    password::check_in_url(&password, is_placeholder, found);
}

/// Shows a URL without its credentials: user and password, sensitive parameters of the query and
/// of the fragment, and long random segments of the path.
///
/// In doubt it hides too much. Everything before the last `@` counts as credentials, since a
/// password may hold unescaped `/`, `?` and `@`; of a text that is no URL nothing is shown.
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
        Some((_, rest)) => {
            out.push_str(REDACTED);
            out.push('@');
            rest
        }
        None => rest,
    };
    let location_end = rest.find(['?', '#', ';']).unwrap_or(rest.len());
    let (location, parameters) = rest.split_at_checked(location_end).unwrap_or((rest, ""));
    redact_location(location, &mut out);
    redact_parameters(parameters, &mut out);
    out
}

/// A URL, as far as finding its password needs it.
struct Parts<'u> {
    user_info: Option<&'u str>,
    query: &'u str,
}

impl<'u> Parts<'u> {
    fn of(text: &'u str) -> Option<Self> {
        let (scheme, rest) = text.split_once("://")?;
        if !is_scheme(scheme) || rest.contains(|c: char| c.is_whitespace() || c.is_control()) {
            return None;
        }
        let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
        let (authority, location) = rest.split_at_checked(end)?;
        let (user_info, host) = match authority.rsplit_once('@') {
            Some((user_info, host)) => (Some(user_info), host),
            None => (None, authority),
        };
        let query = location.split_once('?').map_or("", |(_, query)| query);
        let query = query.split_once('#').map_or(query, |(query, _)| query);
        // A driver may take the host, a socket's directory for example, from the query.
        let has_host = parameters(query).any(|(key, _)| key == "host");
        (is_host(host) || (host.is_empty() && has_host)).then_some(Self { user_info, query })
    }

    fn password(&self) -> Option<&'u str> {
        let of_user = self
            .user_info
            .and_then(|user_info| user_info.split_once(':'));
        let is_password = |key: &str| matches!(key, "password" | "passwd" | "pwd");
        of_user.map(|(_, password)| password).or_else(|| {
            let mut parameters = parameters(self.query);
            parameters.find_map(|(key, value)| is_password(key).then_some(value))
        })
    }
}

fn parameters(query: &str) -> impl Iterator<Item = (&str, &str)> {
    query.split('&').filter_map(|pair| pair.split_once('='))
}

fn is_scheme(scheme: &str) -> bool {
    let valid = |c: char| c.is_ascii_alphanumeric() || "+-.:".contains(c);
    // `jdbc:postgresql` holds a colon; nothing that long is a scheme.
    scheme.len() <= 32
        && scheme.starts_with(|c: char| c.is_ascii_alphabetic())
        && scheme.chars().all(valid)
}

/// Accepts hosts and addresses, several of them, each with or without a port.
fn is_host(hosts: &str) -> bool {
    let valid = |c: char| c.is_alphanumeric() || "-._~%".contains(c);
    let is_port = |port: &str| port.is_empty() || port.parse::<u16>().is_ok();
    hosts.split(',').all(|host| match host.strip_prefix('[') {
        Some(v6) => v6.split_once(']').is_some_and(|(address, port)| {
            let address = address
                .split_once('%')
                .map_or(address, |(address, _)| address);
            address.parse::<std::net::Ipv6Addr>().is_ok()
                && (port.is_empty() || port.strip_prefix(':').is_some_and(is_port))
        }),
        None => {
            let (host, port) = host.rsplit_once(':').unwrap_or((host, ""));
            !host.is_empty() && host.chars().all(valid) && is_port(port)
        }
    })
}

fn decode(text: &str) -> Zeroizing<Vec<u8>> {
    // As many bytes as the text has are enough, so that the buffer never moves.
    let mut decoded = Zeroizing::new(Vec::with_capacity(text.len()));
    decoded.extend(percent_decode(text.as_bytes()));
    decoded
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
    let mut hiding = false;
    while let Some(separator) = rest.chars().next() {
        let after = rest.get(separator.len_utf8()..).unwrap_or_default();
        let end = after.find(['?', '&', ';', '#']).unwrap_or(after.len());
        let (pair, next) = after.split_at_checked(end).unwrap_or((after, ""));
        rest = next;
        match pair.split_once('=') {
            Some((key, value)) => {
                hiding = is_sensitive(key);
                out.push(separator);
                out.push_str(key);
                out.push('=');
                out.push_str(if hiding { REDACTED } else { value });
            }
            // Without a `=` it may be the rest of a value that holds a separator.
            None if hiding => {}
            None => {
                out.push(separator);
                out.push_str(if is_plain_word(pair) { pair } else { REDACTED });
            }
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
    fn finds_the_password() {
        let password = |text: &str| {
            let password = Parts::of(text)?.password().map(decode)?;
            Some(String::from_utf8(password.to_vec()).unwrap())
        };
        for (url, expected) in [
            ("postgres://app:a%40b@db:5432/app", Some("a@b")),
            ("postgres://app:a@b@db/app", Some("a@b")),
            ("redis://:pw@[::1]:6379/0", Some("pw")),
            (
                "mongodb+srv://u:p:q@a.example,b.example:27017/x",
                Some("p:q"),
            ),
            (
                "jdbc:postgresql://db/app?user=app&password=p%26q",
                Some("p&q"),
            ),
            ("postgres://app:pw@/app?host=/run/postgresql", Some("pw")),
            ("https://db/", None),
            ("https://user@db/", None),
            ("postgres://app:p/w@db/app", None),
            ("://a:b@c", None),
            ("a b://a:b@c", None),
            ("postgres://app:pw@/app", None),
            ("postgres://app:pw@db:port/app", None),
            ("app:pw@db", None),
        ] {
            assert_eq!(password(url).as_deref(), expected, "{url}");
        }
    }

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
            ("pg://u:can/ary@host/db", "pg://[REDACTED]@host/db"),
            ("pg://u:can?ary@x@host/db", "pg://[REDACTED]@host/db"),
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
                "jdbc:sqlserver://h:1;password=[REDACTED];x=1",
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
            for url in [
                format!("pg://user:{password}@host/{path}"),
                format!("pg://{password}@host/{path}"),
                format!("pg://host/{path}?a=1&api_key={}", password.replace('&', "%26")),
                format!("pg://user:p@host/{path}?sslpassword={}", password.replace('&', "%26")),
            ] {
                // After a separator an unescaped value can't be told from the next parameter.
                prop_assume!(!password.contains(['=', '@']) || url.contains("@host"));
                prop_assert!(!redact_url(&url).contains("canary"), "{}", url);
            }
        }

        #[test]
        fn never_panics(text in ".{0,200}") {
            let _ = (redact_url(&text), Parts::of(&text).is_some());
        }
    }
}
