//! The rules for literals: one row each, from what is sure by its form to what only its name tells.

use super::{known, logging, plausible, secret_files};

/// What one kind of secret looks like.
pub(super) struct Rule {
    pub(super) id: &'static str,
    /// What was found, as a noun.
    pub(super) title: &'static str,
    /// Texts without which there is no match, in lower case; any case counts.
    pub(super) keywords: &'static [&'static str],
    /// The last group that takes part is the secret.
    pub(super) pattern: &'static str,
    /// Judges the secret.
    pub(super) is_real: fn(&str) -> bool,
}

pub(super) const RULES: &[Rule] = &[
    Rule {
        id: "aws-access-key-id",
        title: "an AWS access key id",
        keywords: &["akia", "asia"],
        pattern: r"\b((?:AKIA|ASIA)[A-Z2-7]{16})\b",
        is_real: plausible::token,
    },
    Rule {
        id: "aws-secret-access-key",
        title: "an AWS secret access key",
        keywords: &["aws", "secretaccesskey"],
        pattern: r#"(?i-u:aws[a-z0-9_. -]{0,16}(?:secret|key)[a-z_. -]{0,12}|secretaccesskey)["'`]{0,2}\s{0,4}(?:=>|:=|=|:)\s{0,4}["'`]?([A-Za-z0-9/+]{40})(?:[^A-Za-z0-9/+=]|$)"#,
        is_real: plausible::token,
    },
    Rule {
        id: "github-token",
        title: "a token of GitHub",
        keywords: &["ghp_", "gho_", "ghu_", "ghs_", "ghr_", "github_pat_"],
        pattern: r"\b(gh[pousr]_[A-Za-z0-9]{36,255}|github_pat_[A-Za-z0-9]{22}_[A-Za-z0-9]{59})\b",
        is_real: plausible::token,
    },
    Rule {
        id: "gitlab-token",
        title: "a token of GitLab",
        keywords: &["glpat-", "gldt-", "glrt-", "glptt-", "glcbt-", "glsoat-"],
        pattern: r"\b(gl(?:pat|dt|rt|ptt|cbt|soat)-[A-Za-z0-9_-]{20,300})",
        is_real: plausible::token,
    },
    Rule {
        id: "slack-token",
        title: "a token or webhook of Slack",
        keywords: &["xox", "hooks.slack.com"],
        pattern: r"\b(xox[abeoprs]-[A-Za-z0-9-]{20,250}|hooks\.slack\.com/services/T[A-Z0-9]{6,12}/B[A-Z0-9]{6,12}/[A-Za-z0-9]{20,30})",
        is_real: plausible::last_segment,
    },
    Rule {
        id: "stripe-key",
        title: "a key of Stripe",
        keywords: &["sk_live_", "rk_live_", "sk_test_", "rk_test_", "whsec_"],
        pattern: r"\b((?:[sr]k_(?:live|test)|whsec)_[A-Za-z0-9]{24,250})\b",
        is_real: plausible::token,
    },
    Rule {
        id: "google-key",
        title: "an API key or OAuth secret of Google",
        keywords: &["aiza", "gocspx-"],
        pattern: r"\b(AIza[A-Za-z0-9_-]{35}|GOCSPX-[A-Za-z0-9_-]{28})(?:[^A-Za-z0-9_-]|$)",
        is_real: plausible::token,
    },
    Rule {
        id: "npm-token",
        title: "a token of npm",
        keywords: &["npm_"],
        pattern: r"\b(npm_[A-Za-z0-9]{36})\b",
        is_real: plausible::token,
    },
    Rule {
        id: "pypi-token",
        title: "a token of PyPI",
        keywords: &["pypi-ageichlwas5vcmc"],
        pattern: r"\b(pypi-AgEIcHlwaS5vcmc[A-Za-z0-9_-]{50,300})",
        is_real: plausible::token,
    },
    Rule {
        id: "vault-token",
        title: "a token of Vault or OpenBao",
        keywords: &["hvs.", "hvb.", "hvr."],
        pattern: r"\b(hv[sbr]\.[A-Za-z0-9_-]{24,300})",
        is_real: plausible::token,
    },
    Rule {
        id: "age-identity",
        title: "an age identity",
        keywords: &["age-secret-key-1"],
        pattern: r"\b(AGE-SECRET-KEY-1[02-9AC-HJ-NP-Z]{58})\b",
        is_real: plausible::token,
    },
    Rule {
        id: "private-key",
        title: "a private key in PEM",
        keywords: &["private key-----"],
        pattern: r#"-----BEGIN (?:[A-Z0-9]{1,12} ){0,3}PRIVATE KEY-----(?:\s|\\n|\\r|["'+,\\])*([A-Za-z0-9+/](?:[A-Za-z0-9+/=]|\s|\\n|\\r){63,16384})"#,
        is_real: plausible::key,
    },
    Rule {
        id: "jwt",
        title: "a JSON Web Token",
        keywords: &["eyj"],
        pattern: r"\b(eyJ[A-Za-z0-9_-]{10,2000}\.eyJ[A-Za-z0-9_-]{10,8000}\.[A-Za-z0-9_-]{20,1400})",
        is_real: plausible::jwt,
    },
    Rule {
        id: "url-password",
        title: "a URL with a password",
        keywords: &["://"],
        pattern: r#"\b[A-Za-z][A-Za-z0-9+.-]{1,20}://[^\s/:@"'<>`]{0,64}:([^\s/@"'<>`]{3,200})@[A-Za-z0-9\[]"#,
        is_real: plausible::password,
    },
    Rule {
        id: "basic-auth",
        title: "a header with a user name and a password",
        keywords: &["basic "],
        pattern: r"(?i-u:\bbasic) {1,4}([A-Za-z0-9+/]{12,400}={0,2})",
        is_real: plausible::basic,
    },
    Rule {
        id: "bearer-token",
        title: "a header with a token",
        keywords: &["bearer "],
        pattern: r#"(?i-u:authorization["']?\s{0,2}[:=,]\s{0,2}["']?bearer) {1,4}([A-Za-z0-9._~+/-]{20,2000}={0,2})"#,
        is_real: plausible::assigned,
    },
    Rule {
        id: "assigned-secret",
        title: "a secret that is assigned to a name",
        keywords: &[
            "password",
            "passwd",
            "passphrase",
            "secret",
            "token",
            "api_key",
            "apikey",
            "api-key",
            "private_key",
            "privatekey",
            "access_key",
            "signing_key",
            "signing-key",
            "signingkey",
            "encryption_key",
            "encryption-key",
            "encryptionkey",
            "master_key",
            "master-key",
            "masterkey",
            "session_key",
            "session-key",
            "sessionkey",
            "private-key",
            "access-key",
            "accesskey",
            "credential",
        ],
        pattern: r#"(?i-u:(?:\b|_)(?:[a-z0-9]{1,30}[_.-]?){0,4}(?:password|passwd|passphrase|secret|token|api[_-]?key|(?:private|access|secret|signing|encryption|master|session)[_-]?key|credential)s?)["'`\]]{0,2}\s{0,4}(?::\s{0,4}&?(?:'static\s)?[A-Za-z<>\[\]]{1,24}\s{0,4})?(?:=>|:=|=|:)\s{0,4}(?:(?:[A-Za-z:.]{1,30})\()?["'`]([^\s"'`]{10,500})["'`]"#,
        is_real: plausible::assigned,
    },
    Rule {
        id: "assigned-secret",
        title: "a secret that is assigned to a name",
        keywords: &["password", "passwd", "secret", "token", "api_key", "apikey"],
        // A line of its own without quotes, as in a dotenv file, a properties file or YAML.
        pattern: r#"(?m-u:^)[ \t]{0,16}(?:export )?(?i-u:(?:[a-z0-9]{1,30}[_.-]){0,5}(?:password|passwd|secret|token|api_?key))(?:=|: )([^\s"'`(){}\[\];,]{10,500})[ \t\r]{0,4}(?m-u:$)"#,
        is_real: plausible::assigned,
    },
];

