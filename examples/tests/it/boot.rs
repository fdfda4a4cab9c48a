use std::fs;
use std::path::{Path, PathBuf};

use strongroom::provider::Stage;
use strongroom::sealed_file::{SealedFile, SlotKey};
use strongroom::{Secret, SecretName};

use crate::program::{example, run};

const TOKEN: &str = "pX4v-Tz0qL9e_W2mR7kB1nY6cH3sJ8dF";
const PASSWORD: &str = "violet-Kayak-19-thunder";
const KEY: &str = "q3f8YkH0tVnE2rZsX1bLw9cUoJ7mPi4aGd6hQyTe5Rk=";
const VALUES: [(&str, &str); 3] = [
    ("database/password", PASSWORD),
    ("partner/token", TOKEN),
    ("session/signing-key", KEY),
];

fn own_file(dir: &Path) -> PathBuf {
    dir.join("target/strongroom-example/secrets.sealed")
}

fn own_key(dir: &Path) -> PathBuf {
    dir.join("target/strongroom-example/secrets.key")
}

fn read_all(dir: &Path) -> Vec<String> {
    let key = fs::read_to_string(own_key(dir)).unwrap();
    let key = SlotKey::from_text(&Secret::from_text(key)).unwrap();
    let file = SealedFile::open(own_file(dir), key).unwrap();
    let read = |(name, _)| {
        let name = SecretName::parse(name).unwrap();
        let secret = file.get(&name, &Stage::Current).unwrap();
        secret.expose_str().unwrap().to_owned()
    };
    VALUES.map(read).to_vec()
}

#[test]
fn it_creates_what_is_missing_once_and_shows_no_value() {
    let dir = tempfile::tempdir().unwrap();
    let (ok, printed) = run(&mut example("boot", dir.path()));
    assert!(ok, "{printed}");
    assert!(printed.contains("deployment  development"), "{printed}");
    assert!(
        printed.contains("Created session/signing-key, a random key."),
        "{printed}"
    );
    assert_eq!(printed.matches("[REDACTED]").count(), 3, "{printed}");

    let values = read_all(dir.path());
    let (ok, again) = run(&mut example("boot", dir.path()));
    assert!(ok, "{again}");
    assert_eq!(read_all(dir.path()), values, "left alone");
    let sealed = fs::read_to_string(own_file(dir.path())).unwrap();
    assert!(!again.contains("Created"), "{again}");
    for value in &values {
        for shown in [&printed, &again, &sealed] {
            assert!(!shown.contains(value.as_str()), "{shown}");
        }
    }
}

#[cfg(unix)]
#[test]
fn its_files_are_for_their_owner_alone() {
    use std::os::unix::fs::PermissionsExt as _;

    let dir = tempfile::tempdir().unwrap();
    assert!(run(&mut example("boot", dir.path())).0);
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o7777;
    let (file, key) = (own_file(dir.path()), own_key(dir.path()));
    assert_eq!(mode(file.parent().unwrap()), 0o700);
    assert_eq!([mode(&file), mode(&key)], [0o600, 0o600]);
}

#[test]
fn variables_swap_the_backend_of_the_same_program() {
    let dir = tempfile::tempdir().unwrap();
    let mounted = dir.path().join("mounted");
    for (name, value) in VALUES {
        let path = mounted.join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, value).unwrap();
    }
    let mut files = example("boot", dir.path());
    files
        .env("STRONGROOM_ENV", "test")
        .env("STRONGROOM_DIR", &mounted);
    let mut variables = example("boot", dir.path());
    variables.env("STRONGROOM_PROVIDER", "env:?prefix=APP_");
    for (name, value) in VALUES {
        let name = name.to_uppercase().replace(['/', '-'], "_");
        variables.env(format!("APP_{name}"), value);
    }
    for (mut command, decided) in [
        (files, "marker class: STRONGROOM_DIR"),
        (variables, "provider    env:?prefix=APP_"),
    ] {
        let (ok, printed) = run(&mut command);
        assert!(ok && printed.contains(decided), "{printed}");
        for (_, value) in VALUES {
            assert!(!printed.contains(value), "{printed}");
        }
    }
    assert!(!own_file(dir.path()).exists());
}

#[test]
fn weak_and_missing_secrets_stop_it_with_one_report() {
    let dir = tempfile::tempdir().unwrap();
    let mut command = example("boot", dir.path());
    command
        .env("STRONGROOM_PROVIDER", "env:?prefix=APP_")
        .env("APP_DATABASE_PASSWORD", "changeme");
    let (ok, printed) = run(&mut command);
    assert!(!ok, "{printed}");
    for finding in ["[placeholder]", "partner/token", "session/signing-key"] {
        assert!(printed.contains(finding), "{printed}");
    }
    assert!(!printed.contains("changeme"), "{printed}");
}

#[test]
fn production_gets_no_files_of_its_own() {
    let dir = tempfile::tempdir().unwrap();
    let (ok, printed) = run(example("boot", dir.path()).env("STRONGROOM_ENV", "production"));
    assert!(!ok, "{printed}");
    assert!(printed.contains("set STRONGROOM_PROVIDER"), "{printed}");
    assert!(!own_file(dir.path()).exists());
}
