//! Credentials that the platform of a container serves: ECS, and EKS with Pod Identity.

use std::net::IpAddr;
use std::time::{Duration, SystemTime};

use aws_sdk_secretsmanager::config::Credentials;
use aws_sdk_secretsmanager::primitives::{DateTime, DateTimeFormat};
use aws_smithy_runtime_api::client::http::HttpConnector as _;
use aws_smithy_runtime_api::client::orchestrator::HttpRequest;
use aws_smithy_types::byte_stream::ByteStream;
use zeroize::Zeroizing;

use super::{Found, Inner};
use crate::backends::aws::client;
use crate::backends::aws::failure::not_sent;
use crate::backends::aws::settings::wrong;
use crate::backends::files::json::Tree;
use crate::env::{Env, read_text_file};
use crate::error::{Error, ErrorKind, Result};

const RELATIVE: &str = "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI";
const FULL: &str = "AWS_CONTAINER_CREDENTIALS_FULL_URI";
const TOKEN: &str = "AWS_CONTAINER_AUTHORIZATION_TOKEN";
const TOKEN_FILE: &str = "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE";

/// Where ECS serves credentials.
const ECS: &str = "http://169.254.170.2";

/// Where the platforms serve them over plain http, beside this machine itself.
const PLATFORMS: &[&str] = &["169.254.170.2", "169.254.170.23", "fd00:ec2::23"];

const TIMEOUT: Duration = Duration::from_secs(5);

/// The most bytes of an answer, or of a token.
const MAX: usize = 64 * 1024;

/// Asks the endpoint that variables name.
pub(super) async fn find(inner: &Inner) -> Result<Option<Found>> {
    let Some((uri, variable)) = uri(&inner.env)? else {
        return Ok(None);
    };
    let what = format!("the endpoint that {variable} names");
    let asked = tokio::time::timeout(TIMEOUT, ask(inner, &uri, &what));
    let late = || {
        Error::new(
            ErrorKind::Transient,
            format!("{what} did not answer in time"),
        )
    };
    let answer = client::quietly(asked).await.map_err(|_| late())??;
    let credentials = read(answer).ok_or_else(|| {
        Error::new(
            ErrorKind::Auth,
            format!("{what}: the answer has no credentials"),
        )
    })?;
    let from = format!(
        "a container's {what}",
        what = what.trim_start_matches("the ")
    );
    Ok(Some(Found { credentials, from }))
}

async fn ask(inner: &Inner, uri: &str, what: &str) -> Result<Zeroizing<Vec<u8>>> {
    let unfit = || wrong(format!("{what} is not an address that can be asked"));
    let mut request = HttpRequest::get(uri).map_err(|_| unfit())?;
    request.headers_mut().insert("accept", "application/json");
    if let Some(token) = token(&inner.env)? {
        let header = request
            .headers_mut()
            .try_insert("authorization", token.to_string());
        header.map_err(|_| wrong("the container's authorization token is no header"))?;
    }
    let answer = inner.connector.call(request).await;
    let answer = answer.map_err(|error| not_sent(what, Some(&error)))?;
    let status = answer.status().as_u16();
    if status != 200 {
        let kind = match status {
            429 | 500.. => ErrorKind::Transient,
            _ => ErrorKind::Auth,
        };
        return Err(Error::new(kind, format!("{what} answered {status}")));
    }
    let mut body = ByteStream::new(answer.into_body());
    let mut read = Zeroizing::new(Vec::with_capacity(MAX));
    while let Some(chunk) = body.next().await {
        let chunk = chunk.map_err(|_| {
            let message = format!("{what}: the answer did not come whole");
            Error::new(ErrorKind::Transient, message)
        })?;
        if read.len().saturating_add(chunk.len()) > MAX {
            let message = format!("{what} answered more than 64 KiB");
            return Err(Error::new(ErrorKind::Auth, message));
        }
        read.extend_from_slice(&chunk);
    }
    Ok(read)
}

