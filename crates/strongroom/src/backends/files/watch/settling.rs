//! Which differences are changes: what was replaced as a whole at once, anything else when it rests.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use super::snapshot::{Files, Mark};

/// How long a file that is written in place, or that is gone, must stay as it is.
pub(super) const REST: Duration = Duration::from_millis(200);
/// The time from which a file that doesn't rest is worth a warning.
const RESTLESS: Duration = Duration::from_secs(10);

/// The differences that were not told yet.
#[derive(Debug, Default)]
pub(super) struct Settling {
    waiting: BTreeMap<PathBuf, Waiting>,
    /// Files that were renamed to where they are, whole, and not written since.
    renamed: BTreeSet<PathBuf>,
    warned: bool,
}

#[derive(Debug)]
struct Waiting {
    mark: Option<Mark>,
    first: Instant,
    since: Instant,
}

/// What a look found.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Outcome {
    /// Something changed.
    pub(super) changed: bool,
    /// When to look again at what has to rest.
    pub(super) again: Option<Instant>,
    /// A file that doesn't come to rest. Said once.
    pub(super) restless: Option<PathBuf>,
}

impl Settling {
    /// Notes that a file was renamed to this path.
    pub(super) fn renamed(&mut self, path: PathBuf) {
        self.renamed.insert(path);
    }

    /// Notes that a file at this path was begun, written or taken away.
    pub(super) fn touched(&mut self, path: &Path) {
        self.renamed.remove(path);
    }

    /// Compares what was told with what is there, and takes over what is a change.
    pub(super) fn compare(&mut self, told: &mut Files, found: &Files, now: Instant) -> Outcome {
        let different = different(told, found);
        self.waiting.retain(|path, _| different.contains(path));
        let mut outcome = Outcome::default();
        let mut ready = Vec::new();
        {
            let (links_told, links_found) = (links(told), links(found));
            for path in different {
                let (old, new) = (told.get(&path), found.get(&path));
                let whole = match (old, new) {
                    (_, Some(new)) => {
                        let is_new = |at, target| links_told.get(at) != Some(&target);
                        self.renamed.contains(&new.real)
                            || new.links.iter().any(|l| is_new(&*l.at, &*l.target))
                    }
                    // It is not in the generation that the link leads to now.
                    (Some(old), None) => old.links.iter().any(|link| {
                        let now = links_found.get(&*link.at);
                        now.is_some_and(|target| *target != link.target)
                    }),
                    (None, None) => false,
                };
                let waiting = self.waiting.entry(path.clone()).or_insert(Waiting {
                    mark: new.cloned(),
                    first: now,
                    since: now,
                });
                if waiting.mark.as_ref() != new {
                    (waiting.mark, waiting.since) = (new.cloned(), now);
                }
                if whole || now.saturating_duration_since(waiting.since) >= REST {
                    ready.push(path);
                    continue;
                }
                let due = waiting.since.checked_add(REST);
                outcome.again = [outcome.again, due].into_iter().flatten().min();
                if !self.warned && now.saturating_duration_since(waiting.first) >= RESTLESS {
                    self.warned = true;
                    outcome.restless = Some(path);
                }
            }
        }
        for path in ready {
            outcome.changed = true;
            self.waiting.remove(&path);
            match found.get(&path) {
                Some(mark) => {
                    self.renamed.remove(&mark.real);
                    told.insert(path, mark.clone());
                }
                None => {
                    told.remove(&path);
                }
            }
        }
        if self.waiting.is_empty() {
            self.renamed.clear();
        }
        outcome
    }
}

fn different(told: &Files, found: &Files) -> BTreeSet<PathBuf> {
    let gone = told.keys().filter(|path| !found.contains_key(*path));
    let new = found
        .iter()
        .filter(|(path, mark)| told.get(*path) != Some(*mark));
    gone.chain(new.map(|(path, _)| path)).cloned().collect()
}

fn links(files: &Files) -> BTreeMap<&Path, &Path> {
    let links = files.values().flat_map(|mark| &mark.links);
    links.map(|link| (&*link.at, &*link.target)).collect()
}
