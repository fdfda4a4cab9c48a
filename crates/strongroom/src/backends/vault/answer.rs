//! What Vault answered: its status first, and no more of its text than the status calls for.

use std::time::{Duration, SystemTime};

use http::{HeaderMap, header};
use zeroize::Zeroizing;

use crate::backends::files::json::Tree;
use crate::error::{Error, ErrorKind, Result};

/// One answer, of any status.
pub(super) struct Answer {
    shown: String,
    pub(super) status: u16,
    retry_after: Option<Duration>,
    location: Option<String>,
    /// The server's clock, as it answered.
    pub(super) date: Option<SystemTime>,
    body: Zeroizing<Vec<u8>>,
}

impl Answer {
    pub(super) fn new(
        shown: &str,
        status: u16,
        headers: &HeaderMap,
        body: Zeroizing<Vec<u8>>,
    ) -> Self {
        let text = |name| headers.get(name)?.to_str().ok();
        Self {
            shown: shown.to_owned(),
            status,
            retry_after: text(header::RETRY_AFTER).and_then(seconds_to_wait),
            location: text(header::LOCATION).map(str::to_owned),
            date: text(header::DATE).and_then(moment),
            body,
        }
    }

    /// Reads the body of an answer of any status as Vault's.
    ///
    /// # Errors
    /// [`ErrorKind::Malformed`] if it is not what Vault answers, as a proxy's page is not.
    pub(super) fn tree(&mut self) -> Result<Tree> {
        self.tree_with(&["data", "auth", "errors"])
    }

    /// Reads the body of an answer about the server's own state.
    ///
    /// # Errors
    /// As [`tree`](Self::tree).
    pub(super) fn state(&mut self) -> Result<Tree> {
        self.tree_with(&["sealed", "errors"])
    }

    /// Others answer in JSON too, and their "not found" is not about our secret.
    fn tree_with(&mut self, keys: &[&str]) -> Result<Tree> {
        let tree = Tree::parse(std::mem::take(&mut self.body)).map_err(|_| self.foreign())?;
        match keys.iter().any(|key| tree.find(&[key]).is_some()) {
            true => Ok(tree),
            false => Err(self.foreign()),
        }
    }

    /// Reports whether the body says in Vault's form what it refuses: that of a proxy does not.
    pub(super) fn is_vaults_refusal(&self) -> bool {
        Tree::parse(self.body.clone()).is_ok_and(|tree| tree.find(&["errors"]).is_some())
    }

    /// Reports whether Vault itself refused who we are, or what we may do.
    pub(super) fn is_denial(&self) -> bool {
        self.status == 403 && self.is_vaults_refusal()
    }

    /// Reports whether Vault misses the mount or namespace itself: it gives a reason then. That a path
    /// holds nothing has none.
    pub(super) fn is_of_no_place(&self) -> bool {
        let reasons = || {
            let tree = Tree::parse(self.body.clone()).ok()?;
            serde_json::from_slice::<Vec<serde::de::IgnoredAny>>(tree.raw(&["errors"])?).ok()
        };
        self.status == 404 && reasons().is_some_and(|reasons| !reasons.is_empty())
    }

    /// Says that what should answer is not there. It is never [`ErrorKind::Absent`]: nothing is known
    /// of any secret.
    pub(super) fn no_place(&self) -> Error {
        let message = format!(
            "{}: the server has no such mount or namespace (404)",
            self.shown
        );
        Error::new(ErrorKind::Config, message).with_help(
            "check the mount in the address, and the namespace in `?namespace=` or VAULT_NAMESPACE",
        )
    }

    /// The address that was asked.
    pub(super) fn shown(&self) -> &str {
        &self.shown
    }

    fn foreign(&self) -> Error {
        let message = format!(
            "{}: status {} with a body that is not Vault's",
            self.shown, self.status
        );
        Error::new(ErrorKind::Malformed, message).with_help(
            "a proxy may stand between, the server may speak https where the address says http, \
                 or it is something else",
        )
    }

