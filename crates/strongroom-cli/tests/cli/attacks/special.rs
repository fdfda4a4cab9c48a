//! At every path that the command opens: a FIFO, a socket, a device, a directory.
//!
//! A file that nobody ever writes to must not hold a service up at its boot, and one that never ends
//! must not fill its memory.

use std::fs::{File, OpenOptions};
use std::os::unix::fs::symlink;
use std::os::unix::net::UnixListener;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use crate::harness::{Ran, TOKEN};
use crate::project::{FILE, PASSPHRASE, Project};

/// Far more than a command takes on a busy machine. Nothing is decided by what is faster.
const PATIENCE: Duration = Duration::from_secs(60);

/// What is put in a file's place.
#[derive(Debug, Clone, Copy)]
enum Thing {
    /// A FIFO that nobody writes to: opening it blocks.
    Fifo,
    /// A FIFO that somebody holds open, and writes nothing to: reading it blocks.
    HeldFifo,
    Socket,
    Directory,
    /// A device that never ends.
    Zero,
    Random,
}

const THINGS: [Thing; 6] = [
    Thing::Fifo,
    Thing::HeldFifo,
    Thing::Socket,
    Thing::Directory,
    Thing::Zero,
    Thing::Random,
];

impl Thing {
    /// Puts it there. It stays what it is for as long as the result lives.
    fn put(self, path: &Path) -> Option<File> {
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        match path.symlink_metadata() {
            Ok(there) if there.is_dir() => std::fs::remove_dir(path).unwrap(),
            Ok(_) => std::fs::remove_file(path).unwrap(),
            Err(_) => {}
        }
        match self {
            Self::Fifo | Self::HeldFifo => {
                assert!(Command::new("mkfifo").arg(path).status().unwrap().success());
            }
            Self::Socket => drop(UnixListener::bind(path).unwrap()),
            Self::Directory => std::fs::create_dir(path).unwrap(),
            Self::Zero => symlink("/dev/zero", path).unwrap(),
            Self::Random => symlink("/dev/random", path).unwrap(),
        }
        let held = matches!(self, Self::HeldFifo);
        held.then(|| {
            OpenOptions::new()
                .read(true)
                .write(true)
                .open(path)
                .unwrap()
        })
    }
}

/// Where a command meets it. `OBJECT` in its arguments and variables is the path of the thing.
struct Case {
    /// Where the thing is put, beneath the home directory; a path that begins with `./` is one in the
    /// project's folder.
    at: &'static str,
    arguments: &'static [&'static str],
    variables: &'static [(&'static str, &'static str)],
}

const OBJECT: &str = "object";
const PRODUCTION: (&str, &str) = ("STRONGROOM_ENV", "production");

const fn case(arguments: &'static [&'static str]) -> Case {
    Case {
        at: OBJECT,
        arguments,
        variables: &[],
    }
}

impl Case {
    const fn at(self, at: &'static str) -> Self {
        Self { at, ..self }
    }

    const fn with(self, variables: &'static [(&'static str, &'static str)]) -> Self {
        Self { variables, ..self }
    }
}

const SEALED: &str = "sealed:.strongroom/secrets.sealed";

/// What strongroom reads of its own.
const OWN: &[Case] = &[
    case(&["--manifest", "OBJECT", "list"]),
    case(&["list"]).with(&[("STRONGROOM_MANIFEST", "OBJECT")]),
    case(&["list"]).at("./strongroom.toml"),
    case(&["--provider", SEALED, "list"]).at("./.strongroom/secrets.sealed"),
    case(&["list"]).at("./.strongroom/secrets.sealed"),
    case(&["git-textconv", "OBJECT"]),
    case(&["git-merge", "OBJECT", FILE, FILE]),
    case(&["git-merge", FILE, FILE, "OBJECT"]),
    case(&["list"]).at(".config/strongroom/keys/KEY"),
    case(&["list"]).with(&[("STRONGROOM_KEY_FILE", "OBJECT")]),
    case(&["list"]).with(&[("STRONGROOM_PASSPHRASE_FILE", "OBJECT")]),
    case(&[
        "--provider",
        "sealed:.strongroom/secrets.sealed?key_file=OBJECT",
        "list",
    ]),
    case(&[
        "--provider",
        "sealed:.strongroom/secrets.sealed?passphrase_file=OBJECT",
        "list",
    ]),
    // A path that only looks as if it were one of a descriptor.
    case(&["list"]).with(&[("STRONGROOM_KEY_FILE", "/dev/fd/../../..OBJECT")]),
    case(&["key", "add", "second", "--key-file", "OBJECT"]),
    case(&["key", "add", "second", "--passphrase-file", "OBJECT"]),
    case(&["key", "remove", "first", "--passphrase-file", "OBJECT"]),
    case(&["list"])
        .at(".local/state/strongroom/sealed/ID")
        .with(&[PRODUCTION]),
    case(&["list"]).at(".config/strongroom/deployment"),
    case(&["set", "api/token"]).at("./.strongroom/.strongroom.lock"),
];

