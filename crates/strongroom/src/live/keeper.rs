//! What a handle keeps alive, and whom it reports to.

use async_trait::async_trait;

use crate::events::Events;

/// Whoever replaces the value of a handle. It works for as long as a handle holds it.
#[async_trait]
pub(crate) trait Keeper: Send + Sync {
    /// Reads the value again, unless that was just done, and returns when what came of it is in force.
    async fn rejected(&self);

    /// Returns what happens to the value from now on.
    fn events(&self) -> Events;
}
