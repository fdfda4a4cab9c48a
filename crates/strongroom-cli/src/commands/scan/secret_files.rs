//! Which whole files are secrets: by their names, and by what stands in them.

use super::plausible;

/// A file in the tree that is one plain secret.
pub(super) const RULE: &str = "secret-file";
/// The same, which git ignores and the image that is built here would hold.
pub(super) const IN_IMAGE: &str = "secret-file-in-image";

/// A kind of files.
struct Kind {
    matches: fn(&str) -> bool,
    holds: fn(&[u8]) -> bool,
}

/// The names are in lower case.
const KINDS: &[Kind] = &[
    Kind {
        matches: |name| {
            let environment = name == ".env" || name.starts_with(".env.") || name.ends_with(".env");
            let template = ["example", "sample", "template", "dist", "defaults"];
            environment && !template.iter().any(|word| name.contains(word))
        },
        holds: has_secret_assignment,
    },
    Kind {
        matches: |name| {
            [".pem", ".key", ".ppk"]
                .iter()
                .any(|end| name.ends_with(end))
                || ["id_rsa", "id_dsa", "id_ecdsa", "id_ed25519"].contains(&name)
        },
        holds: |bytes| {
            let text = String::from_utf8_lossy(bytes);
            let body = text.split_once("PRIVATE KEY-----").map(|(_, body)| body);
            let body = body.or_else(|| text.starts_with("PuTTY-User-Key-File").then_some(&*text));
            body.is_some_and(|body| body.get(..200).is_none_or(plausible::key) && body.len() > 64)
        },
    },
    Kind {
        matches: |name| name.ends_with(".p12") || name.ends_with(".pfx"),
        holds: |bytes| bytes.starts_with(&[0x30]) && bytes.len() > 64,
    },
    Kind {
        matches: |name| [".jks", ".keystore"].iter().any(|end| name.ends_with(end)),
        holds: |bytes| bytes.starts_with(&[0xfe, 0xed, 0xfe, 0xed]),
    },
    Kind {
        matches: |name| name.ends_with(".kdbx"),
        holds: |bytes| bytes.starts_with(&[0x03, 0xd9, 0xa2, 0x9a]),
    },
    Kind {
        matches: |name| name == "credentials",
        holds: |bytes| {
            has(
                bytes,
                &["aws_secret_access_key", "private_key", "token", "password"],
            ) && has_secret_assignment(bytes)
        },
    },
    Kind {
        matches: |name| {
            name == "kubeconfig" || name.ends_with(".kubeconfig") || name == "kube.config"
        },
        holds: |bytes| {
            has(bytes, &["client-key-data:", "token:", "password:"]) && has(bytes, &["clusters:"])
        },
    },
    Kind {
        matches: |name| name == ".npmrc" || name == ".yarnrc.yml",
        holds: |bytes| has_assigned(bytes, &["_authtoken", "_password", "_auth", "npmauthtoken"]),
    },
    Kind {
        matches: |name| name == ".pypirc",
        holds: |bytes| has_assigned(bytes, &["password"]),
    },
    Kind {
        matches: |name| name == ".netrc" || name == "_netrc",
        holds: |bytes| has(bytes, &["password "]) && has(bytes, &["machine ", "default "]),
    },
    Kind {
        matches: |name| name == ".git-credentials",
        holds: |bytes| has(bytes, &["://"]) && has(bytes, &["@"]),
    },
    Kind {
        matches: |name| name == ".pgpass",
        holds: |bytes| {
            String::from_utf8_lossy(bytes)
                .lines()
                .any(|line| line.split(':').count() >= 5)
        },
    },
    Kind {
        matches: |name| name == ".dockercfg" || name == ".dockerconfigjson",
        holds: |bytes| has(bytes, &["\"auth\"", "\"identitytoken\""]),
    },
    Kind {
        matches: |name| name == ".vault-token",
        holds: |bytes| bytes.len() >= 20,
    },
];

/// The most bytes that are looked at: such files are small.
const MOST: usize = 256 * 1024;

/// Reports whether a file of this name may be a secret as a whole.
pub(super) fn may_be_secret(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    KINDS.iter().any(|kind| (kind.matches)(&name))
}