/// What holds plain values.
const PLAIN: &[Case] = &[
    case(&["--provider", "file:OBJECT?format=dotenv", "get", "token"]),
    case(&["--provider", "file:OBJECT?format=json", "get", "token"]),
    case(&["--provider", "file:OBJECT?format=toml", "get", "token"]),
    case(&["--provider", "file:OBJECT?format=yaml", "get", "token"]),
    case(&["--provider", "file:values", "get", "token"]).at("./values/token"),
    case(&["--provider", "file:values", "get", "token#field"]).at("./values/token.json"),
    case(&["--provider", "file:values", "set", "token"]).at("./values/token"),
    case(&["--provider", "file:values", "set", "token"]).at("./values/.strongroom.lock"),
    case(&["--provider", "env:", "get", "token"]).with(&[("TOKEN_FILE", "OBJECT")]),
];

const VAULT: &str = "vault+http://127.0.0.1:9/?mount=kv";
const VAULT_TLS: &str = "vault://127.0.0.1:9/?mount=kv";
const VAULT_TOKEN: (&str, &str) = ("VAULT_TOKEN", "s.0123456789");
const AWS: &str = "aws://eu-west-1/app";

/// What the remote backends log in and prove themselves with.
const REMOTE: &[Case] = &[
    case(&["--provider", VAULT, "get", "token"]).at(".vault-token"),
    case(&["--provider", VAULT, "get", "token"]).with(&[("BAO_TOKEN_PATH", "OBJECT")]),
    case(&[
        "--provider",
        "vault+http://127.0.0.1:9/?mount=kv&token_file=OBJECT",
        "get",
        "token",
    ]),
    case(&[
        "--provider",
        "vault+http://127.0.0.1:9/?mount=kv&auth=kubernetes&role=app&jwt_file=OBJECT",
        "get",
        "token",
    ]),
    case(&[
        "--provider",
        "vault+http://127.0.0.1:9/?mount=kv&auth=approle&role_id=app&secret_id_file=OBJECT",
        "get",
        "token",
    ]),
    case(&[
        "--provider",
        "vault+http://127.0.0.1:9/?mount=kv&auth=userpass&username=app&password_file=OBJECT",
        "get",
        "token",
    ]),
    case(&["--provider", VAULT_TLS, "get", "token"])
        .with(&[VAULT_TOKEN, ("VAULT_CACERT", "OBJECT")]),
    case(&["--provider", VAULT_TLS, "get", "token"])
        .at("authorities/one.pem")
        .with(&[VAULT_TOKEN, ("VAULT_CAPATH", "HOME/authorities")]),
    case(&["--provider", VAULT_TLS, "get", "token"]).with(&[
        VAULT_TOKEN,
        ("VAULT_CLIENT_CERT", "OBJECT"),
        ("VAULT_CLIENT_KEY", "OBJECT"),
    ]),
    case(&["--provider", AWS, "get", "token"]).with(&[("AWS_CONFIG_FILE", "OBJECT")]),
    case(&["--provider", AWS, "get", "token"]).with(&[("AWS_SHARED_CREDENTIALS_FILE", "OBJECT")]),
    case(&["--provider", AWS, "get", "token"]).at(".aws/config"),
    case(&["--provider", AWS, "get", "token"]).at(".aws/credentials"),
    case(&["--provider", AWS, "get", "token"]).with(&[("AWS_CA_BUNDLE", "OBJECT")]),
    case(&["--provider", AWS, "get", "token"]).with(&[
        ("AWS_WEB_IDENTITY_TOKEN_FILE", "OBJECT"),
        ("AWS_ROLE_ARN", "arn:aws:iam::123456789012:role/app"),
    ]),
    case(&["--provider", AWS, "get", "token"]).with(&[
        ("AWS_CONTAINER_CREDENTIALS_FULL_URI", "http://127.0.0.1:9/"),
        ("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE", "OBJECT"),
    ]),
];

#[test]
fn what_is_no_file_never_blocks_what_strongroom_reads_of_its_own() {
    check(OWN);
}

