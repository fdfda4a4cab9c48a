//! A checkout of somebody else's, with everything in it that could reach further than its own folder.
//!
//! Each command runs in it with credentials in the environment, beside a server that keeps every byte it is
//! sent, and with a `PATH` of nothing but programs that tell that they were started.

use std::collections::BTreeMap;
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener};
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex};
use std::thread;

use crate::harness::{Ran, Room, TOKEN};

const CANARY: &str = "canary-credential-51c2d7";

/// A server that keeps what it is sent, and answers nothing.
struct Listener {
    address: SocketAddr,
    received: Arc<Mutex<Vec<u8>>>,
}

impl Listener {
    fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let received = Arc::new(Mutex::new(Vec::new()));
        let kept = Arc::clone(&received);
        thread::spawn(move || {
            for stream in listener.incoming() {
                let Ok(mut stream) = stream else { continue };
                let mut bytes = vec![0; 4096];
                // One request, and then the end of the connection.
                let read = stream.read(&mut bytes).unwrap_or(0);
                kept.lock().unwrap().extend_from_slice(&bytes[..read]);
            }
        });
        Self { address, received }
    }

    fn received(&self) -> String {
        String::from_utf8_lossy(&self.received.lock().unwrap()).into_owned()
    }
}

/// Every file beneath a directory, with its contents, mode and target.
fn tree(dir: &Path) -> BTreeMap<PathBuf, String> {
    let mut found = BTreeMap::new();
    for entry in std::fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        let metadata = path.symlink_metadata().unwrap();
        if metadata.is_dir() {
            found.extend(tree(&path));
        }
        let contents = match metadata.is_file() {
            true => format!("{:?}", std::fs::read(&path).unwrap()),
            false => format!("{:?}", metadata.file_type()),
        };
        let mode = metadata.permissions().mode();
        found.insert(path, format!("{mode:o} {contents}"));
    }
    found
}

/// Somebody's checkout, and the user's home beside it.
fn checkout(manifest: &str) -> Room {
    let room = Room::new()
        .file("home/.ssh/id_ed25519", CANARY)
        .file("home/.bashrc", "# mine\n")
        .file("theirs/token", "canary-of-their-own")
        .file(
            ".git/config",
            "[core]\n\tfsmonitor = owned-by-git\n\tsshCommand = owned-by-git\n",
        )
        .file(".git/HEAD", "ref: refs/heads/main\n")
        .file(".env", "API_TOKEN=from-dotenv\n")
        .file("strongroom.toml", manifest);
    for program in [
        "sh",
        "bash",
        "git",
        "touch",
        "curl",
        "ssh",
        "owned",
        "owned-by-git",
        "sudo",
    ] {
        let told = room.path("started").display().to_string();
        let script = format!("#!/bin/sh\necho {program} >> {told}\n");
        let path = room.path("shims").join(program);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, script).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
    }
    symlink("home/.bashrc", room.path(".gitattributes")).unwrap();
    let (home, path) = (room.path("home"), room.path("shims"));
    let text = |path: PathBuf| path.to_str().unwrap().to_owned();
    room.var("HOME", &text(home))
        .var("PATH", &text(path))
        .var("VAULT_TOKEN", CANARY)
        .var("AWS_ACCESS_KEY_ID", CANARY)
        .var("AWS_SECRET_ACCESS_KEY", CANARY)
        .var("AWS_EC2_METADATA_DISABLED", "true")
}

/// What every hostile manifest has beside its provider.
fn manifest(provider: &str, address: SocketAddr) -> String {
    format!(
        "[default]\n\
         provider = \"{provider}\"\n\
         danger_allow_plaintext_http = true\n\
         danger_allow_plain_files = true\n\
         danger_allow_readable_files = true\n\
         [default.providers]\n\
         theirs = \"vault+http://{address}/kv\"\n\
         local = \"file:theirs\"\n\
         [default.snapshot]\n\
         path = \"home/escaped.sealed\"\n\
         key_file = \"home/.ssh/id_ed25519\"\n\
         [default.secrets.\"api/token\"]\n\
         kind = \"token\"\n\
         description = \"\\u001b]0;owned\\u0007\\u001b[31m\\u009b31m\"\n\
         env = \"GIT_SSH_COMMAND\"\n\
         [default.secrets.\"db/password\"]\n\
         kind = \"password\"\n\
         source = {{ provider = \"theirs\", id = \"\\u001b[2J/../sys/seal\" }}\n"
    )
}

