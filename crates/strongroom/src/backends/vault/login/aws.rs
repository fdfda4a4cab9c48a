//! Login by an identity of AWS: Vault asks AWS who signed a request that it can't forge.

use base64ct::{Base64, Encoding as _};
use zeroize::Zeroizing;

use crate::backends::Connect;
use crate::backends::aws::identity;
use crate::backends::vault::raw::object;
use crate::backends::vault::settings::wrong;
use crate::error::Result;

/// The header that ties a signed request to one Vault, so that another can't use it.
const SERVER_ID: &str = "x-vault-aws-iam-server-id";

/// The method `aws`, of type `iam`.
pub(super) struct Aws {
    role: Option<String>,
    server_id: Option<String>,
    /// The region of the STS that Vault asks; the global one where the address names none.
    region: Option<String>,
}

impl Aws {
    /// Reads its settings.
    ///
    /// # Errors
    /// [`ErrorKind::Config`](crate::ErrorKind::Config) for an id that can't be a header.
    pub(super) fn read(connect: &Connect, role: Option<String>) -> Result<Self> {
        let [server_id, region] =
            ["iam_server_id", "region"].map(|key| connect.url.query(key).map(str::to_owned));
        let is_plain = |id: &String| id.chars().all(|c| c.is_ascii_graphic());
        if !server_id.as_ref().is_none_or(is_plain) {
            return Err(wrong("`iam_server_id` has a character that no header has"));
        }
        Ok(Self {
            role,
            server_id,
            region,
        })
    }

    /// Signs the request that Vault sends to AWS in our name, and writes the body of the login.
    pub(super) async fn body(&self, connect: &Connect) -> Result<Zeroizing<Vec<u8>>> {
        let headers: Vec<_> = self
            .server_id
            .iter()
            .map(|id| (SERVER_ID, id.as_str()))
            .collect();
        let signed = identity::sign(connect, self.region.as_deref(), &headers).await?;
        let headers: Vec<_> = signed
            .headers
            .iter()
            .map(|(name, value)| (name.as_str(), value.as_str()))
            .collect();
        let encoded = |bytes: &[u8]| Zeroizing::new(Base64::encode_string(bytes));
        let (url, body) = (
            encoded(signed.url.as_bytes()),
            encoded(signed.body.as_bytes()),
        );
        let headers = encoded(&object(&headers));
        let mut members = vec![
            ("iam_http_request_method", "POST"),
            ("iam_request_url", &*url),
            ("iam_request_body", &*body),
            ("iam_request_headers", &*headers),
        ];
        if let Some(role) = &self.role {
            members.push(("role", role));
        }
        Ok(object(&members))
    }
}
