//! How plain files are noticed: a marker, the platforms' mounts, a `.env` on a developer's machine.

use std::io::ErrorKind::NotFound;
use std::path::Path;

use super::super::{Class, Probe};
use crate::env::{Deployment, Env};
use crate::error::{Error, ErrorKind, Result};
use crate::provider_url::ProviderUrl;

const MARKER: &str = "STRONGROOM_DIR";
const CREDENTIALS: &str = "CREDENTIALS_DIRECTORY";
const DOTENV: &str = ".env";

/// Entries of `/run/secrets` that a platform puts there for itself: Kubernetes, the workload
/// identities of EKS, GKE and AKS, and the subscription files of RHEL's container images.
const PLATFORM_ENTRIES: &[&str] = &[
    "kubernetes.io",
    "eks.amazonaws.com",
    "pods.eks.amazonaws.com",
    "azure",
    "tokens",
    "rhsm",
    "etc-pki-entitlement",
    "redhat.repo",
];

pub(super) fn detect(env: &Env, deployment: Deployment) -> Result<Vec<Probe>> {
    Ok(vec![
        marker(env)?,
        credentials(env)?,
        mounted(env.mounted_secrets()),
        dotenv(env, deployment)?,
    ])
}

fn marker(env: &Env) -> Result<Probe> {
    Ok(match env.var(MARKER)? {
        Some(dir) => Probe::found(Class::Marker, MARKER, ProviderUrl::new("file", dir)),
        None => Probe::nothing(Class::Marker, MARKER, "not set"),
    })
}

/// systemd's credentials, and those of whatever else sets its variable.
fn credentials(env: &Env) -> Result<Probe> {
    let Some(dir) = env.var(CREDENTIALS)? else {
        return Ok(Probe::nothing(Class::Platform, CREDENTIALS, "not set"));
    };
    if !Path::new(dir).is_absolute() {
        return Err(Error::new(
            ErrorKind::Config,
            format!("{CREDENTIALS} is not an absolute path"),
        )
        .with_help("systemd sets it to an absolute path; unset it, or set it to one"));
    }
    Ok(Probe::found(
        Class::Platform,
        CREDENTIALS,
        ProviderUrl::new("file", dir),
    ))
}

fn mounted(dir: &Path) -> Probe {
    let looked_for = dir.display().to_string();
    let nothing = |detail: &str| Probe::nothing(Class::Platform, looked_for.clone(), detail);
    let entries = match std::fs::read_dir(dir) {
        Ok(entries) => entries,
        Err(error) if error.kind() == NotFound => return nothing("no such directory"),
        Err(_) => return nothing("it can't be listed; STRONGROOM_DIR chooses it all the same"),
    };
    let (mut own, mut platform) = (false, false);
    for entry in entries.flatten() {
        match entry.file_name().to_str() {
            Some(name) if PLATFORM_ENTRIES.contains(&name) => platform = true,
            // `..data` is Kubernetes' own link, and the keys beside it don't begin with a dot.
            Some(name) if name.starts_with('.') => {}
            _ => own = true,
        }
    }
    match (own, platform, dir.to_str()) {
        (true, _, Some(path)) => {
            let url = ProviderUrl::new("file", path);
            Probe::found(Class::Platform, looked_for, url)
        }
        (true, _, None) => nothing("its path is not UTF-8 text"),
        (false, true, _) => nothing("it holds only the platform's own entries"),
        (false, false, _) => nothing("it is empty"),
    }
}

fn dotenv(env: &Env, deployment: Deployment) -> Result<Probe> {
    let nothing = |detail: &str| Ok(Probe::nothing(Class::Fallback, DOTENV, detail).with_rank(1));
    if !env.working_dir().join(DOTENV).is_file() {
        return nothing("no such file");
    }
    if !env.is_ci()? && deployment.is_strict() {
        return nothing(
            "it is there, but counts only where development, test or CI is declared: \
             set STRONGROOM_ENV=development for it to count",
        );
    }
    Ok(Probe::found(Class::Fallback, DOTENV, ProviderUrl::new("file", DOTENV)).with_rank(1))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn probe(env: &Env, deployment: Deployment, looked_for: &str) -> Probe {
        let probes = detect(env, deployment).unwrap();
        probes
            .into_iter()
            .find(|probe| probe.looked_for == looked_for)
            .unwrap()
    }

    #[test]
    fn the_marker_and_the_credentials_directory() {
        let env = Env::empty()
            .with_var("STRONGROOM_DIR", "/etc/app")
            .with_var("CREDENTIALS_DIRECTORY", "/run/credentials/app");
        let found = probe(&env, Deployment::Production, MARKER);
        assert_eq!(found.class, Class::Marker);
        assert_eq!(found.found.unwrap().to_string(), "file:/etc/app");
        let found = probe(&env, Deployment::Production, CREDENTIALS);
        assert_eq!(found.class, Class::Platform);
        assert_eq!(found.found.unwrap().path(), "/run/credentials/app");

        let env = Env::empty().with_var("CREDENTIALS_DIRECTORY", "run/app");
        let error = detect(&env, Deployment::Production).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Config);
        assert!(error.to_string().contains(CREDENTIALS));
    }

    #[test]
    fn mounted_secrets_count_only_if_they_are_not_the_platforms_own() {
        let dir = tempfile::tempdir().unwrap();
        let mounted = dir.path().join("secrets");
        let env = Env::empty().with_mounted_secrets(&mounted);
        let looked_for = mounted.display().to_string();
        let look = || probe(&env, Deployment::Production, &looked_for);
        assert!(look().detail.contains("no such directory"));
        for own in ["kubernetes.io", "eks.amazonaws.com", "rhsm", "..data"] {
            std::fs::create_dir_all(mounted.join(own)).unwrap();
            assert!(look().found.is_none(), "{own}");
        }
        std::fs::write(mounted.join("token"), "x").unwrap();
        assert_eq!(look().found.unwrap().path(), looked_for);
    }

    #[test]
    fn dotenv_counts_in_development_test_and_ci() {
        let dir = tempfile::tempdir().unwrap();
        let env = Env::empty().with_working_dir(dir.path());
        assert_eq!(probe(&env, Deployment::Test, DOTENV).detail, "no such file");
        std::fs::write(dir.path().join(".env"), "A=b\n").unwrap();
        for (deployment, ci, counts) in [
            (Deployment::Development, "", true),
            (Deployment::Test, "", true),
            (Deployment::Staging, "", false),
            (Deployment::Production, "", false),
            (Deployment::Undeclared, "", false),
            (Deployment::Undeclared, "true", true),
            (Deployment::Undeclared, "1", true),
            (Deployment::Undeclared, "0", false),
            (Deployment::Undeclared, "False", false),
        ] {
            let found = probe(&env.clone().with_var("CI", ci), deployment, DOTENV);
            assert_eq!(found.rank, 1);
            assert_eq!(found.found.is_some(), counts, "{deployment} CI={ci}");
            assert!(counts || found.detail.contains("STRONGROOM_ENV"));
        }
    }
}
