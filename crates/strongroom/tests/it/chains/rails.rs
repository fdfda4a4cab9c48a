//! A chain to a weaker provider: refused where production's guard rails hold, unless overridden.

use std::path::Path;

use super::*;

const fn row(scheme: &'static str, strength: Strength) -> Backend {
    Backend::new(scheme, "a memory", |_| {
        Box::pin(async { Ok(Arc::new(Memory::new()) as Arc<dyn SecretProvider>) })
    })
    .with_strength(strength)
}

fn chain(dir: &Path, deployment: &str, address: &str, danger: &str) -> SecretsBuilder {
    let manifest = format!(
        "[default]\nprovider = \"{address}\"\n{danger}\n[default.providers]\n\
         plain = \"plain:\"\nunsaid = \"memory:\"\nencrypted = \"encrypted:\"\n\
         server = \"server:\"\nother = \"server:other\"\n"
    );
    builder(dir, deployment, &manifest)
        .backend(row("plain", Strength::Plain))
        .backend(row("encrypted", Strength::Encrypted))
        .backend(row("server", Strength::Authenticated))
}

async fn said(builder: SecretsBuilder) -> Result<Vec<&'static str>> {
    let connection = builder.connect().await?;
    let said = connection.rails().said().into_iter();
    Ok(said.map(|finding| finding.rule).collect())
}

const DANGER: &str = "danger_allow_weaker_chain = true";

#[tokio::test]
async fn each_deployment_and_the_override() {
    let dir = tempfile::tempdir().unwrap();
    for address in [
        "chain:server,plain",
        "chain:encrypted,server",
        "chain:unsaid,other,server",
    ] {
        for deployment in ["production", "staging", ""] {
            let error = said(chain(dir.path(), deployment, address, ""))
                .await
                .unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Policy, "{address} in {deployment}");
            let told = error.to_string();
            assert!(
                told.contains("`server`") || told.contains("`other`"),
                "{told}"
            );
            assert!(error.help().unwrap().contains(DANGER), "{error:?}");
            let allowed = said(chain(dir.path(), deployment, address, DANGER))
                .await
                .unwrap();
            assert_eq!(
                allowed,
                ["danger-override", "weaker-chain"],
                "{address} in {deployment}"
            );
        }
        for deployment in ["development", "test"] {
            let warned = said(chain(dir.path(), deployment, address, ""))
                .await
                .unwrap();
            assert_eq!(warned, ["weaker-chain"], "{address} in {deployment}");
        }
    }
}

#[tokio::test]
async fn equally_strong_ones_are_fine_everywhere() {
    let dir = tempfile::tempdir().unwrap();
    // A row that says nothing is among the weakest.
    for address in ["chain:server,other", "chain:plain,unsaid"] {
        assert!(
            said(chain(dir.path(), "production", address, ""))
                .await
                .unwrap()
                .is_empty()
        );
    }
}

#[tokio::test]
async fn our_own_backends_are_as_strong_as_they_say() {
    let strengths = SecretsFactory::backends()
        .iter()
        .map(|row| (row.scheme(), row.strength()));
    let (plain, encrypted, server) = (
        Strength::Plain,
        Strength::Encrypted,
        Strength::Authenticated,
    );
    assert_eq!(
        strengths.collect::<Vec<_>>(),
        [
            ("vault", server),
            ("aws", server),
            ("sealed", encrypted),
            ("env", plain),
            ("file", plain),
            ("exec", plain),
            ("memory", plain),
        ]
    );
}

#[tokio::test]
async fn the_doctor_says_it_too() {
    let dir = tempfile::tempdir().unwrap();
    let builder = chain(dir.path(), "production", "chain:server,plain", "");
    let examination = builder.examine().await.unwrap();
    let check = examination
        .configuration
        .iter()
        .find(|check| check.subject == "chain")
        .unwrap();
    assert_eq!(check.kind, Some(ErrorKind::Policy));
    assert_eq!(examination.providers.len(), 2);
}
