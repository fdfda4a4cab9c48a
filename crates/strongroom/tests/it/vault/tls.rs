//! TLS, with authorities and certificates made in the test, and a real server that shows them.

use std::fs;
use std::path::PathBuf;

use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, ExtendedKeyUsagePurpose, IsCa,
    KeyPair,
};
use serde_json::json;
use strongroom::{Env, Error, ErrorKind};
use tempfile::TempDir;

use super::admin::{Admin, unique};
use super::calls::{connect, failed, get, read};
use super::open;
use crate::servers::{PrivateBao, free_port};

const HERE: &str = "127.0.0.1";

/// An authority that nobody knows but who is told.
pub(crate) struct Authority(CertifiedIssuer<'static, KeyPair>);

impl Authority {
    pub(crate) fn new() -> Self {
        let mut params = CertificateParams::new([]).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let name = unique("authority");
        params.distinguished_name.push(DnType::CommonName, name);
        let issuer = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap());
        Self(issuer.unwrap())
    }

    fn pem(&self) -> String {
        self.0.as_ref().pem()
    }

    fn sign(&self, mut params: CertificateParams) -> (String, String) {
        params.extended_key_usages = vec![
            ExtendedKeyUsagePurpose::ServerAuth,
            ExtendedKeyUsagePurpose::ClientAuth,
        ];
        let key = KeyPair::generate().unwrap();
        let certificate = params.signed_by(&key, &self.0).unwrap();
        (certificate.pem(), key.serialize_pem())
    }

    fn certificate(&self, name: &str) -> (String, String) {
        self.sign(CertificateParams::new([name.to_owned()]).unwrap())
    }
}

/// A server with a secret `a`, over TLS with one certificate, and the files around it.
pub(crate) struct Served {
    pub(crate) bao: PrivateBao,
    port: u16,
    dir: TempDir,
}

impl Served {
    fn start(
        authority: &Authority,
        (certificate, key): (String, String),
        demands: &str,
    ) -> Option<Self> {
        let dir = tempfile::tempdir().unwrap();
        let file = |name: &str, text: &str| {
            let path = dir.path().join(name);
            fs::write(&path, text).unwrap();
            path.display().to_string()
        };
        file("ca.pem", &authority.pem());
        let certificate = file("server.pem", &certificate);
        let key = file("server.key", &key);
        let port = free_port();
        let bao = PrivateBao::dev_with(&format!(
            "listener \"tcp\" {{\n  address = \"{HERE}:{port}\"\n  tls_cert_file = \"{certificate}\"\n  \
             tls_key_file = \"{key}\"\n  tls_client_ca_file = \"{}\"\n  {demands}\n}}\n",
            dir.path().join("ca.pem").display()
        ))?;
        Some(Self { bao, port, dir })
    }

    /// A server whose certificate is good for where it is.
    pub(crate) fn sound(authority: &Authority) -> Option<Self> {
        Self::start(authority, authority.certificate(HERE), "")
    }

    pub(crate) fn address(&self) -> String {
        format!("vault://{HERE}:{}/", self.port)
    }

