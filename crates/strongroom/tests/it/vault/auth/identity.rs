//! Logins by what a platform signs: JSON web tokens, service accounts of Kubernetes, certificates.

use std::path::Path;
use std::time::{Duration, SystemTime};

use base64ct::{Base64, Base64UrlUnpadded, Encoding as _};
use ring::rand::SystemRandom;
use ring::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair as _};
use serde_json::{Value, json};
use strongroom::{Env, ErrorKind};
use wiremock::matchers::{method, path};
use wiremock::{Mock, MockServer, Request, ResponseTemplate};

use super::place::{Place, VALUE};
use crate::servers::PrivateBao;
use crate::vault::admin::Admin;

/// What stands before the point of a P-256 key in a public key's DER form.
const SPKI: [u8; 26] = [
    0x30, 0x59, 0x30, 0x13, 0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01, 0x06, 0x08, 0x2a,
    0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07, 0x03, 0x42, 0x00,
];

/// A platform that signs tokens.
struct Issuer(EcdsaKeyPair);

impl Issuer {
    fn new() -> Self {
        let algorithm = &ECDSA_P256_SHA256_FIXED_SIGNING;
        let random = SystemRandom::new();
        let key = EcdsaKeyPair::generate_pkcs8(algorithm, &random).unwrap();
        Self(EcdsaKeyPair::from_pkcs8(algorithm, key.as_ref(), &random).unwrap())
    }

    fn public_key(&self) -> String {
        let der = [&SPKI, self.0.public_key().as_ref()].concat();
        let text = Base64::encode_string(&der);
        format!("-----BEGIN PUBLIC KEY-----\n{text}\n-----END PUBLIC KEY-----\n")
    }

