//! The address of a provider: `scheme:rest`, without a URL library's tables.

use std::fmt;
use std::str::FromStr;

use percent_encoding::{AsciiSet, CONTROLS, percent_decode_str, utf8_percent_encode};
use serde::{Serialize, Serializer};

use crate::error::{Error, ErrorKind, Result};

/// The most bytes of an address that is parsed.
pub(crate) const MAX_URL_BYTES: usize = 2048;

/// What must be escaped in a path for the text to parse back to the same address.
const PATH: &AsciiSet = &CONTROLS.add(b' ').add(b'%').add(b'?').add(b'#');
/// The same for keys and values of a query.
const QUERY: &AsciiSet = &PATH.add(b'&').add(b'=').add(b'+');

/// The address of a provider, `scheme://authority/path?key=value` or `scheme:path?key=value`.
///
/// The path and the query's values are percent-decoded. A user name or password in the authority
/// is refused: an address is shown in traces and logs, and credentials have their own variables. One that
/// is parsed has at most 2048 bytes.
///
/// ```
/// use strongroom::ProviderUrl;
///
/// let url: ProviderUrl = "vault://vault.internal:8200/?mount=team/kv".parse()?;
/// assert_eq!(url.scheme(), "vault");
/// assert_eq!(url.authority(), Some("vault.internal:8200"));
/// assert_eq!(url.query("mount"), Some("team/kv"));
/// assert_eq!("file:/run/secrets".parse::<ProviderUrl>()?.path(), "/run/secrets");
/// # Ok::<(), strongroom::Error>(())
/// ```
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct ProviderUrl {
    scheme: String,
    authority: Option<String>,
    path: String,
    query: Vec<(String, String)>,
}

impl ProviderUrl {
    /// Makes an address of a scheme and a path, which is taken as it is, not decoded.
    pub fn new(scheme: impl Into<String>, path: impl Into<String>) -> Self {
        Self {
            scheme: scheme.into(),
            authority: None,
            path: path.into(),
            query: Vec::new(),
        }
    }

    /// Sets the authority, `host` or `host:port`.
    #[must_use]
    pub fn with_authority(mut self, authority: impl Into<String>) -> Self {
        self.authority = Some(authority.into());
        self
    }

    /// Adds a key and its value to the query.
    #[must_use]
    pub fn with_query(mut self, key: impl Into<String>, value: impl Into<String>) -> Self {
        self.query.push((key.into(), value.into()));
        self
    }

    /// Replaces the path, which is taken as it is.
    #[must_use]
    pub fn with_path(mut self, path: impl Into<String>) -> Self {
        self.path = path.into();
        self
    }

    /// Returns the scheme, in lower case, such as `vault` or `vault+http`.
    pub fn scheme(&self) -> &str {
        &self.scheme
    }

    /// Returns the scheme that names the backend: `vault` for `vault+http`.
    pub fn base_scheme(&self) -> &str {
        self.scheme
            .split_once('+')
            .map_or(&self.scheme, |(base, _)| base)
    }

    /// Returns `host` or `host:port`, where the address has one.
    pub fn authority(&self) -> Option<&str> {
        self.authority.as_deref()
    }

    /// Returns the host without its port, where the address has one.
    pub fn host(&self) -> Option<&str> {
        let authority = self.authority()?;
        match authority.strip_prefix('[') {
            Some(v6) => v6.split_once(']').map(|(host, _)| host),
            None => Some(
                authority
                    .rsplit_once(':')
                    .map_or(authority, |(host, _)| host),
            ),
        }
    }

    /// Reports whether the address asks for plain http to a host that is not this machine.
    pub fn is_plaintext_to_elsewhere(&self) -> bool {
        self.scheme.ends_with("+http") && !self.is_loopback()
    }

    /// Reports whether the host is this machine.
    pub(crate) fn is_loopback(&self) -> bool {
        self.host().is_some_and(|host| {
            let address = host.parse::<std::net::IpAddr>();
            host.eq_ignore_ascii_case("localhost")
                || address.is_ok_and(|address| address.is_loopback())
        })
    }

