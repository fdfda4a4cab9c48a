//! Batches: of many requests, only what failed is tried again.

use std::collections::BTreeSet;
use std::time::Duration;

use tokio::time::{Instant, sleep, timeout_at};

use super::Retry;
use super::call::Call;
use crate::error::{Error, Result};
use crate::provider::{Reply, Request};

impl Retry {
    /// Reads a batch. Its answers keep their order, and those that are final are not asked for again.
    pub(super) async fn batch(&self, wanted: &[Request]) -> Vec<Result<Reply>> {
        let deadline = self.deadline();
        let Ok(mut answers) = timeout_at(deadline, self.inner.fetch(wanted)).await else {
            return wanted
                .iter()
                .map(|request| Err(self.late(request, None)))
                .collect();
        };
        let mut attempts = 1_u32;
        while let Some(again) = self.again(wanted, &answers, attempts, deadline) {
            let single = match again.requests.as_slice() {
                [request] => Some(&request.target.name),
                _ => None,
            };
            Call::read("fetch", single).log(attempts, again.requests.len(), again.pause);
            sleep(again.pause).await;
            let Ok(replies) = timeout_at(deadline, self.inner.fetch(&again.requests)).await else {
                let late = |(at, answer)| match (answer, wanted.get(at)) {
                    (Err(last), Some(request)) if again.places.contains(&at) => {
                        Err(self.late(request, Some(last)))
                    }
                    // What was answered before keeps its answer.
                    (answer, _) => answer,
                };
                answers = answers.into_iter().enumerate().map(late).collect();
                break;
            };
            for (at, reply) in again.places.iter().zip(replies) {
                if let Some(answer) = answers.get_mut(*at) {
                    *answer = reply;
                }
            }
            attempts = attempts.saturating_add(1);
        }
        let end = |error| Call::read("fetch", None).end(error);
        answers
            .into_iter()
            .map(|answer| answer.map_err(end))
            .collect()
    }

    /// Collects what is tried again after so many attempts: what failed, and what was answered from
    /// the same documents, since one document is only ever answered from one version of it.
    fn again(
        &self,
        wanted: &[Request],
        answers: &[Result<Reply>],
        attempts: u32,
        deadline: Instant,
    ) -> Option<Again> {
        let retryable = |answer: &Result<Reply>| answer.as_ref().is_err_and(Error::is_retryable);
        if !answers.iter().any(retryable) {
            return None;
        }
        let round = self.round(attempts, deadline);
        let mut documents = BTreeSet::new();
        let mut pause = Duration::ZERO;
        for (request, answer) in wanted.iter().zip(answers) {
            let call = Call::read("fetch", Some(&request.target.name));
            if let Err(error) = answer
                && let Some(wanted) = round.pause(call, error)
            {
                documents.insert(request.target.document());
                pause = pause.max(wanted);
            }
        }
        let is_again = |(request, answer): (&Request, &Result<Reply>)| {
            (answer.is_ok() || retryable(answer)) && documents.contains(request.target.document())
        };
        let pairs = wanted.iter().zip(answers).enumerate();
        let again = pairs.filter(|(_, pair)| is_again(*pair));
        let (places, requests): (Vec<_>, Vec<_>) = again
            .map(|(at, (request, _))| (at, request.clone()))
            .unzip();
        (!places.is_empty()).then_some(Again {
            places,
            requests,
            pause,
        })
    }

    fn late(&self, request: &Request, last: Option<Error>) -> Error {
        Call::read("fetch", Some(&request.target.name)).out_of_time(self.settings.deadline, last)
    }
}

/// The part of a batch that is tried again.
struct Again {
    /// Where the requests stand in the whole batch.
    places: Vec<usize>,
    requests: Vec<Request>,
    pause: Duration,
}