    /// Says what a status means that none of the callers expects.
    ///
    /// `doing` completes "may not": "read the secret".
    pub(super) fn refusal(&self, doing: &str) -> Error {
        let (shown, status) = (&self.shown, self.status);
        let transient = |what: &str| {
            let error = Error::new(ErrorKind::Transient, format!("{shown}: {what}"));
            match self.retry_after {
                Some(wait) => error.with_retry_after(wait),
                None => error,
            }
        };
        // Answers by which Vault says that it did not begin.
        let refused = |what: &str| transient(what).with_no_effect();
        match status {
            300..=399 => {
                let to = self.location.as_deref().and_then(host_of);
                let to = to.map_or_else(String::new, |host| format!(" to {host}"));
                let message = format!(
                    "{shown}: the server redirects{to}, which is not followed: our token would \
                     go there too"
                );
                Error::new(ErrorKind::Config, message)
                    .with_help("give the address of the active node, or of a load balancer")
            }
            412 => refused("this node has not seen the latest write yet (412)"),
            429 => refused("the quota for requests is used up (429)"),
            472 => refused("this node is a disaster recovery secondary (472)"),
            473 => refused("this node is a standby that serves no such request (473)"),
            501 => refused("the server is not initialised (501)"),
            503 if self.is_vaults_refusal() => {
                refused("the server is sealed or in maintenance (503)")
            }
            500..=599 => transient(&format!("the server failed (status {status})")),
            _ if !self.is_vaults_refusal() => self.foreign(),
            401 => Error::new(
                ErrorKind::Auth,
                format!("{shown}: our credential is refused (401)"),
            ),
            403 => Error::new(
                ErrorKind::Denied,
                format!("{shown}: we may not {doing} (403)"),
            )
            .with_help("give the token a policy that allows it"),
            404 if self.is_of_no_place() => self.no_place(),
            404 => Error::new(
                ErrorKind::Absent,
                format!("{shown}: there is nothing to {doing}"),
            ),
            _ => Error::new(
                ErrorKind::Malformed,
                format!("{shown}: the server refused to {doing} (status {status})"),
            ),
        }
    }
}

/// `Retry-After` in seconds, as Vault writes it: rounded down, so that 0 is up to a second.
fn seconds_to_wait(text: &str) -> Option<Duration> {
    let seconds = text.trim().parse::<u64>().ok()?;
    Some(Duration::from_secs(seconds.saturating_add(1)))
}

/// A date of HTTP, in the one form that servers may write: `Sun, 06 Nov 1994 08:49:37 GMT`.
fn moment(text: &str) -> Option<SystemTime> {
    const MONTHS: &str = "Jan Feb Mar Apr May Jun Jul Aug Sep Oct Nov Dec";
    let (_, date) = text.split_once(", ")?;
    let words: Vec<_> = date.split(' ').collect();
    let [day, month, year, time, "GMT"] = words.as_slice() else {
        return None;
    };
    let month = MONTHS.split(' ').position(|known| known == *month)?;
    let month = month.checked_add(1)?;
    humantime::parse_rfc3339(&format!("{year}-{month:02}-{day}T{time}Z")).ok()
}

/// The host of a redirect; what else its address holds is not ours to show.
fn host_of(location: &str) -> Option<String> {
    let url = reqwest::Url::parse(location).ok()?;
    url.host_str().map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_dates_of_http() {
        let read = moment("Sun, 06 Nov 1994 08:49:37 GMT").unwrap();
        let since = read.duration_since(SystemTime::UNIX_EPOCH).unwrap();
        assert_eq!(since.as_secs(), 784_111_777);
        for text in [
            "",
            "Sunday",
            "Sun, 06 Nov 1994 08:49:37 CET",
            "Sun, 06 Foo 1994 08:49:37 GMT",
        ] {
            assert!(moment(text).is_none(), "{text}");
        }
    }
}
