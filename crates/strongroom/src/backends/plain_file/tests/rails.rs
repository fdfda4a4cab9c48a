//! The guard rails, at the opening and at every read.

use super::*;
use crate::backends::files::tests::tmpfs;

const DEPLOYMENTS: [(Deployment, bool); 5] = [
    (Deployment::Development, false),
    (Deployment::Test, false),
    (Deployment::Staging, true),
    (Deployment::Production, true),
    (Deployment::Undeclared, true),
];

fn chmod(path: &Path, mode: u32) {
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
}

fn with_rails(path: &Path, env: Env, rails: &GuardRails) -> Connect {
    let url = ProviderUrl::new("file", path.to_str().unwrap());
    Connect::new(url, env, rails.clone())
}

fn rules(rails: &GuardRails) -> Vec<&'static str> {
    let mut rules: Vec<_> = rails.said().iter().map(|finding| finding.rule).collect();
    rules.sort();
    rules.dedup();
    rules
}

/// A directory that is not on tmpfs, where the machine has one.
fn disk() -> Option<tempfile::TempDir> {
    let dir = tempfile::tempdir_in(env!("CARGO_MANIFEST_DIR")).ok()?;
    let kind = rustix::fs::statfs(dir.path()).ok()?.f_type as u32;
    (kind != 0x0102_1994).then_some(dir)
}

#[tokio::test]
async fn files_on_a_disk() {
    let Some(dir) = disk() else { return };
    write(dir.path(), "root/token", "v");
    write(dir.path(), ".env", "TOKEN=v");
    for (deployment, strict) in DEPLOYMENTS {
        for path in [dir.path().join("root"), dir.path().join(".env")] {
            let rails = GuardRails::new(deployment, []);
            match try_open(with_rails(&path, Env::empty(), &rails)).await {
                Err(error) => {
                    assert!(strict, "{deployment}: {error:?}");
                    assert_eq!(error.kind(), ErrorKind::Policy);
                    assert!(error.to_string().contains("plain-file-on-disk"), "{error}");
                }
                Ok(provider) => {
                    assert!(!strict, "{deployment}");
                    assert_eq!(text(&provider, "token").await, "v");
                    assert_eq!(rules(&rails), ["plain-file-on-disk"]);
                }
            }
        }
    }
}

#[tokio::test]
async fn modes_at_every_read() {
    let Some(dir) = tmpfs() else { return };
    for (deployment, strict) in DEPLOYMENTS {
        for (mode, rule) in [
            (0o640, Some("readable-by-others")),
            (0o604, Some("readable-by-others")),
            (0o602, Some("writable-by-others")),
            (0o620, None),
            (0o400, None),
        ] {
            let token = write(dir.path(), "token", "v");
            let document = write(dir.path(), "secrets.json", "{\"token\": \"v\"}");
            for (root, file) in [(dir.path(), &token), (&document, &document)] {
                let rails = GuardRails::new(deployment, []);
                let provider = try_open(with_rails(root, Env::empty(), &rails))
                    .await
                    .unwrap();
                assert_eq!(text(&provider, "token").await, "v");
                // It was fine when it was opened: what counts is what is read.
                chmod(file, mode);
                let read = fetch(&provider, "token").await;
                let refused = strict && rule.is_some();
                assert_eq!(read.is_err(), refused, "{deployment} {mode:o}");
                match read {
                    Err(error) => {
                        assert_eq!(error.kind(), ErrorKind::Policy);
                        assert!(error.to_string().contains(rule.unwrap()), "{error}");
                    }
                    Ok(secret) => {
                        let provenance = secret.metadata().provenance().clone();
                        assert_eq!(provenance.file_mode, Some(mode));
                        assert_eq!(provenance.on_tmpfs, Some(true));
                        assert_eq!(rules(&rails), Vec::from_iter(rule));
                    }
                }
            }
        }
    }
}

