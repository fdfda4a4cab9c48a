//! What the fuzz targets of AWS's answers run: AWS's own client decodes the bytes, we what it makes of
//! them. No error holds anything that the server wrote but its code and the keys of a secret.

#![allow(
    clippy::missing_panics_doc,
    clippy::panic,
    reason = "to panic is what these functions are for"
)]

use std::sync::{Arc, OnceLock};

use aws_sdk_secretsmanager::config::RuntimePlugin as _;
use aws_sdk_secretsmanager::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_secretsmanager::operation::batch_get_secret_value::{
    BatchGetSecretValue, BatchGetSecretValueError, BatchGetSecretValueOutput,
};
use aws_sdk_secretsmanager::operation::describe_secret::{
    DescribeSecret, DescribeSecretError, DescribeSecretOutput,
};
use aws_sdk_secretsmanager::operation::get_secret_value::{
    GetSecretValue, GetSecretValueError, GetSecretValueOutput,
};
use aws_sdk_secretsmanager::operation::list_secret_version_ids::{
    ListSecretVersionIds, ListSecretVersionIdsError, ListSecretVersionIdsOutput,
};
use aws_sdk_secretsmanager::operation::list_secrets::{
    ListSecrets, ListSecretsError, ListSecretsOutput,
};
use aws_smithy_runtime_api::client::orchestrator::HttpResponse;
use aws_smithy_runtime_api::client::ser_de::{
    DeserializeResponse as _, SharedResponseDeserializer,
};
use aws_smithy_types::body::SdkBody;
use aws_smithy_types::config_bag::{ConfigBag, FrozenLayer};
use zeroize::Zeroizing;

use super::{Described, Document, Store, batch, history, list};
use crate::backends::Connect;
use crate::backends::aws::client::Client;
use crate::backends::aws::credentials::container;
use crate::backends::aws::failure::Failure;
use crate::backends::aws::place::Place;
use crate::backends::aws::settings::Settings;
use crate::env::{Deployment, Env};
use crate::error::ErrorKind;
use crate::fuzzing::never_quotes;
use crate::name::SecretName;
use crate::provider::{Reply, Request, Target};
use crate::rails::GuardRails;

const ID: &str = "app/database";

/// Answers of status 200. The first byte chooses the call that is answered.
pub fn aws_answer(data: &[u8]) {
    let Some((call, body)) = data.split_first() else {
        return;
    };
    let Some(store) = store() else {
        panic!("the store can't be set up");
    };
    let response = || response(200, None, body);
    match call & 7 {
        0 | 1 => {
            let layer = GetSecretValue::new().config();
            let got = decoded::<GetSecretValueOutput, GetSecretValueError>(layer, response(), body);
            if let Some(got) = got {
                let (text, binary) = (got.secret_string, got.secret_binary);
                let document = Document::new(text, binary, got.version_id, got.created_date);
                read(store, body, &document);
            }
        }
        2 | 3 => {
            let layer = BatchGetSecretValue::new().config();
            let got = decoded::<BatchGetSecretValueOutput, BatchGetSecretValueError>(
                layer,
                response(),
                body,
            );
            for entry in got.and_then(|got| got.secret_values).unwrap_or_default() {
                let _ = batch::is_of(&entry, ID);
                read(store, body, &batch::document(entry));
            }
        }
        4 => {
            let layer = DescribeSecret::new().config();
            let got = decoded::<DescribeSecretOutput, DescribeSecretError>(layer, response(), body);
            if let Some(described) = got.map(Described::of) {
                let error = store.gone(ID, described.deleted);
                never_quotes(body, &format!("{error:?} {error}"));
            }
        }
        5 => {
            let layer = ListSecretVersionIds::new().config();
            let got = decoded::<ListSecretVersionIdsOutput, ListSecretVersionIdsError>(
                layer,
                response(),
                body,
            );
            let versions = got.and_then(|got| got.versions).unwrap_or_default();
            let _ = format!("{:?}", history::newest_first(versions));
        }
        _ => {
            let layer = ListSecrets::new().config();
            let got = decoded::<ListSecretsOutput, ListSecretsError>(layer, response(), body);
            if let Some(page) = got {
                let names: Vec<SecretName> = list::found(&page, "app/", "data").collect();
                assert!(names.iter().all(|name| name.as_str().starts_with("data")));
            }
        }
    }
}

