//! A database's address, of which only the password is a secret.

use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde::Deserialize;
use strongroom::{Result, Secret, SecretRef};

/// The parts of the address. It may be logged as it is.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Database {
    host: String,
    port: u16,
    name: String,
    user: String,
    pub(crate) password: SecretRef,
}

impl Database {
    /// Makes the address that drivers take, sqlx's `PgPool::connect` for example. It holds the password, so it
    /// is a secret too.
    pub(crate) fn url(&self, password: &Secret) -> Result<Secret> {
        let encode = |text| utf8_percent_encode(text, NON_ALPHANUMERIC);
        let before = format!("postgres://{}:", encode(&self.user));
        let after = format!("@{}:{}/{}", self.host, self.port, self.name);
        // EXPOSES: to the address, which is long enough from the start: one that grows leaves copies behind
        let password = password.expose_str()?;
        let lengths = [before.len(), password.len().saturating_mul(3), after.len()];
        let mut url = String::with_capacity(lengths.into_iter().sum());
        url.push_str(&before);
        url.extend(encode(password));
        url.push_str(&after);
        Ok(Secret::from_text(url))
    }
}
