//! Credentials of a profile: its own, or those of a role that it takes on with others.

use aws_config::profile::{Profile, ProfileSet};
use aws_sdk_secretsmanager::config::Credentials;

use super::sts::{self, Role};
use super::{Found, Inner, container, sdk, variables, web_identity};
use crate::backends::aws::settings::wrong;
use crate::error::{Error, ErrorKind, Result};

/// Where the first credentials come from, before any role is taken on.
enum Base<'a> {
    /// The keys that stand in the profile.
    Keys(&'a Profile),
    /// A token in a file, for a role.
    WebIdentity(Role<'a>, &'a str),
    /// Another place, by the name that AWS's tools have for it.
    Source(&'a str),
    /// Whatever else the profile says: a login, a program.
    Other(&'a str),
}

/// Finds the profile's credentials, whatever way they are had.
///
/// The files are read each time: other programs renew what they hold.
pub(super) async fn find(inner: &Inner) -> Result<Option<Found>> {
    let named = &inner.settings.profile;
    let Some(set) = named.read().await? else {
        return Ok(None);
    };
    let what = format!("the AWS profile `{}`", named.name);
    let (base, roles) = chain(&set, &named.name)?;
    let Some(mut credentials) = first(inner, &set, base, &what).await? else {
        let message = format!("{what} holds no credentials");
        let error = Error::new(ErrorKind::Auth, message);
        return match named.is_named || !roles.is_empty() {
            true => Err(error.with_help("correct AWS_PROFILE or the profile")),
            false => Ok(None),
        };
    };
    for role in roles.iter().rev() {
        credentials = sts::assume(inner, role, credentials).await?;
    }
    Ok(Some(Found {
        credentials,
        from: what,
    }))
}

/// Follows the profiles, from the role that is meant to the credentials that the first one needs.
fn chain<'a>(set: &'a ProfileSet, name: &'a str) -> Result<(Base<'a>, Vec<Role<'a>>)> {
    let (mut name, mut seen, mut roles) = (name, Vec::new(), Vec::new());
    loop {
        let Some(profile) = set.get_profile(name) else {
            return match seen.is_empty() {
                true => Ok((Base::Other(name), roles)),
                false => Err(wrong(format!("there is no AWS profile `{name}`"))
                    .with_help("a `source_profile` names it")),
            };
        };
        let what = || format!("the AWS profile `{name}`");
        if seen.contains(&name) {
            let message = format!("{} is its own source, over others", what());
            return Err(wrong(message).with_help("correct the `source_profile` of one of them"));
        }
        let Some(role) = profile.get("role_arn") else {
            return Ok((Base::Other(name), roles));
        };
        let role = Role {
            external_id: profile.get("external_id"),
            seconds: seconds(profile)?,
            ..Role::new(role, profile.get("role_session_name"))
        };
        if let Some(token) = profile.get("web_identity_token_file") {
            return Ok((Base::WebIdentity(role, token), roles));
        }
        // The keys of a profile that another one names stand before its role, as for AWS's own tools.
        if !seen.is_empty() && has_keys(profile) {
            return Ok((Base::Keys(profile), roles));
        }
        if profile.get("mfa_serial").is_some() {
            let message = format!("{} asks for a second factor", what());
            return Err(wrong(message).with_help("nobody can give one here: use another profile"));
        }
        seen.push(name);
        roles.push(role);
        match (
            profile.get("source_profile"),
            profile.get("credential_source"),
        ) {
            (Some(source), None) if source == name => return Ok((Base::Keys(profile), roles)),
            (Some(source), None) => name = source,
            (None, Some(source)) => return Ok((Base::Source(source), roles)),
            _ => {
                let message = format!(
                    "{} has a role, and not one of `source_profile` and `credential_source`",
                    what()
                );
                return Err(wrong(message).with_help("set the one that is meant"));
            }
        }
    }
}

async fn first(
    inner: &Inner,
    set: &ProfileSet,
    base: Base<'_>,
    what: &str,
) -> Result<Option<Credentials>> {
    let found = match base {
        Base::Keys(profile) => return keys(profile).map(Some),
        Base::WebIdentity(role, token) => {
            let named_by = format!("`web_identity_token_file` in {what}");
            let given = web_identity::assume(inner, &role, token, &named_by).await;
            return given.map(Some);
        }
        Base::Other(name) => return sdk::profile(inner, set, name).await,
        Base::Source(source) => match source.to_ascii_lowercase().as_str() {
            "environment" => variables::find(&inner.env)?,
            "ecscontainer" => container::find(inner).await?,
            "ec2instancemetadata" => sdk::instance(inner).await?,
            _ => {
                let message = format!("the `credential_source` in {what} is none of AWS's");
                return Err(wrong(message)
                    .with_help("it is Environment, EcsContainer or Ec2InstanceMetadata"));
            }
        },
    };
    Ok(found.map(|found| found.credentials))
}

fn has_keys(profile: &Profile) -> bool {
    profile.get("aws_access_key_id").is_some() || profile.get("aws_secret_access_key").is_some()
}

fn keys(profile: &Profile) -> Result<Credentials> {
    let one = |key| {
        profile.get(key).ok_or_else(|| {
            let message = format!("the AWS profile `{}` has no `{key}`", profile.name());
            wrong(message).with_help("a role is taken on with the keys of this profile")
        })
    };
    Ok(Credentials::new(
        one("aws_access_key_id")?,
        one("aws_secret_access_key")?,
        profile.get("aws_session_token").map(str::to_owned),
        None,
        "profile",
    ))
}

fn seconds(profile: &Profile) -> Result<Option<i32>> {
    let Some(text) = profile.get("duration_seconds") else {
        return Ok(None);
    };
    let seconds = text
        .parse()
        .ok()
        .filter(|seconds| (900..=43_200).contains(seconds));
    match seconds {
        Some(seconds) => Ok(Some(seconds)),
        None => {
            let name = profile.name();
            Err(wrong(format!(
                "the `duration_seconds` of the AWS profile `{name}` is a number from 900 to 43200"
            )))
        }
    }
}
