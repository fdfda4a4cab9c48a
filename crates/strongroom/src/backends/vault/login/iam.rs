//! AWS IAM: a signed request that says who we are, which Vault sends to AWS in our name.
//!
//! The method `iam` of <https://developer.hashicorp.com/vault/docs/auth/aws>; the signature is Signature
//! Version 4 of AWS.

use std::time::SystemTime;

use aws_credential_types::Credentials;
use aws_sigv4::http_request::{SignableBody, SignableRequest, SigningSettings, sign};
use aws_sigv4::sign::v4;
use base64ct::{Base64, Encoding as _};
use zeroize::Zeroizing;

use crate::backends::Connect;
use crate::backends::aws;
use crate::backends::vault::raw::{object, object_of_lists};
use crate::backends::vault::settings::wrong;
use crate::error::{Error, ErrorKind, Result};

/// What AWS is asked: who signed this.
const BODY: &str = "Action=GetCallerIdentity&Version=2011-06-15";

const CONTENT_TYPE: &str = "application/x-www-form-urlencoded; charset=utf-8";

/// The header by which a server accepts only what was signed for it.
const SERVER_ID: &str = "x-vault-aws-iam-server-id";

/// Where the global endpoint of STS is signed for.
const GLOBAL: &str = "us-east-1";

pub(super) struct Iam {
    role: Option<String>,
    server_id: Option<String>,
    /// The endpoint that Vault is set up to ask; the global one where nothing is said.
    region: Option<String>,
}

impl Iam {
    pub(super) fn read(connect: &Connect) -> Result<Self> {
        let query = |key| connect.url.query(key).map(str::to_owned);
        let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
        let region = query("sts_region");
        if region
            .as_ref()
            .is_some_and(|region| region.is_empty() || !region.bytes().all(plain))
        {
            return Err(wrong("`sts_region` is no region of AWS"));
        }
        let server_id = query("iam_server_id");
        let visible = |id: &String| id.chars().all(|c| c.is_ascii_graphic() || c == ' ');
        if !server_id.as_ref().is_none_or(visible) {
            return Err(wrong(
                "`iam_server_id` has a character that no header can have",
            ));
        }
        Ok(Self {
            role: query("role"),
            server_id,
            region,
        })
    }

    /// The body of a login: a request to AWS that is signed now, with credentials that are found now.
    pub(super) async fn body(&self, connect: &Connect) -> Result<Zeroizing<Vec<u8>>> {
        let region = self.region.as_deref().unwrap_or(GLOBAL);
        let credentials = aws::credentials(connect, region).await?;
        let (url, headers) = self.signed(&credentials, SystemTime::now())?;
        let base64 = |text: &[u8]| Base64::encode_string(text);
        let (url, headers) = (base64(url.as_bytes()), Zeroizing::new(base64(&headers)));
        let body = base64(BODY.as_bytes());
        let mut fields = vec![
            ("iam_http_request_method", "POST"),
            ("iam_request_url", &*url),
            ("iam_request_body", &*body),
            ("iam_request_headers", &**headers),
        ];
        if let Some(role) = &self.role {
            fields.push(("role", role));
        }
        Ok(object(&fields))
    }

    /// The address of the request, and its headers as a JSON object. A header may be a session token.
    fn signed(
        &self,
        credentials: &Credentials,
        now: SystemTime,
    ) -> Result<(String, Zeroizing<Vec<u8>>)> {
        let host = match &self.region {
            None => "sts.amazonaws.com".to_owned(),
            Some(region) if region.starts_with("cn-") => format!("sts.{region}.amazonaws.com.cn"),
            Some(region) => format!("sts.{region}.amazonaws.com"),
        };
        let url = format!("https://{host}/");
        let mut headers = vec![("host", host.as_str()), ("content-type", CONTENT_TYPE)];
        if let Some(id) = &self.server_id {
            headers.push((SERVER_ID, id));
        }
        let unfit = || Error::new(ErrorKind::Config, "the request to AWS STS can't be signed");
        let identity = credentials.clone().into();
        let parameters = v4::SigningParams::builder()
            .identity(&identity)
            .region(self.region.as_deref().unwrap_or(GLOBAL))
            .name("sts")
            .time(now)
            .settings(SigningSettings::default())
            .build()
            .map_err(|_| unfit())?
            .into();
        let body = SignableBody::Bytes(BODY.as_bytes());
        let request = SignableRequest::new("POST", &*url, headers.iter().copied(), body);
        let (signed, _) = sign(request.map_err(|_| unfit())?, &parameters)
            .map_err(|_| unfit())?
            .into_parts();
        let given: Vec<_> = headers.into_iter().chain(signed.headers()).collect();
        Ok((url, object_of_lists(&given)))
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, UNIX_EPOCH};

