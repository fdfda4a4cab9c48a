//! Dynamic secrets in their handles: read again whenever a provider says that a lease changed.

use std::sync::{Arc, Weak};
use std::time::Duration;

use tokio::task::JoinSet;

use super::{Shared, prove};
use crate::name::SecretName;
use crate::provider::SecretProvider;

/// How long the former secret of an ended lease stays the previous one, unless it ends before.
const OVERLAP: Duration = Duration::from_secs(60 * 60);

/// The waits after readings that failed, in a row.
const AGAIN: [u64; 6] = [1, 2, 4, 8, 16, 30];

/// Starts a task for each provider that lends secrets. They end with what is returned.
pub(super) fn follow(shared: &Arc<Shared>) -> JoinSet<()> {
    let mut running = JoinSet::new();
    for (provider, names) in shared.connection.lending() {
        running.spawn(attend(Arc::downgrade(shared), provider, names));
    }
    running
}

async fn attend(shared: Weak<Shared>, provider: Arc<dyn SecretProvider>, names: Vec<SecretName>) {
    while provider.changed().await.is_ok() {
        let mut waits = AGAIN.iter().copied();
        let last = AGAIN.last().copied().unwrap_or_default();
        while !read_again(&shared, &names).await {
            let wait = waits.next().unwrap_or(last);
            tokio::time::sleep(Duration::from_secs(wait)).await;
        }
    }
}

/// Reads and publishes; `false` if a reading failed.
async fn read_again(shared: &Weak<Shared>, names: &[SecretName]) -> bool {
    let Some(shared) = shared.upgrade() else {
        return true;
    };
    let mut whole = true;
    let answers = shared.connection.fetch(names).await;
    for (name, answer) in names.iter().zip(answers) {
        let declared = shared.connection.declaration(name.as_str());
        let proven = match (answer, declared) {
            (Ok(secret), Some(declared)) => prove(declared, secret),
            (answer, _) => answer,
        };
        let held = shared.held.load();
        match (proven, held.get(name)) {
            (Ok(secret), Some(held)) => {
                let same = held
                    .live
                    .with(|held| held.metadata().version() == secret.metadata().version());
                match same {
                    // The same one, lent for longer.
                    Ok(true) => held.publisher.publish(secret),
                    _ => held.publisher.publish_with_overlap(secret, OVERLAP),
                }
            }
            (Ok(_), None) => {}
            (Err(error), _) => {
                tracing::warn!(
                    secret = %name, kind = %error.kind(), %error,
                    "a dynamic secret could not be read again; the former one stays until it ends"
                );
                whole = false;
            }
        }
    }
    whole
}
