use std::error::Error as _;
use std::sync::Mutex;

use proptest::prelude::*;

use super::*;
use crate::backends::{Fault, Memory, Operation};
use crate::error::ErrorKind;
use crate::provider::Stage;
use crate::secret::Secret;

mod logs;
mod reading;
mod timing;
mod writing;

/// Without jitter: every pause is the longest one.
fn retry(provider: impl SecretProvider + 'static) -> Retry {
    Retry {
        random: || None,
        ..Retry::new(Arc::new(provider), Settings::default())
    }
}

fn name(text: &str) -> SecretName {
    text.parse().unwrap()
}

fn target(text: &str) -> Target {
    Target::new(name(text))
}

fn transient(message: &str) -> Error {
    Error::new(ErrorKind::Transient, message)
}

/// A provider whose reads are answered by a test, which sees which names each call asks for.
struct Answers<F> {
    answer: F,
    asked: Arc<Mutex<Vec<Vec<String>>>>,
}

impl<F: Fn(usize, &Request) -> Result<Reply> + Send + Sync> Answers<F> {
    /// `answer` gets the number of the call, from 1, and one request of it.
    fn new(answer: F) -> (Self, Arc<Mutex<Vec<Vec<String>>>>) {
        let asked = Arc::default();
        let answers = Self {
            answer,
            asked: Arc::clone(&asked),
        };
        (answers, asked)
    }
}

impl<F> std::fmt::Debug for Answers<F> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Answers")
    }
}

#[async_trait]
impl<F: Fn(usize, &Request) -> Result<Reply> + Send + Sync> SecretProvider for Answers<F> {
    fn describe(&self) -> Description {
        Description::new("answers", "answers:", false)
    }

    async fn fetch(&self, wanted: &[Request]) -> Vec<Result<Reply>> {
        let names = wanted.iter().map(|request| request.target.name.to_string());
        let call = {
            let mut asked = self.asked.lock().unwrap();
            asked.push(names.collect());
            asked.len()
        };
        wanted
            .iter()
            .map(|request| (self.answer)(call, request))
            .collect()
    }

    async fn put(&self, put: &Put) -> Result<Option<Version>> {
        (self.answer)(0, &Request::new(put.target.clone())).map(|_| None)
    }

    async fn delete(&self, _: &Target, _: &Expect) -> Result<()> {
        unreachable!()
    }

    async fn list(&self, _: &str) -> Result<Vec<SecretName>> {
        unreachable!()
    }

    async fn health(&self) -> Result<ProviderHealth> {
        unreachable!()
    }

    async fn close(&self) -> Result<()> {
        unreachable!()
    }
}

fn requests(names: &[&str]) -> Vec<Request> {
    names.iter().map(|text| Request::from(name(text))).collect()
}

fn value_of(answer: &Result<Reply>) -> &str {
    match answer {
        Ok(Reply::Value(secret)) => secret.expose_str().unwrap(),
        other => panic!("{other:?}"),
    }
}
