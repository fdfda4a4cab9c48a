//! The explained choice of a provider.

use std::fmt;
use std::path::{Path, PathBuf};

use serde::Serialize;

use super::ChainMember;
use crate::backends::{Class, Probe};
use crate::chain;
use crate::env::DeploymentChoice;
use crate::error::{Error, ErrorKind, Result};
use crate::manifest::{Manifest, Setting};
use crate::provider::Description;
use crate::provider_url::ProviderUrl;
use crate::rails::Rail;
use crate::report::Finding;

/// What detection saw and what it decided. `Display` is the trace for people.
#[derive(Debug, Clone, Serialize)]
#[non_exhaustive]
pub struct Detection {
    /// The deployment, and what decided it.
    pub deployment: DeploymentChoice,
    /// The manifest's profile in use.
    pub profile: String,
    /// The manifest, where there is one.
    pub manifest: Option<String>,
    /// Everything that was looked for, strongest class first.
    pub candidates: Vec<Candidate>,
    /// Warnings about the environment and the manifest.
    pub warnings: Vec<Finding>,
    /// The manifest's settings in use, each with its origin.
    pub settings: Vec<Setting>,
    decision: Decision,
}

/// Everything that can come out: a choice, or why there is none.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "lowercase")]
enum Decision {
    Chosen(Chosen),
    Problem(Problem),
}

/// An error that can be shown, kept and raised later.
#[derive(Debug, Clone, Serialize)]
struct Problem {
    #[serde(serialize_with = "as_word")]
    kind: ErrorKind,
    message: String,
    help: String,
}

fn as_word<S: serde::Serializer>(kind: &ErrorKind, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(kind.as_str())
}

impl Problem {
    fn config(message: impl Into<String>, help: impl Into<String>) -> Self {
        Self {
            kind: ErrorKind::Config,
            message: message.into(),
            help: help.into(),
        }
    }

    fn into_error(self) -> Error {
        let error = Error::new(self.kind, self.message);
        match self.help.as_str() {
            "" => error,
            help => error.with_help(help),
        }
    }
}

/// The provider that was chosen.
#[derive(Debug, Clone, Serialize)]
#[non_exhaustive]
pub struct Chosen {
    /// The address, or what a provider that was handed over calls itself.
    pub address: String,
    /// The class that decided.
    pub class: Class,
    /// The variable, file or setting that decided.
    pub because: String,
    /// The providers of a chain, in their order; empty for anything else.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub members: Vec<ChainMember>,
    #[serde(skip)]
    pub(super) url: Option<ProviderUrl>,
    #[serde(skip)]
    pub(super) rails: Vec<(Rail, String)>,
    #[serde(skip)]
    pub(super) base_dir: PathBuf,
    /// Whether the address stands in the manifest.
    #[serde(skip)]
    pub(super) in_manifest: bool,
}

/// One thing that was looked for.
#[derive(Debug, Clone, Serialize)]
#[non_exhaustive]
pub struct Candidate {
    /// The class it belongs to.
    pub class: Class,
    /// What was looked for.
    pub looked_for: String,
    /// The address it leads to, where it was there.
    pub address: Option<String>,
    /// What became of it.
    pub verdict: Verdict,
    /// Why.
    pub detail: String,
    #[serde(skip)]
    rank: u8,
    #[serde(skip)]
    url: Option<ProviderUrl>,
    #[serde(skip)]
    rails: Vec<(Rail, String)>,
    #[serde(skip)]
    base_dir: PathBuf,
    #[serde(skip)]
    in_manifest: bool,
}

/// What became of a [`Candidate`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Verdict {
    /// It decides.
    Chosen,
    /// It is there, and another one decides.
    Outranked,
    /// It is there, and so is another one of its class: neither decides.
    Ambiguous,
    /// It is not there.
    Missing,
}

impl Detection {
    pub(super) fn begin(
        deployment: DeploymentChoice,
        profile: String,
        manifest: &Manifest,
        warnings: Vec<Finding>,
    ) -> Self {
        Self {
            deployment,
            profile,
            manifest: manifest.origin.clone(),
            candidates: Vec::new(),
            warnings,
            settings: manifest.settings.clone(),
            decision: Decision::Problem(Problem::config("nothing was looked for yet", "")),
        }
    }

    /// Returns the provider that was chosen.
    ///
    /// # Errors
    /// [`ErrorKind::Config`] if there is none, or more than one; [`ErrorKind::Policy`] if the
    /// manifest's `allow_providers` doesn't allow it.
    pub fn chosen(&self) -> Result<&Chosen> {
        match &self.decision {
            Decision::Chosen(chosen) => Ok(chosen),
            Decision::Problem(problem) => Err(problem.clone().into_error()),
        }
    }

