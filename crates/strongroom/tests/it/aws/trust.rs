//! A manifest in a checkout of somebody else's, which a tool found by searching.

use strongroom::SecretsFactory;

use super::account::Account;
use super::name;

/// Its address says a region and a prefix, and never a server: requests go to AWS, or to the endpoint
/// that the environment names. So it may be used, and reads what our own identity may read.
#[tokio::test]
async fn its_address_leads_nowhere_but_to_aws() {
    let Some(account) = Account::new() else {
        return;
    };
    account.create("a", "value").await;
    let dir = tempfile::tempdir().unwrap();
    let tool = |address: &str| {
        let manifest = format!(
            "[default]\nprovider = \"{address}\"\n[default.secrets]\n\"a\" = {{ kind = \"token\" }}\n"
        );
        std::fs::write(dir.path().join("strongroom.toml"), manifest).unwrap();
        let env = account.env().with_working_dir(dir.path());
        let env = env.with_var("STRONGROOM_ENV", "development");
        SecretsFactory::builder().env(env).distrust_found_manifest()
    };
    let own = account.address();
    assert!(!tool(&own).explain_connect().unwrap().is_trusted());
    let connection = tool(&own).connect().await.unwrap();
    let secret = connection.read(&name("a")).await.unwrap();
    assert_eq!(secret.expose_str().unwrap(), "value");
    account.calls().await;
    for elsewhere in [
        "aws://evil.example/app",
        "aws://127.0.0.1:9/app",
        "aws://eu-west-1.evil.example/app",
        "aws://user@eu-west-1/app",
        "aws://eu-west-1/app?endpoint_url=http://evil.example",
        "aws://eu-west-1/app?profile=admin",
        "aws+http://evil.example/app",
    ] {
        let refused = tool(elsewhere).connect().await;
        assert!(refused.is_err(), "{elsewhere}");
    }
    assert_eq!(account.calls().await, [] as [&str; 0]);
}
