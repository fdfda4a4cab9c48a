use std::fs;
use std::os::unix::ffi::OsStringExt as _;
use std::os::unix::fs::{PermissionsExt as _, symlink};

use super::*;
use crate::backends::Class;
use crate::backends::files::tests::tmpfs;
use crate::declared::{Declared, DeclaredSource, Kind};
use crate::env::Deployment;

const NAME: SecretName = SecretName::from_static("database/password");

fn connect(url: &str, env: Env) -> Connect {
    let rails = GuardRails::new(Deployment::Development, []);
    Connect::new(url.parse().unwrap(), env, rails)
}

fn declared(name: &'static str) -> Declared {
    Declared::new(SecretName::from_static(name), Kind::Opaque)
}

async fn read(provider: &dyn SecretProvider, request: impl Into<Request>) -> Result<Secret> {
    match provider.fetch(&[request.into()]).await.remove(0)? {
        Reply::Value(secret) => Ok(secret),
        Reply::Unchanged => panic!("unchanged"),
    }
}

async fn read_one(env: Env) -> Result<Secret> {
    read(&*open(connect("env:?prefix=APP_", env)).unwrap(), NAME).await
}

fn file_env(dir: &std::path::Path, file: &str) -> Env {
    Env::empty()
        .with_working_dir(dir)
        .with_var("APP_DATABASE_PASSWORD_FILE", file)
}

#[tokio::test]
async fn a_name_is_a_variable_with_the_prefix_as_it_is() {
    let env = Env::empty()
        .with_var("APP_DATABASE_PASSWORD", " one\n")
        .with_var("APPDATABASE_PASSWORD", "two")
        .with_var("DATABASE_PASSWORD", "three")
        .with_var("EMPTY", "");
    for (url, name, value) in [
        ("env:?prefix=APP_", "database/password", " one\n"),
        ("env:?prefix=APP_", "database#password", " one\n"),
        ("env:?prefix=APP", "database.password", "two"),
        ("env:", "DataBase-Password", "three"),
        ("env:?prefix=", "empty", ""),
    ] {
        let provider = open(connect(url, env.clone())).unwrap();
        let secret = read(&*provider, SecretName::parse(name).unwrap())
            .await
            .unwrap();
        assert_eq!(secret.expose_str().unwrap(), value, "{url} {name}");
        assert!(secret.metadata().provenance().visible_in_proc);
        assert_eq!(secret.metadata().version(), None);
    }
}

#[tokio::test]
async fn declarations_and_ids_name_their_variable_without_the_prefix() {
    let env = Env::empty()
        .with_var("PGPASSWORD", "one")
        .with_var("Other.Key", "two");
    let other_name = DeclaredSource {
        name: Some(SecretName::from_static("pg/main")),
        ..DeclaredSource::default()
    };
    let connect = connect("env:?prefix=APP_", env).with_declared([
        declared("database/password").with_variable("PGPASSWORD"),
        declared("alias")
            .with_source(other_name)
            .with_variable("Other.Key"),
    ]);
    let provider = open(connect).unwrap();
    assert!(read(&*provider, NAME).await.unwrap().verify("one"));
    let renamed = SecretName::from_static("pg/main");
    assert!(read(&*provider, renamed).await.unwrap().verify("two"));
    let by_id = Target::new(SecretName::from_static("x")).with_id("Other.Key", None);
    assert!(
        read(&*provider, Request::new(by_id))
            .await
            .unwrap()
            .verify("two")
    );
    let field = Target::new(NAME).with_id("PGPASSWORD", Some("a".into()));
    let error = read(&*provider, Request::new(field)).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Config);
}

#[test]
fn two_names_on_one_variable_are_refused_at_open() {
    let id = |id: &str| DeclaredSource {
        id: Some(id.into()),
        ..DeclaredSource::default()
    };
    let cases = [
        (declared("a/b"), declared("a#b"), "A_B"),
        (declared("a.b"), declared("A-b"), "A_B"),
        (
            declared("tls/key"),
            declared("tls/key/file"),
            "TLS_KEY_FILE",
        ),
        (declared("key-file"), declared("key"), "KEY_FILE"),
        (
            declared("a"),
            declared("b").with_variable("A"),
            "variable A",
        ),
        (
            declared("a"),
            declared("b").with_source(id("A_FILE")),
            "A_FILE",
        ),
    ];
    for (one, two, variable) in cases {
        let names = [one.name.clone(), two.name.clone()];
        let error = open(connect("env:", Env::empty()).with_declared([one, two])).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Config);
        for part in [names[0].as_str(), names[1].as_str(), variable] {
            assert!(error.to_string().contains(part), "{part}: {error}");
        }
    }
    let alias = |name, variable| {
        let source = DeclaredSource {
            name: Some(SecretName::from_static("one")),
            ..DeclaredSource::default()
        };
        declared(name).with_source(source).with_variable(variable)
    };
    let aliases = [alias("a", "A"), alias("b", "B")];
    let error = open(connect("env:", Env::empty()).with_declared(aliases)).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Config);
    let apart = [
        declared("a/b"),
        declared("a/c"),
        declared("a#b").with_variable("OWN"),
    ];
    assert!(open(connect("env:", Env::empty()).with_declared(apart)).is_ok());
}

