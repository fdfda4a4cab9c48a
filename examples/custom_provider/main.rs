//! Boots through a backend that strongroom doesn't know.
//!
//! ```text
//! cargo run --example custom_provider                                # writes a file of its own
//! SECRETS_INI=secrets.ini cargo run --example custom_provider
//! STRONGROOM_PROVIDER=ini:secrets.ini cargo run --example custom_provider
//! ```
//!
//! A backend is a [`SecretProvider`](strongroom::SecretProvider) and one row of data, both in
//! `ini.rs`. Registered with the builder, it is addressed by its own scheme, noticed by its own
//! variable, and guarded like all others. `tests/it/custom_provider.rs` runs the conformance suite
//! on it.

use std::fs::{self, OpenOptions};
use std::io::Write as _;

use strongroom::{Declared, Env, Error, ErrorKind, Kind, Result, SecretName, SecretsFactory};
use strongroom::{SecretsBuilder, generate};

mod ini;

const OWN_FILE: &str = "target/strongroom-example/secrets.ini";
const PASSWORD: SecretName = SecretName::from_static("database/password");
const TOKEN: SecretName = SecretName::from_static("partner/token");

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<()> {
    let declared = [
        Declared::new(PASSWORD, Kind::Password),
        Declared::new(TOKEN, Kind::Token),
    ];
    let secrets = builder(&declared)?.declare(declared).detect().await?;
    println!("{}\n", secrets.detection());
    for name in [PASSWORD, TOKEN] {
        println!("{:?}", secrets.get(name).await?);
    }
    secrets.shutdown().await
}

fn builder(declared: &[Declared]) -> Result<SecretsBuilder> {
    let env = Env::process();
    let builder = SecretsFactory::builder().backend(ini::BACKEND);
    if env.has("STRONGROOM_PROVIDER") || env.has("SECRETS_INI") {
        return Ok(builder.env(env));
    }
    write_own_file(declared)?;
    Ok(builder.env(
        env.with_var("STRONGROOM_ENV", "development")
            .with_var("STRONGROOM_PROVIDER", format!("ini:{OWN_FILE}")),
    ))
}

/// Writes new random values, for the owner of the file alone, unless it is there.
fn write_own_file(declared: &[Declared]) -> Result<()> {
    let cannot =
        |error| Error::new(ErrorKind::Config, format!("can't write {OWN_FILE}")).with_source(error);
    let dir = OWN_FILE.rsplit_once('/').map_or(".", |(dir, _)| dir);
    fs::create_dir_all(dir).map_err(cannot)?;
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut file = match options.open(OWN_FILE) {
        Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => return Ok(()),
        file => file.map_err(cannot)?,
    };
    for declared in declared {
        let (section, key) = (declared.name.path().rsplit_once('/')).unwrap_or_default();
        let value = generate(declared)?;
        // A generated token or password has no character that the format would escape.
        write!(file, "[{section}]\n{key} = {}\n", value.expose_str()?).map_err(cannot)?;
    }
    Ok(())
}
