//! Where a service runs: development, test, staging or production.

use std::fmt;
use std::str::FromStr;

use serde::Serialize;

use super::{Env, read_own_text_file};
use crate::error::{Error, ErrorKind, Result};

/// Variables that only a hosting platform sets. A machine that has one is production until
/// `STRONGROOM_ENV` says otherwise.
const PLATFORM_MARKERS: &[&str] = &[
    "KUBERNETES_SERVICE_HOST",
    "AWS_LAMBDA_FUNCTION_NAME",
    "ECS_CONTAINER_METADATA_URI_V4",
    "ECS_CONTAINER_METADATA_URI",
    "CREDENTIALS_DIRECTORY",
    "VERCEL",
    "NETLIFY",
    "DYNO",
    "RENDER",
    "FLY_APP_NAME",
    "RAILWAY_ENVIRONMENT",
    "K_SERVICE",
    "WEBSITE_INSTANCE_ID",
];

/// Where a service runs, which decides how strict the guard rails are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum Deployment {
    /// A developer's machine.
    Development,
    /// A test run, in CI for example.
    Test,
    /// A rehearsal of production, with its guard rails.
    Staging,
    /// The real thing.
    Production,
    /// Nobody said. Gets production's guard rails.
    Undeclared,
}

impl Deployment {
    /// Reports whether guard rails refuse (`true`) or only warn (`false`).
    pub fn is_strict(self) -> bool {
        !matches!(self, Self::Development | Self::Test)
    }

    /// Returns the word for it, which is also the manifest profile that goes with it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Development => "development",
            Self::Test => "test",
            Self::Staging => "staging",
            Self::Production => "production",
            Self::Undeclared => "undeclared",
        }
    }
}

impl FromStr for Deployment {
    type Err = Error;

    fn from_str(word: &str) -> Result<Self> {
        match word.to_ascii_lowercase().as_str() {
            "development" | "dev" => Ok(Self::Development),
            "test" | "testing" => Ok(Self::Test),
            "staging" | "stage" => Ok(Self::Staging),
            "production" | "prod" => Ok(Self::Production),
            _ => Err(
                Error::new(ErrorKind::Config, "not a deployment that strongroom knows")
                    .with_help("say development, test, staging or production"),
            ),
        }
    }
}

impl fmt::Display for Deployment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// The deployment, and what decided it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct DeploymentChoice {
    /// The deployment.
    pub deployment: Deployment,
    /// The variable or file that decided.
    pub because: String,
}

impl DeploymentChoice {
    /// Decides from `STRONGROOM_ENV`, else `APP_ENV` and the platform's markers, else what was
    /// recorded for this machine.
    ///
    /// # Errors
    /// [`ErrorKind::Config`] if `STRONGROOM_ENV` or the record holds a word that is no deployment;
    /// the word itself is not repeated. A word of the application's own in `APP_ENV` leaves the
    /// deployment undeclared, which is strict.
    pub fn from_env(env: &Env) -> Result<Self> {
        let chosen = |deployment, because: &str| {
            Ok(Self {
                deployment,
                because: because.to_owned(),
            })
        };
        if let Some(word) = env.var("STRONGROOM_ENV")? {
            return chosen(parse(word, "STRONGROOM_ENV")?, "STRONGROOM_ENV");
        }
        let platform = PLATFORM_MARKERS.iter().find(|marker| env.has(marker));
        if let Some(word) = env.var("APP_ENV")? {
            // The variable belongs to the application: a word of its own is strict, not an error.
            let Ok(deployment) = word.parse::<Deployment>() else {
                return chosen(
                    Deployment::Undeclared,
                    "APP_ENV is a word strongroom doesn't know",
                );
            };
            return match platform {
                // A leftover APP_ENV=development in an image must not switch the guard rails off.
                Some(marker) if !deployment.is_strict() => chosen(
                    Deployment::Production,
                    &format!("{marker}, which APP_ENV can't lower; STRONGROOM_ENV can"),
                ),
                _ => chosen(deployment, "APP_ENV"),
            };
        }
        if let Some(marker) = platform {
            return chosen(Deployment::Production, marker);
        }
        match recorded(env)? {
            Some((deployment, path)) => chosen(deployment, &path),
            None => chosen(Deployment::Undeclared, "nothing declares one"),
        }
    }
}

