//! The least that AWS must allow us, as an IAM policy.

use serde_json::json;

use super::Wanted;
use crate::backends::aws::settings::Settings;

/// Writes a policy that allows to read exactly the declared secrets, and to decrypt by these keys.
pub(super) fn write(settings: &Settings, wanted: &Wanted, keys: &[String]) -> String {
    let mut statements = Vec::new();
    if !wanted.is_empty() {
        let secrets: Vec<_> = wanted
            .keys()
            .flat_map(|id| resources(&settings.region, id))
            .collect();
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

/// The ARN of a secret, to which AWS adds six characters of its own choice. Of an ARN that ends as if
/// they were there, nobody can tell whether they are.
fn resources(region: &str, id: &str) -> Vec<String> {
    if !id.starts_with("arn:") {
        let partition = partition(region);
        let arn = format!("arn:{partition}:secretsmanager:{region}:*:secret:{id}-??????");
        return vec![arn];
    }
    let end = id.rsplit_once('-').map(|(_, end)| end);
    let may_be_whole = end.is_some_and(|end| end.len() == 6);
    let whole = may_be_whole.then(|| id.to_owned());
    whole.into_iter().chain([format!("{id}-??????")]).collect()
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_arn_that_may_lack_its_end_is_allowed_with_and_without() {
        let arn = |name: &str| format!("arn:aws:secretsmanager:eu-west-1:1:secret:{name}");
        for (id, expected) in [
            (
                "app/db".to_owned(),
                vec!["arn:aws:secretsmanager:eu-west-1:*:secret:app/db-??????".to_owned()],
            ),
            (arn("db"), vec![arn("db-??????")]),
            (
                arn("my-secret"),
                vec![arn("my-secret"), arn("my-secret-??????")],
            ),
        ] {
            assert_eq!(resources("eu-west-1", &id), expected);
        }
    }
}
