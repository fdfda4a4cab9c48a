//! Credentials in variables.

use aws_sdk_secretsmanager::config::Credentials;

use super::Found;
use crate::backends::aws::settings::wrong;
use crate::env::Env;
use crate::error::Result;

const KEY_ID: &str = "AWS_ACCESS_KEY_ID";
const SECRET: &str = "AWS_SECRET_ACCESS_KEY";
const TOKEN: &str = "AWS_SESSION_TOKEN";

pub(super) fn find(env: &Env) -> Result<Option<Found>> {
    let (id, secret) = match (env.var(KEY_ID)?, env.var(SECRET)?) {
        (None, None) => return Ok(None),
        (Some(id), Some(secret)) => (id, secret),
        (Some(_), None) => return Err(wrong(format!("{KEY_ID} is set, and {SECRET} is not"))),
        (None, Some(_)) => return Err(wrong(format!("{SECRET} is set, and {KEY_ID} is not"))),
    };
    let token = env.var(TOKEN)?;
    let from = match token {
        Some(_) => format!("{KEY_ID} and {TOKEN}"),
        None => KEY_ID.to_owned(),
    };
    let credentials = Credentials::new(id, secret, token.map(str::to_owned), None, "variables");
    Ok(Some(Found { credentials, from }))
}
