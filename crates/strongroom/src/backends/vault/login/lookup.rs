//! What Vault knows of a token.

use std::time::Duration;

use http::HeaderValue;
use vaultrs::api::token::requests::LookupTokenSelfRequest;

use super::grant::{number, text};
use crate::backends::files::json::Tree;
use crate::backends::vault::transport::Transport;
use crate::error::{Error, ErrorKind, Result};

/// A token as Vault describes it. None of this is secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::backends::vault) struct TokenState {
    /// How long it lives from now on; `None` for ever.
    pub(in crate::backends::vault) ttl: Option<Duration>,
    pub(in crate::backends::vault) renewable: bool,
    /// A token that Vault doesn't store: it can be neither renewed nor revoked.
    pub(in crate::backends::vault) batch: bool,
    /// The period by which each renewal extends it, where it has no maximum.
    pub(in crate::backends::vault) period: Option<Duration>,
    pub(in crate::backends::vault) display_name: String,
    pub(in crate::backends::vault) policies: Vec<String>,
}

/// Asks Vault about a token; `None` if it refuses the token.
///
/// # Errors
/// That of the connection or the answer: nothing is then known of the token.
pub(in crate::backends::vault) async fn look_up(
    transport: &Transport,
    token: &HeaderValue,
) -> Result<Option<TokenState>> {
    let mut answer = transport
        .send(&LookupTokenSelfRequest {}, Some(token))
        .await?;
    match answer.status {
        200 => TokenState::read(&answer.tree()?).map(Some),
        403 if answer.is_vaults_refusal() => Ok(None),
        404 if answer.is_vaults_refusal() => Err(answer.no_place()),
        _ => Err(answer.refusal("look our token up")),
    }
}

impl TokenState {
    pub(in crate::backends::vault) fn read(tree: &Tree) -> Result<Self> {
        let shown = |key: &str| {
            let found = text(tree, &["data", key]).unwrap_or_default();
            String::from_utf8_lossy(&found).escape_debug().to_string()
        };
        let ttl = number(tree, &["data", "ttl"]).ok_or_else(|| {
            Error::new(
                ErrorKind::Malformed,
                "Vault's description of our token has no `ttl`",
            )
        })?;
        // Zero stands for "without an end" as well as for the last second of a life.
        let endless = matches!(tree.raw(&["data", "expire_time"]), None | Some(b"null"));
        let policies = tree.raw(&["data", "policies"]).unwrap_or(b"null");
        let policies: Option<Vec<String>> = serde_json::from_slice(policies).unwrap_or_default();
        let period = number(tree, &["data", "period"]).filter(|period| *period > 0);
        Ok(Self {
            ttl: (!endless).then(|| Duration::from_secs(ttl)),
            renewable: tree.raw(&["data", "renewable"]) == Some(b"true"),
            batch: tree.raw(&["data", "type"]) == Some(b"\"batch\""),
            period: period.map(Duration::from_secs),
            display_name: shown("display_name"),
            policies: policies.unwrap_or_default(),
        })
    }
}
