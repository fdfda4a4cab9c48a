//! What the address and the environment say about how to log in.

use super::approle::AppRole;
#[cfg(feature = "aws")]
use super::iam::Iam;
use super::source::Source;
use super::{Login, Method};
use crate::backends::Connect;
use crate::backends::vault::settings::{self, wrong};
#[cfg(not(feature = "aws"))]
use crate::error::ErrorKind;
use crate::error::{Error, Result};
use crate::manifest::suggest;

/// Where Kubernetes mounts the token of a pod's service account.
const SERVICE_ACCOUNT: &str = "/var/run/secrets/kubernetes.io/serviceaccount/token";

/// Each method, and the settings of the address that belong to it alone or to it as well.
const METHODS: &[(&str, &[&str])] = &[
    ("token", &["token_file"]),
    (
        "approle",
        &["auth_mount", "role_id", "secret_id_file", "wrapped_by"],
    ),
    ("kubernetes", &["auth_mount", "role", "jwt_file"]),
    ("jwt", &["auth_mount", "role", "jwt_file"]),
    ("cert", &["auth_mount", "role"]),
    ("userpass", &["auth_mount", "username", "password_file"]),
    (
        "aws",
        &["auth_mount", "role", "iam_server_id", "sts_region"],
    ),
];

impl Login {
    /// Reads from the address and the environment how to log in. Reads no credential's file.
    ///
    /// # Errors
    /// [`ErrorKind::Config`] that names the setting which is wrong or missing.
    pub(in crate::backends::vault) fn read(connect: &Connect) -> Result<Self> {
        let url = &connect.url;
        let name = url.query("auth").unwrap_or("token");
        let Some((name, keys)) = METHODS.iter().find(|(known, _)| *known == name) else {
            let error = wrong(format!("there is no auth method `{}`", name.escape_debug()));
            let names = || METHODS.iter().map(|(name, _)| *name);
            return Err(match suggest(name, names()) {
                Some(near) => error.with_help(format!("did you mean `{near}`?")),
                None => error.with_help(format!(
                    "`auth` is one of {}",
                    names().collect::<Vec<_>>().join(", ")
                )),
            });
        };
        let of_others = METHODS.iter().flat_map(|(_, keys)| *keys);
        if let Some(key) = of_others
            .into_iter()
            .find(|key| !keys.contains(key) && url.query(key).is_some())
        {
            let owners: Vec<_> = METHODS
                .iter()
                .filter(|(_, keys)| keys.contains(key))
                .map(|(name, _)| format!("`auth={name}`"))
                .collect();
            return Err(wrong(format!("`{key}` has no meaning with `auth={name}`"))
                .with_help(format!("it belongs to {}", owners.join(", "))));
        }
        let mount = settings::path("`auth_mount`", url.query("auth_mount").unwrap_or(name))?;
        if mount.is_empty() {
            return Err(wrong("`auth_mount` names no mount"));
        }
        let role = url.query("role").map(str::to_owned);
        let method = match *name {
            "approle" => Method::AppRole(AppRole::read(connect)?),
            "kubernetes" => Method::Jwt {
                role: Some(role.ok_or_else(|| missing("role", name))?),
                jwt: Source::file(connect, "jwt_file")
                    .unwrap_or_else(|| Source::File(SERVICE_ACCOUNT.into())),
            },
            "jwt" => Method::Jwt {
                role,
                jwt: Source::file_or_variable(connect, "jwt_file", "JWT")?
                    .ok_or_else(|| missing("jwt_file", name))?,
            },
            "cert" => {
                if settings::file(connect, "client_cert", "CLIENT_CERT")?.is_none() {
                    return Err(missing("client_cert", name));
                }
                Method::Certificate { role }
            }
            "userpass" => Method::Userpass {
                username: username(connect)?,
                password: Source::file(connect, "password_file")
                    .ok_or_else(|| missing("password_file", name))?,
            },
            #[cfg(feature = "aws")]
            "aws" => Method::Iam(Iam::read(connect)?),
            #[cfg(not(feature = "aws"))]
            "aws" => {
                let message = "this build of strongroom can't log in to Vault by AWS IAM";
                return Err(Error::new(ErrorKind::Unsupported, message)
                    .with_help("build it with the cargo feature `aws`, which signs the request"));
            }
            _ => Method::Token(Source::token(connect)?),
        };
        Ok(Self { method, mount })
    }
}

fn username(connect: &Connect) -> Result<String> {
    let username = connect.url.query("username");
    let username = username.ok_or_else(|| missing("username", "userpass"))?;
    let checked = settings::path("`username`", username)?;
    if checked != username || checked.is_empty() || checked.contains('/') {
        return Err(wrong("`username` is not the name of a user"));
    }
    Ok(checked)
}

fn missing(key: &str, method: &str) -> Error {
    let help = match key {
        "client_cert" => "set `client_cert` and `client_key`, or VAULT_CLIENT_CERT and \
                          VAULT_CLIENT_KEY"
            .to_owned(),
        _ => format!("add `{key}=…` to the address"),
    };
    wrong(format!("`auth={method}` needs `{key}`")).with_help(help)
}
