//! What the address and the environment say about one Vault: where it is, and what is read there.

use std::path::PathBuf;
use std::time::Duration;

use zeroize::Zeroizing;

use super::variables;
use crate::backends::Connect;
use crate::env::Env;
use crate::error::{Error, ErrorKind, Result};
use crate::provider_url::ProviderUrl;

/// The mount that is read where the address names none, as Vault's own development server has it.
const DEFAULT_MOUNT: &str = "secret";

const DEFAULT_TIMEOUT: Duration = Duration::from_secs(10);

/// Which generation of the key-value engine a mount has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum KvVersion {
    V1,
    V2,
}

/// Where one Vault is, and what is read there. Holds no credential.
#[derive(Debug, Clone)]
pub(super) struct Settings {
    /// The address as people see it: with the mount, the prefix and the namespace that are in force.
    pub(super) shown: String,
    /// `https://host:8200/`, for requests.
    pub(super) base: String,
    /// The namespace, without slashes at its ends.
    pub(super) namespace: Option<String>,
    /// The mount of the key-value engine, without slashes at its ends.
    pub(super) mount: String,
    /// What stands before every name; empty, or without slashes at its ends.
    pub(super) prefix: String,
    /// The engine's generation, where the address says it.
    pub(super) kv: Option<KvVersion>,
    /// How long one request may take.
    pub(super) timeout: Duration,
    /// The proxy that the environment names, and the hosts that it is not for.
    pub(super) proxy: Option<Proxy>,
}

/// A proxy for requests. Its address may hold a password.
#[derive(Clone)]
pub(super) struct Proxy {
    pub(super) variable: String,
    pub(super) url: Zeroizing<String>,
    pub(super) except: Option<String>,
}

impl std::fmt::Debug for Proxy {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Proxy")
            .field("variable", &self.variable)
            .finish_non_exhaustive()
    }
}

impl Settings {
    /// Reads them.
    ///
    /// # Errors
    /// [`ErrorKind::Config`] that names the setting or the variable which can't be used.
    pub(super) fn read(connect: &Connect) -> Result<Self> {
        let (url, env) = (&connect.url, &*connect.env);
        let plaintext = url.scheme().ends_with("+http");
        let authority = url.authority().filter(|authority| !authority.is_empty());
        let authority = authority.ok_or_else(|| {
            wrong("a Vault address names its host")
                .with_help("for example vault://vault.internal:8200/")
        })?;
        let scheme = if plaintext { "http" } else { "https" };
        let base = format!("{scheme}://{authority}/");
        reqwest::Url::parse(&base).map_err(|_| wrong("the host of a Vault address is no host"))?;
        let (mount, prefix) = mount_and_prefix(url)?;
        let namespace = match url.query("namespace") {
            Some(namespace) => Some(path("the address's `namespace`", namespace)?),
            None => match variables::either(env, "NAMESPACE")? {
                Some((variable, namespace)) => Some(path(&variable, namespace)?),
                None => None,
            },
        }
        .filter(|namespace| !namespace.is_empty());
        let kv = match url.query("kv") {
            None => None,
            Some("1") => Some(KvVersion::V1),
            Some("2") => Some(KvVersion::V2),
            Some(_) => return Err(wrong("the address's `kv` is 1 or 2")),
        };
        let mut shown = ProviderUrl::new(url.scheme(), "/").with_authority(authority);
        shown = shown.with_query("mount", &mount);
        if !prefix.is_empty() {
            shown = shown.with_query("prefix", &prefix);
        }
        if let Some(namespace) = &namespace {
            shown = shown.with_query("namespace", namespace);
        }
        Ok(Self {
            shown: shown.to_string(),
            base,
            namespace,
            mount,
            prefix,
            kv,
            timeout: timeout(env)?,
            proxy: proxy(env, plaintext)?,
        })
    }
}

/// A path of the address, relative to its base directory; else that of a variable, relative to the
/// working directory.
pub(super) fn file(connect: &Connect, key: &str, variable: &str) -> Result<Option<PathBuf>> {
    if let Some(path) = connect.url.query(key) {
        return Ok(Some(connect.resolve(path)));
    }
    let path = variables::value(&connect.env, variable)?;
    Ok(path.map(|path| connect.env.working_dir().join(path)))
}

/// Checks a text that becomes part of a request's path, and takes the slashes off its ends.
///
/// The client library below drops `..` silently, and would read elsewhere.
pub(super) fn path(what: &str, text: &str) -> Result<String> {
    let text = text.trim_matches('/');
    let plain = |segment: &str| {
        !matches!(segment, "" | "." | "..") && !segment.chars().any(char::is_control)
    };
    if text.is_empty() || text.split('/').all(plain) {
        return Ok(text.to_owned());
    }
    let message = format!("{what} has a segment that is empty, `.`, `..` or not printable");
    Err(wrong(message))
}

fn mount_and_prefix(url: &ProviderUrl) -> Result<(String, String)> {
    let located = path("the path of the Vault address", url.path())?;
    let (mount, prefix) = match (url.query("mount"), located.split_once('/')) {
        (Some(_), _) if !located.is_empty() => {
            return Err(wrong(
                "the Vault address gives a mount in its path and another as `mount`",
            ));
        }
        (Some(mount), _) => (path("the address's `mount`", mount)?, ""),
        (None, Some((mount, prefix))) => (mount.to_owned(), prefix),
        (None, None) => (located.clone(), ""),
    };
    let prefix = match url.query("prefix") {
        Some(_) if !prefix.is_empty() => {
            return Err(wrong(
                "the Vault address gives a prefix in its path and another as `prefix`",
            ));
        }
        Some(prefix) => path("the address's `prefix`", prefix)?,
        None => prefix.to_owned(),
    };
    let mount = if mount.is_empty() {
        DEFAULT_MOUNT.to_owned()
    } else {
        mount
    };
    Ok((mount, prefix))
}

