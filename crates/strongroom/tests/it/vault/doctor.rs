//! The examination, over TLS, of a server in trouble, in a namespace, and of dynamic secrets.

use serde_json::json;
use strongroom::{
    Check, CheckOutcome, Declared, DeclaredSource, Env, ErrorKind, Examination, Kind, SecretName,
    SecretsFactory,
};

use super::admin::{Admin, unique};
use crate::servers::PrivateBao;

const TOKEN: SecretName = SecretName::from_static("api/token");
const USER: SecretName = SecretName::from_static("database/user");

async fn examine(address: &str, env: Env, declared: Vec<Declared>) -> Examination {
    let env = env
        .with_var("STRONGROOM_ENV", "development")
        .with_var("VAULT_CLIENT_TIMEOUT", "2");
    let builder = SecretsFactory::builder().env(env).declare(declared);
    let builder = builder.provider_url(address.parse().unwrap());
    builder.examine().await.unwrap()
}

fn checks<'a>(found: &'a Examination, subject: &str) -> Vec<&'a Check> {
    let found = found.providers[0].diagnosis.checks.iter();
    found.filter(|check| check.subject == subject).collect()
}

#[track_caller]
fn only<'a>(found: &'a Examination, subject: &str) -> &'a Check {
    match checks(found, subject)[..] {
        [check] => check,
        _ => panic!("not one check of {subject}: {found:?}"),
    }
}

#[tokio::test]
async fn tls_is_judged_as_requests_judge_it_and_the_chain_is_shown() {
    let Some(bao) = PrivateBao::dev_tls() else {
        return;
    };
    let admin = Admin::new(&bao.server.address, &bao.server.token);
    let ca = bao.server.ca.as_ref().unwrap().display().to_string();
    let address = admin.url("/secret");
    let declared = || vec![Declared::new(TOKEN, Kind::Token)];

    let trusted = format!("{address}?ca_file={ca}");
    let found = examine(&trusted, admin.env(), declared()).await;
    let tls = only(&found, "TLS");
    assert_eq!(tls.outcome, CheckOutcome::Ok, "{found:?}");
    assert!(tls.detail.contains("TLS 1.3"), "{}", tls.detail);
    let chain = checks(&found, "certificate");
    assert!(!chain.is_empty());
    for certificate in chain {
        assert!(certificate.detail.contains("ends in"), "{certificate:?}");
        assert!(certificate.detail.contains("signed by"), "{certificate:?}");
    }
    assert_eq!(
        only(&found, "policy of api/token").outcome,
        CheckOutcome::Ok
    );

    // Nobody here trusts its authority: the reason is said, and the certificate shown all the same.
    let empty = tempfile::tempdir().unwrap();
    let other = empty.path().join("other.pem");
    std::fs::write(&other, OTHER_AUTHORITY).unwrap();
    let stranger = format!("{address}?ca_file={}", other.display());
    let found = examine(&stranger, admin.env(), declared()).await;
    let tls = only(&found, "TLS");
    assert_eq!(tls.outcome, CheckOutcome::Failed);
    assert!(tls.detail.contains("UnknownIssuer"), "{}", tls.detail);
    assert!(tls.help.contains("VAULT_CACERT"), "{}", tls.help);
    assert!(!checks(&found, "certificate").is_empty());
    assert!(checks(&found, "auth").is_empty());

    let misnamed = format!("{trusted}&server_name=vault.internal");
    let found = examine(&misnamed, admin.env(), declared()).await;
    let tls = only(&found, "TLS");
    assert_eq!(tls.outcome, CheckOutcome::Failed);
    assert!(tls.detail.contains("vault.internal"), "{}", tls.detail);

    let env = admin.env().with_var("VAULT_SKIP_VERIFY", "true");
    let found = examine(&address, env, declared()).await;
    assert_eq!(only(&found, "TLS").outcome, CheckOutcome::Warning);
    let said = |check: &&Check| check.subject == "certificate-check-disabled";
    assert!(found.configuration.iter().any(|check| said(&check)));
}

#[tokio::test]
async fn a_server_that_is_sealed_or_not_initialised_says_so() {
    let Some(bao) = PrivateBao::dev() else { return };
    let admin = Admin::new(&bao.server.address, &bao.server.token);
    bao.seal();
    let found = examine(&admin.url("/secret"), admin.env(), Vec::new()).await;
    let server = only(&found, "server");
    assert!(server.detail.contains("is sealed"), "{}", server.detail);
    assert_eq!(server.kind, Some(ErrorKind::Transient));
    assert!(checks(&found, "auth").is_empty());
    assert_eq!(only(&found, "clock").outcome, CheckOutcome::Ok);
    bao.unseal();
    let found = examine(&admin.url("/secret"), admin.env(), Vec::new()).await;
    assert_eq!(only(&found, "server").outcome, CheckOutcome::Ok);

    let Some(new) = PrivateBao::uninitialised() else {
        return;
    };
    let admin = Admin::new(&new.server.address, "none");
    let found = examine(&admin.url("/secret"), admin.env(), Vec::new()).await;
    let server = only(&found, "server");
    assert!(server.detail.contains("not initialised"), "{server:?}");
}