fn uri(env: &Env) -> Result<Option<(String, &'static str)>> {
    if let Some(path) = env.var(RELATIVE)? {
        if !path.starts_with('/') {
            return Err(wrong(format!("{RELATIVE} does not begin with `/`")));
        }
        return Ok(Some((format!("{ECS}{path}"), RELATIVE)));
    }
    let Some(uri) = env.var(FULL)? else {
        return Ok(None);
    };
    let unfit = || wrong(format!("{FULL} is not an http or https address"));
    let parsed: http::Uri = uri.parse().map_err(|_| unfit())?;
    let host = parsed.host().ok_or_else(unfit)?;
    let host = host.trim_start_matches('[').trim_end_matches(']');
    let address: Option<IpAddr> = host.parse().ok();
    let is_here = address.map_or(host == "localhost", |address| address.is_loopback());
    match parsed.scheme_str() {
        Some("https") => {}
        Some("http") if is_here || PLATFORMS.contains(&host) => {}
        Some("http") => {
            let message = format!("{FULL} is plain http to another machine");
            return Err(wrong(message).with_help("use https"));
        }
        _ => return Err(unfit()),
    }
    Ok(Some((uri.to_owned(), FULL)))
}

/// The token that the endpoint asks for. EKS replaces its file.
fn token(env: &Env) -> Result<Option<Zeroizing<String>>> {
    if let Some(path) = env.var(TOKEN_FILE)? {
        let path = env.working_dir().join(path);
        let token = read_text_file(&path, MAX).map_err(|error| {
            let message = format!(
                "the token that {TOKEN_FILE} names can't be read: {}: {}",
                path.display(),
                error.kind()
            );
            Error::new(ErrorKind::Auth, message)
        })?;
        return Ok(Some(Zeroizing::new(token)));
    }
    let token = env.var(TOKEN)?;
    Ok(token.map(|token| Zeroizing::new(token.to_owned())))
}

pub(in crate::backends::aws) fn read(answer: Zeroizing<Vec<u8>>) -> Option<Credentials> {
    let answer = Tree::parse(answer).ok()?;
    let text = |key| {
        answer.find(&[key])?;
        let text = answer.value(&[key]).ok()?;
        let text = std::str::from_utf8(&text).ok()?;
        Some(text.to_owned()).filter(|text| !text.is_empty())
    };
    let ends = match text("Expiration") {
        None => None,
        Some(ends) => {
            let ends = DateTime::from_str(&ends, DateTimeFormat::DateTime).ok()?;
            Some(SystemTime::try_from(ends).ok()?)
        }
    };
    let (id, secret) = (text("AccessKeyId")?, text("SecretAccessKey")?);
    Some(Credentials::new(
        id,
        secret,
        text("Token"),
        ends,
        "container",
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plain_http_goes_to_the_platform_s_own_addresses_only() {
        let full = |uri: &str| super::uri(&Env::empty().with_var(FULL, uri));
        for uri in [
            "http://127.0.0.1:9/x",
            "http://localhost/x",
            "http://[::1]:9/x",
            "http://169.254.170.2/x",
            "http://169.254.170.23/v1/credentials",
            "http://[fd00:ec2::23]/v1/credentials",
            "https://credentials.internal/x",
        ] {
            assert!(full(uri).unwrap().is_some(), "{uri}");
        }
        for uri in [
            "http://10.0.0.1/x",
            "http://localhost.evil.example/x",
            "http://169.254.170.2.evil.example/x",
            "http://169.254.170.2@evil.example/x",
            "ftp://127.0.0.1/x",
            "/relative",
            "",
            " ",
        ] {
            let found = full(uri);
            assert!(uri.is_empty() || found.is_err(), "{uri}");
        }
        let relative = |path: &str| super::uri(&Env::empty().with_var(RELATIVE, path));
        assert_eq!(
            relative("/v2/x").unwrap().unwrap().0,
            "http://169.254.170.2/v2/x"
        );
        assert!(relative("@evil.example/x").is_err());
    }

    #[test]
    fn an_answer_without_its_parts_gives_no_credentials() {
        let read = |text: &str| super::read(Zeroizing::new(text.as_bytes().to_vec()));
        let whole = read(
            r#"{"AccessKeyId":"A","SecretAccessKey":"S","Token":"T","Expiration":"2030-01-02T03:04:05Z"}"#,
        );
        let whole = whole.unwrap();
        assert_eq!(
            (whole.access_key_id(), whole.session_token()),
            ("A", Some("T"))
        );
        assert!(whole.expiry().unwrap() > SystemTime::UNIX_EPOCH);
        for bad in [
            "",
            "[]",
            r#"{"AccessKeyId":"A"}"#,
            r#"{"AccessKeyId":"A","SecretAccessKey":""}"#,
            r#"{"AccessKeyId":"A","SecretAccessKey":"S","Expiration":"tomorrow"}"#,
        ] {
            assert!(read(bad).is_none(), "{bad}");
        }
    }
}
