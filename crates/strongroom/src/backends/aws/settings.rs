//! What the address, the environment and the user's profile say about one account's secrets: the
//! region, the endpoint, what stands before names.

use std::time::Duration;

use aws_config::profile::ProfileSet;
use aws_runtime::env_config::property::PropertiesKey;

use super::place::{MAX_NAME, is_name};
use super::profile::Profile;
use crate::backends::Connect;
use crate::env::Env;
use crate::error::{Error, ErrorKind, Result};
use crate::provider_url::ProviderUrl;
use crate::rails::Rail;

/// How long one request may take. AWS's client has no limit of its own.
pub(super) const TIMEOUT: Duration = Duration::from_secs(10);

pub(super) const CONNECT_TIMEOUT: Duration = Duration::from_secs(3);

/// How long AWS keeps a deleted secret, where the address says nothing else; the longest there is.
const RECOVERY_DAYS: i64 = 30;

/// Where secrets are, and what is read there. Holds no credential.
#[derive(Debug, Clone)]
pub(super) struct Settings {
    /// The address as people see it: with the region and the prefix that are in force.
    pub(super) shown: String,
    pub(super) region: String,
    /// What says the region.
    pub(super) region_from: String,
    /// What stands before every name; empty, or without slashes at its ends.
    pub(super) prefix: String,
    pub(super) recovery_days: i64,
    pub(super) endpoint: Option<Endpoint>,
    /// The endpoint of STS, which gives credentials for a role.
    pub(super) sts_endpoint: Option<Endpoint>,
    /// The endpoints of IAM Identity Center, which gives credentials for a login, and renews it.
    pub(super) sso_endpoint: Option<Endpoint>,
    pub(super) sso_oidc_endpoint: Option<Endpoint>,
    pub(super) fips: bool,
    pub(super) dual_stack: bool,
    pub(super) profile: Profile,
}

/// An address that requests go to instead of AWS's own.
#[derive(Debug, Clone)]
pub(super) struct Endpoint {
    pub(super) url: String,
    /// What says it.
    pub(super) from: String,
}

impl Settings {
    /// Reads them.
    ///
    /// # Errors
    /// [`ErrorKind::Config`] that names the setting, the variable or the file that can't be used, or
    /// that says where a region could stand; [`ErrorKind::Policy`] for a plaintext endpoint.
    pub(super) async fn read(connect: &Connect) -> Result<Self> {
        let (url, env) = (&connect.url, &*connect.env);
        let profile = Profile::find(env)?;
        let file = profile.read().await?;
        let about = About {
            env,
            file: file.as_ref(),
            profile: &profile,
        };
        let prefix = url.path().trim_matches('/').to_owned();
        let fits = is_name(&prefix) && prefix.len() < MAX_NAME && !prefix.contains("//");
        if !fits && !prefix.is_empty() {
            return Err(wrong(
                "what stands before names has letters, digits and `/_+=.@-` only, on AWS",
            ));
        }
        let (region, region_from) = about.region(url)?;
        let shown = ProviderUrl::new("aws", format!("/{prefix}")).with_authority(&region);
        let recovery_days = recovery_days(url)?;
        let shown = match url.query("recovery_days") {
            Some(days) => shown.with_query("recovery_days", days),
            None => shown,
        };
        let endpoint_of = |variable: &str, service: &str| {
            let endpoint = about.endpoint(variable, service)?;
            if let Some(endpoint) = &endpoint {
                check_plaintext(connect, endpoint)?;
            }
            Ok::<_, Error>(endpoint)
        };
        Ok(Self {
            shown: shown.to_string(),
            region,
            region_from,
            prefix,
            recovery_days,
            endpoint: endpoint_of("SECRETS_MANAGER", "secrets_manager")?,
            sts_endpoint: endpoint_of("STS", "sts")?,
            sso_endpoint: endpoint_of("SSO", "sso")?,
            sso_oidc_endpoint: endpoint_of("SSO_OIDC", "sso_oidc")?,
            fips: about.switch("AWS_USE_FIPS_ENDPOINT", "use_fips_endpoint")?,
            dual_stack: about.switch("AWS_USE_DUALSTACK_ENDPOINT", "use_dualstack_endpoint")?,
            profile,
        })
    }
}

/// The places beside the address where a setting may stand.
struct About<'a> {
    env: &'a Env,
    file: Option<&'a ProfileSet>,
    profile: &'a Profile,
}

