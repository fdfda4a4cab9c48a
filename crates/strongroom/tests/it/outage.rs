//! A backend that is away for longer than values are handed out without it: what readers get, what
//! health and events tell, how often the backend is asked meanwhile, and that all recovers by itself.

use std::time::{Duration, Instant};

use strongroom::provider::Expect;
use strongroom::{
    Declared, Env, ErrorKind, EventKind, Events, HealthStatus, Kind, LiveSecret, Secret,
    SecretName, Secrets, SecretsBuilder, SecretsFactory, Source,
};

use crate::proxy::Proxy;

const TOKEN: SecretName = SecretName::from_static("api/token");
const VALUE: &str = "pX4v-Tz0qL9e_W2mR7kB1nY6cH3sJ8dF";
const NEXT: &str = "Gw5u-Hk2sD7f_Q9pN3xV6yB0tM4zC8aL";

const MANIFEST: &str = "\
[default.cache]
ttl = \"1s\"
max_stale = \"8s\"
";
const TTL: Duration = Duration::from_secs(1);
const MAX_STALE: Duration = Duration::from_secs(8);

/// How much the clock of the handles may be ahead.
const COARSE: Duration = Duration::from_millis(20);

/// How long a machine may take for anything; nothing waits for it to pass.
const LIMIT: Duration = Duration::from_secs(60);

/// The shortest time between two readings of a provider that fails, and the attempts of each.
const SHORTEST_PAUSE: Duration = Duration::from_secs(1);
const ATTEMPTS: usize = 4;

/// A service whose secrets are behind a proxy.
struct Service {
    secrets: Secrets,
    token: LiveSecret,
    events: Events,
    proxy: Proxy,
}

/// What readers got while the backend was away.
#[derive(Default, Debug)]
struct Seen {
    live: u64,
    stale: u64,
    refused: u64,
}

fn builder(env: Env, address: &str) -> SecretsBuilder {
    SecretsFactory::builder()
        .env(env.with_var("STRONGROOM_ENV", "development"))
        .manifest_text(MANIFEST)
        .declare([Declared::new(TOKEN, Kind::Token)])
        .provider_url(address.parse().unwrap())
}

/// Writes beside the service, not through the proxy.
async fn write(env: Env, address: &str, value: &str) {
    let connection = builder(env, address).connect().await.unwrap();
    let value = Secret::from_text(value);
    let begun = Instant::now();
    // A store that was just mounted, or a server that was just started, may need a moment.
    while let Err(error) = connection.put(&TOKEN, &value, Expect::Any).await {
        assert!(begun.elapsed() < LIMIT, "{error}");
    }
    connection.close().await.unwrap();
}

impl Service {
    async fn boot(env: Env, address: &str, proxy: Proxy) -> Self {
        let secrets = builder(env, address).detect().await.unwrap();
        Self {
            token: secrets.watch(TOKEN).await.unwrap(),
            events: secrets.events(),
            secrets,
            proxy,
        }
    }

    /// Waits for the next event, whatever it is.
    async fn event(&mut self) -> EventKind {
        let next = tokio::time::timeout(LIMIT, self.events.next());
        next.await.expect("nothing happened").unwrap().kind
    }

