//! A value and credentials, put through success and every failure, must come out nowhere: not in a
//! log of any dependency, nor in an error, nor in what shows a public object.

use std::io::Write as _;
use std::path::Path;

use serde_json::json;
use strongroom::provider::{Expect, Put, Request, Stage};
use strongroom::{Env, Result, Secret, Version};
use wiremock::ResponseTemplate;

use super::admin::Admin;
use super::calls::{connect, read, target, write};
use super::open;
use super::stub::{self, Stub};
use crate::canary::seen::Seen;
use crate::proxy::{Mode, Proxy};
use crate::servers::PrivateBao;

/// Each encoding of the value is another text.
const VALUE: &str = "cnryV/7Qx+T2mLp9=ZrWv8&Yd3KfB\"6hJs N0uE";
const TOKEN: &str = "cnryT-9ZrWv8Yd3KfB6hJs_N0uE7QxT2mLp";
const PASSWORD: &str = "cnryP-2mLp9ZrWv8Yd3KfB6hJs_N0uE7QxT";
const CANARIES: [&str; 3] = [VALUE, TOKEN, PASSWORD];

struct Walk {
    seen: Seen,
    /// More than one is slow where nothing answers.
    attempts: u32,
}

impl Walk {
    /// Makes every call to one address, without layers and with them.
    async fn walk(&self, address: &str, env: Env) {
        self.walk_provider(address, env.clone()).await;
        let manifest = format!(
            "[default.retry]\nattempts = {}\n[default.secrets.a]\nkind = \"opaque\"",
            self.attempts
        );
        match connect(address, env, &manifest).await {
            Ok(connection) => {
                self.seen.debug(&connection);
                self.seen.debug(connection.detection());
                self.seen.json(connection.detection());
                let _ = writeln!(self.seen.clone(), "{}", connection.detection());
                self.look(&connection.read(&"a".parse().unwrap()).await);
                self.look(&connection.health().await);
                match connection.clone().boot().await {
                    Ok(secrets) => {
                        self.seen.debug(&secrets);
                        self.seen.json(&secrets.health());
                        self.look(&secrets.get("a").await);
                        self.look(&secrets.watch("a").await);
                        self.look(&secrets.shutdown().await);
                    }
                    Err(error) => self.seen.error(&error),
                }
            }
            Err(error) => self.seen.error(&error),
        }
    }

    async fn walk_provider(&self, address: &str, env: Env) {
        let provider = match open(address, env).await {
            Ok(provider) => provider,
            Err(error) => return self.seen.error(&error),
        };
        self.seen.debug(&provider);
        self.seen.json(&provider.describe());
        let exact = |version| Stage::Exact(Version::new(version));
        let requests = [
            Request::new(target("a")),
            Request::new(target("a#absent")),
            Request::new(target("absent")),
            Request::new(target("a")).with_stage(exact("7")),
            Request::new(target("a")).with_stage(Stage::Previous),
            Request::new(target("a").with_id(format!("../{VALUE}"), None)),
        ];
        for read in provider.fetch(&requests).await {
            self.look(&read);
        }
        let put = Put::new(target("a"), Secret::from_text(VALUE));
        self.look(&provider.put(&put).await);
        let bytes = Secret::from_bytes([VALUE.as_bytes(), &[0xff]].concat());
        self.look(&provider.put(&Put::new(target("a"), bytes)).await);
        let large = Secret::from_text(VALUE.repeat(3000));
        self.look(&provider.put(&Put::new(target("a"), large)).await);
        let beside = Put::new(target("a#beside"), Secret::from_text(VALUE));
        self.seen.debug(&beside);
        self.look(&provider.put(&beside.with_expect(Expect::Absent)).await);
        self.look(&provider.put(&put.with_expect(Expect::Absent)).await);
        self.look(&provider.fetch(&requests).await.remove(0));
        self.look(&provider.versions(&target("a")).await);
        self.look(&provider.list("").await);
        self.look(&provider.health().await);
        self.look(&provider.delete(&target("a#beside"), &Expect::Any).await);
        self.look(&provider.restore(&target("a")).await);
        self.look(&provider.close().await);
        self.look(&provider.fetch(&requests).await.remove(0));
    }

    fn look<T: std::fmt::Debug>(&self, outcome: &Result<T>) {
        match outcome {
            Ok(outcome) => self.seen.debug(outcome),
            Err(error) => self.seen.error(error),
        }
    }

    #[track_caller]
    fn found_clean(&self, place: &str) {
        self.seen.assert_clean(&CANARIES, place);
    }
}