/// `VAULT_CLIENT_TIMEOUT`: seconds, or a duration such as `30s`.
fn timeout(env: &Env) -> Result<Duration> {
    let Some((variable, text)) = variables::either(env, "CLIENT_TIMEOUT")? else {
        return Ok(DEFAULT_TIMEOUT);
    };
    let seconds = text.parse().ok().map(Duration::from_secs);
    seconds
        .or_else(|| humantime::parse_duration(text).ok())
        .filter(|timeout| !timeout.is_zero())
        .ok_or_else(|| wrong(format!("{variable} is not a time")).with_help("for example 30s"))
}

/// The proxy of Vault's own tools, else the one that programs share.
fn proxy(env: &Env, plaintext: bool) -> Result<Option<Proxy>> {
    let own = match variables::either(env, "PROXY_ADDR")? {
        None => variables::either(env, "HTTP_PROXY")?,
        found => found,
    };
    let except = ["NO_PROXY", "no_proxy"];
    let except = except.iter().find_map(|name| env.var(name).transpose());
    let except = except.transpose()?.map(str::to_owned);
    if let Some((variable, url)) = own {
        let (url, except) = (Zeroizing::new(url.to_owned()), None);
        return Ok(Some(Proxy {
            variable,
            url,
            except,
        }));
    }
    // The capital HTTP_PROXY is a header of CGI, which a client may have sent.
    let shared: &[&str] = if plaintext {
        &["http_proxy"]
    } else {
        &["HTTPS_PROXY", "https_proxy"]
    };
    for variable in shared {
        if let Some(url) = env.var(variable)? {
            let (variable, url) = ((*variable).to_owned(), Zeroizing::new(url.to_owned()));
            return Ok(Some(Proxy {
                variable,
                url,
                except,
            }));
        }
    }
    Ok(None)
}

pub(super) fn wrong(message: impl Into<String>) -> Error {
    Error::new(ErrorKind::Config, message)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::env::Deployment;
    use crate::rails::GuardRails;

    fn read(address: &str, env: Env) -> Result<Settings> {
        let rails = GuardRails::new(Deployment::Development, []);
        Settings::read(&Connect::new(address.parse()?, env, rails))
    }

    #[test]
    fn mount_and_prefix_stand_in_the_path_or_in_the_query() {
        for (address, mount, prefix) in [
            ("vault://h", "secret", ""),
            ("vault://h:8200/", "secret", ""),
            ("vault://h/kv", "kv", ""),
            ("vault://h/kv/payments/eu/", "kv", "payments/eu"),
            (
                "vault://h/?mount=team/kv&prefix=payments",
                "team/kv",
                "payments",
            ),
            ("vault://h/?prefix=payments", "secret", "payments"),
        ] {
            let settings = read(address, Env::empty()).unwrap();
            assert_eq!(
                (&*settings.mount, &*settings.prefix),
                (mount, prefix),
                "{address}"
            );
        }
        assert_eq!(
            read("vault+http://h:1/", Env::empty()).unwrap().base,
            "http://h:1/"
        );
    }

    #[test]
    fn refuses_what_it_can_t_mean() {
        for address in [
            "vault:",
            "vault:///kv",
            "vault://h/a?mount=b",
            "vault://h/a/b?prefix=c",
            "vault://h/a/../b",
            "vault://h/a//b",
            "vault://h/?mount=../sys",
            "vault://h/?prefix=a%0ab",
            "vault://h/?namespace=a/../b",
            "vault://h/?kv=3",
        ] {
            let error = read(address, Env::empty()).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Config, "{address}: {error}");
        }
    }

    #[test]
    fn openbao_s_variables_win_and_the_address_wins_over_both() {
        let env = Env::empty()
            .with_var("VAULT_NAMESPACE", "theirs/")
            .with_var("BAO_CLIENT_TIMEOUT", "5")
            .with_var("VAULT_CLIENT_TIMEOUT", "1m");
        let settings = read("vault://h/", env.clone()).unwrap();
        assert_eq!(settings.namespace.as_deref(), Some("theirs"));
        assert_eq!(settings.timeout, Duration::from_secs(5));
        let env = env.with_var("BAO_NAMESPACE", "ours");
        assert_eq!(
            read("vault://h/", env.clone())
                .unwrap()
                .namespace
                .as_deref(),
            Some("ours")
        );
        let settings = read("vault://h/?namespace=mine", env.clone()).unwrap();
        assert_eq!(settings.namespace.as_deref(), Some("mine"));
        let settings = read("vault://h/?namespace=", env).unwrap();
        assert_eq!(settings.namespace, None);
    }

    #[test]
    fn an_empty_switch_leaves_the_check_on() {
        for (word, skips) in [
            ("", false),
            ("0", false),
            ("False", false),
            ("true", true),
            ("1", true),
        ] {
            let env = Env::empty().with_var("VAULT_SKIP_VERIFY", word);
            let skipped = variables::skips_verification(&env).unwrap();
            assert_eq!(skipped.is_some(), skips, "{word:?}");
        }
        let env = Env::empty().with_var("VAULT_SKIP_VERIFY", "canary");
        let error = variables::skips_verification(&env).unwrap_err();
        assert!(!format!("{error:?}").contains("canary"));
    }
}