    /// Reads without a pause while the backend is away, until well after nothing is handed out any more.
    ///
    /// What is held was confirmed at `confirmed` or later, and surely not after `away`. Every answer is
    /// judged by readings of the clock around it: how slow the machine is makes no difference.
    async fn read_through(&self, confirmed: Instant, away: Instant) -> Seen {
        let mut seen = Seen::default();
        let mut status = HealthStatus::Ready;
        let last = away + MAX_STALE + 3 * SHORTEST_PAUSE;
        loop {
            let before = Instant::now();
            let held = self.token.with(|token| token.verify(VALUE));
            let got = self.secrets.get(TOKEN).await;
            let health = self.secrets.health();
            let after = Instant::now();

            assert!(
                status as u8 <= health.status as u8,
                "{status:?}, then {health:?}"
            );
            status = health.status;
            if after < confirmed + MAX_STALE - COARSE {
                assert!(*held.as_ref().unwrap(), "another value is handed out");
                match got.as_ref().unwrap().metadata().source() {
                    Source::Stale => seen.stale += 1,
                    _ => seen.live += 1,
                }
                assert_ne!(status, HealthStatus::Failed, "{health:?}");
            }
            if before > away + TTL {
                assert!(self.token.is_stale());
            }
            if before > away + MAX_STALE {
                seen.refused += 1;
                let error = held.unwrap_err();
                assert_eq!(error.kind(), ErrorKind::Stale, "{error}");
                assert_eq!(error.name(), Some(&TOKEN));
                assert!(!self.token.verify(VALUE), "it still opens");
                let error = got.unwrap_err();
                assert_eq!(error.kind(), ErrorKind::Transient, "{error}");
                assert_eq!(health.status, HealthStatus::Failed, "{health:?}");
            }
            if before > last {
                return seen;
            }
            // A client that hammers, yet lets others have the machine.
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    }

    /// Goes through an outage: `end` makes the backend go away, and `begin` brings it back; both
    /// return when they have done so.
    async fn outlives(
        &mut self,
        end: impl AsyncFnOnce(&mut Proxy),
        begin: impl AsyncFnOnce(&mut Proxy),
    ) {
        let confirmed = Instant::now();
        self.secrets.refresh().await.unwrap();
        assert_eq!(self.secrets.health().status, HealthStatus::Ready);
        end(&mut self.proxy).await;
        let (away, calls) = (Instant::now(), self.proxy.connections());

        let seen = self.read_through(confirmed, away).await;
        assert!(seen.stale > 0 && seen.refused > 0, "{seen:?}");
        assert!(matches!(
            self.event().await,
            EventKind::Failing {
                error: ErrorKind::Transient,
                ..
            }
        ));
        assert_eq!(self.event().await, EventKind::Expired);

        begin(&mut self.proxy).await;
        let (back, calls) = (Instant::now(), self.proxy.connections() - calls);
        let pauses = (back - away).as_millis() / SHORTEST_PAUSE.as_millis();
        // One reading may have been under way before, and one may be about to begin.
        let readings = usize::try_from(pauses).unwrap() + 2;
        println!("{calls} calls in {:?}, {seen:?}", back - away);
        assert!(calls >= 2, "it is not tried again");
        assert!(calls <= readings * ATTEMPTS, "{calls} calls, {readings}");

        // Nobody asks for it: the refresh itself finds out.
        assert_eq!(self.event().await, EventKind::Recovered);
        println!("it recovered after {:?}", back.elapsed());
        assert!(self.token.with(|token| token.verify(VALUE)).unwrap());
        assert_eq!(self.secrets.health().status, HealthStatus::Ready);
        let got = self.secrets.get(TOKEN).await.unwrap();
        assert_eq!(got.metadata().source(), Source::Live);
    }

    /// Is as it was before the outage: it takes the next value up.
    async fn goes_on(mut self) {
        assert!(matches!(self.event().await, EventKind::Rotated { .. }));
        assert!(self.token.with(|token| token.verify(NEXT)).unwrap());
        assert!(self.token.verify(VALUE), "it overlaps");
        self.secrets.shutdown().await.unwrap();
    }
}

#[cfg(feature = "vault")]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_is_killed_and_comes_back() {
    let Some(bao) = crate::servers::PrivateBao::persistent() else {
        return;
    };
    bao.server
        .admin(&["secrets", "enable", "-path=secret", "-version=2", "kv"]);
    let direct = bao
        .server
        .address
        .strip_prefix("http://")
        .unwrap()
        .to_owned();
    let env = Env::empty().with_var("VAULT_TOKEN", &bao.server.token);
    write(env.clone(), &format!("vault+http://{direct}/"), VALUE).await;

    let proxy = Proxy::start(&direct).await;
    let address = format!("vault+http://{}/", proxy.address());
    let mut service = Service::boot(env.clone(), &address, proxy).await;
    let bao = std::cell::RefCell::new(bao);
    let end = async |_: &mut Proxy| bao.borrow_mut().stop();
    let begin = async |_: &mut Proxy| {
        bao.borrow_mut().start();
        bao.borrow().unseal();
    };
    service.outlives(end, begin).await;
    write(env, &format!("vault+http://{direct}/"), NEXT).await;
    service.goes_on().await;
}

#[cfg(feature = "aws")]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_network_that_resets_every_connection() {
    let Some(endpoint) = crate::servers::aws() else {
        return;
    };
    let proxy = Proxy::start(endpoint.strip_prefix("http://").unwrap()).await;
    let env = |endpoint: &str| {
        Env::empty()
            .with_var("AWS_ENDPOINT_URL", endpoint)
            .with_var("AWS_EC2_METADATA_DISABLED", "true")
            .with_var("AWS_ACCESS_KEY_ID", "AKIAOUTAGE")
            .with_var("AWS_SECRET_ACCESS_KEY", "of-a-stand-in")
    };
    let address = format!("aws://eu-west-1/outage-{}", std::process::id());
    write(env(&endpoint), &address, VALUE).await;
    let through = env(&format!("http://{}", proxy.address()));
    let mut service = Service::boot(through, &address, proxy).await;
    let end = async |proxy: &mut Proxy| proxy.set(crate::proxy::Mode::Reset);
    let begin = async |proxy: &mut Proxy| proxy.set(crate::proxy::Mode::Pass);
    service.outlives(end, begin).await;
    write(env(&endpoint), &address, NEXT).await;
    service.goes_on().await;
}
