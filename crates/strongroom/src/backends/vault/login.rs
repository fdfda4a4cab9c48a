//! How we prove to Vault who we are, and the token that we get for it.

use std::time::Duration;

use http::HeaderValue;
use rustify::enums::RequestMethod;
use zeroize::Zeroizing;

use super::answer::Answer;
use super::raw::{Raw, object};
use super::settings::{self, wrong};
use super::transport::{Transport, token_header};
use crate::backends::Connect;
use crate::backends::files::json::Tree;
use crate::error::{Error, ErrorKind, Result};
use crate::manifest::suggest;
use crate::secret::Secret;

mod approle;
mod lookup;
mod source;
mod wrapped;

use approle::AppRole;
pub(super) use lookup::{TokenState, look_up};
use source::Source;

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
    ("aws", &["auth_mount", "role"]),
];

/// One way to log in. Holds no credential but an unwrapped secret id: files are read at each login.
pub(super) struct Login {
    method: Method,
    mount: String,
}

enum Method {
    /// A token that somebody else made.
    Token(Source),
    AppRole(AppRole),
    /// A signed token of another system, as the methods `jwt` and `kubernetes` take it.
    Jwt {
        role: Option<String>,
        jwt: Source,
    },
    Certificate {
        role: Option<String>,
    },
    Userpass {
        username: String,
        password: Source,
    },
}

/// A token, and what was said of it when it was given.
pub(super) struct Granted {
    pub(super) header: HeaderValue,
    /// How long it lives unless it is renewed; `None` for ever.
    pub(super) ttl: Option<Duration>,
    pub(super) renewable: bool,
    /// Whether we made it by a login, and so may revoke it.
    pub(super) ours: bool,
    /// A batch token can't be revoked.
    pub(super) batch: bool,
}

impl Login {
    /// Reads from the address and the environment how to log in. Reads no credential's file.
    ///
    /// # Errors
    /// [`ErrorKind::Config`] that names the setting which is wrong or missing.
    pub(super) fn read(connect: &Connect) -> Result<Self> {
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
            "aws" => {
                return Err(Error::new(
                    ErrorKind::Unsupported,
                    "this build of strongroom can't log in to Vault by AWS IAM",
                )
                .with_help(
                    "it can't sign the request to STS; use `auth=jwt`, `auth=kubernetes` or \
                     `auth=approle`, or an agent that writes a token to `token_file`",
                ));
            }
            _ => Method::Token(Source::token(connect)?),
        };
        Ok(Self { method, mount })
    }

    /// Names what was used, for messages: the method and where its credential comes from.
    pub(super) fn describe(&self) -> String {
        match &self.method {
            Method::Token(source) => format!("the token in {source}"),
            Method::AppRole(_) => format!("the AppRole at auth/{}", self.mount),
            Method::Jwt { jwt, .. } => format!("the JWT in {jwt}, at auth/{}", self.mount),
            Method::Certificate { .. } => format!("the client certificate, at auth/{}", self.mount),
            Method::Userpass { username, .. } => {
                format!(
                    "the user `{}` at auth/{}",
                    username.escape_debug(),
                    self.mount
                )
            }
        }
    }

    /// Reads the credential and logs in with it.
    ///
    /// # Errors
    /// [`ErrorKind::Auth`] if the credential is missing or refused, [`ErrorKind::Config`] if there
    /// is no such auth mount, and that of the file or connection which failed.
    pub(super) async fn log_in(&self, transport: &Transport) -> Result<Granted> {
        let connect = transport.connect();
        let (place, body) = match &self.method {
            Method::Token(source) => return self.given(transport, source).await,
            Method::AppRole(role) => (String::new(), role.body(transport).await?),
            Method::Jwt { role, jwt } => {
                let jwt = jwt.read(connect).await?;
                let jwt = ("jwt", jwt.expose_str()?);
                (
                    String::new(),
                    match role {
                        Some(role) => object(&[("role", role), jwt]),
                        None => object(&[jwt]),
                    },
                )
            }
            Method::Certificate { role } => {
                transport.read_certificate_again()?;
                (
                    String::new(),
                    match role {
                        Some(role) => object(&[("name", role)]),
                        None => object(&[]),
                    },
                )
            }
            Method::Userpass { username, password } => {
                let password = password.read(connect).await?;
                (
                    format!("/{username}"),
                    object(&[("password", password.expose_str()?)]),
                )
            }
        };
        let path = format!("auth/{}/login{place}", self.mount);
        let request = Raw::new(RequestMethod::POST, path).with_body(body);
        let mut answer = transport.send(&request, None).await?;
        match answer.status {
            200 => granted(&answer.tree()?),
            _ => Err(self.refused(&answer)),
        }
    }

    /// Takes a token that somebody else made, once Vault knows it.
    async fn given(&self, transport: &Transport, source: &Source) -> Result<Granted> {
        let token = source.read(transport.connect()).await?;
        let header = token_header(&token).map_err(|_| {
            Error::new(
                ErrorKind::Malformed,
                format!("{source} holds no token of Vault"),
            )
            .with_help("a token is one line, and may end in one newline")
        })?;
        let Some(state) = look_up(transport, &header).await? else {
            let shown = &transport.settings().shown;
            return Err(Error::new(
                ErrorKind::Auth,
                format!("{shown}: the token in {source} is refused (403)"),
            )
            .with_help(
                "it is expired or revoked, of another server, or may not look itself up \
                 (`auth/token/lookup-self`, which the policy `default` allows): put a new one there",
            ));
        };
        Ok(Granted {
            header,
            ttl: state.ttl,
            renewable: state.renewable,
            ours: false,
            batch: state.batch,
        })
    }

    fn refused(&self, answer: &Answer) -> Error {
        let (who, status) = (self.describe(), answer.status);
        match status {
            400 | 403 if answer.is_vaults_refusal() => {
                let message = format!("{}: the login is refused ({status})", answer.shown());
                Error::new(ErrorKind::Auth, message).with_help(format!(
                    "it was tried with {who}: check that this auth mount exists, that the credential \
                     is current, and that its role allows a login from here"
                ))
            }
            404 => {
                let message = format!(
                    "{}: there is no login at auth/{}",
                    answer.shown(),
                    self.mount
                );
                Error::new(ErrorKind::Config, message)
                    .with_help("enable the auth method, or name its mount in `auth_mount`")
            }
            _ => answer.refusal("log in"),
        }
    }
}

