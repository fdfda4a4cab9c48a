//! The `Authorization` header of RFC 6750, section 2.1.

use std::fmt;

/// The most bytes a bearer token may have: 8 KiB, as the strength policy allows.
pub const MAX_BEARER_BYTES: usize = 8 * 1024;

const SCHEME: &[u8] = b"Bearer";

/// The longest token behind the scheme and one blank.
const MAX_HEADER_BYTES: usize = MAX_BEARER_BYTES + SCHEME.len() + 1;

/// A token that a request brought, not compared with anything yet.
///
/// It borrows from the header. `Debug` shows no part of it, and there is no `Display`: a token that is
/// wrong here may be right elsewhere.
#[derive(Clone, Copy)]
pub struct BearerToken<'header>(&'header [u8]);

impl<'header> BearerToken<'header> {
    /// Exposes the token, which has only the characters of `b64token`.
    pub fn expose_bytes(self) -> &'header [u8] {
        self.0
    }
}

impl AsRef<[u8]> for BearerToken<'_> {
    fn as_ref(&self) -> &[u8] {
        self.0
    }
}

impl fmt::Debug for BearerToken<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("BearerToken([REDACTED])")
    }
}

/// Why a header is no bearer token. It holds nothing of the header.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum BearerFault {
    /// There is no header, or an empty one.
    Missing,
    /// The scheme is another one, `Basic` for example.
    OtherScheme,
    /// The header doesn't have the form that RFC 9110 and RFC 6750 demand.
    Malformed,
    /// The header is longer than `Bearer `, and [`MAX_BEARER_BYTES`].
    TooLong,
    /// There is more than one header: which of them a proxy looked at can't be known.
    Repeated,
}

impl BearerFault {
    /// Returns a stable lower-case word for logs.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Missing => "missing",
            Self::OtherScheme => "other scheme",
            Self::Malformed => "malformed",
            Self::TooLong => "too long",
            Self::Repeated => "repeated",
        }
    }
}

impl fmt::Display for BearerFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the Authorization header is {}", self.as_str())
    }
}

impl std::error::Error for BearerFault {}

/// Reads the value of one `Authorization` header as a bearer token.
///
/// The scheme is written in any case (RFC 9110, section 11.1), one or more blanks follow, and the
/// token is a `b64token` (RFC 6750, section 2.1): letters, digits and `-._~+/`, at least one, then any number
/// of `=`. Nothing stands before or behind. The value of a header comes as its bytes, without the blanks
/// around it, which HTTP libraries take away.
///
/// ```
/// use strongroom::auth::{BearerFault, parse_bearer};
///
/// let token = parse_bearer("Bearer mF_9.B5f-4.1JqM")?;
/// assert_eq!(token.expose_bytes(), b"mF_9.B5f-4.1JqM");
/// assert_eq!(format!("{token:?}"), "BearerToken([REDACTED])");
/// assert_eq!(parse_bearer("Basic QWxh").unwrap_err(), BearerFault::OtherScheme);
/// # Ok::<(), BearerFault>(())
/// ```
///
/// # Errors
/// The [`BearerFault`] that was found first; never [`BearerFault::Repeated`].
pub fn parse_bearer<H: AsRef<[u8]> + ?Sized>(header: &H) -> Result<BearerToken<'_>, BearerFault> {
    let header = header.as_ref();
    if header.is_empty() {
        return Err(BearerFault::Missing);
    }
    if header.len() > MAX_HEADER_BYTES {
        return Err(BearerFault::TooLong);
    }
    let end = header.iter().position(|byte| *byte == b' ');
    let (scheme, rest) = header.split_at(end.unwrap_or(header.len()));
    if scheme.is_empty() || !scheme.iter().all(is_token_character) {
        return Err(BearerFault::Malformed);
    }
    if !scheme.eq_ignore_ascii_case(SCHEME) {
        return Err(BearerFault::OtherScheme);
    }
    let token = rest.trim_ascii_start();
    // Blanks are spaces alone, not what else is white.
    if !rest
        .iter()
        .take_while(|byte| byte.is_ascii_whitespace())
        .all(|byte| *byte == b' ')
        || !is_b64token(token)
    {
        return Err(BearerFault::Malformed);
    }
    Ok(BearerToken(token))
}

/// Reads the only header of a request.
#[cfg(feature = "auth")]
pub(super) fn only<H: AsRef<[u8]>>(headers: impl IntoIterator<Item = H>) -> Result<H, BearerFault> {
    let mut headers = headers.into_iter();
    match (headers.next(), headers.next()) {
        (None, _) => Err(BearerFault::Missing),
        (Some(only), None) => Ok(only),
        (Some(_), Some(_)) => Err(BearerFault::Repeated),
    }
}