/// An environment that has every credential, and no other one.
fn env() -> Env {
    Env::empty()
        .with_var("VAULT_TOKEN", TOKEN)
        .with_var("VAULT_CLIENT_TIMEOUT", "1")
        .with_var("VAULT_ROLE_ID", "role")
        .with_var("VAULT_SECRET_ID", PASSWORD)
        .with_var("VAULT_JWT", PASSWORD)
}

/// Stubs say what no server says: the canaries, wherever an answer has room for them.
async fn walk_answers(walk: &Walk) {
    let words = json!({ "errors": [VALUE, TOKEN], "warnings": [TOKEN], "data": TOKEN }).to_string();
    let page = format!("<html>{VALUE}{TOKEN}</html>");
    let whole = stub::secret(7, &json!({ "value": VALUE, "beside": TOKEN })).to_string();
    let cut = &whole[..whole.len() - 9];
    let bodies = [&*words, &page, &whole, cut, "", "null", VALUE];
    for status in [
        200, 204, 301, 307, 400, 401, 403, 404, 405, 412, 429, 472, 473, 500, 501, 502, 503,
    ] {
        for body in bodies {
            let stub = Stub::start().await;
            let answer = stub::text(status, body)
                .insert_header(
                    "Location",
                    format!("http://{TOKEN}@of-nobody/{TOKEN}?t={TOKEN}").as_str(),
                )
                .insert_header("Retry-After", if status == 429 { "0" } else { TOKEN })
                .insert_header("X-Vault-Index", TOKEN)
                .insert_header("Set-Cookie", TOKEN);
            let secrets = wiremock::matchers::path_regex("^/v1/secret/");
            let any = wiremock::Mock::given(secrets).respond_with(answer);
            any.mount(&stub.0).await;
            walk.walk_provider(&stub.url("/"), env()).await;
        }
    }
    walk.found_clean("statuses");
    let foreign = Stub::start().await;
    let anything = wiremock::Mock::given(wiremock::matchers::any());
    let echo = ResponseTemplate::new(400).set_body_raw(words, "application/json");
    anything
        .respond_with(echo)
        .with_priority(1)
        .mount(&foreign.0)
        .await;
    for auth in ["token", "approle", "jwt&role=r", "kubernetes&role=r"] {
        walk.walk(&foreign.url(&format!("/?auth={auth}")), env())
            .await;
    }
    walk.found_clean("logins");
    for bytes in [
        format!("HTTP/1.1 200 {VALUE}\r\nX-{TOKEN}: {VALUE}\u{0}\r\n\r\n"),
        format!("HTTP/1.1 200 OK\r\nContent-Length: 9999\r\n\r\n{whole}"),
        format!("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n{TOKEN}\r\n{whole}"),
        format!("HTTP/1.1 200 OK\r\nContent-Length: {TOKEN}\r\n\r\n{whole}"),
        format!("{VALUE}\r\n{TOKEN}\r\n\r\n"),
    ] {
        let address = stub::sends(bytes.into_bytes()).await;
        walk.walk(&format!("vault+http://{address}/?kv=2"), env())
            .await;
    }
    walk.found_clean("broken answers");
}

async fn walk_settings(walk: &Walk, dir: &Path) {
    let file = dir.join("credential");
    std::fs::write(&file, format!("{PASSWORD}\n{TOKEN}\n")).unwrap();
    let file = file.display();
    for variable in [
        "VAULT_SKIP_VERIFY",
        "VAULT_CACERT_BYTES",
        "VAULT_CLIENT_TIMEOUT",
        "VAULT_TLS_SERVER_NAME",
    ] {
        walk.walk("vault://127.0.0.1:1/", env().with_var(variable, PASSWORD))
            .await;
        let lines = format!("{PASSWORD}\n{TOKEN}");
        walk.walk("vault://127.0.0.1:1/", env().with_var(variable, lines))
            .await;
    }
    for proxy in ["VAULT_PROXY_ADDR", "HTTPS_PROXY"] {
        for address in [
            format!("http://user:{PASSWORD}@127.0.0.1:1"),
            format!("::{PASSWORD}"),
        ] {
            walk.walk("vault://192.0.2.1/", env().with_var(proxy, address))
                .await;
        }
    }
    for token in [
        format!("{TOKEN}\n{TOKEN}"),
        format!("{TOKEN}\u{1}"),
        format!("ä{TOKEN}"),
    ] {
        walk.walk(
            "vault+http://127.0.0.1:1/",
            env().with_var("VAULT_TOKEN", token),
        )
        .await;
    }
    for query in [
        format!("token_file={file}"),
        format!("ca_file={file}"),
        format!("client_cert={file}&client_key={file}"),
        format!("auth=userpass&username=u&password_file={file}"),
        format!("auth=approle&role_id=r&secret_id_file={file}"),
        format!("auth=jwt&role=r&jwt_file={file}"),
    ] {
        walk.walk(&format!("vault+http://127.0.0.1:1/?{query}"), env())
            .await;
    }
    let named = env().with_var("VAULT_ADDR", format!("https://user:{PASSWORD}@127.0.0.1:1"));
    let builder = strongroom::SecretsFactory::builder().env(named);
    match builder.explain() {
        Ok(detection) => walk.seen.debug(&detection),
        Err(error) => walk.seen.error(&error),
    }
    walk.found_clean("settings");
}

