//! A signed request that tells who we are to AWS, for somebody else to send.

use std::time::SystemTime;

use aws_sdk_secretsmanager::config::Credentials;
use aws_sigv4::http_request::{SignableBody, SignableRequest, SigningSettings, sign as signature};
use aws_sigv4::sign::v4;
use tracing::subscriber::NoSubscriber;
use zeroize::Zeroizing;

use super::client::Client;
use super::settings::{Settings, wrong};
use crate::backends::Connect;
use crate::error::Result;
use crate::provider_url::ProviderUrl;

/// The region that the global STS is signed for.
const GLOBAL: &str = "us-east-1";

const BODY: &str = "Action=GetCallerIdentity&Version=2011-06-15";
const CONTENT_TYPE: (&str, &str) = (
    "content-type",
    "application/x-www-form-urlencoded; charset=utf-8",
);

/// A `POST` of STS's `GetCallerIdentity`, which says nothing but who signed it.
pub(in crate::backends) struct Signed {
    pub(in crate::backends) url: String,
    pub(in crate::backends) body: &'static str,
    pub(in crate::backends) headers: Vec<(String, Zeroizing<String>)>,
}

/// Signs a request to the STS of a region, or to the global one, with these headers in it.
///
/// # Errors
/// Those of the credentials; [`ErrorKind::Config`](crate::ErrorKind::Config) for a region or a header
/// that can't be one.
pub(in crate::backends) async fn sign(
    connect: &Connect,
    region: Option<&str>,
    headers: &[(&str, &str)],
) -> Result<Signed> {
    let env = &connect.env;
    let is_set = env.has("AWS_REGION") || env.has("AWS_DEFAULT_REGION");
    let own = region.unwrap_or(if is_set { "" } else { GLOBAL });
    let connect = Connect {
        url: ProviderUrl::new("aws", "/").with_authority(own),
        ..connect.clone()
    };
    let settings = Settings::read(&connect).await?;
    let credentials = Client::new(&connect, &settings)?.chain.current().await?;
    let url = match region {
        None => "https://sts.amazonaws.com/".to_owned(),
        Some(region) if region.starts_with("cn-") => {
            format!("https://sts.{region}.amazonaws.com.cn/")
        }
        Some(region) => format!("https://sts.{region}.amazonaws.com/"),
    };
    let now = SystemTime::now();
    // Its log shows the session token.
    tracing::subscriber::with_default(NoSubscriber::default(), || {
        sign_with(credentials, url, region.unwrap_or(GLOBAL), headers, now)
    })
}

fn sign_with(
    credentials: Credentials,
    url: String,
    region: &str,
    headers: &[(&str, &str)],
    now: SystemTime,
) -> Result<Signed> {
    let unfit = || wrong("the request for AWS's STS can't be signed");
    let identity = credentials.into();
    let params = v4::SigningParams::builder()
        .identity(&identity)
        .region(region)
        .name("sts")
        .time(now)
        .settings(SigningSettings::default())
        .build()
        .map_err(|_| unfit())?;
    let mut all = vec![CONTENT_TYPE];
    all.extend_from_slice(headers);
    let body = SignableBody::Bytes(BODY.as_bytes());
    let request = SignableRequest::new("POST", &*url, all.iter().copied(), body);
    let signed = signature(request.map_err(|_| unfit())?, &params.into());
    let (instructions, _) = signed.map_err(|_| unfit())?.into_parts();
    let own = all.into_iter();
    let headers = own.chain(instructions.headers());
    let headers = headers.map(|(name, value)| (name.to_owned(), Zeroizing::new(value.to_owned())));
    Ok(Signed {
        headers: headers.collect(),
        url,
        body: BODY,
    })
}