    use hmac::{Hmac, KeyInit as _, Mac as _};
    use serde_json::Value;
    use sha2::{Digest as _, Sha256};

    use super::*;

    fn iam(server_id: Option<&str>, region: Option<&str>) -> Iam {
        Iam {
            role: None,
            server_id: server_id.map(str::to_owned),
            region: region.map(str::to_owned),
        }
    }

    /// The signature once more, from AWS's description of it and not by its library.
    fn signature(headers: &Value, region: &str, secret: &str) -> String {
        let hex = |bytes: &[u8]| base16ct::lower::encode_string(bytes);
        let sha = |text: &str| hex(&Sha256::digest(text.as_bytes()));
        let value = |name: &str| headers[name][0].as_str().unwrap();
        let authorization = value("authorization");
        let names = authorization.split("SignedHeaders=").nth(1).unwrap();
        let names = names.split(',').next().unwrap();
        let lines: String = names
            .split(';')
            .map(|name| format!("{name}:{}\n", value(name)))
            .collect();
        let canonical = format!("POST\n/\n\n{lines}\n{names}\n{}", sha(BODY));
        let date = value("x-amz-date");
        let day = &date[..8];
        let scope = format!("{day}/{region}/sts/aws4_request");
        let text = format!("AWS4-HMAC-SHA256\n{date}\n{scope}\n{}", sha(&canonical));
        let mac = |key: &[u8], text: &str| {
            let mut mac = Hmac::<Sha256>::new_from_slice(key).unwrap();
            mac.update(text.as_bytes());
            mac.finalize().into_bytes().to_vec()
        };
        let key = [day, region, "sts", "aws4_request"]
            .iter()
            .fold(format!("AWS4{secret}").into_bytes(), |key, part| {
                mac(&key, part)
            });
        hex(&mac(&key, &text))
    }

    #[test]
    fn the_request_is_signed_as_aws_describes_it() {
        let now = UNIX_EPOCH + Duration::from_secs(1_700_000_000);
        for (server_id, region, token) in [
            (None, None, None),
            (
                Some("vault.example.com"),
                Some("eu-west-1"),
                Some("session"),
            ),
        ] {
            let token = token.map(str::to_owned);
            let credentials =
                Credentials::new("AKIDEXAMPLE", "not-a-secret-key", token, None, "test");
            let iam = iam(server_id, region);
            let (url, headers) = iam.signed(&credentials, now).unwrap();
            let headers: Value = serde_json::from_slice(&headers).unwrap();
            let signed = headers["authorization"][0].as_str().unwrap();
            let wanted = signature(&headers, region.unwrap_or(GLOBAL), "not-a-secret-key");
            assert!(signed.ends_with(&format!("Signature={wanted}")), "{signed}");
            assert!(
                signed.contains("Credential=AKIDEXAMPLE/20231114/"),
                "{signed}"
            );
            assert_eq!(
                headers.get("x-amz-security-token").is_some(),
                token_is(&credentials)
            );
            // A server that demands its id demands that it was signed, too.
            assert_eq!(signed.contains(SERVER_ID), server_id.is_some());
            assert_eq!(url.contains("eu-west-1"), region.is_some());
            assert!(!format!("{url}{headers}").contains("not-a-secret-key"));
        }
    }

    fn token_is(credentials: &Credentials) -> bool {
        credentials.session_token().is_some()
    }
}