/// Reports whether a file is a secret as a whole.
pub(super) fn is_secret(name: &str, bytes: &[u8]) -> bool {
    let name = name.to_ascii_lowercase();
    let bytes = bytes.get(..MOST).unwrap_or(bytes);
    KINDS
        .iter()
        .any(|kind| (kind.matches)(&name) && (kind.holds)(bytes))
}

fn has(bytes: &[u8], any: &[&str]) -> bool {
    let text = String::from_utf8_lossy(bytes).to_ascii_lowercase();
    any.iter().any(|word| text.contains(word))
}

/// Reports whether one of these keys has a value that is no variable.
fn has_assigned(bytes: &[u8], keys: &[&str]) -> bool {
    assignments(&String::from_utf8_lossy(bytes)).any(|(key, value)| {
        let key = key.to_ascii_lowercase();
        keys.iter().any(|known| key.ends_with(known)) && plausible::is_set(value)
    })
}

/// Reports whether a key with a telling name has a value that is no placeholder.
fn has_secret_assignment(bytes: &[u8]) -> bool {
    const WORDS: &[&str] = &[
        "PASSWORD",
        "PASSWD",
        "SECRET",
        "TOKEN",
        "API_KEY",
        "APIKEY",
        "PRIVATE_KEY",
        "ACCESS_KEY",
    ];
    assignments(&String::from_utf8_lossy(bytes)).any(|(key, value)| {
        let key = key.to_ascii_uppercase();
        let telling = WORDS.iter().any(|word| key.ends_with(word));
        (telling && plausible::is_set(value)) || plausible::holds_password(value)
    })
}

fn assignments(text: &str) -> impl Iterator<Item = (&str, &str)> {
    text.lines().filter_map(|line| {
        let line = line.trim_start();
        let (key, value) = line.split_once('=').or_else(|| line.split_once(": "))?;
        let value = value.trim().trim_matches(['"', '\'']);
        (!line.starts_with(['#', ';'])).then_some((key.trim(), value))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_that_are_secrets_and_files_of_such_names_that_are_none() {
        let pem = ["-----BEGIN PRI", "VATE KEY-----\nMIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQgkQ7vZp2XbR9tLmW4\nsYc8NfHd3GjK6uEa1VoTi5BqkQ7vZp2XbR9tLmW4\n"].concat();
        for (name, text, expected) in [
            (".env", "PORT=80\nDB_PASSWORD=kQ7vZp2XbR9tLmW4", true),
            (
                ".env.production",
                "export API_TOKEN='kQ7vZp2XbR9tLmW4'", // strongroom:allow(assigned-secret) made up for this test
                true,
            ),
            (
                "app.env",
                "DATABASE_URL=postgres://a:kQ7vZp2XbR9tLmW4@db/a", // strongroom:allow(url-password) made up for this test
                true,
            ),
            (".env", "PORT=80\nLOG=info", false),
            (
                ".env",
                "DB_PASSWORD=changeme\nAPI_TOKEN=${TOKEN}\nSECRET=",
                false,
            ),
            (".env.example", "DB_PASSWORD=kQ7vZp2XbR9tLmW4", false),
            ("environment.rs", "DB_PASSWORD=kQ7vZp2XbR9tLmW4", false),
            ("server.pem", &pem, true),
            ("id_ed25519", &pem, true),
            (
                "server.pem",
                "-----BEGIN CERTIFICATE-----\nMIGHAgEAMBMGByqGSM49AgEGCCqGSM49",
                false,
            ),
            (
                ".npmrc",
                "//registry.npmjs.org/:_authToken=kQ7vZp2XbR9tLmW4",
                true,
            ),
            (
                ".npmrc",
                "//registry.npmjs.org/:_authToken=${NPM_TOKEN}",
                false,
            ),
            (
                "credentials",
                "[default]\naws_secret_access_key = kQ7vZp2XbR9tLmW4",
                true,
            ),
            (
                "kubeconfig",
                "clusters:\n- a\nusers:\n  client-key-data: x",
                true,
            ),
            (".netrc", "machine a login b password c", true),
        ] {
            assert_eq!(is_secret(name, text.as_bytes()), expected, "{name}: {text}");
        }
        assert!(is_secret("a.P12", &[0x30; 100]) && !is_secret("a.p12", b"text"));
    }
}
