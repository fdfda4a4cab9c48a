//! The section `audit`: what is recorded, and where.

use std::ops::RangeInclusive;
use std::time::Duration;

use figment::value::Dict;

use super::read::{Reader, number_of};
use crate::audit::{HEAD_EVERY, KeySource, LogSettings, MAX_BYTES, Reads, Settings};
use crate::error::Result;
use crate::name::SecretName;

pub(super) const BYTES: RangeInclusive<u64> = 4_096..=1_u64 << 40;
pub(super) const EVENTS: RangeInclusive<u64> = 1..=1_000_000_000;
pub(super) const FILES: RangeInclusive<u64> = 1..=100_000;
pub(super) const AGE: RangeInclusive<Duration> = Duration::from_secs(60)..=YEARS;
const YEARS: Duration = Duration::from_secs(30 * 366 * 24 * 60 * 60);

impl Reader<'_> {
    pub(super) fn audit(&mut self, dict: &Dict) -> Result<Settings> {
        let Some(value) = dict.get("audit") else {
            return Ok(Settings::default());
        };
        let section = self.dict(dict, &["audit"])?;
        let at = |key: &'static str| ["audit", key];
        let problem = "must be \"first\" or \"every\"";
        let reads = self.scalar(&section, &at("reads"), problem, |value| {
            let (reads, word) = match value.as_str()? {
                "first" => (Reads::First, "first"),
                "every" => (Reads::Every, "every"),
                _ => return None,
            };
            Some((reads, word.to_owned()))
        })?;
        let settings = Settings {
            reads: reads.unwrap_or_default(),
            fail_closed: self.flag(&section, &at("fail_closed"))?.unwrap_or(false),
            service: self.text(&section, &at("service"))?,
            log: self.log(&section)?,
        };
        if settings.log.is_none() && settings.fail_closed {
            return Err(self
                .wrong(value, &["audit"], "fails closed, and names no file")
                .with_help("give it a `path` and a key"));
        }
        Ok(settings)
    }

    fn log(&mut self, section: &Dict) -> Result<Option<LogSettings>> {
        let at = |key: &'static str| ["audit", key];
        let path = self.text(section, &at("path"))?;
        let key_file = self.text(section, &at("key_file"))?;
        let key_secret = self.parsed::<SecretName>(section, &at("key_secret"))?;
        let log = LogSettings {
            path: path.clone().unwrap_or_default().into(),
            key: match (key_file, key_secret) {
                (Some(path), None) => KeySource::File(path.into()),
                (None, Some((name, _))) => KeySource::Secret(name),
                (None, None) if path.is_none() => return Ok(None),
                _ => {
                    let value = figment::value::Value::from("");
                    return Err(self
                        .wrong(
                            &value,
                            &["audit"],
                            "needs one key: `key_file` or `key_secret`",
                        )
                        .with_help("keep the key where whoever can write the log can't write"));
                }
            },
            max_bytes: self
                .amount(section, "max_bytes", BYTES)?
                .unwrap_or(MAX_BYTES),
            max_age: self.time(section, &at("max_age"), AGE)?,
            keep: self.amount(section, "keep", FILES)?,
            keep_for: self.time(section, &at("keep_for"), AGE)?,
            head_every: self
                .amount(section, "head_every", EVENTS)?
                .unwrap_or(HEAD_EVERY),
            sync: self.flag(section, &at("sync"))?.unwrap_or(false),
        };
        if path.is_none() {
            let value = figment::value::Value::from("");
            return Err(self.wrong(&value, &["audit"], "has a key, and no `path`"));
        }
        Ok(Some(log))
    }

    fn amount(
        &mut self,
        section: &Dict,
        key: &'static str,
        bounds: RangeInclusive<u64>,
    ) -> Result<Option<u64>> {
        let (least, most) = (bounds.start(), bounds.end());
        let problem = format!("must be a whole number from {least} to {most}");
        self.scalar(section, &["audit", key], &problem, |value| {
            let number = u64::try_from(number_of(value)?).ok()?;
            bounds
                .contains(&number)
                .then(|| (number, number.to_string()))
        })
    }
}
