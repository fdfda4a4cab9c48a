//! Where a secret stands: a secret of AWS, and a field of it.

use super::settings::{Settings, wrong};
use crate::error::Result;
use crate::provider::Target;

/// The longest name that AWS gives a secret.
pub(super) const MAX_NAME: usize = 512;

/// The longest identifier that AWS takes: a name or an ARN.
const MAX_ID: usize = 2048;

/// A secret of AWS, and the key of its JSON object that is meant, if one is.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Place {
    pub(super) id: String,
    pub(super) field: Option<String>,
}

impl Place {
    /// Says where a secret stands.
    ///
    /// # Errors
    /// [`ErrorKind::Config`](crate::ErrorKind::Config) if AWS has no secret of such a name.
    pub(super) fn of(settings: &Settings, target: &Target) -> Result<Self> {
        let (id, field) = match &target.id {
            Some(id) => {
                let is_arn = id.starts_with("arn:") && id.len() <= MAX_ID;
                // `rds!db-1` is the name of a secret that another service of AWS manages.
                let names = |c: char| is_in_name(c) || matches!(c, '!') || (is_arn && c == ':');
                let fits = is_arn || id.len() <= MAX_NAME;
                if id.is_empty() || !fits || !id.chars().all(names) {
                    return Err(wrong(
                        "the `id` in the secret's source is neither a name of Secrets Manager nor an \
                         ARN",
                    ));
                }
                if is_arn {
                    check_arn(settings, id)?;
                }
                (id.clone(), target.field.clone())
            }
            None => {
                let name = target.name.path();
                let id = match settings.prefix.as_str() {
                    "" => name.to_owned(),
                    prefix => format!("{prefix}/{name}"),
                };
                if id.len() > MAX_NAME {
                    return Err(wrong(format!(
                        "with its prefix the name has {} characters; {MAX_NAME} are the most on AWS",
                        id.len()
                    )));
                }
                (id, target.name.field().map(str::to_owned))
            }
        };
        Ok(Self { id, field })
    }
}

/// Refuses the ARN of something else than a secret, or of a secret elsewhere: AWS would say of it that
/// it isn't there.
fn check_arn(settings: &Settings, arn: &str) -> Result<()> {
    let parts: Vec<_> = arn.splitn(7, ':').collect();
    let [_, _, "secretsmanager", region, _, "secret", name] = parts.as_slice() else {
        let message = "the ARN in the secret's source is not that of a secret";
        return Err(wrong(message).with_help("it begins with arn:aws:secretsmanager:"));
    };
    if !is_name(&name.replace('!', "-")) {
        return Err(wrong("the ARN in the secret's source names no secret"));
    }
    if *region != settings.region {
        let message = format!(
            "the ARN in the secret's source is of the region {region}, and {} is not",
            settings.shown
        );
        return Err(wrong(message).with_help("read it by a provider of its own, of that region"));
    }
    Ok(())
}

/// Reports whether AWS could give a secret this name.
pub(super) fn is_name(name: &str) -> bool {
    !name.is_empty() && name.len() <= MAX_NAME && name.chars().all(is_in_name)
}

fn is_in_name(c: char) -> bool {
    c.is_ascii_alphanumeric() || "/_+=.@-".contains(c)
}
