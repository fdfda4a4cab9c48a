//! How long a boot takes whose secrets are behind a network.

use std::error::Error;
use std::time::Duration;

use strongroom::provider::Expect;
use strongroom::{Declared, Env, Kind, ProviderUrl, SecretName, SecretsBuilder, SecretsFactory};

use crate::Section;
use crate::measure::alternating;
use crate::proxy::{Mode, Proxy};

const SECRETS: usize = 100;
const LATENCY: Duration = Duration::from_millis(5);
const ROUNDS: usize = 15;

pub fn section() -> Section {
    let mut runtime = tokio::runtime::Builder::new_multi_thread();
    let runtime = runtime.worker_threads(2).enable_all().build()?;
    let server = Server::find()?;
    runtime.block_on(server.fill())?;
    let upstream = server.host.clone();
    let proxy = runtime.block_on(Proxy::start(&upstream));
    proxy.set(Mode::Latency(LATENCY));
    let near = proxy.address().to_string();

    let together = || runtime.block_on(server.boot(&near));
    let apart = || runtime.block_on(server.one_by_one(&near));
    // The most of any boot: each has a pool of its own.
    let before = proxy.connections();
    together()?;
    let connections = proxy.connections() - before;
    let pair = alternating(ROUNDS, together, apart)?;

    let (boot, reads, ratio) = (pair.subject / 1e6, pair.baseline / 1e6, 1.0 / pair.ratio());
    let each_way = LATENCY.as_millis();
    Ok(format!(
        "\
## A boot behind a network

{SECRETS} declared secrets in OpenBao, which is Vault's API, through a loopback proxy that adds {each_way} \
ms each way. A boot opens its connections, asks for the mount's version, reads all secrets and checks \
their strength, over at most 32 connections. The other program does the same connecting and asking, then \
reads one secret after the other. Medians of {ROUNDS} alternating rounds.

| | measured |
|---|---|
| boot | {boot:.0} ms, over {connections} connections |
| one by one | {reads:.0} ms |
| times faster | {ratio:.1} |"
    ))
}

struct Server {
    host: String,
    token: String,
    manifest: String,
}

impl Server {
    /// Finds the server that `cargo xtask bench` started.
    fn find() -> Result<Self, Box<dyn Error>> {
        let env = Env::process();
        let var = |name: &str| -> Result<String, Box<dyn Error>> {
            let value = env.var(name)?;
            Ok(value
                .ok_or(format!("{name} is not set: run `cargo xtask bench`"))?
                .to_owned())
        };
        let address = var("STRONGROOM_TEST_VAULT_ADDR")?;
        let host = address
            .strip_prefix("http://")
            .ok_or("the server speaks http")?;
        let declare = |n| format!("[default.secrets.\"boot/secret-{n:03}\"]\nkind = \"token\"\n");
        Ok(Self {
            host: host.to_owned(),
            token: var("STRONGROOM_TEST_VAULT_TOKEN")?,
            manifest: (0..SECRETS).map(declare).collect(),
        })
    }

    fn builder(&self, host: &str) -> Result<SecretsBuilder, Box<dyn Error>> {
        let url: ProviderUrl = format!("vault+http://{host}/secret").parse()?;
        let env = Env::empty()
            .with_var("STRONGROOM_ENV", "development")
            .with_var("VAULT_TOKEN", &self.token);
        let builder = SecretsFactory::builder().env(env).provider_url(url);
        Ok(builder.manifest_text(&self.manifest))
    }

    /// Writes a strong value of its own under each name, not through the proxy.
    async fn fill(&self) -> Result<(), Box<dyn Error>> {
        let connection = self.builder(&self.host)?.connect().await?;
        for name in names()? {
            let value = strongroom::generate(&Declared::new(name.clone(), Kind::Token))?;
            connection.put(&name, &value, Expect::Any).await?;
        }
        Ok(())
    }

    async fn boot(&self, host: &str) -> Result<(), Box<dyn Error>> {
        let secrets = self.builder(host)?.detect().await?;
        secrets.shutdown().await?;
        Ok(())
    }

    async fn one_by_one(&self, host: &str) -> Result<(), Box<dyn Error>> {
        let connection = self.builder(host)?.connect().await?;
        for name in names()? {
            connection.read(&name).await?;
        }
        Ok(())
    }
}

fn names() -> strongroom::Result<Vec<SecretName>> {
    let name = |n| SecretName::parse(format!("boot/secret-{n:03}"));
    (0..SECRETS).map(name).collect()
}