#[tokio::test]
async fn variables_that_steer_programs_are_never_secrets() {
    let env = [
        "PATH",
        "HOME",
        "LD_PRELOAD",
        "DYLD_LIBRARY_PATH",
        "STRONGROOM_KEY",
        "LC_ALL",
    ]
    .into_iter()
    .fold(Env::empty(), |env, name| env.with_var(name, "canary"));
    let provider = open(connect("env:", env.clone())).unwrap();
    for name in [
        "path",
        "home",
        "ld/preload",
        "dyld/library-path",
        "strongroom#key",
        "lc.all",
    ] {
        let error = read(&*provider, SecretName::parse(name).unwrap())
            .await
            .unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Config, "{name}");
        let variable = SecretName::parse(name).unwrap().to_variable();
        assert!(error.to_string().contains(&variable), "{error}");
    }
    let by_id = Target::new(NAME).with_id("Path", None);
    let error = read(&*provider, Request::new(by_id)).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Config);
    let error = open(connect("env:", env).with_declared([declared("path")])).unwrap_err();
    assert_eq!(error.name().unwrap().as_str(), "path");
}

#[test]
fn the_address_has_a_prefix_and_nothing_else() {
    for url in [
        "env:x",
        "env://host/",
        "env:?prefix=a-b",
        "env:?prefix=1A",
        "env:?prefix=A%3D",
    ] {
        let error = open(connect(url, Env::empty())).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Config, "{url}");
    }
}

#[tokio::test]
async fn what_is_no_value_is_refused_with_the_variables_name() {
    let env = |value: Vec<u8>| {
        let value = std::ffi::OsString::from_vec(value);
        Env::empty().with_var("APP_DATABASE_PASSWORD", value)
    };
    for value in [b"canary\xff".to_vec(), b"canary".repeat(MAX_VALUE_BYTES)] {
        let error = read_one(env(value)).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Malformed);
        assert!(error.to_string().contains("APP_DATABASE_PASSWORD"));
        assert!(!format!("{error:?}").contains("canary"));
    }
    let error = read_one(Env::empty()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Absent);
    assert!(error.to_string().contains("APP_DATABASE_PASSWORD_FILE"));
}

#[tokio::test]
async fn a_file_is_read_less_one_final_newline_of_text() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("secret");
    let longest = [vec![b'x'; MAX_VALUE_BYTES], b"\n".to_vec()].concat();
    let cases: [(&[u8], &[u8], usize); 7] = [
        (b"one", b"one", 0),
        (b"one\n", b"one", 0),
        (b"one\r\n", b"one", 0),
        (b"\none \n\n", b"\none \n", 1),
        (b"", b"", 0),
        (b"\xff\n", b"\xff\n", 0),
        (&longest, &longest[..MAX_VALUE_BYTES], 0),
    ];
    for (content, value, warnings) in cases {
        fs::write(&path, content).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
        let connect = connect("env:?prefix=APP_", file_env(dir.path(), "secret"));
        let rails = connect.rails.clone();
        let secret = read(&*open(connect).unwrap(), NAME).await.unwrap();
        assert_eq!(secret.expose_bytes(), value);
        assert_eq!(secret.metadata().provenance().file_mode, Some(0o600));
        assert!(!secret.metadata().provenance().visible_in_proc);
        let said = rails.said();
        let newlines = said
            .iter()
            .filter(|finding| finding.rule == "trailing-newline");
        assert_eq!(newlines.count(), warnings, "{said:?}");
    }
}

#[tokio::test]
async fn a_file_that_changes_gets_another_version() {
    let dir = tempfile::tempdir().unwrap();
    let write = |value: &str| {
        fs::write(dir.path().join("new"), value).unwrap();
        fs::rename(dir.path().join("new"), dir.path().join("secret")).unwrap();
    };
    write("one");
    let provider = open(connect("env:?prefix=APP_", file_env(dir.path(), "secret"))).unwrap();
    let secret = read(&*provider, NAME).await.unwrap();
    let known = secret.metadata().version().unwrap().clone();
    let request = Request::from(NAME).with_known(known);
    let answer = provider
        .fetch(std::slice::from_ref(&request))
        .await
        .remove(0);
    assert!(matches!(answer, Ok(Reply::Unchanged)));
    write("two");
    assert!(read(&*provider, request).await.unwrap().verify("two"));
}

