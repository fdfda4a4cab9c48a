//! Each rule with texts that it must find and texts that it must pass over.
//!
//! A `·` stands in each text that has to be found, and is taken out before the search, so that no scanner
//! takes this file for a leak.

use crate::commands::scan::literals::Literals;

use super::RULES;

struct Example {
    rule: &'static str,
    finds: &'static [&'static str],
    passes: &'static [&'static str],
}

const EXAMPLES: &[Example] = &[
    Example {
        rule: "aws-access-key-id",
        finds: &["id = AK·IAQ3EGT7ZRN5KLWPXV", "AS·IAQ3EGT7ZRN5KLWPXV,"],
        passes: &[
            "AK·IAIOSFODNN7EXAMPLE",
            "AK·IAQ3EGT7",
            "XAK·IAQ3EGT7ZRN5KLWPXV",
            "AK·IAAAAAAAAAAAAAAAAA",
        ],
    },
    Example {
        rule: "aws-secret-access-key",
        finds: &[
            "aws_secret_access_key = kQ7v·Zp2XbR9tLmW4sYc8NfHd3GjK6uEa1VoTi5Bq",
            "\"AWS_SECRET_KEY\": \"kQ7v·Zp2XbR9tLmW4sYc8NfHd3GjK6uEa1VoTi5Bq\"",
        ],
        passes: &[
            "aws_secret_access_key = wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY",
            "aws_commit_key = da39a3ee5e6b4b0d",
            "sha = kQ7v·Zp2XbR9tLmW4sYc8NfHd3GjK6uEa1VoTi5Bq",
        ],
    },
    Example {
        rule: "github-token",
        finds: &[
            "gh·p_kQ7vZp2XbR9tLmW4sYc8NfHd3GjK6uEa1VoT",
            "git·hub_pat_11ABKQ7VZ0Xp2XbR9tLmW4_sYc8NfHd3GjK6uEa1VoTi5BqkQ7vZp2XbR9tLmW4sYc8NfHd3GjK6uEa1Vo",
        ],
        passes: &[
            "gh·p_xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx",
            "gh·p_short",
            "gh·p_abcdefghijklmnopqrstuvwxyz0123456789",
        ],
    },
    Example {
        rule: "gitlab-token",
        finds: &["glp·at-kQ7vZp2XbR9tLmW4sYc8"],
        passes: &["glp·at-xxxxxxxxxxxxxxxxxxxx", "glp·at-short"],
    },
    Example {
        rule: "slack-token",
        finds: &[
            "xo·xb-2718281828-3141592653-kQ7vZp2XbR9tLmW4sYc8NfHd",
            "https://hooks.sl·ack.com/services/T0Q7VZP2X/B9TLMW4SY/kQ7vZp2XbR9tLmW4sYc8NfHd",
        ],
        passes: &[
            "xo·xb-your-token-here-please",
            "https://hooks.slack.com/services/T00000000/B00000000/XXXXXXXXXXXXXXXXXXXXXXXX",
        ],
    },
    Example {
        rule: "stripe-key",
        finds: &[
            "sk_li·ve_kQ7vZp2XbR9tLmW4sYc8NfHd",
            "wh·sec_kQ7vZp2XbR9tLmW4sYc8NfHd",
        ],
        passes: &[
            "sk_li·ve_xxxxxxxxxxxxxxxxxxxxxxxx",
            "sk_live_key",
            "pk_li·ve_kQ7vZp2XbR9tLmW4sYc8NfHd",
        ],
    },
    Example {
        rule: "google-key",
        finds: &[
            "AI·zaSykQ7vZp2XbR9tLmW4sYc8NfHd3GjK6uEa1",
            "GOC·SPX-kQ7vZp2XbR9tLmW4sYc8NfHd3GjK",
        ],
        passes: &["AI·zaSyxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx", "AI·zaShort"],
    },
    Example {
        rule: "npm-token",
        finds: &["//registry.npmjs.org/:_authToken=np·m_kQ7vZp2XbR9tLmW4sYc8NfHd3GjK6uEa1VoT"],
        passes: &[
            "//registry.npmjs.org/:_authToken=${NPM_TOKEN}",
            "np·m_lifecycle_event",
            "np·m_xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx",
        ],
    },
    Example {
        rule: "pypi-token",
        finds: &["pyp·i-AgEIcHlwaS5vcmckQ7vZp2XbR9tLmW4sYc8NfHd3GjK6uEa1VoTi5BqkQ7vZp2XbR9tLmW4"],
        passes: &["pyp·i-AgEIcHlwaS5vcmc", "pypi-server"],
    },
    Example {
        rule: "vault-token",
        finds: &["hv·s.CAESIkQ7vZp2XbR9tLmW4sYc8NfHd3GjK6uEa1VoTi5Bq"],
        passes: &["hv·s.xxxxxxxxxxxxxxxxxxxxxxxx", "hvs.token"],
    },
    Example {
        rule: "age-identity",
        finds: &["AGE-SEC·RET-KEY-15FERYXHRDZ9M6Y09MR8WRERWZGJ6F8NTXVHXYRDLM5AAHN0T09NL4UJY86"],
        passes: &[
            "AGE-SEC·RET-KEY-1QQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQ",
            "AGE-SECRET-KEY-1...",
        ],
    },
    Example {
        rule: "private-key",
        finds: &[
            "-----BEGIN PRI·VATE KEY-----\nMIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQgkQ7vZp2XbR9tLmW4\nsYc8NfHd3GjK6uEa1VoTi5BqkQ7vZp2XbR9tLmW4\n-----END",
            r"-----BEGIN RSA PRI·VATE KEY-----\nMIIEpAIBAAKCAQEAkQ7vZp2XbR9tLmW4sYc8NfHd3GjK6uEa1VoTi5BqkQ7vZp2XbR9tLm\nW4sYc8NfHd3GjK6uEa1VoT",
        ],
        passes: &[
            "-----BEGIN PRIVATE KEY-----\n...\n-----END PRIVATE KEY-----",
            "-----BEGIN PRIVATE KEY-----\nAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA\n",
            "-----BEGIN PUBLIC KEY-----\nMIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQgkQ7vZp2XbR9tLmW4\n",
        ],
    },
    Example {
        rule: "jwt",
        finds: &[
            "ey·JhbGciOiJIUzI1NiJ9.eyJzdWIiOiI0MTczIiwiaWF0IjoxNzAwMDAwMDAwfQ.kQ7vZp2XbR9tLmW4sYc8NfHd3GjK6uEa1VoTi5BqkQ7",
        ],
        passes: &[
            "ey·Jhbm90IGpzb24gYXQgYWxs.eyJhbm90IGpzb24gYXQgYWxs.kQ7vZp2XbR9tLmW4sYc8NfHd3GjK6uEa1VoTi5BqkQ7",
            "eyJhbGciOiJub25lIn0.eyJzdWIiOiJ4In0.",
        ],
    },
    Example {
        rule: "url-password",
        finds: &[
            "postgres:·//app:kQ7vZp2XbR9tLmW4@db.internal/app",
            "https:·//:kQ7vZp2XbR9tLmW4@cache",
        ],
        passes: &[
            "postgres://app:password@localhost/app",
            "postgres://app:${PASSWORD}@db/app",
            "postgres://app:{password}@db/app",
            "https://example.com/a:b@c",
            "https://example.com:8080/@scope",
            "redis://user:[REDACTED]@host",
        ],
    },
    Example {
        rule: "basic-auth",
        finds: &["Authorization: Basic YXBwOmtRN3Zac·DJYYlI5dExtVzQ="],
        passes: &[
            "Authorization: Basic dXNlcjpwYXNzd29yZA==",
            "basic authentication",
            "Basic instructions",
        ],
    },
    Example {
        rule: "bearer-token",
        finds: &["Authorization: Bearer kQ7vZp2XbR9t·LmW4sYc8NfHd3GjK6u"],
        passes: &[
            "Authorization: Bearer $TOKEN_OF_THE_SERVICE",
            "Authorization: Bearer xxxxxxxxxxxxxxxxxxxxxxxx",
        ],
    },
    Example {
        rule: "assigned-secret",
        finds: &[
            "SECRET_KEY = 'kQ7vZp2XbR9t·LmW4sYc8'",
            "signingKey: \"kQ7vZp2XbR9t·LmW4sYc8\"",
            "password = \"kQ7v·Zp2XbR9tLmW4\"",
            "\"apiKey\": \"9c1185a5c5e9·fc54612808977ee8f548\",",
            "const API_TOKEN: &str = \"kQ7vZp2XbR9t·LmW4sYc8NfHd3GjK6u\";",
            "client_se·cret => 'kQ7vZp2XbR9tLmW4'",
            "DB_PASSWORD=kQ7vZp2X·bR9tLmW4",
            "  password: kQ7vZp2X·bR9tLmW4",
            "secret = String::from(\"kQ7vZp2X·bR9tLmW4\")",
        ],
        passes: &[
            "password = \"changeme\"",
            "password = os.environ[\"DATABASE_PASSWORD_1\"]",
            "token = \"your-token-goes-here-1234\"",
            "secret_name = \"prod/database/password-2\"",
            "password: ${DATABASE_PASSWORD_1}",
            "PASSWORD=correct-horse-battery-staple",
            "API_TOKEN=<paste your token 1234>",
            "token_type = \"kQ7vZp2XbR9tLmW4\"",
            "let token = parser.next_token().ok_or(\"end\")",
            "private_key = \"/etc/ssl/private/server-2024.key\"",
        ],
    },
];

fn found(literals: &Literals, text: &str) -> Vec<&'static str> {
    let text = text.replace('·', "");
    let found = literals.find(text.as_bytes());
    found.iter().map(|literal| literal.rule).collect()
}

#[test]
fn every_rule_finds_its_secrets_and_passes_over_the_rest() {
    let literals = Literals::new().unwrap();
    let mut wrong = Vec::new();
    for example in EXAMPLES {
        for text in example.finds {
            let found = found(&literals, text);
            if found != [example.rule] {
                wrong.push(format!("{} in {text:?}: {found:?}", example.rule));
            }
        }
        for text in example.passes {
            let found = found(&literals, text);
            if !found.is_empty() {
                wrong.push(format!("{} passes over {text:?}: {found:?}", example.rule));
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn every_rule_has_examples_and_keywords_in_lower_case() {
    for rule in RULES {
        let mut of = EXAMPLES.iter().filter(|example| example.rule == rule.id);
        let example = of.next().unwrap_or_else(|| panic!("{} has none", rule.id));
        assert!(!example.finds.is_empty() && !example.passes.is_empty());
        for keyword in rule.keywords {
            assert_eq!(*keyword, keyword.to_ascii_lowercase(), "{}", rule.id);
        }
    }
}