#[tokio::test]
async fn a_server_that_never_answers_is_given_up() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    for scheme in ["vault", "vault+http"] {
        let address = format!("{scheme}://127.0.0.1:{port}/kv");
        let env = Env::empty().with_var("VAULT_TOKEN", "canary");
        let found = examine(&address, env, Vec::new()).await;
        assert_eq!(only(&found, "TCP").outcome, CheckOutcome::Ok);
        let failed = found.checks().find(|c| c.outcome == CheckOutcome::Failed);
        assert_eq!(failed.unwrap().kind, Some(ErrorKind::Transient));
        assert!(!format!("{found:?}").contains("canary"));
    }
}

#[tokio::test]
async fn in_a_namespace_the_policy_is_enough_there() {
    let Some(admin) = Admin::shared() else { return };
    let namespace = admin.make_namespace().await;
    let inside = admin.within(&namespace);
    let mount = inside.mount_kv("2").await;
    let address = admin.url(&format!("/{mount}/eu?namespace={namespace}"));
    let declared = || vec![Declared::new(TOKEN, Kind::Token)];
    let found = examine(&address, admin.env(), declared()).await;
    let policy = found.providers[0].diagnosis.policy.clone().unwrap();
    assert!(
        policy.contains(&format!("-namespace={namespace}")),
        "{policy}"
    );
    assert!(policy.contains(&format!("path \"{mount}/data/eu/api/token\"")));

    let body = json!({ "policy": policy });
    inside.call("POST", "sys/policies/acl/app", body).await;
    let body = json!({ "policies": ["app"] });
    let made = inside.call("POST", "auth/token/create", body).await;
    let token = made["auth"]["client_token"].as_str().unwrap();
    let env = Env::empty().with_var("VAULT_TOKEN", token);
    let found = examine(&address, env, declared()).await;
    let failed = found.checks().find(|c| c.outcome == CheckOutcome::Failed);
    assert!(failed.is_none(), "{failed:?}");
    assert!(!format!("{found:?}").contains(token));
}

#[tokio::test]
async fn a_dynamic_secret_needs_no_store_and_its_engine_s_path() {
    let Some(admin) = Admin::shared() else { return };
    let id = format!("{}/creds/app", unique("database"));
    let source = DeclaredSource::of_id(&id, Some("username".into())).with_lease();
    let declared = || vec![Declared::new(USER, Kind::Opaque).with_source(source.clone())];
    let body = json!({ "policies": ["default"], "ttl": "1h", "renewable": false });
    let made = admin.call("POST", "auth/token/create", body).await;
    let token = made["auth"]["client_token"].as_str().unwrap();
    let env = Env::empty().with_var("VAULT_TOKEN", token);
    let address = admin.url("/no-such-mount");
    let found = examine(&address, env, declared()).await;
    assert!(checks(&found, "mount").is_empty());
    let missing = only(&found, "policy of database/user");
    assert_eq!(missing.detail, format!("`read` on `{id}` is missing"));
    assert_eq!(
        (missing.outcome, missing.kind),
        (CheckOutcome::Failed, None)
    );
    // It was given to us, and nothing follows when it ends.
    let auth = only(&found, "auth");
    assert_eq!(auth.outcome, CheckOutcome::Warning, "{auth:?}");
    assert!(auth.detail.contains("not renewable"), "{auth:?}");
    let policy = found.providers[0].diagnosis.policy.as_ref().unwrap();
    assert!(policy.contains(&format!("path \"{id}\"")), "{policy}");
}

/// The certificate of an authority that signed nothing.
const OTHER_AUTHORITY: &str = "\
-----BEGIN CERTIFICATE-----
MIIBrDCCAVOgAwIBAgIUHANG/LApAJs/qYxUyIi1geQxpFQwCgYIKoZIzj0EAwIw
KzEpMCcGA1UEAwwgQW4gYXV0aG9yaXR5IHRoYXQgc2lnbmVkIG5vdGhpbmcwIBcN
MjYxMTIxMTYxNDExWhgPMjEyNjEwMjgxNjE0MTFaMCsxKTAnBgNVBAMMIEFuIGF1
dGhvcml0eSB0aGF0IHNpZ25lZCBub3RoaW5nMFkwEwYHKoZIzj0CAQYIKoZIzj0D
AQcDQgAEtHvNhHEFZOWJn7xorltNJvCtDPIJtzTnnK2pVmMSbNpiqxlpuiXyJlDz
7HEmYdwCz5Nm4X7R8EkXhrRDnItdw6NTMFEwHQYDVR0OBBYEFNZ1b1kItep5438c
r3KejiwOKkbMMB8GA1UdIwQYMBaAFNZ1b1kItep5438cr3KejiwOKkbMMA8GA1Ud
EwEB/wQFMAMBAf8wCgYIKoZIzj0EAwIDRwAwRAIgPEGEa7BM3pHYwUuRYDI9U9N6
JP8eGA239eIjLTS4FdgCIDFZqec+yxxbf0SK4AYNGi5A6MIZurZtgyPEv3IfX7H9
-----END CERTIFICATE-----
";
