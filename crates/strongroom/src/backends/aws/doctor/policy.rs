//! The least that AWS must allow us, as an IAM policy.

use serde_json::json;

use super::Wanted;
use crate::backends::aws::settings::Settings;

/// Writes a policy that allows to read exactly the declared secrets, and to decrypt by these keys.
pub(super) fn write(settings: &Settings, wanted: &Wanted, keys: &[String]) -> String {
    let mut statements = Vec::new();
    if !wanted.is_empty() {
        let secrets: Vec<_> = wanted.keys().map(|id| resource(settings, id)).collect();
        statements.push(json!({
            "Sid": "ReadDeclaredSecrets",
            "Effect": "Allow",
            "Action": ["secretsmanager:GetSecretValue", "secretsmanager:DescribeSecret"],
            "Resource": secrets,
        }));
        // It gives nothing that GetSecretValue doesn't, and AWS takes no resource for it.
        statements.push(json!({
            "Sid": "ReadManyInOneCall",
            "Effect": "Allow",
            "Action": "secretsmanager:BatchGetSecretValue",
            "Resource": "*",
        }));
    }
    if !keys.is_empty() {
        let service = format!("secretsmanager.{}.amazonaws.com", settings.region);
        statements.push(json!({
            "Sid": "DecryptThem",
            "Effect": "Allow",
            "Action": "kms:Decrypt",
            "Resource": keys.iter().map(|key| key_resource(settings, key)).collect::<Vec<_>>(),
            "Condition": { "StringEquals": { "kms:ViaService": service } },
        }));
    }
    let policy = json!({ "Version": "2012-10-17", "Statement": statements });
    let mut policy = serde_json::to_string_pretty(&policy).unwrap_or_default();
    policy.push('\n');
    policy
}

/// The ARN of a secret, to which AWS adds six characters of its own choice.
fn resource(settings: &Settings, id: &str) -> String {
    if !id.starts_with("arn:") {
        let (partition, region) = (partition(&settings.region), &settings.region);
        return format!("arn:{partition}:secretsmanager:{region}:*:secret:{id}-??????");
    }
    let end = id.rsplit_once('-').map(|(_, end)| end);
    match end.is_some_and(|end| end.len() == 6) {
        true => id.to_owned(),
        false => format!("{id}-??????"),
    }
}

fn key_resource(settings: &Settings, key: &str) -> String {
    if key.starts_with("arn:") {
        return key.to_owned();
    }
    let (partition, region) = (partition(&settings.region), &settings.region);
    // A policy can't name a key by its alias.
    let id = match key.starts_with("alias/") {
        true => "*",
        false => key,
    };
    format!("arn:{partition}:kms:{region}:*:key/{id}")
}

fn partition(region: &str) -> &'static str {
    match region {
        region if region.starts_with("cn-") => "aws-cn",
        region if region.starts_with("us-gov-") => "aws-us-gov",
        region if region.starts_with("us-isob-") => "aws-iso-b",
        region if region.starts_with("us-iso-") => "aws-iso",
        region if region.starts_with("eusc-") => "aws-eusc",
        _ => "aws",
    }
}