    fn sign(&self, mut claims: Value) -> String {
        let now = SystemTime::now();
        let now = now
            .duration_since(SystemTime::UNIX_EPOCH)
            .unwrap()
            .as_secs();
        claims["iat"] = json!(now);
        claims["exp"] = json!(now + 600);
        let part = |part: &Value| Base64UrlUnpadded::encode_string(part.to_string().as_bytes());
        let header = json!({ "alg": "ES256", "typ": "JWT" });
        let text = format!("{}.{}", part(&header), part(&claims));
        let signature = self.0.sign(&SystemRandom::new(), text.as_bytes()).unwrap();
        format!(
            "{text}.{}",
            Base64UrlUnpadded::encode_string(signature.as_ref())
        )
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_signed_token_logs_in_and_is_read_at_each_login() {
    let Some(place) = Place::new().await else {
        return;
    };
    let mount = place.enable("jwt").await;
    let issuer = Issuer::new();
    let config = json!({
        "jwt_validation_pubkeys": [issuer.public_key()],
        "jwt_supported_algs": ["ES256"],
        "bound_issuer": "https://ci.example",
    });
    place
        .admin
        .call("POST", &format!("auth/{mount}/config"), config)
        .await;
    let role = json!({
        "role_type": "jwt", "user_claim": "sub", "bound_audiences": ["strongroom"],
        "token_policies": place.policy,
    });
    place
        .admin
        .call("POST", &format!("auth/{mount}/role/app"), role)
        .await;
    let claims =
        |audience: &str| json!({ "iss": "https://ci.example", "sub": "job", "aud": audience });
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("jwt");
    let query = format!(
        "auth=jwt&auth_mount={mount}&role=app&jwt_file={}",
        file.display()
    );
    place.write(&file, &issuer.sign(claims("strongroom")));
    let provider = place.open(&query, Env::empty()).await.unwrap();
    assert_eq!(place.read(&provider).await.unwrap(), VALUE);
    // The platform puts another one there, which is not for us: that is what the next login takes.
    let foreign = issuer.sign(claims("somebody-else"));
    place.write(&file, &foreign);
    place.revoke_all(&mount).await;
    let error = place.read(&provider).await.unwrap_err();
    let shown = format!("{error:?}");
    assert_eq!(error.kind(), ErrorKind::Auth, "{shown}");
    assert!(!shown.contains(&foreign), "{shown}");
    let by_variable = format!("auth=jwt&auth_mount={mount}&role=app");
    let env = Env::empty().with_var("VAULT_JWT", issuer.sign(claims("strongroom")));
    let provider = place.open(&by_variable, env).await.unwrap();
    assert_eq!(place.read(&provider).await.unwrap(), VALUE);
}

/// There is no Kubernetes here; what the server asks of it is one request, which is answered as
/// Kubernetes does.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_service_account_of_kubernetes_logs_in() {
    let Some(place) = Place::new().await else {
        return;
    };
    let issuer = Issuer::new();
    let jwt = issuer.sign(json!({
        "iss": "kubernetes/serviceaccount", "sub": "system:serviceaccount:prod:app",
        "aud": ["strongroom"],
        "kubernetes.io": {
            "namespace": "prod", "serviceaccount": { "name": "app", "uid": "uid-1" },
        },
    }));
    let cluster = MockServer::start().await;
    let expected = jwt.clone();
    Mock::given(method("POST"))
        .and(path("/apis/authentication.k8s.io/v1/tokenreviews"))
        .respond_with(move |request: &Request| {
            let review: Value = serde_json::from_slice(&request.body).unwrap();
            let known = review["spec"]["token"] == expected.as_str();
            ResponseTemplate::new(201).set_body_json(json!({
                "apiVersion": "authentication.k8s.io/v1", "kind": "TokenReview",
                "status": {
                    "authenticated": known,
                    "user": {
                        "username": "system:serviceaccount:prod:app", "uid": "uid-1",
                        "groups": ["system:serviceaccounts", "system:authenticated"],
                    },
                    "audiences": review["spec"]["audiences"],
                },
            }))
        })
        .mount(&cluster)
        .await;
    let mount = place.enable("kubernetes").await;
    let config = json!({
        "kubernetes_host": cluster.uri(),
        "kubernetes_ca_cert": authority(&place.admin).await.1,
        "token_reviewer_jwt": jwt, "disable_local_ca_jwt": true,
    });
    place
        .admin
        .call("POST", &format!("auth/{mount}/config"), config)
        .await;
    let role = json!({
        "bound_service_account_names": ["app"], "bound_service_account_namespaces": ["prod"],
        "audience": "strongroom", "token_policies": place.policy,
    });
    place
        .admin
        .call("POST", &format!("auth/{mount}/role/app"), role)
        .await;
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("token");
    place.write(&file, &jwt);
    let query = format!(
        "auth=kubernetes&auth_mount={mount}&role=app&jwt_file={}",
        file.display()
    );
    let provider = place.open(&query, Env::empty()).await.unwrap();
    assert_eq!(place.read(&provider).await.unwrap(), VALUE);
    let other = query.replace("role=app", "role=other");
    let provider = place.open(&other, Env::empty()).await.unwrap();
    let error = place.read(&provider).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Auth, "{error:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_certificate_logs_in_and_is_read_at_each_login() {
    let Some(bao) = PrivateBao::dev_tls() else {
        return;
    };
    let place = Place::on(Admin::new(&bao.server.address, &bao.server.token)).await;
    let (pki, ca) = authority(&place.admin).await;
    let mount = place.enable("cert").await;
    let role = format!("auth/{mount}/certs/app");
    let accepts = |name: &str| json!({ "certificate": ca, "allowed_common_names": name, "token_policies": place.policy });
    place.admin.call("POST", &role, accepts("one")).await;
    let dir = tempfile::tempdir().unwrap();
    issue(&place, &pki, "one", dir.path()).await;
    let at = |name: &str| dir.path().join(name).display().to_string();
    let trusted = bao.server.ca.clone().unwrap();
    let query = format!(
        "auth=cert&auth_mount={mount}&role=app&ca_file={}&client_cert={}&client_key={}",
        trusted.display(),
        at("cert.pem"),
        at("key.pem")
    );
    let provider = place.open(&query, Env::empty()).await.unwrap();
    assert_eq!(place.read(&provider).await.unwrap(), VALUE);
    // From now on the role takes the next certificate only, and that is what lies there.
    place.admin.call("POST", &role, accepts("two")).await;
    issue(&place, &pki, "two", dir.path()).await;
    place.revoke_all(&mount).await;
    assert_eq!(place.read(&provider).await.unwrap(), VALUE);
    provider.close().await.unwrap();
}

/// An authority on the server: its mount and its certificate.
async fn authority(admin: &Admin) -> (String, String) {
    let pki = crate::vault::admin::unique("pki");
    let mount = json!({ "type": "pki" });
    admin
        .call("POST", &format!("sys/mounts/{pki}"), mount)
        .await;
    let root = json!({ "common_name": "clients", "ttl": "24h", "key_type": "ec" });
    let path = format!("{pki}/root/generate/internal");
    let made = admin.call("POST", &path, root).await;
    let certificate = made["data"]["certificate"].as_str().unwrap().to_owned();
    (pki, certificate)
}

async fn issue(place: &Place, pki: &str, name: &str, dir: &Path) {
    let role = json!({
        "allow_any_name": true, "enforce_hostnames": false, "key_type": "ec", "ttl": "1h",
    });
    place
        .admin
        .call("POST", &format!("{pki}/roles/app"), role)
        .await;
    let wanted = json!({ "common_name": name, "format": "pem" });
    let issued = place
        .admin
        .call("POST", &format!("{pki}/issue/app"), wanted)
        .await;
    let text = |key: &str| issued["data"][key].as_str().unwrap().to_owned();
    place.write(dir.join("cert.pem"), &text("certificate"));
    place.write(dir.join("key.pem"), &text("private_key"));
    // A certificate is valid from its second on.
    tokio::time::sleep(Duration::from_millis(10)).await;
}
