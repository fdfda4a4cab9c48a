//! Vault: what the client leaves of a value, and of the token that it is read with.

use serde_json::json;

use crate::memory::{Canary, Counted, Holder};
use crate::vault::admin::Admin;

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
    counted.show("Vault");
}