fn parse(word: &str, origin: &str) -> Result<Deployment> {
    word.parse().map_err(|_| {
        Error::new(
            ErrorKind::Config,
            format!("{origin} is not a deployment that strongroom knows"),
        )
        .with_help("set it to development, test, staging or production")
    })
}

/// Reads `strongroom/deployment` in the user's configuration directory: one word.
fn recorded(env: &Env) -> Result<Option<(Deployment, String)>> {
    use std::io::ErrorKind::{NotADirectory, NotFound, PermissionDenied};
    let Some(path) = env
        .config_dir()
        .map(|dir| dir.join("strongroom/deployment"))
    else {
        return Ok(None);
    };
    match read_own_text_file(&path, 64) {
        Ok(word) => {
            let origin = path.display().to_string();
            Ok(Some((parse(word.trim(), &origin)?, origin)))
        }
        // Without a record the deployment is undeclared, which is strict.
        Err(error) if matches!(error.kind(), NotFound | NotADirectory | PermissionDenied) => {
            Ok(None)
        }
        Err(error) => Err(
            Error::new(ErrorKind::Config, format!("can't read {}", path.display()))
                .with_help(
                    "it holds one word, development, test, staging or production, and only its own \
                     user may write it; STRONGROOM_ENV overrides it",
                )
                .with_source(error),
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    type Case = (
        &'static [(&'static str, &'static str)],
        Deployment,
        &'static str,
    );

    #[test]
    fn decides() {
        use Deployment::*;
        let cases: &[Case] = &[
            (&[], Undeclared, "nothing"),
            (
                &[("STRONGROOM_ENV", "dev"), ("VERCEL", "1")],
                Development,
                "STRONGROOM_ENV",
            ),
            (
                &[("STRONGROOM_ENV", "Production")],
                Production,
                "STRONGROOM_ENV",
            ),
            (&[("APP_ENV", "test")], Test, "APP_ENV"),
            (
                &[("APP_ENV", "staging"), ("VERCEL", "1")],
                Staging,
                "APP_ENV",
            ),
            (
                &[("APP_ENV", "development"), ("DYNO", "web.1")],
                Production,
                "DYNO",
            ),
            (
                &[("KUBERNETES_SERVICE_HOST", "10.0.0.1")],
                Production,
                "KUBERNETES_SERVICE_HOST",
            ),
            (&[("VERCEL", "")], Undeclared, "nothing"),
            (&[("APP_ENV", "live")], Undeclared, "APP_ENV"),
        ];
        for (vars, deployment, because) in cases {
            let env = vars
                .iter()
                .fold(Env::empty(), |env, (name, value)| env.with_var(name, value));
            let choice = DeploymentChoice::from_env(&env).unwrap();
            assert_eq!(choice.deployment, *deployment, "{vars:?}");
            assert!(
                choice.because.starts_with(because),
                "{vars:?}: {}",
                choice.because
            );
        }
    }

    #[test]
    fn refuses_unknown_words_without_repeating_them() {
        let env = Env::empty().with_var("STRONGROOM_ENV", "canary");
        let error = format!("{:?}", DeploymentChoice::from_env(&env).unwrap_err());
        assert!(
            error.contains("STRONGROOM_ENV") && !error.contains("canary"),
            "{error}"
        );
    }

    #[test]
    fn a_home_that_is_no_directory_holds_no_record() {
        let env = Env::empty().with_var("HOME", "/dev/null");
        assert_eq!(
            DeploymentChoice::from_env(&env).unwrap().deployment,
            Deployment::Undeclared
        );
    }

    #[test]
    fn reads_what_was_recorded_for_this_machine() {
        let dir = tempfile::tempdir().unwrap();
        let env = Env::empty().with_var("XDG_CONFIG_HOME", dir.path());
        std::fs::create_dir(dir.path().join("strongroom")).unwrap();
        let record = dir.path().join("strongroom/deployment");
        std::fs::write(&record, "development\n").unwrap();
        assert_eq!(
            DeploymentChoice::from_env(&env).unwrap().deployment,
            Deployment::Development
        );
        std::fs::write(&record, "development\n".repeat(100)).unwrap();
        assert_eq!(
            DeploymentChoice::from_env(&env).unwrap_err().kind(),
            ErrorKind::Config
        );
        std::fs::write(&record, "devel\n").unwrap();
        assert_eq!(
            DeploymentChoice::from_env(&env).unwrap_err().kind(),
            ErrorKind::Config
        );
    }
}
