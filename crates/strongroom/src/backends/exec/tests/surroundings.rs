//! What a program gets from us besides its request: nearly nothing.

use super::*;

/// A script whose value is what a command prints, a line each.
fn telling(command: &str) -> Fixture {
    Fixture::new(&format!(
        "value=$({{ {command}; }} | tr '\\n' ';')\n\
         printf '{{\"protocol\":1,\"answers\":[{{\"request\":1,\"text\":\"%s\"}}]}}' \"$value\"\n"
    ))
}

async fn told(fixture: &Fixture, query: &str, env: Env) -> Vec<String> {
    let mut connect = connect(&fixture.address(query));
    connect.env = Arc::new(env);
    let provider = BACKEND.open(connect).await.unwrap();
    let told = read(&*provider).await.unwrap();
    let told = told.expose_str().unwrap().split(';');
    told.filter(|line| !line.is_empty())
        .map(str::to_owned)
        .collect()
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn the_environment_is_empty_but_for_what_is_documented_or_passed_on() {
    // Of the shell itself, as it was started: not what it then sets.
    let fixture = telling("tr '\\0' '\\n' < /proc/$$/environ");
    let env = || {
        Env::empty()
            .with_var("VAULT_TOKEN", CANARY)
            .with_var("LD_PRELOAD", "/no/such.so")
            .with_var("HOME", "/srv/app")
            .with_var("STORE", "/srv/store")
    };
    let clean = ["PATH=/usr/local/bin:/usr/bin:/bin", "LANG=C.UTF-8"];
    let mut found = told(&fixture, "", env()).await;
    found.sort_unstable_by(|a, b| b.cmp(a));
    assert_eq!(found, clean);
    let mut found = told(&fixture, "?pass=STORE,HOME,NOT_SET", env()).await;
    found.sort_unstable_by(|a, b| b.cmp(a));
    assert_eq!(
        found,
        ["STORE=/srv/store", clean[0], clean[1], "HOME=/srv/app"]
    );
    let found = told(
        &fixture,
        "?pass=PATH",
        env().with_var("PATH", "/usr/bin:/bin"),
    )
    .await;
    assert!(
        found.contains(&"PATH=/usr/bin:/bin".to_owned()),
        "{found:?}"
    );
    assert_eq!(found.len(), 2);
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn it_has_its_own_group_the_root_as_its_folder_and_none_of_our_files() {
    let held = tempfile::NamedTempFile::new().unwrap();
    let fixture =
        telling("readlink /proc/$$/cwd /proc/$$/fd/*; cut -d ' ' -f 5 /proc/$$/stat; echo $$");
    let found = told(&fixture, "", Env::empty()).await;
    assert_eq!(found[0], "/", "{found:?}");
    let held = held.path().display().to_string();
    assert!(!found.contains(&held), "{found:?}");
    assert_eq!(found[found.len() - 1], found[found.len() - 2], "{found:?}");
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn its_command_line_is_its_path_alone() {
    let fixture = telling("tr '\\0' '\\n' < /proc/$$/cmdline");
    let path = fixture.path().display().to_string();
    let found = told(&fixture, "?config=some-text", Env::empty()).await;
    assert_eq!(found, ["/bin/sh", path.as_str()]);
}

#[tokio::test]
async fn a_manifest_that_nobody_named_runs_nothing() {
    let fixture = Fixture::new(ANSWER);
    let ran = fixture.dir.path().join("ran");
    fixture.install(&format!("#!/bin/sh\necho > {}\n", ran.display()));
    let mut connect = connect(&fixture.address(""));
    connect.trusted = false;
    let shown = refused(BACKEND.open(connect.clone()).await, ErrorKind::Config);
    assert!(shown.contains("strongroom trust"), "{shown}");
    let diagnosis = BACKEND.examine(&connect).unwrap().await;
    assert_eq!(diagnosis.checks.len(), 1);
    assert!(!ran.exists());
}
