//! What we may do, asked without reading any value.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::SystemTime;

use aws_sdk_secretsmanager::config::{ConfigBag, Intercept, RuntimeComponents};
use aws_sdk_secretsmanager::error::BoxError;
use aws_sdk_secretsmanager::primitives::{DateTime, DateTimeFormat};
use aws_smithy_runtime_api::client::interceptors::context::BeforeDeserializationInterceptorContextRef;
use aws_smithy_runtime_api::client::interceptors::dyn_dispatch_hint;

use super::{Store, time};
use crate::backends::aws::failure::{ACCESS_DENIED, INVALID_REQUEST, NOT_FOUND};
use crate::error::{ErrorKind, Result};

/// A version, and a secret, that no one has.
const NONE: &str = "00000000-0000-4000-8000-000000000000";

/// What came of a call, and when AWS says that it was.
pub(in crate::backends::aws) struct Answered {
    pub(in crate::backends::aws) outcome: Result<()>,
    pub(in crate::backends::aws) date: Option<SystemTime>,
}

/// What we may do with one secret.
pub(in crate::backends::aws) struct Access {
    pub(in crate::backends::aws) readable: Result<()>,
    /// The KMS key of your own that encrypts it, where that could be asked.
    pub(in crate::backends::aws) key: Option<String>,
}

impl Store {
    /// Asks whether AWS answers, and whether it takes our credentials. What they allow, it doesn't
    /// tell.
    pub(in crate::backends::aws) async fn ping(&self) -> Answered {
        let what = format!("{}: ListSecrets", self.settings.shown);
        let dated = Dated::default();
        let send = |aws: &aws_sdk_secretsmanager::Client| {
            let call = aws.list_secrets().max_results(1).customize();
            call.interceptor(dated.clone()).send()
        };
        let outcome = match self.client.call(&what, send).await {
            Err(failure) if failure.error.kind() != ErrorKind::Denied => Err(failure.error),
            _ => Ok(()),
        };
        let date = *dated.0.lock().unwrap_or_else(PoisonError::into_inner);
        Answered { outcome, date }
    }

    /// Asks whether a secret is there, and whether we may read it: AWS says first whether we may, and
    /// only then that there is no such version.
    pub(in crate::backends::aws) async fn access(&self, id: &str) -> Access {
        let what = self.doing("GetSecretValue", id);
        let send = |aws: &aws_sdk_secretsmanager::Client| {
            aws.get_secret_value().secret_id(id).version_id(NONE).send()
        };
        let (asked, described) = tokio::join!(self.client.call(&what, send), self.describe(id));
        let key = described
            .as_ref()
            .ok()
            .and_then(|described| described.key.clone());
        let readable = match (asked, described) {
            (Err(failure), _) if !failure.is(NOT_FOUND) && !failure.is(INVALID_REQUEST) => {
                Err(failure.error)
            }
            (_, Ok(described)) if described.deleted.is_some() => {
                Err(self.gone(id, described.deleted))
            }
            (_, Err(failure)) if failure.is(NOT_FOUND) => Err(self.nothing(id)),
            (_, Ok(described)) if described.current.is_none() => Err(self.without_value(id)),
            _ => Ok(()),
        };
        Access { readable, key }
    }

    /// Asks whether we may read many secrets in one call.
    pub(in crate::backends::aws) async fn may_read_many(&self) -> Result<bool> {
        let what = format!("{}: BatchGetSecretValue", self.settings.shown);
        let send = |aws: &aws_sdk_secretsmanager::Client| {
            aws.batch_get_secret_value().secret_id_list(NONE).send()
        };
        match self.client.call(&what, send).await {
            Ok(_) => Ok(true),
            Err(failure) if failure.is(ACCESS_DENIED) => Ok(false),
            Err(failure) => Err(failure.error),
        }
    }
}

/// Keeps the time that an answer tells.
#[derive(Debug, Clone, Default)]
struct Dated(Arc<Mutex<Option<SystemTime>>>);

#[dyn_dispatch_hint]
impl Intercept for Dated {
    fn name(&self) -> &'static str {
        "Dated"
    }

    fn read_before_deserialization(
        &self,
        context: &BeforeDeserializationInterceptorContextRef<'_>,
        _: &RuntimeComponents,
        _: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        let date = context.response().headers().get("date");
        let date = date.and_then(|date| DateTime::from_str(date, DateTimeFormat::HttpDate).ok());
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = date.as_ref().and_then(time);
        Ok(())
    }
}
