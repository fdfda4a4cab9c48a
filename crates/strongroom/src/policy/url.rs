//! URLs that hold a password.

use percent_encoding::percent_decode;
use zeroize::Zeroizing;

use super::{Findings, password, placeholders, rule};
use crate::declared::Kind;

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

pub(super) fn is_scheme(scheme: &str) -> bool {
    let valid = |c: char| c.is_ascii_alphanumeric() || "+-.:".contains(c);
    // `jdbc:postgresql` holds a colon; nothing that long is a scheme.
    scheme.len() <= 32
        && scheme.starts_with(|c: char| c.is_ascii_alphabetic())
        && scheme.chars().all(valid)
}

/// Accepts hosts and addresses, several of them, each with or without a port.
pub(super) fn is_host(hosts: &str) -> bool {
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

    proptest! {
        #[test]
        fn never_panics(text in ".{0,200}") {
            let _ = Parts::of(&text).is_some();
        }
    }
}