    pub(crate) fn file(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn env(&self) -> Env {
        Env::empty().with_var("VAULT_TOKEN", &self.bao.server.token)
    }

    fn trusting(&self) -> Env {
        self.env().with_var("VAULT_CACERT", self.file("ca.pem"))
    }

    /// Reads the secret, which is written first, over the listener without TLS.
    async fn read(&self, address: &str, env: Env) -> Result<String, Error> {
        let admin = Admin::new(&self.bao.server.address, &self.bao.server.token);
        let data = json!({ "data": { "value": "v" } });
        admin.call("POST", "secret/data/a", data).await;
        read(&*open(address, env).await?, "a").await
    }

    /// Demands that a server which can't be believed is no server, and what to do about it.
    async fn refused(&self, env: Env, what: &str, remedy: &str) {
        let error = failed(
            self.read(&self.address(), env).await,
            ErrorKind::Config,
            what,
        );
        assert!(error.to_string().contains(what), "{error}");
        assert!(error.help().unwrap().contains(remedy), "{error}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_private_authority_is_named_in_any_of_four_ways() {
    let authority = Authority::new();
    let Some(served) = Served::sound(&authority) else {
        return;
    };
    let address = served.address();
    let directory = served.file("authorities");
    fs::create_dir(&directory).unwrap();
    fs::write(directory.join("other.pem"), Authority::new().pem()).unwrap();
    fs::write(directory.join("ours.pem"), authority.pem()).unwrap();
    let by_address = format!("{address}?ca_file={}", served.file("ca.pem").display());
    let both = format!("{}{}", Authority::new().pem(), authority.pem());
    for (way, address, env) in [
        ("VAULT_CACERT", &address, served.trusting()),
        (
            "ca_file",
            &by_address,
            served.env().with_var("VAULT_CACERT", "/nonexistent"),
        ),
        (
            "VAULT_CACERT_BYTES",
            &address,
            served.env().with_var("VAULT_CACERT_BYTES", both),
        ),
        (
            "VAULT_CAPATH",
            &address,
            served.env().with_var("VAULT_CAPATH", directory),
        ),
    ] {
        assert_eq!(served.read(address, env).await.unwrap(), "v", "{way}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_authority_that_is_not_ours_is_refused() {
    let Some(served) = Served::sound(&Authority::new()) else {
        return;
    };
    served
        .refused(served.env(), "UnknownIssuer", "VAULT_CACERT")
        .await;
    let other = served
        .env()
        .with_var("VAULT_CACERT_BYTES", Authority::new().pem());
    served.refused(other, "UnknownIssuer", "VAULT_CACERT").await;
    fs::write(served.file("none.pem"), "not a certificate").unwrap();
    for file in ["none.pem", "missing.pem"] {
        let path = served.file(file);
        let env = served.env().with_var("VAULT_CACERT", &path);
        let error = failed(
            served.read(&served.address(), env).await,
            ErrorKind::Config,
            file,
        );
        assert!(error.to_string().contains(file), "{error}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_certificate_of_another_name_needs_that_name() {
    let authority = Authority::new();
    let certificate = authority.certificate("vault.internal");
    let Some(served) = Served::start(&authority, certificate, "") else {
        return;
    };
    served
        .refused(served.trusting(), "not valid for", "VAULT_TLS_SERVER_NAME")
        .await;
    let named = served
        .trusting()
        .with_var("VAULT_TLS_SERVER_NAME", "vault.internal");
    assert_eq!(served.read(&served.address(), named).await.unwrap(), "v");
    let address = format!("{}?server_name=vault.internal", served.address());
    assert_eq!(served.read(&address, served.trusting()).await.unwrap(), "v");
    let other = served
        .trusting()
        .with_var("VAULT_TLS_SERVER_NAME", "other.internal");
    served
        .refused(other, "not valid for", "VAULT_TLS_SERVER_NAME")
        .await;
    // That would be another place to connect to, and not only another name.
    for name in ["127.0.0.2", "::1", "not a name"] {
        let env = served.trusting().with_var("VAULT_TLS_SERVER_NAME", name);
        let error = failed(
            served.read(&served.address(), env).await,
            ErrorKind::Config,
            name,
        );
        assert!(error.to_string().contains("server name"), "{error}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_certificate_out_of_its_time_is_refused() {
    let authority = Authority::new();
    for (from, until, what) in [(2020, 2021, "expired"), (2150, 2151, "not valid yet")] {
        let mut params = CertificateParams::new([HERE.to_owned()]).unwrap();
        params.not_before = rcgen::date_time_ymd(from, 1, 1);
        params.not_after = rcgen::date_time_ymd(until, 1, 1);
        let Some(served) = Served::start(&authority, authority.sign(params), "") else {
            return;
        };
        served.refused(served.trusting(), what, "clock").await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_demands_a_certificate_gets_ours() {
    let authority = Authority::new();
    let demands = "tls_require_and_verify_client_cert = true";
    let certificate = authority.certificate(HERE);
    let Some(served) = Served::start(&authority, certificate, demands) else {
        return;
    };
    let with = |authority: &Authority| {
        let (certificate, key) = authority.certificate("client");
        fs::write(served.file("client.pem"), certificate).unwrap();
        fs::write(served.file("client.key"), key).unwrap();
        served
            .trusting()
            .with_var("VAULT_CLIENT_CERT", served.file("client.pem"))
            .with_var("VAULT_CLIENT_KEY", served.file("client.key"))
    };
    for env in [served.trusting(), with(&Authority::new())] {
        // Its refusal and our request pass each other, and the refusal may be lost: in that case
        // the next attempt finds out.
        let connection = connect(&served.address(), env, "").await.unwrap();
        let error = failed(
            get(&connection, "a").await,
            ErrorKind::Config,
            "without ours",
        );
        assert!(
            error.to_string().contains("refuses the TLS connection"),
            "{error}"
        );
        assert!(
            error.help().unwrap().contains("VAULT_CLIENT_CERT"),
            "{error}"
        );
    }
    let ours = with(&authority);
    assert_eq!(
        served.read(&served.address(), ours.clone()).await.unwrap(),
        "v"
    );
    let half = ours.without_var("VAULT_CLIENT_KEY");
    let error = failed(
        served.read(&served.address(), half).await,
        ErrorKind::Config,
        "half",
    );
    assert!(
        error.help().unwrap().contains("VAULT_CLIENT_KEY"),
        "{error}"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_check_is_switched_off_by_a_plain_yes_and_never_quietly() {
    let Some(served) = Served::sound(&Authority::new()) else {
        return;
    };
    let skipping = |word: &str| served.env().with_var("VAULT_SKIP_VERIFY", word);
    assert_eq!(
        served
            .read(&served.address(), skipping("true"))
            .await
            .unwrap(),
        "v"
    );
    // The client library takes the mere presence of the variable for a yes.
    for word in ["", "false", "0"] {
        served
            .refused(skipping(word), "UnknownIssuer", "VAULT_CACERT")
            .await;
    }
    let error = failed(
        served.read(&served.address(), skipping("nope")).await,
        ErrorKind::Config,
        "nope",
    );
    assert!(error.to_string().contains("VAULT_SKIP_VERIFY"), "{error}");

    let connection = connect(&served.address(), skipping("true"), "")
        .await
        .unwrap();
    let said = connection.rails().said();
    assert!(
        said.iter()
            .any(|said| said.message.contains("VAULT_SKIP_VERIFY")),
        "{said:?}"
    );

    let production = async |manifest: &str| {
        let env = skipping("true")
            .with_var("STRONGROOM_ENV", "production")
            .with_var("STRONGROOM_PROVIDER", served.address())
            .with_working_dir("/nonexistent");
        let builder = strongroom::SecretsFactory::builder()
            .env(env)
            .manifest_text(manifest);
        builder.connect().await
    };
    let refused = production("").await.unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Policy, "{refused}");
    assert!(
        format!("{refused:?}").contains("VAULT_SKIP_VERIFY"),
        "{refused}"
    );
    let manifest = "[production]\ndanger_skip_certificate_check = true";
    let connection = production(manifest).await.unwrap();
    connection.read(&"a".parse().unwrap()).await.unwrap();
    let said = connection.rails().said();
    assert!(
        said.iter()
            .any(|said| said.message.contains("danger_skip_certificate_check")),
        "{said:?}"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_mistaken_scheme_is_said_to_be_one() {
    let authority = Authority::new();
    let Some(served) = Served::sound(&authority) else {
        return;
    };
    let plain = format!("vault+http://{HERE}:{}/", served.port);
    let error = failed(
        served.read(&plain, served.env()).await,
        ErrorKind::Malformed,
        "http to https",
    );
    assert!(error.help().unwrap().contains("https"), "{error}");
    let (_, plain) = served.bao.server.address.split_once("://").unwrap();
    let error = served
        .read(&format!("vault://{plain}/"), served.trusting())
        .await;
    let error = failed(error, ErrorKind::Config, "https to http");
    assert!(error.help().unwrap().contains("vault+http"), "{error}");
}