impl About<'_> {
    fn region(&self, url: &ProviderUrl) -> Result<(String, String)> {
        let in_address = url.authority().filter(|region| !region.is_empty());
        let mut found = in_address.map(|region| (region, "the address".to_owned()));
        for variable in ["AWS_REGION", "AWS_DEFAULT_REGION"] {
            if found.is_none() {
                found = self
                    .env
                    .var(variable)?
                    .map(|region| (region, variable.to_owned()));
            }
        }
        let (region, from) = found.or_else(|| self.in_file("region")).ok_or_else(|| {
            wrong("no AWS region is set").with_help(
                "write it into the address (aws://eu-west-1/prefix), set AWS_REGION, or give the \
                     profile a `region`",
            )
        })?;
        // It becomes part of the host that requests go to.
        let is_label = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
        if !region.chars().all(is_label) || region.len() > 63 || region.starts_with('-') {
            let message =
                format!("{from} gives no AWS region: it has letters, digits and `-` only");
            return Err(wrong(message).with_help("for example eu-west-1"));
        }
        Ok((region.to_owned(), from))
    }

    /// The service's own variable, the one of all services, and the same two in the profile.
    fn endpoint(&self, variable: &str, service: &str) -> Result<Option<Endpoint>> {
        if self.switch(
            "AWS_IGNORE_CONFIGURED_ENDPOINT_URLS",
            "ignore_configured_endpoint_urls",
        )? {
            return Ok(None);
        }
        for variable in [&format!("AWS_ENDPOINT_URL_{variable}"), "AWS_ENDPOINT_URL"] {
            if let Some(url) = self.env.var(variable)? {
                return Endpoint::new(url, variable.to_owned()).map(Some);
            }
        }
        let (in_services, from) = (self.in_services(service, "endpoint_url"), self.in_profile());
        if let Some(url) = in_services {
            return Endpoint::new(url, from).map(Some);
        }
        match self.in_file("endpoint_url") {
            Some((url, from)) => Endpoint::new(url, from).map(Some),
            None => Ok(None),
        }
    }

    fn switch(&self, variable: &str, key: &str) -> Result<bool> {
        let found = match self.env.var(variable)? {
            Some(text) => Some((text, variable.to_owned())),
            None => self.in_file(key),
        };
        let Some((text, from)) = found else {
            return Ok(false);
        };
        match text.to_ascii_lowercase().as_str() {
            "true" => Ok(true),
            "false" => Ok(false),
            _ => Err(wrong(format!(
                "`{key}`, as {from} has it, is true or false"
            ))),
        }
    }

    fn in_file(&self, key: &str) -> Option<(&str, String)> {
        let value = self.file?.get(key).filter(|value| !value.is_empty())?;
        Some((value, self.in_profile()))
    }

    /// A setting of one service, in the section that the profile's `services` names.
    fn in_services(&self, service: &str, key: &str) -> Option<&str> {
        let file = self.file?;
        let key = PropertiesKey::builder()
            .section_key("services")
            .section_name(file.get("services")?)
            .property_name(service)
            .sub_property_name(key)
            .build();
        let value = file.other_sections().get(&key.ok()?)?;
        Some(value.as_str()).filter(|value| !value.is_empty())
    }

    fn in_profile(&self) -> String {
        format!("the profile `{}`", self.profile.name)
    }
}

impl Endpoint {
    fn new(url: &str, from: String) -> Result<Self> {
        let uri: Option<http::Uri> = url.parse().ok();
        let is_one = uri.is_some_and(|uri| {
            let plain = uri
                .authority()
                .is_some_and(|host| !host.as_str().contains('@'));
            plain && uri.query().is_none() && matches!(uri.scheme_str(), Some("http" | "https"))
        });
        if !is_one {
            let message = format!("the endpoint that {from} gives is not an http or https address");
            return Err(wrong(message));
        }
        Ok(Self {
            url: url.to_owned(),
            from,
        })
    }

    fn is_plaintext_to_elsewhere(&self) -> bool {
        // The address of a provider has the same rule, and the same idea of this machine.
        let as_ours = self.url.strip_prefix("http://");
        let as_ours = as_ours.map(|rest| format!("aws+http://{rest}").parse::<ProviderUrl>());
        match as_ours {
            None => false,
            Some(url) => url.map_or(true, |url| url.is_plaintext_to_elsewhere()),
        }
    }
}

/// A request in plain text shows its answer to everybody on the way.
fn check_plaintext(connect: &Connect, endpoint: &Endpoint) -> Result<()> {
    if !endpoint.is_plaintext_to_elsewhere() {
        return Ok(());
    }
    let subject = format!("the endpoint that {} gives is plain http", endpoint.from);
    connect.rails.check(Rail::PlaintextHttp, &subject, None)
}

fn recovery_days(url: &ProviderUrl) -> Result<i64> {
    let Some(text) = url.query("recovery_days") else {
        return Ok(RECOVERY_DAYS);
    };
    let days = text.parse().ok().filter(|days| (7..=30).contains(days));
    days.ok_or_else(|| wrong("the address's `recovery_days` is a number from 7 to 30"))
}

pub(super) fn wrong(message: impl Into<String>) -> Error {
    Error::new(ErrorKind::Config, message)
}
