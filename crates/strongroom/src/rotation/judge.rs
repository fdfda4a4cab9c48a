//! Whether a value may be rotated to: strong, and nobody else's.

use super::{Error, ErrorKind, Finding, Result, Rotation, Secret};
use crate::policy;
use crate::report::Report;
use crate::secret::Source;

impl Rotation {
    /// Checks a value that is to be rotated to, and returns what the policy warns of. Without one,
    /// checks whether the declared kind can be generated. Writes nothing: whether
    /// [`begin`](Self::begin) would is what this tells.
    ///
    /// A value must pass the strength policy and differ from the one in force and from that of every
    /// other declared secret. These are read for it; a generated value needs no comparison.
    ///
    /// # Errors
    /// [`ErrorKind::Conflict`] if a rotation is pending; [`ErrorKind::Policy`] with the report; as [`generate`](crate::generate); and whatever reading
    /// another declared secret answers, but that it is absent or malformed.
    pub async fn check(&self, value: Option<&Secret>) -> Result<Vec<Finding>> {
        let checked = self.to_begin_with(value).await;
        checked
            .map(|(_, warnings)| warnings)
            .map_err(|error| error.with_name(self.name()))
    }

    /// The new value, with what the policy warns of, if no rotation is under way.
    pub(super) async fn to_begin_with(
        &self,
        value: Option<&Secret>,
    ) -> Result<(Secret, Vec<Finding>)> {
        let Some(version) = self.pending() else {
            return self.judged(value).await;
        };
        let message = format!("version {version} is pending: a rotation was not finished");
        let help = format!(
            "`strongroom rotate {0} --resume` tells the consumer again and puts it in force, \
             `strongroom rotate {0} --abort` discards it",
            self.name()
        );
        Err(Error::new(ErrorKind::Conflict, message).with_help(help))
    }

    /// The new value, with what the policy warns of.
    pub(super) async fn judged(&self, value: Option<&Secret>) -> Result<(Secret, Vec<Finding>)> {
        let Some(value) = value else {
            return Ok((crate::generate(&self.declared)?, Vec::new()));
        };
        if self.is_in_force(value) {
            let message = "the new value is the one that is in force already";
            return Err(Error::new(ErrorKind::Policy, message)
                .with_help("nothing was written; rotate to another value"));
        }
        let report = Report::new(self.findings(value).await?);
        if report.is_clean() {
            return Ok((value.clone(), report.findings));
        }
        let message = "the new value doesn't pass the policy";
        Err(Error::new(ErrorKind::Policy, message)
            .with_help(
                "nothing was written; without a value of yours, one that passes is generated",
            )
            .with_report(report))
    }

    fn is_in_force(&self, value: &Secret) -> bool {
        let encoding = self.declared.encoding;
        let decoded = encoding.decode(&self.former);
        // EXPOSES: to comparisons in constant time
        self.former.verify(encoding.encode(value).expose_bytes())
            || decoded.is_ok_and(|former| former.verify(value.expose_bytes()))
    }

    /// What the policy says of the value beside those of all other declared secrets.
    async fn findings(&self, value: &Secret) -> Result<Vec<Finding>> {
        let others = self.connection.declared().filter(|other| {
            let lent = other.source.as_ref().is_some_and(|source| source.lease);
            other.name != self.declared.name && !lent
        });
        let others: Vec<_> = others.collect();
        let names: Vec<_> = others.iter().map(|other| other.name.clone()).collect();
        let mut values = Vec::new();
        for (other, answer) in others.iter().zip(self.connection.fetch(&names).await) {
            match answer {
                Ok(value) if value.metadata().source() != Source::Default => {
                    values.push((*other, value));
                }
                Ok(_) => {}
                // What is not there, or no value, is nobody's double.
                Err(error) if matches!(error.kind(), ErrorKind::Absent | ErrorKind::Malformed) => {}
                Err(error) => {
                    let message = format!("can't tell the new value from that of `{}`", other.name);
                    return Err(Error::new(error.kind(), message)
                        .with_help("nothing was written; a generated value needs no comparison")
                        .with_source(error));
                }
            }
        }
        let others = values.iter().map(|(other, value)| (*other, value));
        let all: Vec<_> = std::iter::once((&self.declared, value))
            .chain(others)
            .collect();
        let mut findings = policy::check(&all, self.connection.rails().deployment());
        findings.retain(|finding| finding.name.as_ref() == Some(self.name()));
        Ok(findings)
    }
}
