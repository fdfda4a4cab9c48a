//! Vault: what the client leaves of a value, and of the token that it is read with.

use serde_json::json;

use crate::memory::{Canary, Counted, Holder};
use crate::vault::admin::Admin;
use crate::vault::tls::{Authority, Served};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_vault_leaves_is_known() {
    let Some(admin) = Admin::shared() else { return };
    let mount = admin.mount_kv("2").await;
    let canary = Canary::draw();
    let body = json!({ "data": { "value": canary.text() } });
    admin
        .call("POST", &format!("{mount}/data/app/token"), body)
        .await;
    let address = admin.url(&format!("/?mount={mount}"));
    let holder = Holder::start(&address).var("VAULT_TOKEN", &admin.token);
    let Some(counted) = Counted::of(holder, &canary) else {
        return;
    };
    counted.assert_at_most("Vault", 2, 1);
}

/// As in production: rustls has buffers of its own.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_vault_leaves_over_tls_is_known() {
    let Some(served) = Served::sound(&Authority::new()) else {
        return;
    };
    let (server, canary) = (&served.bao.server, Canary::draw());
    let admin = Admin::new(&server.address, &server.token);
    let body = json!({ "data": { "value": canary.text() } });
    admin.call("POST", "secret/data/app/token", body).await;
    let holder = Holder::start(&served.address())
        .var("VAULT_TOKEN", &server.token)
        .var("VAULT_CACERT", served.file("ca.pem").to_str().unwrap());
    let Some(counted) = Counted::of(holder, &canary) else {
        return;
    };
    counted.assert_at_most("Vault over TLS", 4, 3);
}
