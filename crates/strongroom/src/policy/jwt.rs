//! JSON Web Tokens: signed, and not expired.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde::Deserialize;
use serde::de::DeserializeOwned;

use super::{Findings, rule};
use crate::declared::Encoding;

pub(super) fn check(value: &[u8], now: SystemTime, found: &mut Findings<'_>) {
    match parse(value) {
        Err(problem) => {
            let help = "store the compact form, header.payload.signature, without `Bearer ` and \
                        without line breaks";
            found.violation(rule::JWT_MALFORMED, problem, help);
        }
        Ok((header, claims, is_signed)) => {
            if !is_signed || header.alg.eq_ignore_ascii_case("none") {
                let message = "the token is not signed, so anybody can write one like it";
                let help = "ask its issuer for a signed one";
                found.violation(rule::JWT_UNSIGNED, message, help);
            }
            check_expiry(&claims, now, found);
        }
    }
}

#[derive(Deserialize)]
struct Header {
    alg: String,
}

#[derive(Deserialize)]
struct Claims {
    exp: Option<f64>,
    iat: Option<f64>,
}

fn parse(value: &[u8]) -> Result<(Header, Claims, bool), &'static str> {
    let mut parts = value.split(|byte| *byte == b'.');
    let (Some(header), Some(claims), Some(signature), None) =
        (parts.next(), parts.next(), parts.next(), parts.next())
    else {
        return Err("a JWT has three parts with two dots between them, and the value has not");
    };
    let header = object(header)
        .ok_or("the JWT's first part is not base64url of a JSON object with an `alg`")?;
    let claims = object(claims)
        .ok_or("the JWT's second part is not base64url of a JSON object of claims")?;
    Encoding::Base64Url
        .decode_bytes(signature)
        .ok_or("the JWT's third part is not base64url")?;
    Ok((header, claims, !signature.is_empty()))
}

fn object<T: DeserializeOwned>(part: &[u8]) -> Option<T> {
    let json = Encoding::Base64Url.decode_bytes(part)?;
    // A sequence would do for a struct too, and is no JWT.
    let is_object = json.trim_ascii_start().starts_with(b"{");
    is_object.then(|| serde_json::from_slice(&json).ok())?
}

fn check_expiry(claims: &Claims, now: SystemTime, found: &mut Findings<'_>) {
    let Some(expires) = claims.exp.and_then(time) else {
        return;
    };
    let Ok(left) = expires.duration_since(now) else {
        let message = "the token has expired";
        found.violation(rule::JWT_EXPIRED, message, "ask its issuer for a new one");
        return;
    };
    let lifetime = claims.iat.and_then(time);
    let lifetime = lifetime.and_then(|issued| expires.duration_since(issued).ok());
    // Platforms replace their tokens after 80 % of the lifetime; of others a day is short notice.
    let tenth = lifetime.and_then(|lifetime| lifetime.checked_div(10));
    let notice = tenth.unwrap_or(Duration::from_secs(24 * 60 * 60));
    if left < notice {
        let message = format!("the token expires in {} minutes", left.as_secs() / 60);
        found.warning(
            rule::JWT_EXPIRES_SOON,
            message,
            "ask its issuer for a new one",
        );
    }
}

/// Reads a NumericDate of RFC 7519. One that is beyond what the clock can hold never comes.
fn time(seconds: f64) -> Option<SystemTime> {
    let since = Duration::try_from_secs_f64(seconds.max(0.0)).ok()?;
    UNIX_EPOCH.checked_add(since)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::name::SecretName;
    use base64ct::{Base64UrlUnpadded, Encoding as _};

    const NOW: u64 = 1_800_000_000;

    fn rules(header: &str, claims: &str, signature: &str) -> Vec<&'static str> {
        let part = |text: &str| Base64UrlUnpadded::encode_string(text.as_bytes());
        let token = format!("{}.{}.{signature}", part(header), part(claims));
        let name = SecretName::from_static("jwt");
        let mut found = Findings::new(&name);
        let now = time(NOW as f64).unwrap();
        check(token.as_bytes(), now, &mut found);
        found.list.iter().map(|finding| finding.rule).collect()
    }

    #[test]
    fn judges_signature_and_expiry() {
        let signed = r#"{"alg":"HS256","typ":"JWT"}"#;
        let claims = |exp: u64, iat: u64| format!(r#"{{"sub":"a","exp":{exp},"iat":{iat}}}"#);
        assert_eq!(rules(signed, "{}", "AAAA"), [""; 0]);
        assert_eq!(rules(signed, &claims(NOW + 3600, NOW), "AAAA"), [""; 0]);
        assert_eq!(rules(signed, r#"{"exp":1e300}"#, "AAAA"), [""; 0]);
        assert_eq!(
            rules(signed, &claims(NOW + 300, NOW - 3300), "AAAA"),
            ["jwt-expires-soon"]
        );
        assert_eq!(
            rules(signed, r#"{"exp":1800003600.5}"#, "AAAA"),
            ["jwt-expires-soon"]
        );
        assert_eq!(
            rules(signed, &claims(NOW - 1, NOW - 3600), "AAAA"),
            ["jwt-expired"]
        );
        assert_eq!(rules(signed, r#"{"exp":-5}"#, "AAAA"), ["jwt-expired"]);
        assert_eq!(rules(r#"{"alg":"None"}"#, "{}", "AAAA"), ["jwt-unsigned"]);
        assert_eq!(rules(signed, "{}", ""), ["jwt-unsigned"]);
    }

    #[test]
    fn refuses_what_is_no_jwt() {
        let signed = r#"{"alg":"HS256"}"#;
        for (header, claims, signature) in [
            ("{}", "{}", "AAAA"),
            ("[\"HS256\"]", "{}", "AAAA"),
            (signed, "[]", "AAAA"),
            (signed, "null", "AAAA"),
            (signed, "", "AAAA"),
            (signed, r#"{"exp":"soon"}"#, "AAAA"),
            (signed, "{}", "A/+A"),
            (signed, "{}", "AAAA.AAAA"),
        ] {
            assert_eq!(
                rules(header, claims, signature),
                ["jwt-malformed"],
                "{header} {claims}"
            );
        }
    }
}
