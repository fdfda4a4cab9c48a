//! The bearer token of a request, parsed by the standards and compared in constant time.

use axum::http::{HeaderMap, header};
use strongroom::LiveSecret;

/// The most bytes of an `Authorization` header that are looked at.
const MAX_HEADER_BYTES: usize = 8 * 1024;

/// Reports whether a request carries the token, or the one before it while a rotation overlaps.
///
/// One answer for every reason to refuse: whoever guesses learns nothing from it.
pub(crate) fn is_authorized(token: &LiveSecret, headers: &HeaderMap) -> bool {
    bearer_token(headers).is_some_and(|candidate| token.verify(candidate))
}

/// Returns the token of the one `Authorization: Bearer` header.
///
/// The scheme is written in any case (RFC 9110, section 11.1), one or more blanks follow, and the
/// token has the letters of RFC 6750, section 2.1. Two headers are none: which of them a proxy
/// looked at can't be known.
pub(crate) fn bearer_token(headers: &HeaderMap) -> Option<&str> {
    let mut all = headers.get_all(header::AUTHORIZATION).iter();
    let (Some(only), None) = (all.next(), all.next()) else {
        return None;
    };
    let text = only
        .to_str()
        .ok()
        .filter(|text| text.len() <= MAX_HEADER_BYTES)?;
    let (scheme, rest) = text.split_once(' ')?;
    let token = rest.trim_start_matches(' ');
    (scheme.eq_ignore_ascii_case("bearer") && is_token68(token)).then_some(token)
}

fn is_token68(token: &str) -> bool {
    let letters = token.trim_end_matches('=');
    !letters.is_empty()
        && letters
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b"-._~+/".contains(&byte))
}