/// The rules beside the table: what they find, and what to do about it.
const OTHERS: &[(&str, &str, &str)] = &[
    (
        known::RULE,
        "the value of a declared secret",
        "rotate it now, `strongroom rotate NAME`; then take it out of the file and of the history (docs/incident.md)",
    ),
    (
        logging::RULE,
        "a secret variable that is logged",
        "log the name or a fingerprint instead; if it ran, look for the value in the logs by `strongroom redact --check`",
    ),
    (
        secret_files::RULE,
        "a file that is a secret as a whole, and would ship",
        "rotate what is in it, `git rm --cached` it, and name it in .gitignore and .dockerignore",
    ),
    (
        secret_files::IN_IMAGE,
        "a secret file that the image built here would hold",
        "name it in .dockerignore; if an image was built, rotate what is in the file",
    ),
];

const HELP: &str = "rotate it where it was issued; then take it out of the file and of the history (docs/incident.md)";

/// Says what a rule finds, and what to do about it.
pub(super) fn describe(id: &str) -> Option<(&'static str, &'static str)> {
    let literal = RULES.iter().find(|rule| rule.id == id);
    let literal = literal.map(|rule| (rule.title, HELP));
    let other = || OTHERS.iter().find(|(other, ..)| *other == id);
    literal.or_else(|| other().map(|(_, title, help)| (*title, *help)))
}

#[cfg(test)]
mod tests;
