//! The audit log of a boot, as the manifest asks for it.

use super::SecretsBuilder;
use super::plan::Plan;
use crate::audit::{KeySource, Log};
use crate::connection::Connection;
use crate::error::Result;

impl SecretsBuilder {
    /// Says where the audit log lies that the manifest asks for; `None` where it asks for none.
    ///
    /// # Errors
    /// As [`explain`](Self::explain).
    pub fn audit_log(&self) -> Result<Option<Log>> {
        let Some(log) = self.plan()?.manifest.audit.log else {
            return Ok(None);
        };
        let (key_file, key_secret) = match log.key {
            KeySource::File(path) => (Some(path), None),
            KeySource::Secret(name) => (None, Some(name)),
        };
        Ok(Some(Log {
            path: log.path,
            key_file,
            key_secret,
        }))
    }

    /// Begins to write the log, once there is a provider that may hold its key.
    pub(super) async fn open_log(&self, plan: &Plan, connection: &Connection) -> Result<()> {
        let key = match plan.audit.key_secret() {
            Some(name) => Some(connection.read(name).await?),
            None => None,
        };
        // A few system calls, once a boot.
        let opened = plan.audit.open(key.as_ref());
        if opened.is_err() {
            // The error that stops the boot matters more than one of closing.
            let _ = connection.close().await;
        }
        opened
    }
}
