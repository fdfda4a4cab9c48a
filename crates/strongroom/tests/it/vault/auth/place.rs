//! One secret on the server, a policy that reads it, and ways to log in that lead there.

use std::path::Path;
use std::sync::Arc;

use serde_json::{Value, json};
use strongroom::provider::{Reply, Request, Target};
use strongroom::{Env, Result, SecretProvider};

use crate::vault::admin::{Admin, unique};

pub(super) const VALUE: &str = "canary-value-9f27";

pub(super) struct Place {
    pub(super) admin: Admin,
    pub(super) mount: String,
    pub(super) policy: String,
    /// The mount of AppRole.
    pub(super) auth: String,
}

impl Place {
    /// On the server that all tests share.
    pub(super) async fn new() -> Option<Self> {
        Some(Self::on(Admin::shared()?).await)
    }

    pub(super) async fn on(admin: Admin) -> Self {
        let mount = admin.mount_kv("2").await;
        let body = json!({ "data": { "value": VALUE } });
        let path = format!("{mount}/data/db");
        // The store is being set up for a moment after it was mounted.
        let mut tries = 0;
        while admin.try_call("POST", &path, body.clone()).await.0 >= 300 {
            tries += 1;
            assert!(tries < 100, "the store is not ready");
        }
        let place = Self {
            policy: unique("policy"),
            auth: unique("approle"),
            admin,
            mount,
        };
        place.allow(&place.policy, true).await;
        place.enable_at("approle", &place.auth).await;
        place
    }

    /// Writes the policy: one that reads the secret, or nothing of this mount.
    pub(super) async fn allow(&self, policy: &str, may: bool) {
        let mount = if may { &self.mount } else { "nothing" };
        let rules = format!(
            "path \"{mount}/*\" {{ capabilities = [\"read\", \"list\"] }}\n\
             path \"sys/internal/ui/mounts/*\" {{ capabilities = [\"read\"] }}"
        );
        let path = format!("sys/policies/acl/{policy}");
        self.admin
            .call("PUT", &path, json!({ "policy": rules }))
            .await;
    }

    /// Opens a provider whose address has this query.
    pub(super) async fn open(&self, query: &str, env: Env) -> Result<Arc<dyn SecretProvider>> {
        let address = self.admin.url(&format!("/{}?{query}", self.mount));
        crate::vault::open(&address, env).await
    }

    pub(super) async fn read(&self, provider: &Arc<dyn SecretProvider>) -> Result<String> {
        let wanted = Request::new(Target::new("db".parse()?));
        let mut replies = provider.fetch(&[wanted]).await;
        match replies.pop().unwrap()? {
            Reply::Value(secret) => Ok(secret.expose_str()?.to_owned()),
            other => panic!("{other:?}"),
        }
    }

    /// Makes a token that reads the secret.
    pub(super) async fn token(&self, mut settings: Value) -> String {
        settings["policies"] = json!([self.policy]);
        let answer = self.admin.call("POST", "auth/token/create", settings).await;
        answer["auth"]["client_token"].as_str().unwrap().to_owned()
    }

    pub(super) async fn lookup(&self, token: &str) -> Option<Value> {
        let body = json!({ "token": token });
        let (status, answer) = self.admin.try_call("POST", "auth/token/lookup", body).await;
        (status == 200).then_some(answer)
    }

    pub(super) async fn enable(&self, method: &str) -> String {
        let mount = unique(method);
        self.enable_at(method, &mount).await;
        mount
    }

    async fn enable_at(&self, method: &str, mount: &str) {
        let path = format!("sys/auth/{mount}");
        self.admin
            .call("POST", &path, json!({ "type": method }))
            .await;
    }

    /// Makes an AppRole, and returns its role id and a secret id.
    pub(super) async fn approle(&self, role: &str, mut settings: Value) -> (String, String) {
        let path = format!("auth/{}/role/{role}", self.auth);
        settings["token_policies"] = json!(self.policy);
        let binds = settings["bind_secret_id"] != false;
        self.admin.call("POST", &path, settings).await;
        let answer = self
            .admin
            .call("GET", &format!("{path}/role-id"), Value::Null)
            .await;
        let role_id = answer["data"]["role_id"].as_str().unwrap().to_owned();
        if !binds {
            return (role_id, String::new());
        }
        let answer = self
            .admin
            .call("POST", &format!("{path}/secret-id"), json!({}))
            .await;
        let secret_id = answer["data"]["secret_id"].as_str().unwrap().to_owned();
        (role_id, secret_id)
    }

    /// Opens a provider that logs in as an AppRole with these settings.
    pub(super) async fn as_role(&self, settings: Value) -> Arc<dyn SecretProvider> {
        let (role_id, secret_id) = self.approle(&unique("app"), settings).await;
        let query = format!("auth=approle&auth_mount={}&role_id={role_id}", self.auth);
        let env = Env::empty().with_var("VAULT_SECRET_ID", secret_id);
        self.open(&query, env).await.unwrap()
    }

    /// Counts the tokens that AppRole made and that are alive.
    pub(super) async fn tokens(&self) -> usize {
        let path = format!("sys/leases/lookup/auth/{}/login", self.auth);
        let (_, answer) = self.admin.try_call("LIST", &path, Value::Null).await;
        answer["data"]["keys"].as_array().map_or(0, Vec::len)
    }

    /// Revokes every token that an auth mount made.
    pub(super) async fn revoke_all(&self, mount: &str) {
        let path = format!("sys/leases/revoke-prefix/auth/{mount}/login");
        self.admin
            .call("POST", &path, json!({ "sync": true }))
            .await;
    }

    /// Writes a file that only we can read.
    pub(super) fn write(&self, path: impl AsRef<Path>, content: &str) {
        use std::os::unix::fs::PermissionsExt as _;
        let path = path.as_ref();
        std::fs::write(path, content).unwrap();
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600)).unwrap();
    }
}
