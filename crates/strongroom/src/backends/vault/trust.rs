//! A manifest of somebody else's must not send our credential to a server of their choice.

use reqwest::Url;

use super::settings::wrong;
use crate::backends::Connect;
use crate::error::Result;

/// Refuses an address that nobody vouches for, unless the environment names the same server and
/// decides by what the server proves to be it.
///
/// # Errors
/// [`ErrorKind::Config`](crate::ErrorKind::Config) if it is another one, or says how it is known.
pub(super) fn check(connect: &Connect, base: &str) -> Result<()> {
    if connect.is_trusted() {
        return Ok(());
    }
    for variable in ["BAO_ADDR", "VAULT_ADDR"] {
        if let Some(named) = connect.env.var(variable)?
            && is_same_server(named, base)
        {
            return check_proof(connect);
        }
    }
    let message = format!(
        "{} stands in a manifest that nobody named, and no variable names this server: it gets no \
         credential",
        connect.url
    );
    Err(wrong(message).with_help(
        "if you trust the manifest, name it with --manifest, or record it by `strongroom trust`; or \
         name the server in VAULT_ADDR",
    ))
}

/// Refuses what decides by which certificate a server is the named one: whoever says that can be it.
fn check_proof(connect: &Connect) -> Result<()> {
    let says = |key: &&str| connect.url.query(key).is_some();
    let Some(key) = ["ca_file", "server_name"].into_iter().find(says) else {
        return Ok(());
    };
    let message = format!(
        "`{key}` stands in the address of a manifest that nobody named: it would say which server \
         gets our credential"
    );
    Err(wrong(message).with_help(
        "if you trust the manifest, name it with --manifest, or record it by `strongroom trust`; or \
         set VAULT_CACERT or VAULT_TLS_SERVER_NAME",
    ))
}

fn is_same_server(one: &str, other: &str) -> bool {
    let server = |text: &str| {
        let url = Url::parse(text).ok()?;
        let host = url.host_str()?.to_owned();
        Some((url.scheme().to_owned(), host, url.port_or_known_default()))
    };
    server(one).is_some_and(|one| Some(one) == server(other))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_is_its_scheme_host_and_port() {
        for (named, base, same) in [
            (
                "https://vault.internal:8200",
                "https://vault.internal:8200/",
                true,
            ),
            (
                "https://Vault.Internal:8200/",
                "https://vault.internal:8200/",
                true,
            ),
            (
                "https://vault.internal",
                "https://vault.internal:443/",
                true,
            ),
            (
                "http://vault.internal:8200",
                "https://vault.internal:8200/",
                false,
            ),
            (
                "https://vault.internal:8201",
                "https://vault.internal:8200/",
                false,
            ),
            (
                "https://vault.internal",
                "https://vault.internal.evil.example/",
                false,
            ),
            (
                "https://vault.internal@evil.example",
                "https://vault.internal/",
                false,
            ),
            ("", "https://vault.internal/", false),
        ] {
            assert_eq!(is_same_server(named, base), same, "{named} {base}");
        }
    }
}