/// Each command that meets the manifest, with its input.
const COMMANDS: &[(&[&str], &str)] = &[
    (&["inspect"], ""),
    (&["inspect", "--format", "json"], ""),
    (&["validate"], ""),
    (&["doctor"], ""),
    (&["doctor", "--policy"], ""),
    (&["get", "api/token"], ""),
    (&["get", "db/password"], ""),
    (&["list"], ""),
    (&["set", "api/token"], TOKEN),
    (&["rm", "api/token"], ""),
    (&["generate", "api/token"], ""),
    (&["generate", "--all-missing"], ""),
    (&["rotate", "api/token"], ""),
    (&["run", "--", "owned"], ""),
    (&["watch"], ""),
    (&["key", "list"], ""),
    (&["key", "rotate"], ""),
    (&["init"], ""),
    (&["git-textconv", "strongroom.toml"], ""),
    (
        &[
            "git-merge",
            "strongroom.toml",
            "strongroom.toml",
            "strongroom.toml",
        ],
        "",
    ),
    (&["diff", "local", "theirs"], ""),
    (&["diff", "theirs", "profile:default"], ""),
    (&["copy", "local", "theirs"], ""),
    (&["copy", "theirs", "local"], ""),
    (&["copy", "profile:default", "theirs"], ""),
    (&["import", ".env"], ""),
    (&["import", "home/.ssh/id_ed25519", "--from", "json"], ""),
    (&["export"], ""),
    (
        &["git-credential", "get"],
        "protocol=https\nhost=git.example.org\n\n",
    ),
    (&["completions", "bash"], ""),
    (&["trust", "--list"], ""),
];

fn assert_printable(ran: &Ran, line: &str) {
    for shown in [ran.stdout(), ran.stderr()] {
        let steers = |c: char| c.is_control() && c != '\n' && c != '\t';
        assert!(!shown.contains(steers), "{line}: {shown:?}");
    }
}

#[test]
fn no_command_does_anything_that_it_asks_for() {
    let listener = Listener::start();
    let address = listener.address;
    for provider in [
        format!("vault+http://{address}/kv"),
        format!("vault+http://{address}/?mount=kv&namespace=%1b[31m"),
        "exec:touch owned".to_owned(),
        "exec:///bin/sh?c=owned".to_owned(),
        format!("aws://{address}/app"),
        "aws://eu-west-1.evil.example/app".to_owned(),
        "chain:theirs".to_owned(),
        "chain:local,theirs".to_owned(),
        format!("http://{address}/"),
        "sealed:strongroom.toml?key_file=home/.ssh/id_ed25519".to_owned(),
    ] {
        let config = tempfile::tempdir().unwrap();
        let room = checkout(&manifest(&provider, address))
            .var("XDG_CONFIG_HOME", config.path().to_str().unwrap());
        let before = tree(&room.path(""));
        for (arguments, input) in COMMANDS {
            let line = format!("{provider}: {}", arguments.join(" "));
            let ran = room.run_with(arguments, input.as_bytes());
            assert_printable(&ran, &line);
            let shown = format!("{}{}", ran.stdout(), ran.stderr());
            assert!(!shown.contains(CANARY), "{line}: {shown}");
            assert_eq!(listener.received(), "", "{line}");
            let mut after = tree(&room.path(""));
            if arguments[0] == "init" {
                // What `init` makes is the user's own: taken away again, for the next command. There, and
                // nowhere else.
                let own = room.path(".strongroom");
                after.retain(|path, _| !path.starts_with(&own));
                for made in [own, config.path().join("strongroom/keys")] {
                    std::fs::remove_dir_all(made).unwrap();
                }
            }
            assert_eq!(after, before, "{line}: {shown}");
        }
    }
}

/// Runs a command in a folder of the room.
fn run_in(room: &Room, folder: &str, arguments: &[&str], input: &str) -> Ran {
    let mut command = room.command(arguments);
    command.current_dir(room.path(folder));
    command.stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut child = command.stderr(Stdio::piped()).spawn().unwrap();
    // The command may end before it reads its input.
    let _ = child.stdin.take().unwrap().write_all(input.as_bytes());
    Ran(child.wait_with_output().unwrap())
}

