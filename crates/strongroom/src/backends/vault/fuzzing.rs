//! What the fuzz targets of Vault's answers run. No message holds anything that the server wrote but the
//! host of a redirect, the names of mounts, and what it says of a token.

#![allow(
    clippy::missing_panics_doc,
    clippy::panic,
    reason = "to panic is what these functions are for"
)]

use std::time::SystemTime;

use http::{HeaderMap, HeaderValue, header};
use zeroize::Zeroizing;

use super::answer::Answer;
use super::doctor::{certificate, server};
use super::kv::{self, Past, Read, mount};
use super::leases::Lease;
use super::login::{TokenState, granted, lease};
use super::settings::KvVersion;
use crate::error::{Error, ErrorKind, Result};
use crate::examination::Check;
use crate::fuzzing::never_quotes;
use crate::secret::Secret;

const STATUSES: [u16; 16] = [
    200, 404, 400, 403, 401, 412, 429, 472, 473, 500, 501, 502, 503, 204, 307, 418,
];

/// An answer of a status that the first byte chooses, and what the other bits of it choose.
fn answer(data: &[u8]) -> Option<(Answer, u8, &[u8])> {
    let (first, body) = data.split_first()?;
    let status = *STATUSES.get(usize::from(first & 0x0f))?;
    Some((with(status, &HeaderMap::new(), body), first >> 4, body))
}

fn with(status: u16, headers: &HeaderMap, body: &[u8]) -> Answer {
    let shown = "vault://v/?mount=secret";
    Answer::new(shown, status, headers, Zeroizing::new(body.to_vec()))
}

fn unquoted<T>(body: &[u8], outcome: Result<T>) -> Option<T> {
    outcome
        .map_err(|error| never_quotes(body, &format!("{error:?} {error}")))
        .ok()
}

/// Answers of the key-value engine: to a read of either generation, of a list, a history and a mount.
pub fn vault_kv(data: &[u8]) {
    let Some((answer, asked, body)) = answer(data) else {
        return;
    };
    let generation = match asked & 1 {
        0 => KvVersion::V2,
        _ => KvVersion::V1,
    };
    match asked >> 1 {
        0 | 1 => {
            if let Some(Some(Read::Found(document))) = unquoted(body, Read::of(answer, generation))
            {
                found(body, &document);
            }
        }
        2 | 3 => {
            unquoted(body, kv::keys(answer));
        }
        4 | 5 => {
            let past = unquoted(body, Past::all(answer))
                .flatten()
                .unwrap_or_default();
            assert!(past.is_sorted_by(|a, b| a.version >= b.version));
        }
        _ => {
            let _ = mount::told(answer, "secret");
        }
    }
}

fn found(body: &[u8], document: &kv::Document) {
    let new = Secret::from_text("a\"\\\n");
    for field in document.fields().into_iter().take(4) {
        // The field's own name is shown.
        let _ = document.field(field).map_err(|error| {
            assert_eq!(error.kind(), ErrorKind::Malformed);
        });
    }
    let Some(Some(text)) = unquoted(body, document.with_field("fuzzed", Some(&new))) else {
        panic!("a field can't be set");
    };
    let written: Option<serde_json::Value> = serde_json::from_slice(&text).ok();
    let written = written
        .as_ref()
        .and_then(|data| data.get("fuzzed")?.as_str());
    // A lone surrogate in another field is no text for serde_json, and stays as it is for us.
    assert!(written.is_none_or(|written| written == "a\"\\\n"));
}

/// Answers to a login, a renewal, and a look at a token.
pub fn vault_login(data: &[u8]) {
    let Some((mut answer, _, body)) = answer(data) else {
        return;
    };
    let Some(tree) = unquoted(body, answer.tree()) else {
        return;
    };
    if let Some(granted) = unquoted(body, granted(&tree)) {
        assert!(granted.header.is_sensitive());
    }
    let _ = lease(&tree);
    if let Ok(state) = TokenState::read(&tree) {
        let _ = format!("{state:?}");
    }
}

/// Answers of a path that makes dynamic secrets.
pub fn vault_lease(data: &[u8]) {
    let Some((answer, _, body)) = answer(data) else {
        return;
    };
    let Some((lease, life)) = unquoted(body, Lease::of(answer, "database/creds/role", 1)) else {
        return;
    };
    let _ = lease.version();
    for field in lease.fields().into_iter().take(4) {
        if let Ok(Some(secret)) = lease.field(field) {
            let shown = format!("{secret:?}");
            never_quotes(body, &shown);
        }
    }
    for failures in [0, 1, 100] {
        let _ = life.next(std::time::Duration::from_secs(60), failures, 0.5);
    }
}

/// Refusals: lines of `Retry-After`, `Location` and `Date`, then the body.
pub fn vault_refusal(data: &[u8]) {
    let Some((status, rest)) = data.split_first() else {
        return;
    };
    let mut parts = rest.splitn(4, |byte| *byte == b'\n');
    let mut headers = HeaderMap::new();
    for name in [header::RETRY_AFTER, header::LOCATION, header::DATE] {
        if let Ok(value) = HeaderValue::from_bytes(parts.next().unwrap_or_default()) {
            headers.insert(name, value);
        }
    }
    let body = parts.next().unwrap_or_default();
    let status = 100_u16.saturating_add(u16::from(*status).saturating_mul(2));
    let mut answer = with(status, &headers, body);
    let shown = |error: &Error| {
        // The host of a redirect is shown, and the body may hold it too.
        if !(300..400).contains(&status) {
            never_quotes(body, &format!("{error:?} {error}"));
        }
    };
    shown(&answer.refusal("read the secret"));
    shown(&answer.no_place());
    assert!(!answer.is_denial() || status == 403);
    assert!(!answer.is_of_no_place() || status == 404);
    printable(&server::clock(answer.date, SystemTime::now()));
    if let Ok(tree) = answer.state() {
        let (check, _) = server::state("vault://v/", status, &tree);
        printable(&check);
    }
}

/// A certificate in DER, as the doctor shows it.
pub fn vault_certificate(data: &[u8]) {
    printable(&certificate::judge("server", data, SystemTime::now()));
}

fn printable(check: &Check) {
    assert!(!check.detail.contains(char::is_control), "{check:?}");
}
