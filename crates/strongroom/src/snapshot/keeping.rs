//! Keeps the snapshot of a running service up to date.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use tokio::sync::Notify;
use tokio::time::sleep;

use super::Snapshot;
use super::content::{Content, Kept, Place};
use crate::connection::Connection;
use crate::declared::Declared;
use crate::error::ErrorKind;
use crate::refresh::Store;
use crate::secret::{Secret, Source};

/// The shortest time between two writings.
const PAUSE: Duration = Duration::from_secs(5 * 60);

/// Writes the snapshot now and after every notice, until it is dropped. A writing under way then still
/// ends, and the file is the former one or the new one.
pub(crate) async fn keep(
    snapshot: Arc<Snapshot>,
    connection: Connection,
    store: Arc<Store>,
    notices: Arc<Notify>,
) {
    loop {
        if let Some(content) = collect(&snapshot, &connection, &store) {
            let outcome = snapshot.write(&content).await;
            // Held for the writing only.
            drop(content);
            let is_news = snapshot.note(&outcome);
            if let Err(error) = outcome {
                if is_news {
                    let path = snapshot.file.path().display();
                    tracing::warn!(snapshot = %path, "the snapshot could not be written: {error}");
                }
                notices.notify_one();
            }
            sleep(PAUSE).await;
        }
        notices.notified().await;
    }
}

/// Collects what the backend confirmed, if it confirmed all that it has: a snapshot is no newer than
/// the oldest confirmation in it, so that an outage makes none look new.
fn collect(snapshot: &Snapshot, connection: &Connection, store: &Store) -> Option<Content> {
    let _whole = store.reading();
    if store.is_closed() {
        return None;
    }
    let mut taken = SystemTime::now();
    let mut kept = BTreeMap::new();
    for declared in connection.declared().filter(|known| !known.is_leased()) {
        let value = match look(store, declared) {
            Look::Confirmed(value, at) => {
                taken = taken.min(at);
                Some(value)
            }
            Look::Absent => None,
            Look::LeftOut => continue,
            Look::Unconfirmed => return None,
        };
        let place = Place::of(declared);
        kept.insert(declared.name.clone(), Kept { place, value });
    }
    Some(Content {
        origin: snapshot.origin.clone(),
        taken,
        kept,
    })
}

/// What is held of one secret.
enum Look {
    Confirmed(Secret, SystemTime),
    /// The backend has none, and the service runs without it.
    Absent,
    LeftOut,
    Unconfirmed,
}

fn look(store: &Store, declared: &Declared) -> Look {
    let Some(entry) = store.find(declared.name.as_str()) else {
        return Look::Absent;
    };
    let status = entry.status().clone();
    let value = match entry.live.with(Secret::clone) {
        Ok(value) => value,
        Err(error) => {
            return match error.kind() {
                ErrorKind::Absent if !declared.required => Look::Absent,
                // Withdrawn: what the backend no longer hands out must not come back from here.
                ErrorKind::Absent | ErrorKind::Denied => Look::LeftOut,
                _ => Look::Unconfirmed,
            };
        }
    };
    if status.failing.is_some() || status.refused.is_some() {
        return Look::Unconfirmed;
    }
    match value.metadata().source() {
        Source::Default => Look::Absent,
        // What ends by itself is not for keeping.
        Source::Live if value.metadata().expires().is_some() => Look::LeftOut,
        Source::Live if !entry.live.is_stale() => Look::Confirmed(value, status.confirmed_at),
        _ => Look::Unconfirmed,
    }
}