/// What the answer to a login says.
fn granted(tree: &Tree) -> Result<Granted> {
    let foreign = |what: &str| {
        Error::new(
            ErrorKind::Malformed,
            format!("the answer to Vault's login has no {what}"),
        )
    };
    let token = text(tree, &["auth", "client_token"]).ok_or_else(|| foreign("token"))?;
    if token.is_empty() && tree.keys(&["auth", "mfa_requirement"]).is_empty() {
        return Err(foreign("token"));
    }
    if token.is_empty() {
        return Err(Error::new(
            ErrorKind::Unsupported,
            "Vault wants a second factor for this login, which nobody is here to give",
        )
        .with_help("log in with a method or role that needs none"));
    }
    let header = token_header(&Secret::from_utf8_or_bytes(token))?;
    let (ttl, renewable) = lease(tree).ok_or_else(|| foreign("duration"))?;
    Ok(Granted {
        header,
        // A token without an end, as Vault's root token is.
        ttl: (!ttl.is_zero()).then_some(ttl),
        renewable,
        ours: true,
        batch: tree.raw(&["auth", "token_type"]) == Some(b"\"batch\""),
    })
}

/// How long a token lives from now on, and whether it can be renewed, as a login or a renewal says it.
pub(super) fn lease(tree: &Tree) -> Option<(Duration, bool)> {
    let ttl = number(tree, &["auth", "lease_duration"])?;
    let renewable = tree.raw(&["auth", "renewable"]) == Some(b"true");
    Some((Duration::from_secs(ttl), renewable))
}

fn number(tree: &Tree, way: &[&str]) -> Option<u64> {
    std::str::from_utf8(tree.raw(way)?).ok()?.parse().ok()
}

fn text(tree: &Tree, way: &[&str]) -> Option<Zeroizing<Vec<u8>>> {
    let is_text = tree.raw(way)?.starts_with(b"\"");
    is_text.then(|| tree.value(way).ok()).flatten()
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
