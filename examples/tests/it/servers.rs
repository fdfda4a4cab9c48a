//! The real servers that `cargo xtask servers` starts, and how a program finds them.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;

use strongroom::{Connection, Env, SecretsFactory};

/// The environment of a program, as far as it says where the secrets are.
pub(crate) type Variables = BTreeMap<&'static str, String>;

/// The shared servers, of which each test has a part of its own.
pub(crate) struct Servers {
    bao: PathBuf,
    vault: String,
    token: String,
    aws: String,
}

impl Servers {
    /// Finds what `cargo xtask servers` started.
    pub(crate) fn find() -> Option<Self> {
        let env = Env::process();
        let var = |name: &str| {
            let value = env.var(name).unwrap().map(str::to_owned);
            assert!(
                value.is_some() || env.var("CI").unwrap() != Some("true"),
                "{name} is not set"
            );
            value
        };
        let found = (
            var("STRONGROOM_TEST_BAO"),
            var("STRONGROOM_TEST_VAULT_ADDR"),
            var("STRONGROOM_TEST_VAULT_TOKEN"),
            var("STRONGROOM_TEST_AWS_ENDPOINT"),
        );
        let (Some(bao), Some(vault), Some(token), Some(aws)) = found else {
            println!("not run: needs `cargo xtask servers`");
            return None;
        };
        let bao = bao.into();
        Some(Self {
            bao,
            vault,
            token,
            aws,
        })
    }

    fn admin(&self, args: &[&str]) {
        let mut command = Command::new(&self.bao);
        command.args(args).env_clear().env("HOME", "/nowhere");
        command
            .env("BAO_ADDR", &self.vault)
            .env("BAO_TOKEN", &self.token);
        let done = command.output().unwrap();
        let said = String::from_utf8_lossy(&done.stderr);
        assert!(done.status.success(), "bao {args:?}: {said}");
    }

    /// The variables of a service on Vault, in a namespace with a store at the default mount.
    pub(crate) fn vault(&self, part: &str) -> Variables {
        self.admin(&["namespace", "create", part]);
        let namespace = format!("-namespace={part}");
        let kv = ["-path=secret", "-version=2", "kv"];
        self.admin(&[&["secrets", "enable", &*namespace][..], &kv].concat());
        BTreeMap::from([
            ("VAULT_ADDR", self.vault.clone()),
            ("VAULT_TOKEN", self.token.clone()),
            ("VAULT_NAMESPACE", part.to_owned()),
        ])
    }

    /// The variables of a service on AWS, below a prefix.
    pub(crate) fn aws(&self, part: &str) -> Variables {
        BTreeMap::from([
            ("STRONGROOM_AWS_PREFIX", part.to_owned()),
            ("AWS_REGION", "eu-west-1".to_owned()),
            ("AWS_ENDPOINT_URL", self.aws.clone()),
            ("AWS_ACCESS_KEY_ID", part.to_owned()),
            ("AWS_SECRET_ACCESS_KEY", "of-a-stand-in".to_owned()),
        ])
    }
}

/// Connects as a program would that has these variables and this manifest.
pub(crate) async fn connect(variables: &Variables, dir: &Path, manifest: &str) -> Connection {
    let mut env = Env::empty().with_working_dir(dir);
    for (name, value) in variables {
        env = env.with_var(name, value);
    }
    let builder = SecretsFactory::builder().env(env).manifest_text(manifest);
    builder.connect().await.unwrap()
}
