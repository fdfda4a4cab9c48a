//! The same program boots on all five backends, chosen by variables alone.

use std::collections::BTreeMap;
use std::path::Path;

use strongroom::generate;
use strongroom::provider::Expect;

use crate::program::{example, run};
use crate::servers::{Servers, Variables, connect};

const MANIFEST: &str = include_str!("../../boot/strongroom.toml");

/// Writes a strong value under each name that the program declares, and returns them by variable.
async fn fill(variables: &Variables, dir: &Path) {
    let connection = connect(variables, dir, MANIFEST).await;
    for declared in connection.declared() {
        let value = generate(declared).unwrap();
        connection
            .put(&declared.name, &value, Expect::Absent)
            .await
            .unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn variables_alone_choose_one_of_five_backends() {
    let Some(servers) = Servers::find() else {
        return;
    };
    let dir = tempfile::tempdir().unwrap();
    let part = format!("five-{}", std::process::id());
    let path = |name: &str| dir.path().join(name).display().to_string();
    std::fs::create_dir(dir.path().join("mounted")).unwrap();
    let development = ("STRONGROOM_ENV", "development".to_owned());

    let files = BTreeMap::from([development.clone(), ("STRONGROOM_DIR", path("mounted"))]);
    // The program makes its own sealed file where nothing is said; a service is told of one.
    assert!(run(&mut example("boot", dir.path())).0);
    let sealed = "sealed:target/strongroom-example/secrets.sealed\
                  ?key_file=target/strongroom-example/secrets.key";
    let sealed = BTreeMap::from([
        development.clone(),
        ("STRONGROOM_PROVIDER", sealed.to_owned()),
    ]);
    let mut vault = servers.vault(&part);
    let mut aws = servers.aws(&part);
    for variables in [&mut vault, &mut aws] {
        variables.insert(development.0, development.1.clone());
    }
    for variables in [&files, &vault, &aws] {
        fill(variables, dir.path()).await;
    }
    let mut environment = BTreeMap::from([development]);
    environment.insert("STRONGROOM_PROVIDER", "env:?prefix=APP_".to_owned());
    let connection = connect(&files, dir.path(), MANIFEST).await;
    for (name, variable) in [
        ("database/password", "APP_DATABASE_PASSWORD"),
        ("partner/token", "APP_PARTNER_TOKEN"),
        ("session/signing-key", "APP_SESSION_SIGNING_KEY"),
    ] {
        let file = dir.path().join("mounted").join(name);
        environment.insert(variable, std::fs::read_to_string(file).unwrap());
        assert!(connection.declaration(name).is_some());
    }

    for (variables, provider, why) in [
        (&environment, "env:?prefix=APP_", "STRONGROOM_PROVIDER"),
        (&files, "file:", "STRONGROOM_DIR"),
        (&sealed, "sealed:target/", "STRONGROOM_PROVIDER"),
        (&vault, "vault+http://127.0.0.1:", "VAULT_ADDR"),
        (&aws, "aws://eu-west-1/five-", "STRONGROOM_AWS_PREFIX"),
    ] {
        let mut command = example("boot", dir.path());
        let (booted, printed) = run(command.envs(variables));
        println!("{printed}");
        assert!(booted, "{printed}");
        let chosen = printed
            .lines()
            .find(|line| line.trim_start().starts_with("provider"));
        assert!(
            chosen.is_some_and(|line| line.contains(provider)),
            "{printed}"
        );
        assert!(printed.contains(why), "{printed}");
        assert_eq!(printed.matches("[REDACTED]").count(), 3, "{printed}");
    }
}
