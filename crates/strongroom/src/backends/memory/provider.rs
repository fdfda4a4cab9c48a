//! Memory as a provider: each method is one call of the script and one look into the store.

use async_trait::async_trait;

use super::script::Operation;
use super::store::Store;
use super::{Contents, Memory, closed};
use crate::error::{Error, Result};
use crate::name::SecretName;
use crate::provider::{
    Description, Expect, ProviderHealth, Put, Reply, Request, SecretProvider, Target, VersionInfo,
};
use crate::secret::Version;

#[async_trait]
impl SecretProvider for Memory {
    fn describe(&self) -> Description {
        Description::new("memory", "memory:", true)
    }

    async fn fetch(&self, wanted: &[Request]) -> Vec<Result<Reply>> {
        let answer = |store: &Store, request: &Request| {
            self.check(&request.target)?;
            let answer = store.fetch(request);
            answer.map_err(|error| error.with_name(&request.target.name))
        };
        let work = |store: &mut Store| Ok(wanted.iter().map(|r| answer(store, r)).collect());
        match self.with_store(Operation::Fetch, work).await {
            Ok(answers) => answers,
            Err(error) => wanted
                .iter()
                .map(|r| Err(Error::new(error.kind(), error.to_string()).with_name(&r.target.name)))
                .collect(),
        }
    }

    async fn put(&self, put: &Put) -> Result<Option<Version>> {
        let work = |store: &mut Store| store.put(put).map(Some);
        self.write(Operation::Put, &put.target, work).await
    }

    async fn delete(&self, target: &Target, expect: &Expect) -> Result<()> {
        let work = |store: &mut Store| store.delete(target, expect);
        self.write(Operation::Delete, target, work).await
    }

    async fn list(&self, prefix: &str) -> Result<Vec<SecretName>> {
        self.with_store(Operation::List, |store| Ok(store.list(prefix)))
            .await
    }

    async fn health(&self) -> Result<ProviderHealth> {
        self.with_store(Operation::Health, |_| Ok(ProviderHealth::ready()))
            .await
    }

    async fn close(&self) -> Result<()> {
        let work = |contents: &mut Contents| {
            *contents = Contents::Closed;
            self.0.changes.notify_one();
            Ok(())
        };
        self.call(Operation::Close, work).await
    }

    /// Returns after a change since the last call, for one waiting caller at a time.
    async fn changed(&self) -> Result<()> {
        let is_closed = || matches!(*self.contents(), Contents::Closed);
        if !is_closed() {
            self.0.changes.notified().await;
        }
        if is_closed() { Err(closed()) } else { Ok(()) }
    }

    async fn versions(&self, target: &Target) -> Result<Vec<VersionInfo>> {
        let work = |store: &mut Store| {
            self.check(target)?;
            store.versions(target)
        };
        let found = self.with_store(Operation::Versions, work).await;
        found.map_err(|error| error.with_name(&target.name))
    }

    async fn restore(&self, target: &Target) -> Result<()> {
        let work = |store: &mut Store| store.restore(target);
        self.write(Operation::Restore, target, work).await
    }

    async fn promote(&self, target: &Target, version: &Version) -> Result<()> {
        let work = |store: &mut Store| store.promote(target, version);
        self.write(Operation::Promote, target, work).await
    }

    async fn discard(&self, target: &Target, version: &Version) -> Result<()> {
        let work = |store: &mut Store| store.discard(target, version);
        self.write(Operation::Discard, target, work).await
    }
}