    pub(super) fn explicit_instance(&mut self, description: Description) {
        self.candidates.push(Candidate {
            class: Class::Explicit,
            looked_for: "a provider handed to the builder".to_owned(),
            address: Some(description.address),
            verdict: Verdict::Outranked,
            detail: String::new(),
            rank: 0,
            url: None,
            rails: Vec::new(),
            base_dir: PathBuf::new(),
            in_manifest: false,
        });
    }

    pub(super) fn push(
        &mut self,
        probe: Probe,
        address: Option<String>,
        base: &Path,
        in_manifest: bool,
    ) {
        self.candidates.push(Candidate {
            class: probe.class,
            looked_for: probe.looked_for,
            address,
            verdict: if probe.found.is_some() {
                Verdict::Outranked
            } else {
                Verdict::Missing
            },
            detail: probe.detail,
            rank: probe.rank,
            url: probe.found,
            rails: probe.rails,
            base_dir: base.to_owned(),
            in_manifest,
        });
    }

    /// Decides: the strongest class that has a candidate decides alone.
    ///
    /// Explicit candidates and fallbacks have an order among them, and the first wins. Markers and
    /// platforms have none: two that lead to one address decide together, two that lead to two
    /// addresses are a problem that names both.
    pub(super) fn decide(&mut self, manifest: &Manifest) {
        // Explicit ones come in their order of strength, and stay in it.
        self.candidates
            .sort_by_key(|candidate| (candidate.class, candidate.rank));
        let there = |candidate: &&mut Candidate| candidate.address.is_some();
        let Some(class) = self
            .candidates
            .iter_mut()
            .find(there)
            .map(|first| first.class)
        else {
            self.decision =
                Decision::Problem(nothing_found(self.deployment.deployment.is_strict()));
            return;
        };
        let mut rivals: Vec<_> = self
            .candidates
            .iter_mut()
            .filter(there)
            .filter(|c| c.class == class)
            .collect();
        let Some((winner, rest)) = rivals.split_first_mut() else {
            return;
        };
        let ordered = matches!(class, Class::Explicit | Class::Fallback);
        if !ordered
            && let Some(rival) = rest
                .iter_mut()
                .find(|rival| rival.address != winner.address)
        {
            (winner.verdict, rival.verdict) = (Verdict::Ambiguous, Verdict::Ambiguous);
            self.decision = Decision::Problem(ambiguous(winner, rival));
            return;
        }
        winner.verdict = Verdict::Chosen;
        let mut because = winner.looked_for.clone();
        let mut rails = std::mem::take(&mut winner.rails);
        for same in rest
            .iter_mut()
            .filter(|rival| !ordered && rival.address == winner.address)
        {
            same.verdict = Verdict::Chosen;
            because = format!("{because} and {}", same.looked_for);
            rails.append(&mut same.rails);
        }
        let address = winner.address.clone().unwrap_or_default();
        let chosen = Chosen {
            address,
            class,
            because,
            members: Vec::new(),
            url: winner.url.clone(),
            rails,
            base_dir: winner.base_dir.clone(),
            in_manifest: winner.in_manifest,
        };
        self.decision = match allowed(
            manifest,
            &chosen.address,
            chosen.url.as_ref(),
            &chosen.base_dir,
        ) {
            Ok(()) => Decision::Chosen(chosen),
            Err(problem) => Decision::Problem(problem),
        };
    }

    /// Finds the members of a chosen chain, and turns a chosen address that can't be opened into a
    /// problem.
    pub(super) fn resolve(&mut self, members: impl Fn(&ProviderUrl) -> Result<Vec<ChainMember>>) {
        let Decision::Chosen(chosen) = &mut self.decision else {
            return;
        };
        let Some(url) = &chosen.url else {
            return;
        };
        match members(url) {
            Ok(members) => chosen.members = members,
            Err(error) => {
                self.decision = Decision::Problem(Problem {
                    kind: error.kind(),
                    message: format!("{}: {error}", chosen.because),
                    help: error.help().unwrap_or_default().to_owned(),
                });
            }
        }
    }
}

/// Checks a provider that the manifest names for `source` against its `allow_providers`.
pub(super) fn check_allowed(manifest: &Manifest, url: &ProviderUrl) -> Result<()> {
    allowed(manifest, &url.to_string(), Some(url), &manifest.base_dir).map_err(Problem::into_error)
}

fn allowed(
    manifest: &Manifest,
    address: &str,
    url: Option<&ProviderUrl>,
    base: &Path,
) -> Result<(), Problem> {
    let Some(rules) = &manifest.allow_providers else {
        return Ok(());
    };
    // Its members are what is limited, each for itself.
    if url.is_some_and(|url| url.scheme() == chain::SCHEME) {
        return Ok(());
    }
    let allows = |rule: &String| match (rule.contains(':'), url) {
        (false, Some(url)) => url.scheme() == rule,
        (false, None) => address.split(':').next() == Some(rule),
        (true, Some(url)) => allows_address(rule, &manifest.base_dir, url, base),
        (true, None) => false,
    };
    if rules.iter().any(allows) {
        return Ok(());
    }
    Err(Problem {
        kind: ErrorKind::Policy,
        message: format!("{address} is not among the manifest's `allow_providers`"),
        help: format!("allowed are {}", rules.join(", ")),
    })
}