    /// Returns the decoded path. It begins with `/` where the address has an authority and a path.
    pub fn path(&self) -> &str {
        &self.path
    }

    /// Returns the decoded value of a query key.
    pub fn query(&self, key: &str) -> Option<&str> {
        self.query
            .iter()
            .find(|(k, _)| k == key)
            .map(|(_, value)| value.as_str())
    }

    /// Returns the keys of the query, in order.
    pub fn query_keys(&self) -> impl Iterator<Item = &str> {
        self.query.iter().map(|(key, _)| key.as_str())
    }
}

impl FromStr for ProviderUrl {
    type Err = Error;

    // No message here quotes the text: it may hold a credential in a place where none belongs.
    fn from_str(text: &str) -> Result<Self> {
        if text.len() > MAX_URL_BYTES {
            return Err(malformed("a provider address has at most 2048 bytes"));
        }
        let (scheme, rest) = text
            .split_once(':')
            .ok_or_else(|| malformed("a provider address begins with its scheme and a colon"))?;
        let scheme = scheme.to_ascii_lowercase();
        let valid = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '+' || c == '-';
        if !scheme.starts_with(|c: char| c.is_ascii_lowercase()) || !scheme.chars().all(valid) {
            return Err(malformed(
                "the scheme of a provider address has only letters, digits, + and -",
            ));
        }
        if rest.contains('#') {
            return Err(malformed(
                "a provider address has no `#` part; write %23 for the character",
            ));
        }
        let (location, query) = rest.split_once('?').unwrap_or((rest, ""));
        let (authority, path) = match location.strip_prefix("//") {
            None => (None, location),
            Some(location) => match location.find('/') {
                Some(slash) => {
                    let (authority, path) = location.split_at(slash);
                    (Some(authority), path)
                }
                None => (Some(location), ""),
            },
        };
        if authority.is_some_and(|a| a.contains('@')) {
            return Err(
                malformed("a provider address can't hold a user name or password")
                    .with_help("give the credential by its own variable or file"),
            );
        }
        let valid = |c: char| c.is_ascii_alphanumeric() || "-._:[]".contains(c);
        if authority.is_some_and(|a| !a.chars().all(valid)) {
            return Err(malformed(
                "the host of a provider address has a character that hosts can't have",
            ));
        }
        let query = query
            .split('&')
            .filter(|pair| !pair.is_empty())
            .map(|pair| {
                let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
                Ok((decode(key)?, decode(value)?))
            });
        let query = query.collect::<Result<Vec<_>>>()?;
        let mut keys: Vec<_> = query.iter().map(|(key, _)| key).collect();
        keys.sort();
        if keys.windows(2).any(|pair| matches!(pair, [a, b] if a == b)) {
            return Err(malformed("a provider address gives one setting twice"));
        }
        Ok(Self {
            scheme,
            authority: authority.map(str::to_owned),
            path: decode(path)?,
            query,
        })
    }
}

fn decode(text: &str) -> Result<String> {
    let bytes = percent_decode_str(text).collect::<Vec<u8>>();
    match String::from_utf8(bytes) {
        Ok(text) if !text.contains('\0') => Ok(text),
        _ => Err(malformed(
            "a provider address decodes to bytes that are not text",
        )),
    }
}

fn malformed(message: &str) -> Error {
    Error::new(ErrorKind::Config, message).with_help(
        "for example `env:?prefix=APP_`, `file:/run/secrets` or `vault://vault.internal:8200/`",
    )
}

impl fmt::Display for ProviderUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:", self.scheme)?;
        if let Some(authority) = &self.authority {
            write!(f, "//{authority}")?;
        }
        let path = match self.path.strip_prefix("//") {
            // Two slashes would begin an authority.
            Some(rest) if self.authority.is_none() => {
                f.write_str("/%2F")?;
                rest
            }
            _ => &self.path,
        };
        write!(f, "{}", utf8_percent_encode(path, PATH))?;
        for (at, (key, value)) in self.query.iter().enumerate() {
            let separator = if at == 0 { '?' } else { '&' };
            let (key, value) = (
                utf8_percent_encode(key, QUERY),
                utf8_percent_encode(value, QUERY),
            );
            write!(f, "{separator}{key}={value}")?;
        }
        Ok(())
    }
}