pub(super) fn is_b64token(token: &[u8]) -> bool {
    let padding = token.iter().rev().take_while(|byte| **byte == b'=').count();
    let (letters, _) = token.split_at(token.len().saturating_sub(padding));
    !letters.is_empty()
        && letters
            .iter()
            .all(|byte| byte.is_ascii_alphanumeric() || b"-._~+/".contains(byte))
}

/// A character of `token`, RFC 9110, section 5.6.2.
fn is_token_character(byte: &u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(byte)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const TOKEN: &str = "b9Xk.f-2_~+/Zq==";

    #[test]
    fn a_token_is_read_as_the_standards_say() {
        for good in ["Bearer ", "bearer ", "BEARER    ", "bEARER "] {
            let header = format!("{good}{TOKEN}");
            let token = parse_bearer(&header).unwrap();
            assert_eq!(token.expose_bytes(), TOKEN.as_bytes(), "{good}");
            // Borrowed, not copied.
            assert!(
                header
                    .as_bytes()
                    .as_ptr_range()
                    .contains(&token.as_ref().as_ptr())
            );
        }
    }

    #[test]
    fn each_fault_has_its_kind() {
        use BearerFault::{Malformed, Missing, OtherScheme, TooLong};
        let longest = format!("Bearer {}", "a".repeat(MAX_BEARER_BYTES));
        assert_eq!(parse_bearer(&longest).unwrap().expose_bytes().len(), 8192);
        let long = format!("{longest}a");
        for (header, fault) in [
            ("", Missing),
            ("Basic b9Xk", OtherScheme),
            ("Bearerb9Xk", OtherScheme),
            ("Bearer\ta", Malformed),
            (" Bearer b9Xk", Malformed),
            ("Bearer", Malformed),
            ("Bearer ", Malformed),
            ("Bearer =", Malformed),
            ("Bearer a=b", Malformed),
            ("Bearer a b", Malformed),
            ("Bearer a ", Malformed),
            ("Bearer a,b", Malformed),
            ("Bearer \ta", Malformed),
            ("Bearer a\0", Malformed),
            ("Bearer ä", Malformed),
            ("Bearer a\r\nX: y", Malformed),
            (&long, TooLong),
        ] {
            assert_eq!(parse_bearer(header).unwrap_err(), fault, "{header}");
        }
        assert_eq!(parse_bearer(&[0xff]).unwrap_err(), Malformed);
    }

    #[test]
    fn faults_and_tokens_show_nothing() {
        let canary = "canary-8d2e";
        let header = format!("Bearer {canary}");
        let token = parse_bearer(&header).unwrap();
        assert!(!format!("{token:?}").contains("canary"));
        let fault = parse_bearer(&format!("{header}!")).unwrap_err();
        assert!(!format!("{fault:?} {fault}").contains("canary"));
    }

    /// The grammar, read off the standards one rule after the other.
    fn reference(header: &str) -> Option<&str> {
        let (scheme, rest) = header.split_once(' ')?;
        let token = rest.trim_start_matches(' ');
        let letters = token.trim_end_matches('=');
        let is_letter = |c: char| c.is_ascii_alphanumeric() || "-._~+/".contains(c);
        let good = scheme.eq_ignore_ascii_case("bearer")
            && !letters.is_empty()
            && letters.chars().all(is_letter)
            && header.len() <= 7 + 8192;
        good.then_some(token)
    }

    fn header() -> impl Strategy<Value = String> {
        let near = "(Bearer|bearer|BeArEr|Basic|Bearers|)[ \\t]{0,3}[a-zA-Z0-9._~+/=, -]{0,12}";
        let long = (8180_usize..8210).prop_map(|count| format!("Bearer {}", "x".repeat(count)));
        prop_oneof![8 => near, 2 => ".{0,40}", 1 => long]
    }

    proptest! {
        #[test]
        fn agrees_with_the_grammar(header in header()) {
            let found = parse_bearer(&header).ok().map(BearerToken::expose_bytes);
            prop_assert_eq!(found, reference(&header).map(str::as_bytes));
        }

        #[test]
        fn takes_any_bytes(header in prop::collection::vec(any::<u8>(), 0..64)) {
            let found = parse_bearer(&header).is_ok();
            let expected = std::str::from_utf8(&header).ok().and_then(reference);
            prop_assert_eq!(found, expected.is_some());
        }
    }
}
