//! A token rotates under the requests of clients who know nothing of when the service takes it up.

use std::path::Path;
use std::time::{Duration, Instant};

use rustix::process::Signal;
use strongroom::provider::Expect;
use strongroom::sealed_file::{FileId, NewSlot, SealedFile, SlotKey};
use strongroom::{Connection, Declared, Kind, Secret, SecretName, Version, generate};

use crate::client::Client;
use crate::program::{example, run};
use crate::servers::{Servers, Variables, connect};
use crate::service::{LIMIT, Service};

mod load;
pub(crate) mod mount;

use load::Load;
use mount::Mount;

const TOKEN: SecretName = SecretName::from_static("api/token");
const ROTATIONS: u32 = 20;

/// Variables that set what a manifest says need one.
const MANIFEST: &str = "[default.cache]\n";

#[test]
fn without_arguments_it_plays_all_sides() {
    let dir = tempfile::tempdir().unwrap();
    let (ok, printed) = run(&mut example("rotation", dir.path()));
    assert!(ok, "{printed}");
    let expected = "\
the operator stores a weak token: it is refused, and the service goes on
  api/token: a new value was refused: the token consists mostly of common words and dates; the token has fewer than 32 characters
  200 OK for the token
the operator stores a new token
  api/token: rotated to version 3
  200 OK for the new token
  200 OK for the former token, which overlaps
  503 Service Unavailable for the new token, after the shutdown
";
    assert_eq!(printed, expected);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_request_fails_while_openbao_rotates() {
    let Some(servers) = Servers::find() else {
        return;
    };
    let variables = servers.vault(&part("load"));
    rotate_under_load("OpenBao", &variables, Path::new(".")).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_request_fails_while_aws_rotates() {
    let Some(servers) = Servers::find() else {
        return;
    };
    let variables = servers.aws(&part("load"));
    rotate_under_load("AWS", &variables, Path::new(".")).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_request_fails_while_a_sealed_file_rotates() {
    let dir = tempfile::tempdir().unwrap();
    let (key, id) = (SlotKey::generate().unwrap(), FileId::random().unwrap());
    let path = |name: &str| dir.path().join(name);
    std::fs::write(path("key"), key.to_text(id).unwrap().expose_bytes()).unwrap();
    SealedFile::create(path("s.sealed"), id, &NewSlot::new("test", key)).unwrap();
    let (file, key) = (path("s.sealed"), path("key"));
    let address = format!("sealed:{}?key_file={}", file.display(), key.display());
    let variables = Variables::from([("STRONGROOM_PROVIDER", address)]);
    rotate_under_load("a sealed file", &variables, dir.path()).await;
}

#[test]
fn no_request_fails_while_a_kubernetes_mount_is_swapped() {
    let dir = tempfile::tempdir().unwrap();
    let mut mount = Mount::new(dir.path());
    let write = |value: &Secret| {
        mount.swap(value);
        None
    };
    under_load("a Kubernetes mount", &mount_variables(&dir), write);
}

/// Rotates by another handle than the service's own.
async fn rotate_under_load(backend: &str, variables: &Variables, dir: &Path) {
    let connection = connect(&developing(variables), dir, MANIFEST).await;
    let write = |value: &Secret| block_on_write(&connection, value);
    under_load(backend, variables, write);
    connection.close().await.unwrap();
}

/// Rotates again and again while two clients knock all the time, each with the token that it should
/// know: the former one until the service said that it took the new one up.
fn under_load(
    backend: &str,
    variables: &Variables,
    mut write: impl FnMut(&Secret) -> Option<Version>,
) {
    let mut token = new_token();
    let never_valid = new_token();
    write(&token);
    let (_dir, service) = start(variables, &[("TTL", "1s"), ("OVERLAP", "1h")]);
    let mut client = Client::new(&service.address);
    let load = Load::start(&service.address, text(&token));
    for _ in 0..ROTATIONS {
        load.goes_on();
        let next = new_token();
        let written = write(&next);
        let line = service.wait_for(tells_of_the_token);
        match written {
            Some(version) => assert_eq!(line, format!("{TOKEN}: rotated to version {version}")),
            None => assert!(line.starts_with("api/token: rotated"), "{line}"),
        }
        load.knows(text(&next));
        assert_eq!(client.knock(text(&next)), 200);
        assert_eq!(client.knock(text(&token)), 200, "it overlaps");
        assert_eq!(client.knock(text(&never_valid)), 401);
        token = next;
    }
    load.goes_on();
    let requests = load.end();
    println!("{backend}: {ROTATIONS} rotations, {requests} requests, none failed");
    assert_eq!(service.stop(Signal::TERM), ["stopped"]);
}

#[test]
fn the_former_token_ends_with_its_overlap() {
    let overlap = Duration::from_secs(2);
    let dir = tempfile::tempdir().unwrap();
    let mut mount = Mount::new(dir.path());
    let (token, next) = (new_token(), new_token());
    mount.swap(&token);
    let (_dir, service) = start(&mount_variables(&dir), &[("OVERLAP", "2s")]);
    let mut client = Client::new(&service.address);
    assert_eq!(client.knock(text(&token)), 200);
    let begun = Instant::now();
    mount.swap(&next);
    service.wait_for(tells_of_the_token);
    while client.knock(text(&token)) == 200 {
        assert!(begun.elapsed() < LIMIT, "it never ends");
        assert_eq!(client.knock(text(&next)), 200);
    }
    // The clock that it goes by may be ahead by 20 ms.
    assert!(begun.elapsed() > overlap - Duration::from_millis(20));
    assert_eq!(client.knock(text(&token)), 401);
    assert_eq!(client.knock(text(&next)), 200);
}

#[test]
fn a_token_that_is_deleted_opens_nothing_until_there_is_one_again() {
    let dir = tempfile::tempdir().unwrap();
    let mut mount = Mount::new(dir.path());
    let token = new_token();
    mount.swap(&token);
    let (_dir, service) = start(&mount_variables(&dir), &[]);
    let mut client = Client::new(&service.address);
    assert_eq!(client.knock(text(&token)), 200);
    mount.swap_in_nothing();
    let line = service.wait_for(tells_of_the_token);
    assert_eq!(line, "api/token: no longer handed out: absent");
    assert_eq!(client.knock(text(&token)), 503);
    let health = client.get("/health", None).unwrap();
    assert_eq!(health, (503, "failed".to_owned()));
    mount.swap(&token);
    service.wait_for(|line| line.starts_with("api/token: rotated"));
    assert_eq!(client.knock(text(&token)), 200);
    assert_eq!(client.get("/health", None).unwrap().0, 200);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hangup_asks_for_a_refresh() {
    let Some(servers) = Servers::find() else {
        return;
    };
    // Neither server tells of changes, and nothing is read by itself within an hour.
    for variables in [servers.vault(&part("hup")), servers.aws(&part("hup"))] {
        let connection = connect(&developing(&variables), Path::new("."), MANIFEST).await;
        let (token, next) = (new_token(), new_token());
        block_on_write(&connection, &token);
        let (_dir, service) = start(&variables, &[("TTL", "1h")]);
        let mut client = Client::new(&service.address);
        let version = block_on_write(&connection, &next).unwrap();
        assert_eq!(client.knock(text(&next)), 401);
        service.signal(Signal::HUP);
        let line = service.wait_for(tells_of_the_token);
        assert_eq!(line, format!("{TOKEN}: rotated to version {version}"));
        assert_eq!(client.knock(text(&next)), 200);
        let (status, word) = client.get("/health", None).unwrap();
        assert!(status == 200 && ["ready", "degraded"].contains(&&*word));
        // The first one may have been told of before or after the rotation.
        service.signal(Signal::HUP);
        service.wait_for(|line| line.starts_with("refreshed: "));
        service.stop(Signal::TERM);
    }
}

/// Starts the service in a directory of its own, with these settings of the cache.
fn start(variables: &Variables, cache: &[(&str, &str)]) -> (tempfile::TempDir, Service) {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("strongroom.toml"), MANIFEST).unwrap();
    let mut command = example("rotation", dir.path());
    command.arg("--serve").envs(developing(variables));
    for (key, value) in cache {
        command.env(format!("STRONGROOM_CFG_CACHE__{key}"), value);
    }
    let service = Service::start(&mut command);
    (dir, service)
}

/// Plain HTTP and files on a disk are for development.
fn developing(variables: &Variables) -> Variables {
    let mut variables = variables.clone();
    variables.insert("STRONGROOM_ENV", "development".to_owned());
    variables
}

fn mount_variables(dir: &tempfile::TempDir) -> Variables {
    Variables::from([("STRONGROOM_DIR", dir.path().display().to_string())])
}

/// Names what belongs to this run of a test on a shared server.
fn part(test: &str) -> String {
    format!("rotation-{test}-{}", std::process::id())
}

fn new_token() -> Secret {
    generate(&Declared::new(TOKEN, Kind::Token)).unwrap()
}

fn text(token: &Secret) -> &str {
    token.expose_str().unwrap()
}

fn tells_of_the_token(line: &str) -> bool {
    line.starts_with("api/token: ")
}

fn block_on_write(connection: &Connection, value: &Secret) -> Option<Version> {
    tokio::task::block_in_place(|| {
        let writing = async { connection.put(&TOKEN, value, Expect::Any).await };
        tokio::runtime::Handle::current().block_on(writing).unwrap()
    })
}