#[tokio::test]
async fn what_is_no_readable_file_is_refused_at_once_and_its_path_not_shown() {
    let dir = tempfile::tempdir().unwrap();
    let at = |name: &str| dir.path().join(name);
    fs::create_dir(at("directory")).unwrap();
    fs::write(at("long"), vec![b'x'; MAX_VALUE_BYTES + 2]).unwrap();
    fs::write(at("long-text"), vec![b'x'; MAX_VALUE_BYTES + 1]).unwrap();
    symlink("loop", at("loop")).unwrap();
    rustix::fs::mknodat(
        rustix::fs::CWD,
        at("fifo"),
        rustix::fs::FileType::Fifo,
        rustix::fs::Mode::RUSR,
        0,
    )
    .unwrap();
    for (file, kind) in [
        ("directory", ErrorKind::Malformed),
        ("fifo", ErrorKind::Malformed),
        ("/dev/null", ErrorKind::Malformed),
        ("long", ErrorKind::Malformed),
        ("long-text", ErrorKind::Malformed),
        ("loop", ErrorKind::Config),
        ("hunter2-canary", ErrorKind::Config),
        ("long/hunter2-canary", ErrorKind::Config),
        (&"canary".repeat(1000), ErrorKind::Config),
        ("canary\0", ErrorKind::Config),
    ] {
        let error = read_one(file_env(dir.path(), file)).await.unwrap_err();
        assert_eq!(error.kind(), kind, "{file}: {error:?}");
        assert!(
            error.to_string().contains("APP_DATABASE_PASSWORD_FILE"),
            "{error}"
        );
        assert!(!format!("{error:?}").contains("canary"), "{error:?}");
    }
}

#[tokio::test]
async fn a_variable_and_its_file_variable_exclude_each_other() {
    let env = Env::empty()
        .with_var("APP_DATABASE_PASSWORD", "")
        .with_var("APP_DATABASE_PASSWORD_FILE", "/nowhere");
    let error = read_one(env.clone()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Config);
    let message = error.to_string();
    assert!(
        message.contains("APP_DATABASE_PASSWORD and APP_DATABASE_PASSWORD_FILE"),
        "{message}"
    );
    // An empty setting counts as not set.
    assert!(
        read_one(env.with_var("APP_DATABASE_PASSWORD_FILE", ""))
            .await
            .is_ok()
    );
}

#[tokio::test]
async fn guard_rails_judge_the_file() {
    let dir = tempfile::tempdir().unwrap();
    let mount = dir.path().join("mount");
    let open_dir = dir.path().join("open");
    for sub in [&mount, &open_dir] {
        fs::create_dir(sub).unwrap();
    }
    fs::set_permissions(&open_dir, fs::Permissions::from_mode(0o777)).unwrap();
    let file = |path: &str, mode: u32| {
        fs::write(dir.path().join(path), "value").unwrap();
        fs::set_permissions(dir.path().join(path), fs::Permissions::from_mode(mode)).unwrap();
    };
    file("private", 0o600);
    file("group", 0o640);
    file("written", 0o602);
    file("open/file", 0o600);
    file("mount/secret", 0o444);
    symlink("mount/secret", dir.path().join("link")).unwrap();
    use crate::rails::Rail;
    let disk = [Rail::PlainFileOnDisk];
    for (path, overridden, refused_by) in [
        ("private", &disk[..], None),
        ("group", &disk, Some("readable-by-others")),
        ("written", &disk, Some("writable-by-others")),
        ("open/file", &disk, Some("writable-by-others")),
        ("mount/secret", &[], None),
        ("link", &[], None),
    ] {
        let env = file_env(dir.path(), path).with_mounted_secrets(&mount);
        let rails = GuardRails::new(Deployment::Production, overridden.iter().copied());
        let url = "env:?prefix=APP_".parse().unwrap();
        let provider = open(Connect::new(url, env, rails.clone())).unwrap();
        let outcome = read(&*provider, NAME).await;
        let shown = format!("{outcome:?} {:?}", rails.said());
        assert!(!shown.contains(dir.path().to_str().unwrap()), "{shown}");
        match refused_by {
            None => assert!(outcome.is_ok(), "{path}: {outcome:?}"),
            Some(rule) => {
                let error = outcome.unwrap_err();
                assert_eq!(error.kind(), ErrorKind::Policy, "{path}");
                assert!(error.to_string().contains(rule), "{path}: {error}");
            }
        }
    }
}

