//! The suite, called as a third party calls it.

use std::sync::Arc;

use async_trait::async_trait;
use strongroom::conformance::{self, Harness};
use strongroom::provider::{
    Description, Expect, ProviderHealth, Put, Reply, Request, SecretProvider, Target,
};
use strongroom::{Error, ErrorKind, Memory, Metadata, Result, Secret, SecretName, Version};
use tokio::sync::watch;

struct InMemory;

#[async_trait]
impl Harness for InMemory {
    async fn open(&self, held: &[(SecretName, Secret)]) -> Result<Arc<dyn SecretProvider>> {
        let memory = Memory::new();
        conformance::fill(&memory, held).await?;
        Ok(Arc::new(memory))
    }
}

#[tokio::test]
async fn memory_conforms() {
    conformance::assert_conforms(&InMemory).await;
}

/// The least that a third party's read-only backend has to write.
#[derive(Debug)]
struct Fixed {
    // `Secret` shows nothing in `Debug`.
    held: Vec<(SecretName, Secret)>,
    closed: watch::Sender<bool>,
}

impl Fixed {
    fn check_open(&self) -> Result<()> {
        match *self.closed.borrow() {
            true => Err(Error::new(ErrorKind::Closed, "closed")),
            false => Ok(()),
        }
    }

    fn find(&self, request: &Request) -> Result<Reply> {
        self.check_open()?;
        let name = &request.target.name;
        let found = self.held.iter().find(|(held, _)| held == name);
        match (found, &request.stage) {
            (Some((_, secret)), strongroom::provider::Stage::Current) => {
                let metadata = Metadata::new().with_name(name);
                Ok(Reply::Value(secret.clone().with_metadata(metadata)))
            }
            _ => Err(Error::new(ErrorKind::Absent, "not there").with_name(name)),
        }
    }
}

#[async_trait]
impl SecretProvider for Fixed {
    fn describe(&self) -> Description {
        Description::new("fixed", "fixed:", false)
    }
    async fn fetch(&self, wanted: &[Request]) -> Vec<Result<Reply>> {
        wanted.iter().map(|request| self.find(request)).collect()
    }
    async fn put(&self, _: &Put) -> Result<Option<Version>> {
        Err(Error::new(ErrorKind::Unsupported, "fixed: is read-only"))
    }
    async fn delete(&self, _: &Target, _: &Expect) -> Result<()> {
        Err(Error::new(ErrorKind::Unsupported, "fixed: is read-only"))
    }
    async fn list(&self, prefix: &str) -> Result<Vec<SecretName>> {
        self.check_open()?;
        let names = self.held.iter().map(|(name, _)| name.clone());
        let mut names: Vec<_> = names
            .filter(|name| name.as_str().starts_with(prefix))
            .collect();
        names.sort();
        Ok(names)
    }
    async fn health(&self) -> Result<ProviderHealth> {
        self.check_open().map(|()| ProviderHealth::ready())
    }
    async fn close(&self) -> Result<()> {
        self.closed.send_replace(true);
        Ok(())
    }
}

struct FixedHarness;

#[async_trait]
impl Harness for FixedHarness {
    async fn open(&self, held: &[(SecretName, Secret)]) -> Result<Arc<dyn SecretProvider>> {
        if held
            .iter()
            .any(|(_, value)| value.len() > strongroom::MAX_VALUE_BYTES)
        {
            return Err(Error::new(ErrorKind::Malformed, "a value is too long"));
        }
        let closed = watch::Sender::new(false);
        let held = held.to_vec();
        Ok(Arc::new(Fixed { held, closed }))
    }
}

#[tokio::test]
async fn a_third_partys_backend_conforms() {
    let outcome = conformance::run(&FixedHarness).await;
    assert!(outcome.is_conforming(), "{outcome}");
    assert!(outcome.passed.len() > 25, "{outcome}");
}
