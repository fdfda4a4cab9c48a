//! Credentials of a role, for a token that the platform mounts: Kubernetes, most of all on EKS.

use aws_sdk_secretsmanager::config::Credentials;

use super::sts::{self, Role};
use super::{Found, Inner};
use crate::backends::aws::client;
use crate::backends::aws::failure::Failure;
use crate::backends::aws::settings::wrong;
use crate::env::read_text_file;
use crate::error::{Error, ErrorKind, Result};

const TOKEN_FILE: &str = "AWS_WEB_IDENTITY_TOKEN_FILE";
const ROLE: &str = "AWS_ROLE_ARN";
const SESSION: &str = "AWS_ROLE_SESSION_NAME";

/// The most bytes of a token.
const MAX_TOKEN: usize = 64 * 1024;

pub(super) async fn find(inner: &Inner) -> Result<Option<Found>> {
    let env = &inner.env;
    let Some(path) = env.var(TOKEN_FILE)? else {
        return Ok(None);
    };
    let role = env.var(ROLE)?;
    let role = role.ok_or_else(|| wrong(format!("{TOKEN_FILE} is set, and {ROLE} is not")))?;
    let role = Role::new(role, env.var(SESSION)?);
    let credentials = assume(inner, &role, path, TOKEN_FILE).await?;
    let from = format!("the role {}, for a web identity ({TOKEN_FILE})", role.arn);
    Ok(Some(Found { credentials, from }))
}

/// Takes a role on, for the token in a file that something names.
pub(super) async fn assume(
    inner: &Inner,
    role: &Role<'_>,
    path: &str,
    named_by: &str,
) -> Result<Credentials> {
    let path = inner.env.working_dir().join(path);
    // Kubernetes replaces the token every hour.
    let token = read_text_file(&path, MAX_TOKEN).map_err(|error| {
        let message = format!(
            "the token that {named_by} names can't be read: {}: {}",
            path.display(),
            error.kind()
        );
        Error::new(ErrorKind::Auth, message)
    })?;
    let what = format!("the role {}, for a web identity", role.arn);
    let answer = sts::client(inner, None)
        .assume_role_with_web_identity()
        .role_arn(role.arn)
        .role_session_name(role.session)
        .set_duration_seconds(role.seconds)
        .web_identity_token(token.trim_end())
        .send();
    let answer = client::quietly(answer).await;
    let answer = answer.map_err(|error| Failure::of(&what, &error).of_login())?;
    sts::given(&what, answer.credentials())
}