/// A real server, well and then not.
async fn walk_server(walk: &Walk, bao: &PrivateBao) {
    let admin = Admin::new(&bao.server.address, &bao.server.token);
    let rules = "path \"secret/*\" { capabilities = [\"create\", \"read\", \"update\", \"delete\", \"list\"] }";
    admin
        .call("PUT", "sys/policies/acl/all", json!({ "policy": rules }))
        .await;
    let data = json!({ "data": { "value": VALUE, "list": [VALUE], "object": { "inner": VALUE } } });
    admin.call("POST", "secret/data/a", data).await;
    let proxy = Proxy::start(admin.address.split_once("://").unwrap().1).await;
    let through = format!("vault+http://{}/", proxy.address());

    walk.walk(&admin.url("/"), env()).await;
    walk.found_clean("a token that nobody knows");
    let token = json!({ "id": TOKEN, "policies": ["all"] });
    admin.call("POST", "auth/token/create", token).await;
    walk.walk(&admin.url("/"), env()).await;
    walk.walk(&admin.url("/?mount=of-nobody"), env()).await;
    walk.walk(&admin.url("/?mount=identity"), env()).await;
    walk.walk(&admin.url("/?kv=1"), env()).await;
    for mode in [Mode::Reset, Mode::CutAfter(100), Mode::CutAfter(420)] {
        proxy.set(mode);
        walk.walk_provider(&through, env()).await;
        walk.found_clean(&format!("{mode:?}"));
    }
    proxy.set(Mode::Pass);
    let provider = open(&through, env()).await.unwrap();
    assert_eq!(read(&*provider, "a").await.unwrap(), VALUE);
    proxy.set(Mode::BlackHole);
    walk.look(&read(&*provider, "a").await);
    walk.look(&write(&*provider, "a", VALUE).await);
    walk.found_clean("silence");
    admin
        .call("POST", "sys/auth/userpass", json!({ "type": "userpass" }))
        .await;
    let user = json!({ "password": PASSWORD, "token_policies": ["all"] });
    admin.call("POST", "auth/userpass/users/u", user).await;
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("password");
    for password in [PASSWORD, "of nobody"] {
        std::fs::write(&file, password).unwrap();
        let query = format!(
            "/?auth=userpass&username=u&password_file={}",
            file.display()
        );
        walk.walk(&admin.url(&query), env()).await;
    }
    admin
        .call("DELETE", "sys/policies/acl/all", json!(null))
        .await;
    walk.walk(&admin.url("/"), env()).await;
    walk.found_clean("a denial");
    bao.seal();
    walk.walk(&admin.url("/"), env()).await;
    walk.found_clean("a sealed server");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn values_and_credentials_are_shown_nowhere() {
    let Some(bao) = PrivateBao::dev() else { return };
    let Some(with_tls) = PrivateBao::dev_tls() else {
        return;
    };
    let mut walk = Walk {
        seen: Seen::with_logs(),
        attempts: 2,
    };
    walk_server(&walk, &bao).await;
    walk.attempts = 1;
    let address = with_tls.server.address.replace("https", "vault");
    let trusting = env().with_var("VAULT_CACERT", with_tls.tls_dir().join("vault-ca.pem"));
    let root = trusting
        .clone()
        .with_var("VAULT_TOKEN", &with_tls.server.token);
    for env in [
        env(),
        trusting,
        root,
        env().with_var("VAULT_SKIP_VERIFY", "true"),
    ] {
        walk.walk(&format!("{address}/"), env).await;
    }
    walk.found_clean("TLS");
    walk_answers(&walk).await;
    let dir = tempfile::tempdir().unwrap();
    walk_settings(&walk, dir.path()).await;
    // The logs of dependencies are among what was searched.
    for logged in ["TRACE", "hyper_util::client", "reqwest::", "rustify::"] {
        assert!(walk.seen.holds(logged), "no log of {logged}");
    }
}
