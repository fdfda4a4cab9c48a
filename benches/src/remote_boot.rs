//! How long a boot takes whose secrets are behind a network.

use std::error::Error;
use std::time::Duration;

use strongroom::provider::Expect;
use strongroom::{Declared, Env, Kind, SecretName, SecretsBuilder, SecretsFactory};
use tokio::runtime::Runtime;

use crate::Section;
use crate::measure::{Pair, alternating};
use crate::proxy::{Mode, Proxy};

const SECRETS: usize = 100;
const LATENCY: Duration = Duration::from_millis(5);
const ROUNDS: usize = 15;

pub fn section() -> Section {
    let mut runtime = tokio::runtime::Builder::new_multi_thread();
    let runtime = runtime.worker_threads(2).enable_all().build()?;
    let rows = [vault, aws].map(|service| Ok(row(&measure(&runtime, service()?)?)));
    let rows = rows
        .into_iter()
        .collect::<Result<Vec<_>, Box<dyn Error>>>()?
        .join("\n");
    let each_way = LATENCY.as_millis();
    Ok(format!(
        "\
## A boot behind a network

{SECRETS} declared secrets, through a loopback proxy that adds {each_way} ms each way. A boot opens its \
connections, finds out what it must, reads all secrets and checks their strength. One by one is the same \
connecting and finding out, and then one read after the other. Round trips are what the proxy's delay \
adds to the boot. Vault's API is OpenBao, AWS's is moto. Medians of {ROUNDS} alternating rounds.

| | boot | connections | one by one | times faster | boot without the delay | round trips |
|---|---|---|---|---|---|---|
{rows}"
    ))
}

struct Measured {
    title: &'static str,
    connections: usize,
    one_by_one: Pair,
    without_delay: Pair,
}

fn row(measured: &Measured) -> String {
    let (boot, reads) = (&measured.one_by_one.subject, &measured.one_by_one.baseline);
    let near = measured.without_delay.baseline;
    let added = measured.without_delay.subject - near;
    let round_trip = 2.0 * LATENCY.as_secs_f64() * 1e9;
    format!(
        "| {} | {:.0} ms | {} | {:.0} ms | {:.1} | {:.0} ms | {:.1} |",
        measured.title,
        boot / 1e6,
        measured.connections,
        reads / 1e6,
        reads / boot,
        near / 1e6,
        added / round_trip,
    )
}

fn measure(runtime: &Runtime, service: Service) -> Result<Measured, Box<dyn Error>> {
    runtime.block_on(service.fill())?;
    let proxy = runtime.block_on(Proxy::start(&service.host));
    let through = proxy.address().to_string();
    let boot = |mode| {
        proxy.set(mode);
        runtime.block_on(service.boot(&through))
    };
    let delayed = || boot(Mode::Latency(LATENCY));

    let before = proxy.connections();
    delayed()?;
    let connections = proxy.connections() - before;
    let one_by_one = alternating(ROUNDS, delayed, || {
        proxy.set(Mode::Latency(LATENCY));
        runtime.block_on(service.one_by_one(&through))
    })?;
    let without_delay = alternating(ROUNDS, delayed, || boot(Mode::Pass))?;
    Ok(Measured {
        title: service.title,
        connections,
        one_by_one,
        without_delay,
    })
}

/// A server that `cargo xtask bench` started, and what a service is told of it.
struct Service {
    title: &'static str,
    host: String,
    env: fn(Env, &str) -> Env,
    secret: String,
    manifest: String,
}

fn vault() -> Result<Service, Box<dyn Error>> {
    let token = variable("STRONGROOM_TEST_VAULT_TOKEN")?;
    Service::new("Vault", "STRONGROOM_TEST_VAULT_ADDR", token, |env, host| {
        env.with_var("STRONGROOM_PROVIDER", format!("vault+http://{host}/secret"))
    })
}

fn aws() -> Result<Service, Box<dyn Error>> {
    let key = "of a stand-in".to_owned();
    Service::new("AWS", "STRONGROOM_TEST_AWS_ENDPOINT", key, |env, host| {
        env.with_var("STRONGROOM_PROVIDER", "aws://eu-west-1/bench")
            .with_var("AWS_ENDPOINT_URL", format!("http://{host}"))
    })
}

impl Service {
    fn new(
        title: &'static str,
        address: &str,
        secret: String,
        env: fn(Env, &str) -> Env,
    ) -> Result<Self, Box<dyn Error>> {
        let address = variable(address)?;
        let host = address
            .strip_prefix("http://")
            .ok_or("the server speaks http")?;
        let declare = |n| format!("[default.secrets.\"boot/secret-{n:03}\"]\nkind = \"token\"\n");
        Ok(Self {
            title,
            host: host.trim_end_matches('/').to_owned(),
            env,
            secret,
            manifest: (0..SECRETS).map(declare).collect(),
        })
    }

    fn builder(&self, host: &str) -> SecretsBuilder {
        let env = Env::empty()
            .with_var("STRONGROOM_ENV", "development")
            .with_var("VAULT_TOKEN", &self.secret)
            .with_var("AWS_ACCESS_KEY_ID", "bench")
            .with_var("AWS_SECRET_ACCESS_KEY", &self.secret);
        let builder = SecretsFactory::builder().env((self.env)(env, host));
        builder.manifest_text(&self.manifest)
    }

    /// Writes a strong value of its own under each name, not through the proxy.
    async fn fill(&self) -> Result<(), Box<dyn Error>> {
        let connection = self.builder(&self.host).connect().await?;
        for name in names()? {
            let value = strongroom::generate(&Declared::new(name.clone(), Kind::Token))?;
            connection.put(&name, &value, Expect::Any).await?;
        }
        Ok(())
    }

    async fn boot(&self, host: &str) -> Result<(), Box<dyn Error>> {
        let secrets = self.builder(host).detect().await?;
        secrets.shutdown().await?;
        Ok(())
    }

    async fn one_by_one(&self, host: &str) -> Result<(), Box<dyn Error>> {
        let connection = self.builder(host).connect().await?;
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

fn variable(name: &str) -> Result<String, Box<dyn Error>> {
    let env = Env::process();
    let value = env.var(name)?;
    Ok(value
        .ok_or(format!("{name} is not set: run `cargo xtask bench`"))?
        .to_owned())
}