/// A checkout in `project`, beside another project with a sealed file and plain ones.
fn neighbours(provider: &str) -> Room {
    let manifest = format!(
        "[default]\nprovider = \"{provider}\"\n[default.providers]\nnamed = \"file:../other\"\n\
         further = \"file:../other/.env\"\n\
         [default.secrets.\"api/token\"]\nkind = \"token\"\n\
         [default.secrets.\"named/token\"]\nkind = \"token\"\nsource = {{ provider = \"named\" }}\n"
    );
    let room = Room::new()
        .file("project/strongroom.toml", manifest)
        .file("home/.keep", "")
        .file("other/api_token", TOKEN)
        .file("other/named_token", TOKEN)
        .file("other/.env", format!("API_TOKEN={TOKEN}\n"));
    let home = room.path("home").to_str().unwrap().to_owned();
    let room = room.var("HOME", &home);
    run_in(&room, "other", &["init", "--no-recovery"], "").ends(0);
    run_in(&room, "other", &["set", "api/token"], TOKEN).ends(0);
    symlink("../other", room.path("project/linked")).unwrap();
    room
}

const SEALED: &str = ".strongroom/secrets.sealed";

/// Each command that changes what the provider holds.
const CHANGES: &[&[&str]] = &[
    &["set", "api/token"],
    &["set", "new/token"],
    &["rm", "api/token"],
    &["generate", "api/token", "--force"],
    &["rotate", "api/token"],
];

#[test]
fn what_it_names_outside_of_its_folder_is_read_and_not_changed() {
    for provider in [
        "file:../other".to_owned(),
        "file:linked".to_owned(),
        "file:linked/.env".to_owned(),
        "file:../other/.env".to_owned(),
        format!("sealed:../other/{SEALED}"),
        format!("sealed:linked/{SEALED}"),
        "chain:named,further".to_owned(),
    ] {
        let room = neighbours(&provider);
        let before = tree(&room.path("other"));
        let read = run_in(&room, "project", &["get", "api/token"], "").ends(0);
        assert!(read.stdout().contains(TOKEN), "{provider}");
        let named = &["set", "named/token"][..];
        let keys = [
            &["key", "rotate"][..],
            &["key", "add", "x", "--key-file", "../x.key"],
        ];
        let keys = keys.iter().filter(|_| provider.starts_with("sealed:"));
        for arguments in CHANGES.iter().chain([&named]).chain(keys) {
            let line = format!("{provider}: {}", arguments.join(" "));
            let ran = run_in(
                &room,
                "project",
                arguments,
                "a-new-value-4Tz0qL9e_W2mR7kB1nY6cH3s",
            );
            assert_ne!(ran.code(), 0, "{line}");
            let shown = ran.stderr();
            assert!(shown.contains("nothing is changed in"), "{line}: {shown}");
            assert!(shown.contains("strongroom trust"), "{line}: {shown}");
            assert_eq!(tree(&room.path("other")), before, "{line}: {shown}");
        }
        // Named by the user, or trusted, it is a manifest as any other.
        let arguments = ["set", "api/token", "--manifest", "strongroom.toml"];
        run_in(&room, "project", &arguments, TOKEN).ends(0);
        run_in(&room, "project", &["trust"], "").ends(0);
        run_in(&room, "project", &["set", "api/token"], TOKEN).ends(0);
    }
}

#[test]
fn what_it_names_in_its_own_folder_is_changed() {
    let room = neighbours("file:own");
    std::fs::create_dir(room.path("project/own")).unwrap();
    run_in(&room, "project", &["set", "api/token"], TOKEN).ends(0);
    assert!(tree(&room.path("project/own")).len() > 1);
    let read = run_in(&room, "project", &["get", "api/token"], "").ends(0);
    assert!(read.stdout().contains(TOKEN));
}

