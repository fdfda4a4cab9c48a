//! The service as a process, with every log that it can write.

use std::fs::{self, File};
use std::time::Instant;

use rustix::process::Signal;
use sha2::{Digest as _, Sha256};
use strongroom::{Declared, Kind, Secret, SecretName, generate};

use crate::client::Client;
use crate::program::example;
use crate::rotation::mount::Mount;
use crate::service::{LIMIT, Service};

const TOKEN: SecretName = SecretName::from_static("api/token");

fn new_token() -> Secret {
    generate(&Declared::new(TOKEN, Kind::Token)).unwrap()
}

fn text(token: &Secret) -> &str {
    token.expose_str().unwrap()
}

#[test]
fn a_token_rotates_guesses_are_limited_and_nothing_is_logged() {
    let (token, next, never_valid) = (new_token(), new_token(), new_token());
    let secrets = tempfile::tempdir().unwrap();
    let mut mount = Mount::new(secrets.path());
    mount.swap(&token);
    let dir = tempfile::tempdir().unwrap();
    let log = dir.path().join("log");
    let mut command = example("bearer", dir.path());
    command
        .arg("--serve")
        .env("STRONGROOM_ENV", "development")
        .env("STRONGROOM_DIR", secrets.path())
        .env("RUST_LOG", "trace")
        .stderr(File::create(&log).unwrap());
    let service = Service::start(&mut command);
    let mut client = Client::new(&service.address);
    let mut get = |path: &str, token: Option<&Secret>| {
        let (status, body) = client.get(path, token.map(text)).unwrap();
        (status, body)
    };
    let welcome = (200, "welcome".to_owned());

    assert_eq!(get("/", Some(&token)), welcome);
    let mut shown = Vec::new();
    for refused in [None, Some(&never_valid)] {
        assert_eq!(get("/", refused), (401, String::new()));
        assert_eq!(get("/health/details", refused), (401, String::new()));
    }
    let (status, word) = get("/health", None);
    assert!(
        status == 200 && ["ready", "degraded"].contains(&&*word),
        "{word}"
    );
    shown.push(word);

    let details = get("/health/details", Some(&token));
    assert!(details.1.contains("api/token"), "{details:?}");
    let version = |details: &str| details.split("\"version\":").nth(1).map(str::to_owned);
    let before = version(&details.1)
        .unwrap()
        .split(',')
        .next()
        .map(str::to_owned);
    mount.swap(&next);
    let begun = Instant::now();
    // The former token goes on being let in, so that asking is no failure.
    loop {
        let (status, body) = get("/health/details", Some(&token));
        assert_eq!(status, 200);
        let now = version(&body).unwrap().split(',').next().map(str::to_owned);
        shown.push(body);
        if now != before {
            break;
        }
        assert!(begun.elapsed() < LIMIT, "it never rotates");
    }
    assert_eq!(get("/", Some(&next)), welcome);
    let overlapping = (200, "welcome; take up the new token soon".to_owned());
    assert_eq!(get("/", Some(&token)), overlapping);

    let mut failures = 2;
    let limited = loop {
        match get("/", Some(&never_valid)) {
            (401, _) => failures += 1,
            answer => break answer,
        }
        assert!(failures < 1_000, "guesses are not limited");
    };
    assert_eq!(limited, (429, String::new()));
    // Ten at once, and one more for every six seconds that a slow machine took meanwhile.
    let more = usize::try_from(begun.elapsed().as_secs() / 6).unwrap();
    assert!((10..=11 + more).contains(&failures), "{failures}");
    assert_eq!(get("/health", None).0, 200);

    assert_eq!(service.stop(Signal::TERM), ["stopped"]);
    let log = fs::read_to_string(log).unwrap();
    let fingerprint = |token: &Secret| {
        let hash = Sha256::digest(token.expose_bytes());
        let digits = |byte: &u8| format!("{byte:02x}");
        format!("={}", hash.iter().take(3).map(digits).collect::<String>())
    };
    assert!(log.contains("a bearer token was refused"), "{log}");
    assert!(
        log.contains(&fingerprint(&token)) && log.contains(&fingerprint(&next)),
        "{log}"
    );
    assert!(!log.contains(&fingerprint(&never_valid)), "{log}");
    shown.push(log);
    for secret in [&token, &next, &never_valid] {
        assert!(
            shown.iter().all(|shown| !shown.contains(text(secret))),
            "{shown:#?}"
        );
    }
}
