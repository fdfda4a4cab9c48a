//! A chain: providers in an order, of which one answers for each document.
//!
//! The first member that answers a document with a value is fixed for it, for the life of the
//! process: what another member gains or loses later changes nothing. Absence falls through to the
//! next member; an error never does, since nobody knows what lies behind it.

use std::collections::{BTreeSet, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use tokio::task::JoinSet;

use crate::error::{Error, ErrorKind, Result};
use crate::name::SecretName;
use crate::provider::{
    Description, Expect, ProviderHealth, Put, Reply, Request, SecretProvider, Target, VersionInfo,
};
use crate::secret::Version;

mod notices;
mod search;

use notices::Notices;

/// The scheme of a chain's address, `chain:overlay,base`.
pub(crate) const SCHEME: &str = "chain";

/// Providers in an order, of which one answers for each document.
///
/// What is fixed is the document (the backend's own id, or the path of the name), so that a user and
/// its password, its fields, never come from two members. A field that the fixed member's document
/// doesn't have is absent, though another member may have it.
#[derive(Debug)]
pub(crate) struct Chain {
    address: String,
    members: Vec<Arc<Member>>,
    /// What the service declares. All that is declared of a document is looked for together, so that
    /// the order of the reads doesn't decide which member answers.
    declared: Vec<Target>,
    fixed: Mutex<HashMap<String, Arc<Member>>>,
    notices: Notices,
}

/// A provider of a chain, by its name in the manifest.
#[derive(Debug)]
pub(crate) struct Member {
    name: String,
    provider: Arc<dyn SecretProvider>,
}

impl Chain {
    /// Makes a chain of providers by their names, the first asked first.
    pub(crate) fn new(
        members: impl IntoIterator<Item = (String, Arc<dyn SecretProvider>)>,
        declared: Vec<Target>,
    ) -> Self {
        let members = members.into_iter();
        let members: Vec<_> = members
            .map(|(name, provider)| Arc::new(Member { name, provider }))
            .collect();
        let names: Vec<_> = members.iter().map(|member| member.name.as_str()).collect();
        Self {
            address: format!("{SCHEME}:{}", names.join(",")),
            notices: Notices::of(&members),
            declared,
            fixed: Mutex::default(),
            members,
        }
    }

    /// Describes the member that answers for a secret, where one is fixed.
    pub(crate) fn describe_for(&self, target: &Target) -> Option<Description> {
        Some(self.fixed(target)?.provider.describe())
    }

    /// Describes every member.
    pub(crate) fn describe_members(&self) -> impl Iterator<Item = Description> {
        self.members.iter().map(|member| member.provider.describe())
    }

    fn fixed(&self, target: &Target) -> Option<Arc<Member>> {
        self.choices().get(target.document()).map(Arc::clone)
    }

    /// Fixes a member for a document, unless one is. Reports whether it is this one.
    fn fix(&self, document: &str, member: &Arc<Member>) -> bool {
        let mut choices = self.choices();
        let fixed = choices.entry(document.to_owned()).or_insert_with(|| {
            tracing::debug!(document, member = member.name, "a chain's member is fixed");
            Arc::clone(member)
        });
        Arc::ptr_eq(fixed, member)
    }

    fn choices(&self) -> MutexGuard<'_, HashMap<String, Arc<Member>>> {
        self.fixed.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Finds the member that answers for a secret, by reading where none is fixed.
    async fn find(&self, target: &Target) -> Result<Arc<Member>> {
        let found = self.search(&[Request::new(target.clone())]).await.pop();
        match (self.fixed(target), found.flatten()) {
            (Some(member), _) => Ok(member),
            // Looking for it was a read: nothing was written.
            (None, Some(Err(error))) => Err(error.with_no_effect()),
            (None, _) => Err(no_answer(target)),
        }
    }

    /// As [`find`](Self::find); where the secret has no current value, the first member that keeps
    /// versions of it.
    async fn find_history(&self, target: &Target) -> Result<Arc<Member>> {
        let absent = match self.find(target).await {
            Err(error) if error.kind() == ErrorKind::Absent => error,
            found => return found,
        };
        for member in &self.members {
            match member.provider.versions(target).await {
                Ok(versions) if versions.is_empty() => {}
                Ok(_) => return Ok(Arc::clone(member)),
                Err(error) if has_no_history(&error) => {}
                Err(error) => return Err(error.with_no_effect()),
            }
        }
        Err(absent)
    }
}

#[deny(clippy::missing_trait_methods)]
#[async_trait]
impl SecretProvider for Chain {
    fn describe(&self) -> Description {
        let writable = self.describe_members().any(|member| member.writable);
        Description::new(SCHEME, self.address.as_str(), writable)
    }

    /// A known version goes to the fixed member only: it means nothing to any other.
    async fn fetch(&self, wanted: &[Request]) -> Vec<Result<Reply>> {
        let mut answers = self.search(wanted).await;
        let mut batches: Vec<(&Arc<Member>, Vec<usize>, Vec<Request>)> = self
            .members
            .iter()
            .map(|member| (member, Vec::new(), Vec::new()))
            .collect();
        let open = wanted.iter().zip(&answers).enumerate();
        for (at, (request, _)) in open.filter(|(_, (_, answer))| answer.is_none()) {
            let fixed = self.fixed(&request.target);
            let is_fixed = |member: &Arc<Member>| {
                fixed
                    .as_ref()
                    .is_some_and(|fixed| Arc::ptr_eq(fixed, member))
            };
            if let Some((_, places, requests)) = batches.iter_mut().find(|(m, ..)| is_fixed(m)) {
                places.push(at);
                requests.push(request.clone());
            }
        }
        let mut running = JoinSet::new();
        for (member, places, requests) in batches {
            if !places.is_empty() {
                let member = Arc::clone(member);
                running.spawn(async move {
                    let replies = member.provider.fetch(&requests).await;
                    (member, places, replies)
                });
            }
        }
        while let Some(batch) = running.join_next().await {
            // A provider that panicked leaves its requests without an answer; that is said below.
            let Ok((member, places, replies)) = batch else {
                continue;
            };
            for (at, reply) in places.into_iter().zip(replies) {
                if let (Some(answer), Some(request)) = (answers.get_mut(at), wanted.get(at)) {
                    *answer = Some(member.own(reply, &request.target));
                }
            }
        }
        let pairs = answers.into_iter().zip(wanted);
        pairs
            .map(|(answer, request)| answer.unwrap_or_else(|| Err(no_answer(&request.target))))
            .collect()
    }

    /// Writes to the fixed member, and what is nowhere to the first one that can be written.
    async fn put(&self, put: &Put) -> Result<Option<Version>> {
        let member = match self.find(&put.target).await {
            Err(error) if error.kind() == ErrorKind::Absent => {
                let writable = |member: &&Arc<Member>| member.provider.describe().writable;
                let writable = self.members.iter().find(writable);
                Arc::clone(writable.or(self.members.first()).ok_or(error)?)
            }
            found => found?,
        };
        let version = member.provider.put(put).await?;
        self.fix(put.target.document(), &member);
        Ok(version)
    }

    async fn delete(&self, target: &Target, expect: &Expect) -> Result<()> {
        let member = self.find(target).await?;
        member.provider.delete(target, expect).await
    }

    /// Lists what can be read: of a document that a member is fixed for, only what that one has.
    async fn list(&self, prefix: &str) -> Result<Vec<SecretName>> {
        let mut names = BTreeSet::new();
        for member in &self.members {
            let listed = member.provider.list(prefix).await?;
            let choices = self.choices();
            let is_elsewhere = |name: &SecretName| {
                let fixed = choices.get(name.path());
                fixed.is_some_and(|fixed| !Arc::ptr_eq(fixed, member))
            };
            names.extend(listed.into_iter().filter(|name| !is_elsewhere(name)));
        }
        Ok(names.into_iter().collect())
    }

    async fn health(&self) -> Result<ProviderHealth> {
        let mut health = ProviderHealth::ready();
        for member in &self.members {
            for reason in member.provider.health().await?.degraded {
                health = health.with_reason(format!("{}: {reason}", member.name));
            }
        }
        Ok(health)
    }

    async fn close(&self) -> Result<()> {
        let mut outcome = Ok(());
        for member in &self.members {
            let closed = member.provider.close().await;
            outcome = outcome.and(closed);
        }
        outcome
    }

    async fn changed(&self) -> Result<()> {
        self.notices.next().await
    }

    async fn versions(&self, target: &Target) -> Result<Vec<VersionInfo>> {
        let member = self.find_history(target).await?;
        member.provider.versions(target).await
    }

    async fn restore(&self, target: &Target) -> Result<()> {
        let absent = match self.find(target).await {
            Ok(member) => return member.provider.restore(target).await,
            Err(error) if error.kind() == ErrorKind::Absent => error,
            Err(error) => return Err(error),
        };
        // What was deleted may have no versions to be found by.
        for member in &self.members {
            match member.provider.restore(target).await {
                Err(error) if has_no_history(&error) => {}
                restored => return restored,
            }
        }
        Err(absent)
    }

    async fn promote(&self, target: &Target, version: &Version) -> Result<()> {
        let member = self.find_history(target).await?;
        member.provider.promote(target, version).await
    }

    async fn discard(&self, target: &Target, version: &Version) -> Result<()> {
        let member = self.find_history(target).await?;
        member.provider.discard(target, version).await
    }
}

impl Member {
    /// Adds to an absence why no other member is asked.
    fn own<T>(&self, reply: Result<T>, target: &Target) -> Result<T> {
        reply.map_err(|error| {
            if error.kind() != ErrorKind::Absent {
                return error;
            }
            let (name, document) = (&self.name, target.document());
            let fixed = format!("`{name}` answers for all of `{document}` in this process");
            let help = match error.help() {
                Some(help) => format!("{fixed}: {help}"),
                None => fixed,
            };
            error.with_help(help)
        })
    }
}

/// Reports whether a provider keeps nothing of a secret but, perhaps, its current value.
fn has_no_history(error: &Error) -> bool {
    matches!(error.kind(), ErrorKind::Absent | ErrorKind::Unsupported)
}

fn no_answer(target: &Target) -> Error {
    Error::new(ErrorKind::Malformed, "the provider gave no answer for it").with_name(&target.name)
}

#[cfg(test)]
mod tests;