#[test]
fn a_pipe_in_the_place_of_a_file_is_not_waited_for() {
    for (path, arguments) in [
        ("strongroom.toml", &["inspect"][..]),
        (".env", &["inspect"]),
        ("app.env", &["list", "--provider", "file:app.env"]),
        (".strongroom/secrets.sealed", &["inspect"]),
        (
            ".strongroom/secrets.sealed",
            &["list", "--provider", "sealed:.strongroom/secrets.sealed"],
        ),
        ("config/strongroom/trusted", &["inspect"]),
    ] {
        let room = Room::new()
            .file(".strongroom/.keep", "")
            .file("config/strongroom/.keep", "");
        let config = room.path("config").to_str().unwrap().to_owned();
        let room = room.var("XDG_CONFIG_HOME", &config);
        let pipe = room.path(path);
        assert!(
            Command::new("mkfifo")
                .arg(&pipe)
                .status()
                .unwrap()
                .success()
        );
        if path.ends_with("trusted") {
            std::fs::write(room.path("strongroom.toml"), "[default]\n").unwrap();
        }
        // It ends: nothing writes into the pipe.
        let ran = room.run(arguments);
        assert_printable(&ran, path);
        assert_ne!(ran.code(), 101, "{path}: {}", ran.stderr());
    }
}

#[test]
fn a_manifest_that_was_trusted_is_honoured_until_it_is_edited() {
    let listener = Listener::start();
    let address = listener.address;
    let text = format!(
        "[default]\nprovider = \"vault+http://{address}/?mount=kv&kv=2\"\n\
         danger_allow_plaintext_http = true\n[default.secrets.\"api/token\"]\nkind = \"token\"\n\
         [default.retry]\nattempts = 1\n"
    );
    let room = checkout(&text);
    let warned = |ran: &Ran| ran.stderr().contains("untrusted-manifest");

    let ran = room.run(&["get", "api/token"]);
    assert_eq!(ran.code(), 2, "{}", ran.stderr());
    assert!(
        ran.stderr().contains("strongroom trust"),
        "{}",
        ran.stderr()
    );
    assert!(warned(&ran));
    assert_eq!(listener.received(), "");

    let ran = room.run(&["trust"]);
    assert_eq!(ran.code(), 0, "{}", ran.stderr());
    let record = room.path("home/.config/strongroom/trusted");
    let mode = std::fs::metadata(&record).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    let ran = room.run(&["get", "api/token"]);
    assert_eq!(ran.code(), 5, "the server hangs up: {}", ran.stderr());
    assert!(!warned(&ran), "{}", ran.stderr());
    let received = listener.received();
    assert!(
        received.contains("x-vault-token: ") && received.contains(CANARY),
        "{received}"
    );

    let edited = format!("{text}# edited\n");
    std::fs::write(room.path("strongroom.toml"), edited).unwrap();
    let ran = room.run(&["get", "api/token"]);
    assert_eq!(ran.code(), 2, "{}", ran.stderr());
    assert!(
        ran.stderr().contains("has changed since you trusted it"),
        "{}",
        ran.stderr()
    );
    assert_eq!(listener.received(), received);

    // Back to what was trusted, it is trusted; elsewhere, the same text is not.
    std::fs::write(room.path("strongroom.toml"), &text).unwrap();
    assert!(!warned(&room.run(&["inspect", "--offline"])));
    std::fs::create_dir(room.path("copy")).unwrap();
    std::fs::copy(
        room.path("strongroom.toml"),
        room.path("copy/strongroom.toml"),
    )
    .unwrap();
    let mut elsewhere = room.command(&["inspect", "--offline"]);
    let elsewhere = elsewhere.current_dir(room.path("copy")).output().unwrap();
    let shown = String::from_utf8_lossy(&elsewhere.stderr).into_owned();
    assert!(shown.contains("untrusted-manifest"), "{shown}");

    let ran = room.run(&["trust", "--revoke"]);
    assert_eq!(ran.code(), 0, "{}", ran.stderr());
    assert_eq!(room.run(&["trust", "--revoke"]).code(), 3);
    assert!(warned(&room.run(&["inspect", "--offline"])));
    assert_eq!(room.run(&["trust", "--list"]).stdout(), "");
}

#[test]
fn a_record_of_trust_that_others_can_write_counts_for_nothing() {
    let room =
        checkout("[default]\nprovider = \"env:?prefix=APP_\"\ndanger_allow_plain_files = true\n");
    assert_eq!(room.run(&["trust"]).code(), 0);
    let record = room.path("home/.config/strongroom/trusted");
    std::fs::set_permissions(&record, std::fs::Permissions::from_mode(0o666)).unwrap();
    let ran = room.run(&["inspect", "--offline"]);
    assert!(
        ran.stderr().contains("can be written by others"),
        "{}",
        ran.stderr()
    );
    assert!(
        ran.stderr()
            .contains("`danger_allow_plain_files` is ignored"),
        "{}",
        ran.stderr()
    );
}
