//! What Vault says of a token when it gives it.

use std::time::Duration;

use http::HeaderValue;
use zeroize::Zeroizing;

use crate::backends::files::json::Tree;
use crate::backends::vault::transport::token_header;
use crate::error::{Error, ErrorKind, Result};
use crate::secret::Secret;

/// A token, and what was said of it when it was given.
pub(in crate::backends::vault) struct Granted {
    pub(in crate::backends::vault) header: HeaderValue,
    /// How long it lives unless it is renewed; `None` for ever.
    pub(in crate::backends::vault) ttl: Option<Duration>,
    pub(in crate::backends::vault) renewable: bool,
    /// Whether we made it by a login, and so may revoke it.
    pub(in crate::backends::vault) ours: bool,
    /// A batch token can't be revoked.
    pub(in crate::backends::vault) batch: bool,
}

/// What the answer to a login says.
pub(in crate::backends::vault) fn granted(tree: &Tree) -> Result<Granted> {
    let foreign = |what: &str| {
        Error::new(
            ErrorKind::Malformed,
            format!("the answer to Vault's login has no {what}"),
        )
    };
    let token = text(tree, &["auth", "client_token"]).ok_or_else(|| foreign("token"))?;
    if token.is_empty() && tree.keys(&["auth", "mfa_requirement"]).is_empty() {
        return Err(foreign("token"));
    }
    if token.is_empty() {
        return Err(Error::new(
            ErrorKind::Unsupported,
            "Vault wants a second factor for this login, which nobody is here to give",
        )
        .with_help("log in with a method or role that needs none"));
    }
    let header = token_header(&Secret::from_utf8_or_bytes(token))?;
    let (ttl, renewable) = lease(tree).ok_or_else(|| foreign("duration"))?;
    Ok(Granted {
        header,
        // A token without an end, as Vault's root token is.
        ttl: (!ttl.is_zero()).then_some(ttl),
        renewable,
        ours: true,
        batch: tree.raw(&["auth", "token_type"]) == Some(b"\"batch\""),
    })
}

/// How long a token lives from now on, and whether it can be renewed, as a login or a renewal says it.
pub(in crate::backends::vault) fn lease(tree: &Tree) -> Option<(Duration, bool)> {
    let ttl = number(tree, &["auth", "lease_duration"])?;
    let renewable = tree.raw(&["auth", "renewable"]) == Some(b"true");
    Some((Duration::from_secs(ttl), renewable))
}

/// The number that stands there.
pub(super) fn number(tree: &Tree, way: &[&str]) -> Option<u64> {
    std::str::from_utf8(tree.raw(way)?).ok()?.parse().ok()
}

/// The text that stands there.
pub(super) fn text(tree: &Tree, way: &[&str]) -> Option<Zeroizing<Vec<u8>>> {
    let is_text = tree.raw(way)?.starts_with(b"\"");
    is_text.then(|| tree.value(way).ok()).flatten()
}