#[tokio::test]
async fn directories_that_anyone_can_write() {
    let Some(dir) = tmpfs() else { return };
    let root = dir.path().join("parent/root");
    write(&root, "sub/token", "v");
    let parent = dir.path().join("parent");
    for (deployment, strict) in DEPLOYMENTS {
        for (path, mode, finding) in [
            (&root, 0o777, true),
            (&parent, 0o777, true),
            (&root.join("sub"), 0o703, true),
            (&root, 0o1777, false),
            (&root, 0o770, false),
        ] {
            let rails = GuardRails::new(deployment, []);
            chmod(path, mode);
            let outcome = match try_open(with_rails(&root, Env::empty(), &rails)).await {
                Ok(provider) => fetch(&provider, "sub/token").await.map(drop),
                Err(error) => Err(error),
            };
            chmod(path, 0o700);
            assert_eq!(outcome.is_err(), strict && finding, "{deployment} {mode:o}");
            if let Err(error) = outcome {
                assert_eq!(error.kind(), ErrorKind::Policy);
                assert!(error.to_string().contains("writable-by-others"), "{error}");
            } else {
                assert_eq!(rules(&rails).contains(&"writable-by-others"), finding);
            }
        }
    }
}

async fn warns_of_modes_in_production(mount: &Path, env: Env) {
    let rails = GuardRails::new(Deployment::Production, []);
    let provider = try_open(with_rails(mount, env, &rails)).await.unwrap();
    assert_eq!(text(&provider, "token").await, "v");
    assert_eq!(rules(&rails), ["readable-by-others"]);
    chmod(&mount.join("token"), 0o646);
    assert_eq!(refused(&provider, "token").await.kind(), ErrorKind::Policy);
    chmod(&mount.join("token"), 0o444);
}

#[tokio::test]
async fn mounted_secrets_may_lie_on_any_file_system() {
    for dir in [Some(super::dir()), disk(), tmpfs()].into_iter().flatten() {
        let mount = dir.path().join("mount");
        chmod(&write(&mount, "token", "v"), 0o444);
        let env = Env::empty().with_mounted_secrets(&mount);
        warns_of_modes_in_production(&mount, env).await;
    }
}

#[tokio::test]
async fn a_credentials_directory_in_memory_has_its_modes_warned_of() {
    let Some(dir) = tmpfs() else { return };
    let mount = dir.path().join("mount");
    chmod(&write(&mount, "token", "v"), 0o444);
    let env = Env::empty().with_var("CREDENTIALS_DIRECTORY", &mount);
    warns_of_modes_in_production(&mount, env).await;
}

#[tokio::test]
async fn no_variable_makes_a_directory_on_a_disk_a_credentials_mount() {
    let Some(dir) = disk() else { return };
    let token = write(dir.path(), "root/token", "v");
    let root = dir.path().join("root");
    for credentials in [Path::new("/"), dir.path(), &root] {
        let env = Env::empty().with_var("CREDENTIALS_DIRECTORY", credentials);
        let rails = GuardRails::new(Deployment::Production, []);
        let opened = try_open(with_rails(&root, env.clone(), &rails)).await;
        let error = opened.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Policy);
        assert!(error.to_string().contains("plain-file-on-disk"), "{error}");

        let rails = GuardRails::new(Deployment::Production, [Rail::PlainFileOnDisk]);
        let provider = try_open(with_rails(&root, env, &rails)).await.unwrap();
        chmod(&token, 0o644);
        let error = refused(&provider, "token").await;
        assert!(error.to_string().contains("readable-by-others"), "{error}");
        chmod(&token, 0o600);
    }
}

#[tokio::test]
async fn an_override_lets_it_pass() {
    let dir = super::dir();
    chmod(&write(dir.path(), "token", "v"), 0o644);
    let overridden = [Rail::PlainFileOnDisk, Rail::ReadableByOthers];
    let rails = GuardRails::new(Deployment::Production, overridden);
    let provider = try_open(with_rails(dir.path(), Env::empty(), &rails))
        .await
        .unwrap();
    assert_eq!(text(&provider, "token").await, "v");
    assert!(rules(&rails).contains(&"readable-by-others"));
}
