//! Reads of many secrets: 20 in one call, or one by one where that call isn't allowed.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use aws_sdk_secretsmanager::types::{ApiErrorType, SecretValueEntry};
use tokio::task::JoinSet;

use super::{Document, Pages, Store};
use crate::backends::aws::failure::{ACCESS_DENIED, Failure};
use crate::error::{Error, Result};
use crate::provider::Stage;

/// The most secrets that AWS reads in one call.
const MOST: usize = 20;

/// Whether one call for many is allowed, as far as is known. It is an IAM action of its own.
#[derive(Default)]
pub(super) struct Batches {
    denied: AtomicBool,
}

type Answers = HashMap<String, Result<Document>>;

impl Store {
    /// Reads the versions in force of many secrets.
    pub(in crate::backends::aws) async fn read_many(self: Arc<Self>, ids: &[String]) -> Answers {
        let mut running = JoinSet::new();
        let one_by_one = self.batches.denied.load(Ordering::Relaxed);
        for ids in ids.chunks(if one_by_one { 1 } else { MOST }) {
            let (store, ids) = (Arc::clone(&self), ids.to_vec());
            running.spawn(store.read_group(ids));
        }
        let mut answers = Answers::new();
        while let Some(group) = running.join_next().await {
            // One that panicked leaves its secrets without an answer, which the provider says.
            answers.extend(group.unwrap_or_default());
        }
        answers
    }

    async fn read_group(self: Arc<Self>, ids: Vec<String>) -> Answers {
        if let [id] = ids.as_slice() {
            let read = self.read(id, &Stage::Current).await;
            return Answers::from([(id.clone(), read)]);
        }
        let mut answers = match self.batch(&ids).await {
            Ok(answers) => answers,
            Err(failure) if failure.is(ACCESS_DENIED) => {
                self.batches.denied.store(true, Ordering::Relaxed);
                tracing::info!(
                    "AWS allows no BatchGetSecretValue: secrets are read one by one from now on"
                );
                Answers::new()
            }
            Err(failure) if concerns_all(&failure) => {
                let error = &failure.error;
                return ids
                    .into_iter()
                    .map(|id| (id, Err(crate::backends::files::batch::repeat(error))))
                    .collect();
            }
            // It may concern one of the secrets, or the call itself: each is asked for by itself.
            Err(_) => Answers::new(),
        };
        let mut running = JoinSet::new();
        for id in ids.into_iter().filter(|id| !answers.contains_key(id)) {
            let store = Arc::clone(&self);
            running.spawn(async move {
                let read = store.read(&id, &Stage::Current).await;
                (id, read)
            });
        }
        while let Some(read) = running.join_next().await {
            answers.extend(read);
        }
        answers
    }

    /// Reads up to 20 secrets in one call. Those that it gives no answer to are left out.
    async fn batch(&self, ids: &[String]) -> Result<Answers, Failure> {
        let what = format!(
            "{}: BatchGetSecretValue of {} secrets",
            self.settings.shown,
            ids.len()
        );
        let mut answers = Answers::new();
        let mut pages = Pages::default();
        loop {
            let send = |aws: &aws_sdk_secretsmanager::Client| {
                aws.batch_get_secret_value()
                    .set_secret_id_list(Some(ids.to_vec()))
                    .set_next_token(pages.next.clone())
                    .send()
            };
            let mut answer = self.client.call(&what, send).await?;
            for entry in answer.secret_values.take().unwrap_or_default() {
                if let Some(id) = ids.iter().find(|id| is_of(&entry, id)) {
                    answers.insert(id.clone(), Ok(document(entry)));
                }
            }
            for error in answer.errors.take().unwrap_or_default() {
                if let Some((id, error)) = self.refused(ids, &error).await {
                    answers.insert(id, Err(error));
                }
            }
            if answers.len() >= ids.len() || !pages.turn(&what, answer.next_token)? {
                return Ok(answers);
            }
        }
    }

    /// What the failure of one secret means, inside a call that succeeded.
    async fn refused(&self, ids: &[String], error: &ApiErrorType) -> Option<(String, Error)> {
        let id = ids
            .iter()
            .find(|id| Some(id.as_str()) == error.secret_id())?;
        let what = self.doing("BatchGetSecretValue", id);
        let failure = Failure::answered(&what, error.error_code(), 400, None);
        Some((id.clone(), self.unread(id, failure).await))
    }
}

/// Reports whether a failed call would fail for each of its secrets alone.
pub(super) fn concerns_all(failure: &Failure) -> bool {
    failure.error.is_retryable() || failure.refuses_credentials()
}

/// AWS answers with the secret's name and whole ARN, whatever it was asked by: an ARN may have been
/// given without the six characters at its end.
pub(super) fn is_of(entry: &SecretValueEntry, id: &str) -> bool {
    let arn = entry.arn().unwrap_or_default();
    let is_partial = || {
        let end = arn.strip_prefix(id).and_then(|rest| rest.strip_prefix('-'));
        end.is_some_and(|end| end.len() == 6 && !end.contains('-'))
    };
    entry.name() == Some(id) || arn == id || (id.starts_with("arn:") && is_partial())
}

pub(super) fn document(entry: SecretValueEntry) -> Document {
    Document::new(
        entry.secret_string,
        entry.secret_binary,
        entry.version_id,
        entry.created_date,
    )
}
