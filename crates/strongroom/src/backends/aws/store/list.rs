//! The names beneath a prefix.

use aws_sdk_secretsmanager::types::{Filter, FilterNameStringType};

use super::{Pages, Store};
use crate::error::Result;
use crate::name::SecretName;

/// The most names on one page.
const PAGE: i32 = 100;

impl Store {
    /// Lists the names that begin with `prefix`, sorted. AWS's list may be minutes late.
    pub(in crate::backends::aws) async fn list(&self, prefix: &str) -> Result<Vec<SecretName>> {
        let before = match self.settings.prefix.as_str() {
            "" => String::new(),
            before => format!("{before}/"),
        };
        let beginning = format!("{before}{prefix}");
        let filter = Filter::builder()
            .key(FilterNameStringType::Name)
            .values(&beginning)
            .build();
        let filters = (!beginning.is_empty()).then(|| vec![filter]);
        let what = format!("{}: ListSecrets", self.settings.shown);
        let mut names = Vec::new();
        let mut pages = Pages::default();
        loop {
            let send = |aws: &aws_sdk_secretsmanager::Client| {
                aws.list_secrets()
                    .max_results(PAGE)
                    .set_filters(filters.clone())
                    .set_next_token(pages.next.clone())
                    .send()
            };
            let answer = self.client.call(&what, send).await?;
            for secret in answer.secret_list() {
                let name = secret.name().and_then(|name| name.strip_prefix(&before));
                let name = name.filter(|name| name.starts_with(prefix));
                // What is no name of ours can't be asked for by name either.
                let name = name.and_then(|name| SecretName::parse(name).ok());
                names.extend(name.filter(|_| secret.deleted_date().is_none()));
            }
            if !pages.turn(&what, answer.next_token)? {
                names.sort();
                names.dedup();
                return Ok(names);
            }
        }
    }
}
