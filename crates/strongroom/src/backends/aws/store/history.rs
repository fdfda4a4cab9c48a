//! The versions of a secret.

use aws_sdk_secretsmanager::types::SecretVersionsListEntry;

use super::{CURRENT, PENDING, Pages, Store, time};
use crate::backends::aws::failure::{INVALID_REQUEST, NOT_FOUND};
use crate::backends::aws::place::Place;
use crate::error::Result;
use crate::provider::{Target, VersionInfo};
use crate::secret::Version;

impl Store {
    /// Lists the versions of a secret: the one in force, then the others, newest first. A pending one
    /// is no part of the history yet.
    pub(in crate::backends::aws) async fn versions(
        &self,
        target: &Target,
    ) -> Result<Vec<VersionInfo>> {
        let place = Place::of(self.settings(), target)?;
        let id = &place.id;
        let what = self.doing("ListSecretVersionIds", id);
        let mut found: Vec<SecretVersionsListEntry> = Vec::new();
        let mut pages = Pages::default();
        loop {
            let send = |aws: &aws_sdk_secretsmanager::Client| {
                aws.list_secret_version_ids()
                    .secret_id(id)
                    .include_deprecated(true)
                    .set_next_token(pages.next.clone())
                    .send()
            };
            let answer = match self.client.call(&what, send).await {
                Ok(answer) => answer,
                Err(failure) if failure.is(NOT_FOUND) => return Err(self.nothing(id)),
                Err(failure) if failure.is(INVALID_REQUEST) => return Err(self.gone(id, None)),
                Err(failure) => return Err(failure.error),
            };
            found.extend(answer.versions.unwrap_or_default());
            if !pages.turn(&what, answer.next_token)? {
                break;
            }
        }
        Ok(newest_first(found))
    }
}

/// The versions that are told of, the one in force first.
pub(super) fn newest_first(mut found: Vec<SecretVersionsListEntry>) -> Vec<VersionInfo> {
    let has = |entry: &SecretVersionsListEntry, label: &str| {
        entry.version_stages().iter().any(|one| one == label)
    };
    found.retain(|entry| has(entry, CURRENT) || !has(entry, PENDING));
    // Of two made in one second, AWS lists the older one first.
    found.reverse();
    found.sort_by_key(|entry| {
        let age = entry
            .created_date()
            .map(|date| std::cmp::Reverse(date.secs()));
        (!has(entry, CURRENT), age)
    });
    let info = found.into_iter().filter_map(|entry| {
        let created = entry.created_date().and_then(time);
        Some(VersionInfo::new(
            Version::new(entry.version_id?),
            created,
            true,
        ))
    });
    info.collect()
}
