//! The names beneath a prefix.

use aws_sdk_secretsmanager::operation::list_secrets::ListSecretsOutput;
use aws_sdk_secretsmanager::types::{Filter, FilterNameStringType};

use super::{Pages, Store};
use crate::backends::check_listed;
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
            names.extend(found(&answer, &before, prefix));
            check_listed(names.len(), &self.settings.shown)?;
            if !pages.turn(&what, answer.next_token)? {
                names.sort();
                names.dedup();
                return Ok(names);
            }
        }
    }
}

/// The names on one page.
pub(super) fn found(
    page: &ListSecretsOutput,
    before: &str,
    prefix: &str,
) -> impl Iterator<Item = SecretName> {
    page.secret_list().iter().filter_map(move |secret| {
        let name = secret.name()?.strip_prefix(before)?;
        // What is no name of ours can't be asked for by name either.
        let name = SecretName::parse(name).ok()?;
        (name.as_str().starts_with(prefix) && secret.deleted_date().is_none()).then_some(name)
    })
}
