//! How we prove to Vault who we are, and the token that we get for it.

use rustify::enums::RequestMethod;

use super::answer::Answer;
use super::raw::{Raw, object};
use super::transport::{Transport, token_header};
use crate::error::{Error, ErrorKind, Result};

mod approle;
mod grant;
#[cfg(feature = "aws")]
mod iam;
mod lookup;
mod settings;
mod source;
mod wrapped;

use approle::AppRole;
pub(super) use grant::{Granted, granted, lease};
pub(super) use lookup::{TokenState, look_up};
use source::Source;

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
    #[cfg(feature = "aws")]
    Iam(iam::Iam),
}

impl Login {
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
            #[cfg(feature = "aws")]
            Method::Iam(_) => format!("AWS credentials, at auth/{}", self.mount),
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
                // EXPOSES: to the body of the login, which is wiped
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
                    // EXPOSES: to the body of the login, which is wiped
                    object(&[("password", password.expose_str()?)]),
                )
            }
            #[cfg(feature = "aws")]
            Method::Iam(iam) => (String::new(), iam.body(connect).await?),
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
