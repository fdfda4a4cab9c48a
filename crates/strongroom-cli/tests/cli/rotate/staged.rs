//! On the stand-in for AWS, which has stages.

use serde_json::Value;
use strongroom::Env;

use super::{MANIFEST, OLD};
use crate::harness::Room;

/// A room whose provider is a prefix of its own; `None` where there is no server.
fn room() -> Option<Room> {
    let name = "STRONGROOM_TEST_AWS_ENDPOINT";
    let env = Env::process();
    let Some(endpoint) = env.var(name).unwrap() else {
        assert_ne!(env.var("CI").unwrap(), Some("true"), "{name} is not set");
        println!("not run: needs `cargo xtask servers`");
        return None;
    };
    let dir = tempfile::tempdir().unwrap();
    let own = dir
        .path()
        .file_name()
        .unwrap()
        .to_str()
        .unwrap()
        .replace('.', "");
    let provider = format!("aws://eu-west-1/cli/{own}");
    let room = Room::new()
        .var("STRONGROOM_PROVIDER", &provider)
        .var("PROVIDER", &provider)
        .var("AWS_ENDPOINT_URL", endpoint)
        .var("AWS_EC2_METADATA_DISABLED", "true")
        .var("AWS_ACCESS_KEY_ID", &format!("AKIA{own}"))
        .var("AWS_SECRET_ACCESS_KEY", "canary-of-the-secret-key")
        .file("strongroom.toml", MANIFEST);
    room.run_with(&["set", "api/token"], OLD.as_bytes()).ends(0);
    Some(room)
}

fn hook(script: &str) -> [&str; 7] {
    ["rotate", "api/token", "--exec", "sh", "--", "-c", script]
}

fn value(room: &Room) -> String {
    room.run(&["get", "api/token"]).ends(0).stdout()
}

/// Begins a rotation whose process is killed while its hook runs.
fn interrupt(room: &Room) {
    room.run(&hook("cat > got; kill -9 $PPID"));
    assert_eq!(value(room), OLD);
}

#[test]
fn readers_keep_the_former_value_until_the_hook_succeeded() {
    let Some(room) = room() else { return };
    let ours = env!("CARGO_BIN_EXE_strongroom");
    // The hook has none of our credentials but those of another account, which may read.
    let script = format!(
        "cat > got; env > env; AWS_ACCESS_KEY_ID=AKIAOTHER AWS_SECRET_ACCESS_KEY=x {ours} \
         get api/token --provider $PROVIDER > meanwhile"
    );
    let ran = room.run(&hook(&script)).ends(0);
    assert!(
        ran.stderr().contains("can be read as the previous one"),
        "{}",
        ran.stderr()
    );
    let read = |path: &str| std::fs::read_to_string(room.path(path)).unwrap();
    assert_eq!(read("meanwhile"), OLD);
    assert_eq!(read("got"), value(&room));
    assert!(!read("env").contains("canary-of-the-secret-key"));
    room.run(&hook("exit 1")).ends(1);
    assert_eq!(read("got"), value(&room));
    // Nothing is left pending: the next one begins.
    room.run(&["rotate", "api/token"]).ends(0);
}

#[test]
fn an_interrupted_rotation_is_resumed() {
    let Some(room) = room() else { return };
    interrupt(&room);
    let ran = room.run(&["rotate", "api/token"]).ends(7);
    for option in ["--resume", "--abort", "is pending"] {
        assert!(ran.stderr().contains(option), "{}", ran.stderr());
    }
    let pending = std::fs::read_to_string(room.path("got")).unwrap();
    // A hook that fails now may have succeeded before: the value stays.
    let failing = ["rotate", "api/token", "--resume", "--exec", "false"];
    let ran = room.run(&failing).ends(1);
    assert!(ran.stderr().contains("stays pending"), "{}", ran.stderr());
    let json = room
        .run(&[&failing[..], &["--format", "json"]].concat())
        .ends(1);
    let json: Value = serde_json::from_str(&json.stdout()).unwrap();
    assert_eq!(json["error"]["rotation"]["undone"], false);
    let script = "cat > again";
    let resume = [
        "rotate",
        "api/token",
        "--resume",
        "--exec",
        "sh",
        "--",
        "-c",
        script,
    ];
    room.run(&resume).ends(0);
    assert_eq!(
        std::fs::read_to_string(room.path("again")).unwrap(),
        pending
    );
    assert_eq!(value(&room), pending);
    let ran = room.run(&["rotate", "api/token", "--resume"]).ends(3);
    assert!(
        ran.stderr().contains("nothing is pending"),
        "{}",
        ran.stderr()
    );
}

#[test]
fn an_interrupted_rotation_is_aborted() {
    let Some(room) = room() else { return };
    interrupt(&room);
    let ran = room
        .run(&["rotate", "api/token", "--abort", "--format", "json"])
        .ends(0);
    let json: Value = serde_json::from_str(&ran.stdout()).unwrap();
    assert_eq!(json["name"], "api/token");
    assert!(json["discarded"].is_string());
    assert_eq!(value(&room), OLD);
    room.run(&["rotate", "api/token", "--abort"]).ends(3);
    room.run(&["rotate", "api/token"]).ends(0);
}
