//! Dynamic secrets, for real: OpenBao's RabbitMQ engine makes users of a broker. The broker is a
//! double that accepts everything, since what matters here is the lease.

use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};
use strongroom::provider::{Reply, Request, Target};
use strongroom::{Declared, DeclaredSource, ErrorKind, Kind, Secret, SecretName, SecretProvider};
use wiremock::matchers::{any, method};
use wiremock::{Mock, MockServer, ResponseTemplate};

use super::admin::{Admin, unique};
use super::open_declared;

const USER: SecretName = SecretName::from_static("broker/user");
const PASSWORD: SecretName = SecretName::from_static("broker/password");

struct Broker {
    admin: Admin,
    mount: String,
    // What the engine talks to.
    double: MockServer,
}

impl Broker {
    /// An engine whose leases last `ttl` seconds, and `max` with every renewal.
    async fn start(ttl: u32, max: u32) -> Option<Self> {
        let admin = Admin::shared()?;
        let double = MockServer::start().await;
        Mock::given(any())
            .respond_with(ResponseTemplate::new(204))
            .mount(&double)
            .await;
        let mount = unique("rabbitmq");
        let call = async |path: &str, body: Value| admin.call("POST", path, body).await;
        call(
            &format!("sys/mounts/{mount}"),
            json!({ "type": "rabbitmq" }),
        )
        .await;
        let connection = json!({
            "connection_uri": double.uri(), "username": "admin", "password": "admin",
            "verify_connection": false,
        });
        call(&format!("{mount}/config/connection"), connection).await;
        let lease = json!({ "ttl": ttl, "max_ttl": max });
        call(&format!("{mount}/config/lease"), lease).await;
        let role = json!({ "vhosts": r#"{"/":{"configure":".*","write":".*","read":".*"}}"# });
        call(&format!("{mount}/roles/app"), role).await;
        Some(Self {
            admin,
            mount,
            double,
        })
    }

    async fn open(&self) -> Arc<dyn SecretProvider> {
        let id = format!("{}/creds/app", self.mount);
        let declared = [(USER, "username"), (PASSWORD, "password")].map(|(name, field)| {
            let source = DeclaredSource::of_id(&id, Some(field.to_owned())).with_lease();
            Declared::new(name, Kind::Opaque).with_source(source)
        });
        open_declared(&self.admin.url("/"), self.admin.env(), declared)
            .await
            .unwrap()
    }

    fn request(&self, name: SecretName, field: &str) -> Request {
        let id = format!("{}/creds/app", self.mount);
        Request::new(Target::new(name).with_id(id, Some(field.to_owned())))
    }

    async fn read(&self, provider: &dyn SecretProvider) -> [Secret; 2] {
        let wanted = [
            self.request(USER, "username"),
            self.request(PASSWORD, "password"),
        ];
        let answers = provider
            .fetch(&wanted)
            .await
            .into_iter()
            .map(|answer| match answer {
                Ok(Reply::Value(secret)) => secret,
                other => panic!("{other:?}"),
            });
        answers.collect::<Vec<_>>().try_into().unwrap()
    }

    /// How many users the broker was told to make, and to remove.
    async fn made_and_removed(&self) -> (usize, usize) {
        let requests = self.double.received_requests().await.unwrap();
        let of = |verb: &str| {
            let users = requests
                .iter()
                .filter(|r| r.url.path().starts_with("/api/users/"));
            users
                .filter(|request| request.method.as_str() == verb)
                .count()
        };
        (of("PUT"), of("DELETE"))
    }

    /// Waits until something holds, for as long as a slow machine may need.
    async fn wait_for(&self, what: &str, mut holds: impl AsyncFnMut() -> bool) {
        for _ in 0..600 {
            if holds().await {
                return;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        panic!("{what} did not happen within 30 s");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_reading_makes_one_secret_for_all_its_fields_and_readers() {
    let Some(broker) = Broker::start(3600, 7200).await else {
        return;
    };
    let provider = broker.open().await;
    let [user, password] = broker.read(&*provider).await;
    assert_eq!(user.metadata().version(), password.metadata().version());
    assert!(user.metadata().version().is_some());
    let left = user
        .metadata()
        .expires()
        .unwrap()
        .duration_since(std::time::SystemTime::now());
    assert!((3500..=3600).contains(&left.unwrap().as_secs()));
    let mut readers = tokio::task::JoinSet::new();
    let broker = Arc::new(broker);
    for _ in 0..16 {
        let (broker, provider) = (Arc::clone(&broker), Arc::clone(&provider));
        readers.spawn(async move { broker.read(&*provider).await });
    }
    while let Some(read) = readers.join_next().await {
        assert!(read.unwrap()[0].verify(user.expose_bytes()));
    }
    assert_eq!(broker.made_and_removed().await, (1, 0));
    let known = broker.request(USER, "username");
    let known = known.with_known(user.metadata().version().unwrap().clone());
    let answer = provider.fetch(&[known]).await.pop().unwrap();
    assert!(matches!(answer, Ok(Reply::Unchanged)));
    provider.close().await.unwrap();
    broker
        .wait_for("the lease's return", async || {
            broker.made_and_removed().await == (1, 1)
        })
        .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lease_is_renewed_and_replaced_before_its_end() {
    let Some(broker) = Broker::start(3, 7).await else {
        return;
    };
    let provider = broker.open().await;
    let [first, _] = broker.read(&*provider).await;
    let begun = std::time::Instant::now();
    // Who watches is told of each renewal, and of the end.
    while broker.read(&*provider).await[0].verify(first.expose_bytes()) {
        provider.changed().await.unwrap();
    }
    let lived = begun.elapsed();
    assert!(
        lived > Duration::from_secs(3),
        "the lease was never renewed"
    );
    let [second, _] = broker.read(&*provider).await;
    assert!(!second.verify(first.expose_bytes()));
    assert_ne!(first.metadata().version(), second.metadata().version());
    assert_eq!(broker.made_and_removed().await.0, 2);
    provider.close().await.unwrap();
}

/// A service holds a handle and does nothing: the value in it is always one that works.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_handle_outlives_its_leases() {
    let Some(broker) = Broker::start(2, 5).await else {
        return;
    };
    let manifest = format!(
        "[default.secrets.\"broker/password\"]\nkind = \"opaque\"\n\
         source = {{ id = \"{}/creds/app\", field = \"password\", lease = true }}",
        broker.mount
    );
    let env = broker.admin.env().with_var("STRONGROOM_ENV", "development");
    let builder = strongroom::SecretsFactory::builder()
        .env(env)
        .manifest_text(manifest);
    let url = broker.admin.url("/").parse().unwrap();
    let secrets = builder.provider_url(url).detect().await.unwrap();
    let live = secrets.watch("broker/password").await.unwrap();
    let first = live.current().unwrap();
    let begun = std::time::Instant::now();
    while begun.elapsed() < Duration::from_secs(12) {
        live.with(|secret| assert!(!secret.is_empty())).unwrap();
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert!(!live.current().unwrap().verify(first.expose_bytes()));
    let (made, _) = broker.made_and_removed().await;
    assert!(
        (3..=8).contains(&made),
        "{made} users in 12 s of leases that last 5"
    );
    secrets.shutdown().await.unwrap();
    broker
        .wait_for("the removal of every user", async || {
            let (made, removed) = broker.made_and_removed().await;
            made == removed
        })
        .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lease_that_was_revoked_is_read_anew() {
    let Some(broker) = Broker::start(3, 3600).await else {
        return;
    };
    let provider = broker.open().await;
    let [first, _] = broker.read(&*provider).await;
    let path = format!("sys/leases/revoke-prefix/{}/creds/app", broker.mount);
    broker.admin.call("PUT", &path, json!({})).await;
    while broker.read(&*provider).await[0].verify(first.expose_bytes()) {
        provider.changed().await.unwrap();
    }
    provider.close().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_lent_is_not_written_and_has_no_history() {
    let Some(broker) = Broker::start(60, 60).await else {
        return;
    };
    let provider = broker.open().await;
    let target = broker.request(PASSWORD, "password").target;
    let put = strongroom::provider::Put::new(target.clone(), Secret::from_text("mine"));
    let kinds = [
        provider.put(&put).await.unwrap_err().kind(),
        provider
            .delete(&target, &strongroom::provider::Expect::Any)
            .await
            .unwrap_err()
            .kind(),
        provider.versions(&target).await.unwrap_err().kind(),
        provider.restore(&target).await.unwrap_err().kind(),
    ];
    assert_eq!(kinds, [ErrorKind::Unsupported; 4]);
    let wrong = broker.request(PASSWORD, "passwort");
    let error = provider.fetch(&[wrong]).await.pop().unwrap().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Absent);
    assert!(
        error.help().unwrap().contains("password, username"),
        "{error:?}"
    );
}

#[tokio::test]
async fn a_broker_that_is_down_is_no_absence() {
    let Some(broker) = Broker::start(60, 60).await else {
        return;
    };
    broker.double.reset().await;
    Mock::given(method("PUT"))
        .respond_with(ResponseTemplate::new(500))
        .mount(&broker.double)
        .await;
    let provider = broker.open().await;
    let wanted = broker.request(USER, "username");
    let error = provider.fetch(&[wanted]).await.pop().unwrap().unwrap_err();
    assert_ne!(error.kind(), ErrorKind::Absent, "{error:?}");
}