#[test]
fn what_is_no_file_never_blocks_the_plain_values() {
    check(PLAIN);
}

#[cfg(all(feature = "vault", feature = "aws"))]
#[test]
fn what_is_no_file_never_blocks_the_remote_backends() {
    check(REMOTE);
}

fn check(cases: &[Case]) {
    let mut wrong = Vec::new();
    for case in cases {
        let mut project = Project::begun();
        let key = project.key_file();
        let key = key.file_name().unwrap().to_str().unwrap();
        let at = case.at.replace("KEY", key);
        let at = at.replace("ID", key.strip_suffix(".key").unwrap());
        let path = match at.strip_prefix("./") {
            Some(at) => project.room.path(at),
            None => project.home(&at),
        };
        let home = project.home_text("");
        let filled = |text: &str| {
            let text = text.replace("OBJECT", path.to_str().unwrap());
            text.replace("HOME/", &home)
        };
        for (name, value) in case.variables {
            project.room = project.room.var(name, &filled(value));
        }
        // Nobody is asked how the machine that runs this logs in.
        project.room = project.room.var("AWS_EC2_METADATA_DISABLED", "true");
        let arguments: Vec<_> = case.arguments.iter().map(|word| filled(word)).collect();
        let arguments: Vec<_> = arguments.iter().map(String::as_str).collect();
        for thing in THINGS {
            let _held = thing.put(&path);
            let ran = bounded(project.room.command(&arguments));
            let what = format!("{thing:?} at {at}: {arguments:?} {:?}", case.variables);
            let Some(ran) = ran else {
                wrong.push(format!("{what} never ended"));
                continue;
            };
            let (code, shown) = (ran.code(), ran.stdout() + &ran.stderr());
            // It ends by itself, with an error that is none of the program's own.
            let is_refused = (1..=7).contains(&code) && !shown.contains("panicked");
            if !is_refused || shown.contains(TOKEN) {
                wrong.push(format!("{what} ended with {code}: {shown}"));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// Runs a command; `None` if it had to be killed since it did not end by itself.
fn bounded(mut command: Command) -> Option<Ran> {
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    // The command may end before it reads its input.
    let _ = std::io::Write::write_all(&mut child.stdin.take().unwrap(), TOKEN.as_bytes());
    let begun = Instant::now();
    while child.try_wait().unwrap().is_none() {
        if begun.elapsed() > PATIENCE {
            child.kill().unwrap();
            child.wait().unwrap();
            return None;
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    Some(Ran(child.wait_with_output().unwrap()))
}

#[test]
fn init_meets_what_is_no_file() {
    for thing in THINGS {
        let project = Project::new();
        let _held = thing.put(&project.home(OBJECT));
        let object = project.home_text(OBJECT);
        for arguments in [
            &["init", "--passphrase-file", &object][..],
            &["init", "--recovery", &object],
        ] {
            let ran = bounded(project.room.command(arguments)).unwrap();
            assert!((1..=7).contains(&ran.code()), "{thing:?}: {}", ran.stderr());
            assert!(!project.room.path(FILE).exists(), "{thing:?}");
        }
        let _held = thing.put(&project.home(".config/strongroom/deployment"));
        for arguments in [&["init"][..], &["init", "--deployment", "production"]] {
            let ran = bounded(project.room.command(arguments)).unwrap();
            assert!((1..=7).contains(&ran.code()), "{thing:?}: {}", ran.stderr());
            assert!(!project.room.path(FILE).exists(), "{thing:?}");
        }
    }
}

#[test]
fn init_writes_no_attributes_of_git_into_what_is_no_file() {
    for thing in THINGS {
        let project = Project::begun();
        project.room.shell("git init -q").ends(0);
        let _held = thing.put(&project.room.path(".gitattributes"));
        let ran = bounded(project.room.command(&["init", "--git"])).unwrap();
        assert!((1..=7).contains(&ran.code()), "{thing:?}: {}", ran.stderr());
    }
}

/// A pipe of the shell is the one thing that is no file and holds a passphrase: `<(pass show app)`.
#[test]
fn a_descriptor_still_gives_a_passphrase() {
    let project = Project::new();
    let program = env!("CARGO_BIN_EXE_strongroom");
    let script = format!("echo '{PASSPHRASE}' | {program} init --passphrase-file /dev/fd/0");
    project.room.shell(&script).ends(0);
    let script = format!(
        "echo '{PASSPHRASE}' | STRONGROOM_PASSPHRASE_FILE=/dev/fd/0 {program} list --format json"
    );
    project.room.shell(&script).ends(0);
}
