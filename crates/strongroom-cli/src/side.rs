//! One side of `diff` and `copy`: an address, a provider's name in the manifest, or a profile.

use strongroom::{Connection, Deployment, Error, ErrorKind, ProviderUrl, Result, SecretsBuilder};

use crate::context::Context;

/// One side, as it was named on the command line.
pub(crate) enum Side {
    Address(ProviderUrl),
    /// A name of the manifest's `providers`.
    Provider(String),
    /// What a boot with this profile would choose.
    Profile(String),
}

impl Side {
    /// Parses a side. `place` is what messages call it; the text itself may be a secret.
    pub(crate) fn parse(text: &str, place: &str) -> Result<Self> {
        if let Some(profile) = text.strip_prefix("profile:") {
            return Ok(Self::Profile(profile.to_owned()));
        }
        if !text.contains(':') {
            return Ok(Self::Provider(text.to_owned()));
        }
        let parsed = text.parse().map_err(|error: Error| {
            let wrong = Error::new(ErrorKind::Config, format!("{place} can't be used: {error}"));
            wrong.with_help(error.help().unwrap_or("for example file:/run/secrets"))
        });
        parsed.map(Self::Address)
    }

    /// Reports whether the name says that it is production.
    pub(crate) fn is_production(&self) -> bool {
        match self {
            Self::Address(_) => false,
            Self::Provider(name) | Self::Profile(name) => {
                matches!(name.parse(), Ok(Deployment::Production))
            }
        }
    }

    /// Prepares its connection.
    pub(crate) fn builder(&self, context: &Context<'_>) -> Result<SecretsBuilder> {
        let builder = context.manifest_builder();
        let builder = match self {
            Self::Address(url) => builder.provider_url(url.clone()),
            Self::Provider(name) => builder.provider_named(name),
            // The variable would make every profile the same provider.
            Self::Profile(name) => builder
                .profile(name)
                .env(context.env.clone().without_var("STRONGROOM_PROVIDER")),
        };
        context.unlock(builder)
    }
}

/// Refuses two sides that are one place.
pub(crate) fn check_apart(a: &Connection, b: &Connection) -> Result<()> {
    let (a, b) = (a.describe().address, b.describe().address);
    match a == b {
        false => Ok(()),
        true => Err(Error::new(
            ErrorKind::Config,
            format!("both sides are the same place, {a}"),
        )
        .with_help("name two addresses, two of the manifest's `providers`, or two profiles")),
    }
}
