//! The real servers that `cargo xtask servers` starts, and private ones that a test starts itself.
//!
//! A test that needs a server asks here for it, and returns if there is none:
//!
//! ```ignore
//! let Some(vault) = servers::vault() else { return };
//! ```
//!
//! All tests share the servers at the same time, so each makes its own mounts, policies, secrets and
//! access keys, and a test that disturbs the whole server takes a [`PrivateBao`].

use std::path::PathBuf;

use strongroom::Env;

mod admin;
mod private_bao;
mod smoke;

pub(crate) use admin::VaultServer;
pub(crate) use private_bao::{PrivateBao, free_port};

/// Returns the shared OpenBao, in development mode, with a token that may do everything.
pub(crate) fn vault() -> Option<VaultServer> {
    let address = variable("STRONGROOM_TEST_VAULT_ADDR")?;
    let token = variable("STRONGROOM_TEST_VAULT_TOKEN")?;
    Some(VaultServer::new(bao()?, address, token))
}

/// Returns the address of the shared stand-in for AWS Secrets Manager.
pub(crate) fn aws() -> Option<String> {
    variable("STRONGROOM_TEST_AWS_ENDPOINT")
}

/// Returns the program of OpenBao, which is server and client.
pub(crate) fn bao() -> Option<PathBuf> {
    variable("STRONGROOM_TEST_BAO").map(PathBuf::from)
}

/// Reads a variable of `cargo xtask servers`. Without it the test is not run, which fails in CI.
fn variable(name: &str) -> Option<String> {
    let env = Env::process();
    let value = env.var(name).unwrap().map(str::to_owned);
    if value.is_none() {
        assert_ne!(env.var("CI").unwrap(), Some("true"), "{name} is not set");
        println!("not run: needs `cargo xtask servers`");
    }
    value
}