/// Refusals: the status by the first byte, a line of `Retry-After`, then the body.
pub fn aws_refusal(data: &[u8]) {
    let Some((status, rest)) = data.split_first() else {
        return;
    };
    let mut parts = rest.splitn(2, |byte| *byte == b'\n');
    let wait = parts.next().and_then(|wait| std::str::from_utf8(wait).ok());
    let body = parts.next().unwrap_or_default();
    let status = 300_u16.saturating_add(u16::from(*status));
    let layer = GetSecretValue::new().config();
    let refused = response(status, wait, body);
    decoded::<GetSecretValueOutput, GetSecretValueError>(layer, refused, body);
}

/// What the endpoint of a container's credentials answers.
pub fn aws_container(data: &[u8]) {
    if let Some(credentials) = container::read(Zeroizing::new(data.to_vec())) {
        assert!(!credentials.access_key_id().is_empty());
        assert!(!credentials.secret_access_key().is_empty());
    }
}

fn read(store: &Store, body: &[u8], document: &Document) {
    const NAME: SecretName = SecretName::from_static("database");
    const FIELD: SecretName = SecretName::from_static("database#password");
    for name in [NAME, FIELD] {
        let place = Place {
            id: ID.to_owned(),
            field: name.field().map(str::to_owned),
        };
        let request = Request::new(Target::new(name));
        match store.reply(&place, document, &request) {
            Ok(Reply::Value(secret)) => never_quotes(secret.expose_bytes(), &format!("{secret:?}")),
            Ok(Reply::Unchanged) => panic!("nothing was known"),
            // The keys of a document are shown.
            Err(error) if error.kind() == ErrorKind::Absent => {}
            Err(error) => {
                let shown = format!("{error:?} {error}");
                if !shown.contains("is there twice") {
                    never_quotes(body, &shown);
                }
            }
        }
    }
}

/// What AWS's client reads in an answer; a failure is looked at as that of a call.
fn decoded<O, E>(
    layer: Option<FrozenLayer>,
    response: Option<HttpResponse>,
    body: &[u8],
) -> Option<O>
where
    O: Send + Sync + std::fmt::Debug + 'static,
    E: ProvideErrorMetadata + std::error::Error + Send + Sync + 'static,
{
    let (layer, response) = (layer?, response?);
    let decoder = layer.load::<SharedResponseDeserializer>()?;
    let error = match decoder.deserialize_nonstreaming_with_config(&response, &ConfigBag::base()) {
        Ok(output) => return output.downcast().ok(),
        Err(error) => error,
    };
    let mut found = None;
    let _ = error.map_operation_error(|error| found = error.downcast::<E>().ok());
    let error = SdkError::service_error(found?, response);
    let failure = Failure::of("GetSecretValue", &error);
    // AWS's code is shown, which is one word of at most 64 characters.
    let shown = format!("{:?} {}", failure.error, failure.error);
    let code = error.code().unwrap_or_default().to_owned();
    let known = body.split(|byte| !byte.is_ascii_alphanumeric());
    for word in known.filter(|word| {
        !code
            .as_bytes()
            .windows(word.len().max(1))
            .any(|w| w == *word)
    }) {
        never_quotes(word, &shown);
    }
    None
}

fn response(status: u16, wait: Option<&str>, body: &[u8]) -> Option<HttpResponse> {
    let status = aws_smithy_runtime_api::http::StatusCode::try_from(status).ok()?;
    let mut response = HttpResponse::new(status, SdkBody::from(body));
    if let Some(wait) = wait {
        let _ = response
            .headers_mut()
            .try_insert("retry-after", wait.to_owned());
    }
    Some(response)
}

/// A store that nothing was asked of.
fn store() -> Option<&'static Store> {
    static STORE: OnceLock<Option<Arc<Store>>> = OnceLock::new();
    let make = || {
        let url = "aws://eu-west-1/app".parse().ok()?;
        let rails = GuardRails::new(Deployment::Development, []);
        let connect = Connect::new(url, Env::empty(), rails);
        let runtime = tokio::runtime::Builder::new_current_thread().build().ok()?;
        let settings = runtime.block_on(Settings::read(&connect)).ok()?;
        let client = Client::new(&connect, &settings).ok()?;
        Some(Arc::new(Store::new(client, settings)))
    };
    STORE.get_or_init(make).as_deref()
}
