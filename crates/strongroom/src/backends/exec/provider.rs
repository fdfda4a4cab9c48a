//! The provider: what the program can't do is refused without starting it.

use std::sync::atomic::{AtomicBool, Ordering};

use async_trait::async_trait;
use zeroize::Zeroizing;

use super::caller::Caller;
use super::introduction::{Introduction, Operation};
use super::object::Problem;
use super::{answer, request};
use crate::backends::files::batch::repeat;
use crate::backends::files::value::check_size;
use crate::error::{Error, ErrorKind, Result};
use crate::name::SecretName;
use crate::provider::{
    Description, Expect, ProviderHealth, Put, Reply, Request, SecretProvider, Stage, Target,
    VersionInfo,
};
use crate::secret::Version;

#[derive(Debug)]
pub(super) struct Provider {
    caller: Caller,
    introduction: Introduction,
    closed: AtomicBool,
}

impl Provider {
    pub(super) fn new(caller: Caller, introduction: Introduction) -> Self {
        Self {
            caller,
            introduction,
            closed: AtomicBool::new(false),
        }
    }

    fn config(&self) -> Option<&str> {
        self.caller.settings().config.as_deref()
    }

    fn check(&self, operation: Operation) -> Result<()> {
        if self.closed.load(Ordering::Acquire) {
            return Err(self.caller.error(ErrorKind::Closed, "was closed"));
        }
        match self.introduction.can(operation) {
            true => Ok(()),
            false => Err(self.unsupported(operation)),
        }
    }

    fn unsupported(&self, operation: Operation) -> Error {
        let what = format!("has no operation `{}`", operation.as_str());
        self.caller.error(ErrorKind::Unsupported, &what)
    }

    async fn ask<T>(
        &self,
        operation: Operation,
        request: Zeroizing<Vec<u8>>,
        read: impl FnOnce(Zeroizing<Vec<u8>>) -> std::result::Result<T, Problem>,
    ) -> Result<T> {
        self.check(operation)?;
        let answer = self.caller.call(operation, request).await?;
        read(answer).map_err(|problem| self.caller.failure(operation, problem))
    }

    /// Asks about one secret, whose name every error then has.
    async fn ask_about<T>(
        &self,
        operation: Operation,
        (target, version): (&Target, Option<&Version>),
        read: impl FnOnce(Zeroizing<Vec<u8>>) -> std::result::Result<T, Problem>,
    ) -> Result<T> {
        let request = request::about(operation, target, version, self.config());
        let asked = self.ask(operation, request, read).await;
        asked.map_err(|error| error.with_name(&target.name))
    }

    /// Reports whether the program may be asked for this: one without stages is never asked for the pending one.
    fn knows(&self, stage: &Stage) -> bool {
        *stage != Stage::Pending || self.introduction.can(Operation::Promote)
    }

    async fn replies(&self, wanted: &[&Request]) -> Result<Vec<Result<Reply>>> {
        let request = request::fetch(wanted, self.config());
        let replies = self.ask(Operation::Fetch, request, |text| {
            answer::replies(text, wanted)
        });
        let convert = |reply: std::result::Result<Reply, Problem>| {
            reply.map_err(|problem| self.caller.failure(Operation::Fetch, problem))
        };
        Ok(replies.await?.into_iter().map(convert).collect())
    }
}

#[async_trait]
impl SecretProvider for Provider {
    fn describe(&self) -> Description {
        let writable = self.introduction.is_writable();
        Description::new("exec", &self.caller.settings().shown, writable)
    }

    async fn fetch(&self, wanted: &[Request]) -> Vec<Result<Reply>> {
        let asked: Vec<_> = wanted.iter().filter(|one| self.knows(&one.stage)).collect();
        let replies = match (asked.is_empty(), self.check(Operation::Fetch)) {
            (_, Err(error)) => Err(error),
            (true, Ok(())) => Ok(Vec::new()),
            (false, Ok(())) => self.replies(&asked).await,
        };
        let mut replies = replies.map(Vec::into_iter);
        let reply = |request: &Request| {
            let reply = match &mut replies {
                Err(error) => Err(repeat(error)),
                Ok(_) if !self.knows(&request.stage) => Err(self.unsupported(Operation::Promote)),
                // There is one for each that was asked for.
                Ok(replies) => replies.next().unwrap_or_else(|| {
                    Err(self
                        .caller
                        .error(ErrorKind::Malformed, "gave too few answers"))
                }),
            };
            reply.map_err(|error| error.with_name(&request.target.name))
        };
        wanted.iter().map(reply).collect()
    }

    async fn put(&self, put: &Put) -> Result<Option<Version>> {
        let write = async {
            self.check(Operation::Put)?;
            if !self.knows(&put.stage) {
                return Err(self.unsupported(Operation::Promote));
            }
            // EXPOSES: to a look at its length
            check_size(put.value.expose_bytes(), &self.caller.settings().shown)?;
            let request = request::put(put, self.config())?;
            self.ask(Operation::Put, request, answer::written).await
        };
        let written = write.await;
        written.map_err(|error| error.with_name(&put.target.name))
    }

    async fn delete(&self, target: &Target, expect: &Expect) -> Result<()> {
        let request = request::delete(target, expect, self.config());
        let deleted = self.ask(Operation::Delete, request, answer::done).await;
        deleted.map_err(|error| error.with_name(&target.name))
    }

    async fn list(&self, prefix: &str) -> Result<Vec<SecretName>> {
        let request = request::list(prefix, self.config());
        self.ask(Operation::List, request, |text| answer::names(text, prefix))
            .await
    }

    /// A program without a health of its own is asked what it is: so it runs at least.
    async fn health(&self) -> Result<ProviderHealth> {
        if !self.introduction.can(Operation::Health) {
            self.check(Operation::Describe)?;
            self.caller.introduce().await?;
            return Ok(ProviderHealth::ready());
        }
        let request = request::plain(Operation::Health, self.config());
        Ok(
            match self
                .ask(Operation::Health, request, answer::degraded)
                .await?
            {
                true => ProviderHealth::ready().with_reason("the program says that it is degraded"),
                false => ProviderHealth::ready(),
            },
        )
    }

    async fn close(&self) -> Result<()> {
        self.closed.store(true, Ordering::Release);
        Ok(())
    }

    async fn versions(&self, target: &Target) -> Result<Vec<VersionInfo>> {
        self.ask_about(Operation::Versions, (target, None), answer::history)
            .await
    }

    async fn restore(&self, target: &Target) -> Result<()> {
        self.ask_about(Operation::Restore, (target, None), answer::done)
            .await
    }

    async fn promote(&self, target: &Target, version: &Version) -> Result<()> {
        self.ask_about(Operation::Promote, (target, Some(version)), answer::done)
            .await
    }

    async fn discard(&self, target: &Target, version: &Version) -> Result<()> {
        self.ask_about(Operation::Discard, (target, Some(version)), answer::done)
            .await
    }
}