#[tokio::test]
async fn a_file_of_a_kubernetes_volume_is_read_through_its_links() {
    let Some(dir) = tmpfs() else { return };
    let swap = |generation: &str, value: &str| {
        let folder = dir.path().join(generation);
        fs::create_dir(&folder).unwrap();
        fs::write(folder.join("token"), value).unwrap();
        fs::set_permissions(folder.join("token"), fs::Permissions::from_mode(0o644)).unwrap();
        symlink(generation, dir.path().join("..data_tmp")).unwrap();
        fs::rename(dir.path().join("..data_tmp"), dir.path().join("..data")).unwrap();
    };
    swap("..2024_1", "one");
    symlink("..data/token", dir.path().join("token")).unwrap();
    let rails = GuardRails::new(Deployment::Production, []);
    let url = "env:?prefix=APP_".parse().unwrap();
    let provider = open(Connect::new(
        url,
        file_env(dir.path(), "token"),
        rails.clone(),
    ))
    .unwrap();
    let first = read(&*provider, NAME).await.unwrap();
    assert!(first.verify("one"));
    assert!(first.metadata().created().is_some());
    swap("..2024_2", "two");
    let known = first.metadata().version().unwrap().clone();
    let second = read(&*provider, Request::from(NAME).with_known(known)).await;
    assert!(second.unwrap().verify("two"));
    let rules: Vec<_> = rails.said().iter().map(|finding| finding.rule).collect();
    assert_eq!(rules, ["readable-by-others"]);
}

#[tokio::test]
async fn writing_says_which_variable_to_set() {
    let provider = open(connect("env:?prefix=APP_", Env::empty())).unwrap();
    let put = Put::new(Target::new(NAME), Secret::from_text("x"));
    let error = provider.put(&put).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unsupported);
    assert!(error.help().unwrap().contains("set APP_DATABASE_PASSWORD,"));
}

#[tokio::test]
async fn lists_declared_names_and_with_a_prefix_what_else_can_be_named() {
    let env = Env::empty()
        .with_var("APP_DATABASE_PASSWORD", "x")
        .with_var("APP_TOKEN_FILE", "/run/token")
        .with_var("APP_API_KEY", "x")
        .with_var("APP_OWN_FILE", "x")
        .with_var("APP_mixed", "x")
        .with_var("APP_", "x")
        .with_var("APP_EMPTY_FILE", "")
        .with_var("OTHER", "x");
    let names = async |url: &str, prefix: &str| {
        let declared = [
            declared("database/password"),
            declared("own/file"),
            declared("unset"),
        ];
        let provider = open(connect(url, env.clone()).with_declared(declared)).unwrap();
        let names = provider.list(prefix).await.unwrap();
        names
            .iter()
            .map(|name| name.to_string())
            .collect::<Vec<_>>()
    };
    assert_eq!(
        names("env:?prefix=APP_", "").await,
        ["api_key", "database/password", "own/file", "token"]
    );
    assert_eq!(names("env:?prefix=APP_", "da").await, ["database/password"]);
    assert_eq!(names("env:", "").await, [""; 0]);
}

#[test]
fn detection_takes_platforms_and_only_then_a_declared_machine_of_ones_own() {
    let found = |vars: &[&str], deployment| {
        let env = vars.iter().fold(Env::empty(), |env, var| {
            let (name, value) = var.split_once('=').unwrap();
            env.with_var(name, value)
        });
        let probes = detect::detect(&env, deployment).unwrap();
        let found = probes.into_iter().filter(|probe| probe.found.is_some());
        found
            .map(|probe| {
                assert_eq!(probe.found.unwrap().to_string(), "env:");
                (probe.class, probe.rank)
            })
            .collect::<Vec<_>>()
    };
    use Deployment::*;
    let last_resort = [(Class::Fallback, 2)];
    for deployment in [Production, Staging, Undeclared] {
        assert_eq!(found(&[], deployment), []);
        assert_eq!(found(&["CI=0"], deployment), []);
        assert_eq!(found(&["CI=False"], deployment), []);
        assert_eq!(found(&["CI="], deployment), []);
        assert_eq!(found(&["CI=true"], deployment), last_resort);
        let both = found(&["VERCEL=1", "DYNO=web.1"], deployment);
        assert_eq!(both, [(Class::Platform, 0)]);
    }
    assert_eq!(found(&[], Development), last_resort);
    assert_eq!(found(&[], Test), last_resort);
    for (variable, _) in [("K_SERVICE", ()), ("RENDER", ()), ("FLY_APP_NAME", ())] {
        let marker = format!("{variable}=x");
        assert_eq!(found(&[&marker], Production), [(Class::Platform, 0)]);
    }
}
