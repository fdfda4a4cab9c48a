//! The sections `retry`, `limit`, `cache` and `snapshot`: what the layers around remote providers are told,
//! how long values are held, and what a boot may start from.

use std::num::NonZeroU32;
use std::ops::RangeInclusive;
use std::time::Duration;

use figment::value::Dict;
use humantime::format_duration;

use super::read::{Reader, duration_of, number_of};
use crate::error::{Error, ErrorKind, Result};
use crate::layers::{self, limit, retry};
use crate::refresh;
use crate::snapshot;

pub(super) const ATTEMPTS: RangeInclusive<u32> = 1..=10;
pub(super) const DEADLINE: RangeInclusive<Duration> =
    Duration::from_secs(1)..=Duration::from_secs(600);
pub(super) const CONCURRENCY: RangeInclusive<u32> = 1..=1024;
pub(super) const TTL: RangeInclusive<Duration> = Duration::from_secs(1)..=DAYS;
pub(super) const MAX_STALE: RangeInclusive<Duration> = Duration::from_secs(1)..=DAYS;
pub(super) const NEGATIVE_TTL: RangeInclusive<Duration> = Duration::ZERO..=Duration::from_secs(600);
pub(super) const OVERLAP: RangeInclusive<Duration> = Duration::ZERO..=DAYS;
const DAYS: Duration = Duration::from_secs(30 * 24 * 60 * 60);
pub(super) const MAX_AGE: RangeInclusive<Duration> = Duration::from_secs(60)..=snapshot::LONGEST;
pub(super) const PER_SECOND: RangeInclusive<u32> = 1..=10_000;

impl Reader<'_> {
    pub(super) fn layers(&mut self, dict: &Dict) -> Result<layers::Settings> {
        let section = self.dict(dict, &["retry"])?;
        let mut retry = retry::Settings::default();
        if let Some(attempts) = self.count(&section, &["retry", "attempts"], ATTEMPTS)? {
            retry.attempts = attempts;
        }
        if let Some(deadline) = self.time(&section, &["retry", "deadline"], DEADLINE)? {
            retry.deadline = deadline;
        }
        let section = self.dict(dict, &["limit"])?;
        let mut limit = limit::Settings::default();
        if let Some(most) = self.count(&section, &["limit", "concurrency"], CONCURRENCY)? {
            limit.concurrency = most;
        }
        if let Some(rate) = self.count(&section, &["limit", "per_second"], PER_SECOND)? {
            limit.per_second = rate;
        }
        Ok(layers::Settings { retry, limit })
    }

    pub(super) fn cache(&mut self, dict: &Dict) -> Result<refresh::Settings> {
        let section = self.dict(dict, &["cache"])?;
        let mut cache = refresh::Settings::default();
        for (key, bounds, setting) in [
            ("ttl", TTL, &mut cache.ttl),
            ("max_stale", MAX_STALE, &mut cache.max_stale),
            ("negative_ttl", NEGATIVE_TTL, &mut cache.negative_ttl),
            ("overlap", OVERLAP, &mut cache.overlap),
        ] {
            if let Some(time) = self.time(&section, &["cache", key], bounds)? {
                *setting = time;
            }
        }
        if cache.max_stale < cache.ttl {
            let message = format!(
                "`cache.max_stale` ({}) is shorter than `cache.ttl` ({}): values would end before \
                 they are read again",
                format_duration(cache.max_stale),
                format_duration(cache.ttl)
            );
            return Err(Error::new(ErrorKind::Config, message)
                .with_help("make `max_stale` at least as long as `ttl`"));
        }
        Ok(cache)
    }

    pub(super) fn snapshot(
        &mut self,
        dict: &Dict,
        cache: &refresh::Settings,
    ) -> Result<Option<snapshot::Settings>> {
        let Some(value) = dict.get("snapshot") else {
            return Ok(None);
        };
        let section = self.dict(dict, &["snapshot"])?;
        let path = self.text(&section, &["snapshot", "path"])?;
        let key_file = self.text(&section, &["snapshot", "key_file"])?;
        let max_age = self.time(&section, &["snapshot", "max_age"], MAX_AGE)?;
        let max_age = max_age.unwrap_or(snapshot::LONGEST);
        let (Some(path), Some(key_file)) = (path, key_file) else {
            return Err(self
                .wrong(value, &["snapshot"], "needs a `path` and a `key_file`")
                .with_help("keep the key in another directory than the snapshot"));
        };
        if max_age < cache.ttl {
            let message = format!(
                "`snapshot.max_age` ({}) is shorter than `cache.ttl` ({}): a snapshot would be too \
                 old before the next one is taken",
                format_duration(max_age),
                format_duration(cache.ttl)
            );
            return Err(Error::new(ErrorKind::Config, message)
                .with_help("make `max_age` longer than `ttl`"));
        }
        Ok(Some(snapshot::Settings {
            path: path.into(),
            key_file: key_file.into(),
            max_age,
        }))
    }

    fn count(
        &mut self,
        dict: &Dict,
        path: &[&str],
        bounds: RangeInclusive<u32>,
    ) -> Result<Option<NonZeroU32>> {
        let (least, most) = (bounds.start(), bounds.end());
        let problem = format!("must be a whole number from {least} to {most}");
        self.scalar(dict, path, &problem, |value| {
            let number = u32::try_from(number_of(value)?).ok()?;
            let count = NonZeroU32::new(number).filter(|_| bounds.contains(&number))?;
            Some((count, count.to_string()))
        })
    }

    pub(super) fn time(
        &mut self,
        dict: &Dict,
        path: &[&str],
        bounds: RangeInclusive<Duration>,
    ) -> Result<Option<Duration>> {
        let (least, most) = (
            format_duration(*bounds.start()),
            format_duration(*bounds.end()),
        );
        let problem = format!("must be a length of time from {least} to {most}, such as \"15s\"");
        self.scalar(dict, path, &problem, |value| {
            duration_of(value).filter(|(time, _)| bounds.contains(time))
        })
    }
}