/// Reports whether a rule, the beginning of an address, covers an address. A path without a host
/// is one of this machine's files, and starts where its own address was written.
fn allows_address(rule: &str, rule_base: &Path, url: &ProviderUrl, base: &Path) -> bool {
    let Ok(rule) = rule.parse::<ProviderUrl>() else {
        return false;
    };
    let path = |url: &ProviderUrl, base: &Path| match (url.authority(), url.path()) {
        (None, path) if !path.is_empty() => base.join(path),
        (_, path) => Path::new("/").join(path),
    };
    // Whole segments only: `vault://host/team` doesn't allow `vault://host/team-b`.
    let beneath = path(url, base).starts_with(path(&rule, rule_base));
    rule.scheme() == url.scheme()
        && rule.authority() == url.authority()
        && beneath
        && !url.path().split('/').any(|segment| segment == "..")
        && rule
            .query_keys()
            .all(|key| rule.query(key) == url.query(key))
}

fn ambiguous(one: &Candidate, other: &Candidate) -> Problem {
    let show = |candidate: &Candidate| {
        format!(
            "{} ({})",
            candidate.looked_for,
            candidate.address.as_deref().unwrap_or_default()
        )
    };
    Problem::config(
        format!("{} and {} both point to a provider", show(one), show(other)),
        "say which by STRONGROOM_PROVIDER or the manifest's `provider`, or unset one of them",
    )
}

fn nothing_found(strict: bool) -> Problem {
    let help = if strict {
        "set STRONGROOM_PROVIDER, or `provider` in the manifest; on a developer's machine set \
         STRONGROOM_ENV=development, which allows .env and the environment"
    } else {
        "set STRONGROOM_PROVIDER, or `provider` in the manifest"
    };
    Problem::config("nothing here points to a provider of secrets", help)
}

impl fmt::Display for Detection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let DeploymentChoice {
            deployment,
            because,
            ..
        } = &self.deployment;
        writeln!(f, "deployment  {deployment} ({because})")?;
        let manifest = self.manifest.as_deref().unwrap_or("none");
        writeln!(f, "manifest    {manifest}, profile {}", self.profile)?;
        match &self.decision {
            Decision::Chosen(chosen) => {
                writeln!(
                    f,
                    "provider    {} ({} class: {})",
                    chosen.address, chosen.class, chosen.because
                )?;
                let names = chosen.members.iter().map(|m| m.name.chars().count());
                let width = names.max().unwrap_or_default();
                for ChainMember { name, address, .. } in &chosen.members {
                    writeln!(f, "  member    {name:width$} {address}")?;
                }
            }
            Decision::Problem(problem) => writeln!(f, "provider    none: {}", problem.message)?,
        }
        write!(f, "found")?;
        let (missing, there): (Vec<_>, Vec<_>) = self
            .candidates
            .iter()
            .partition(|candidate| candidate.is_plainly_missing());
        let width = there
            .iter()
            .map(|candidate| candidate.looked_for.chars().count());
        let width = width.max().unwrap_or_default();
        for candidate in &there {
            write!(f, "\n  {candidate:width$}")?;
        }
        if there.is_empty() {
            write!(f, " nothing")?;
        }
        write!(f, "\nnot there")?;
        for class in Class::ALL {
            let of_class = missing.iter().filter(|candidate| candidate.class == *class);
            let names: Vec<_> = of_class
                .map(|candidate| candidate.looked_for.as_str())
                .collect();
            if !names.is_empty() {
                write!(f, "\n    {:<9} {}", class.as_str(), names.join(", "))?;
            }
        }
        Ok(())
    }
}

impl Candidate {
    /// Reports whether it is not there, and there is nothing more to say about it.
    fn is_plainly_missing(&self) -> bool {
        let plain = [
            "",
            "not set",
            "none is set",
            "no such file",
            "no such directory",
        ];
        self.verdict == Verdict::Missing && plain.contains(&self.detail.as_str())
    }
}

impl fmt::Display for Candidate {
    /// Writes one line of the trace; a width pads what was looked for.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mark = match self.verdict {
            Verdict::Chosen => "→",
            Verdict::Outranked => "·",
            Verdict::Ambiguous => "?",
            Verdict::Missing => " ",
        };
        write!(
            f,
            "{mark} {:<9} {:<26}",
            self.class.as_str(),
            self.looked_for
        )?;
        match (&self.address, self.detail.as_str()) {
            (Some(address), "") => write!(f, " {address}")?,
            (Some(address), detail) => write!(f, " {address} ({detail})")?,
            (None, detail) => write!(f, " {detail}")?,
        }
        if self.verdict == Verdict::Outranked {
            write!(f, ", outranked")?;
        }
        Ok(())
    }
}