impl fmt::Debug for ProviderUrl {
    /// Shows no value of the query: before a backend looked at its keys, anything may stand there.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let keys: Vec<_> = self.query_keys().collect();
        let bare = Self {
            query: Vec::new(),
            ..self.clone()
        };
        write!(f, "{bare}")?;
        if keys.is_empty() {
            Ok(())
        } else {
            write!(f, "?{}=…", keys.join("=…&"))
        }
    }
}

impl Serialize for ProviderUrl {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn parse(text: &str) -> ProviderUrl {
        text.parse().unwrap()
    }

    #[test]
    fn parses_every_documented_form() {
        assert_eq!(parse("env:?prefix=APP_").query("prefix"), Some("APP_"));
        assert_eq!(parse("file:/run/secrets").path(), "/run/secrets");
        assert_eq!(parse("file:a%3Fb").path(), "a?b");
        assert_eq!(
            parse("sealed:s.sealed?key_file=/k").query("key_file"),
            Some("/k")
        );
        assert_eq!(parse("aws://eu-west-1/app").host(), Some("eu-west-1"));
        assert_eq!(parse("vault://[::1]:8200/kv/app").host(), Some("::1"));
        assert_eq!(parse("memory:").path(), "");
        assert_eq!(parse("VAULT+HTTP://h/").base_scheme(), "vault");
    }

    #[test]
    fn the_length_is_bounded() {
        let of = |length: usize| format!("file:{}", "a".repeat(length - "file:".len()));
        assert!(of(MAX_URL_BYTES).parse::<ProviderUrl>().is_ok());
        let error = of(MAX_URL_BYTES + 1).parse::<ProviderUrl>().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Config);
        assert!(error.to_string().contains("2048 bytes"), "{error}");
    }

    #[test]
    fn a_path_of_two_slashes_stays_a_path() {
        let url = parse("file:%2F%2Fhost/path");
        assert_eq!((url.authority(), url.path()), (None, "//host/path"));
        assert_eq!(parse(&url.to_string()), url);
    }

    #[test]
    fn refuses_and_never_quotes() {
        let bad = [
            "",
            "nocolon-canary",
            "1x:canary",
            "vault://user:canary@h/",
            "file:a#canary",
            "file:%ff",
            "file:a%00b",
            "env:?a=canary&a=2",
            "vault://ho st canary/",
        ];
        for text in bad {
            let error = text.parse::<ProviderUrl>().unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Config, "{text}");
            assert!(!format!("{error:?}").contains("canary"), "{error:?}");
        }
    }

    #[test]
    fn plaintext_is_fine_to_this_machine_only() {
        for text in [
            "vault://h/",
            "vault+http://localhost:1/",
            "vault+http://127.0.0.9:1/",
            "vault+http://[::1]:1/",
        ] {
            assert!(!parse(text).is_plaintext_to_elsewhere(), "{text}");
        }
        for text in [
            "vault+http://h/",
            "vault+http://localhost.evil/",
            "vault+http://10.0.0.1:1/",
            "vault+http:x",
        ] {
            assert!(parse(text).is_plaintext_to_elsewhere(), "{text}");
        }
    }

    proptest! {
        #[test]
        fn display_parses_back(path in "[^\0]{0,40}", value in "[^\0]{0,20}") {
            prop_assume!(!path.starts_with("//"));
            let url = ProviderUrl::new("file", path).with_query("k", value);
            prop_assert_eq!(parse(&url.to_string()), url);
        }

        #[test]
        fn never_panics(text in ".{0,80}") {
            let _ = text.parse::<ProviderUrl>();
        }
    }
}
