//! AppRole: a role's name for machines, and a secret id that may come wrapped.

use zeroize::Zeroizing;

use super::source::Source;
use super::wrapped::Wrapped;
use crate::backends::Connect;
use crate::backends::vault::raw::object;
use crate::backends::vault::settings::{self, wrong};
use crate::backends::vault::transport::Transport;
use crate::backends::vault::variables;
use crate::error::Result;

pub(super) struct AppRole {
    role_id: String,
    secret_id: SecretId,
}

enum SecretId {
    /// A role with `bind_secret_id=false` has none.
    None,
    Plain(Source),
    Wrapped(Wrapped),
}

impl AppRole {
    pub(super) fn read(connect: &Connect) -> Result<Self> {
        let role_id = match connect.url.query("role_id") {
            Some(role_id) => Some(role_id),
            None => variables::value(&connect.env, "ROLE_ID")?,
        };
        let role_id = role_id
            .filter(|role_id| !role_id.is_empty())
            .ok_or_else(|| {
                wrong("`auth=approle` needs a role id")
                    .with_help("set VAULT_ROLE_ID, or `role_id` in the address")
            })?;
        let source = Source::file_or_variable(connect, "secret_id_file", "SECRET_ID")?;
        let secret_id = match (source, connect.url.query("wrapped_by")) {
            (Some(source), None) => SecretId::Plain(source),
            (None, None) => SecretId::None,
            (Some(source), Some(path)) => {
                let path = settings::path("`wrapped_by`", path)?;
                SecretId::Wrapped(Wrapped::new(source, path))
            }
            (None, Some(_)) => {
                return Err(wrong("`wrapped_by` needs a wrapped secret id")
                    .with_help("name its file in `secret_id_file`, or set VAULT_SECRET_ID"));
            }
        };
        Ok(Self {
            role_id: role_id.to_owned(),
            secret_id,
        })
    }

    /// The body of a login.
    pub(super) async fn body(&self, transport: &Transport) -> Result<Zeroizing<Vec<u8>>> {
        let secret_id = match &self.secret_id {
            SecretId::None => return Ok(object(&[("role_id", &self.role_id)])),
            SecretId::Plain(source) => source.read(transport.connect()).await?,
            SecretId::Wrapped(wrapped) => wrapped.secret_id(transport).await?,
        };
        // EXPOSES: to the body of the login, which is wiped
        let secret_id = secret_id.expose_str()?;
        Ok(object(&[
            ("role_id", &self.role_id),
            ("secret_id", secret_id),
        ]))
    }
}
