//! `import`: other tools' files, named, checked and written as a whole.

use aes_gcm::aead::{AeadInOut as _, KeyInit as _};
use aes_gcm::{Aes256Gcm, Nonce};
use base64ct::{Base64UrlUnpadded, Encoding as _};
use serde_json::Value;

use crate::canary::CANARY;
use crate::harness::{Room, TOKEN};

const MANIFEST: &str = "\
[default]
provider = \"file:out\"
[default.secrets.\"database/password\"]
kind = \"password\"
env = \"PGPASSWORD\"
[default.secrets.\"api/token\"]
kind = \"token\"
[default.secrets.\"signing/key\"]
kind = \"key\"
encoding = \"hex\"
required = false
";
const PASSWORD: &str = "violet-Kayak-19-thunder";

fn room() -> Room {
    Room::new()
        .file("strongroom.toml", MANIFEST)
        .dir_of_mode("out", 0o700)
}

fn get(room: &Room, name: &str) -> String {
    room.run(&["get", name]).ends(0).stdout()
}

#[test]
fn a_dotenv_file_gets_the_declared_names() {
    let hex = "0f1e2d3c4b5a69788796a5b4c3d2e1f00112233445566778899aabbccddeefa5";
    let text = format!(
        "PGPASSWORD='{PASSWORD}'\nAPI_TOKEN={TOKEN}\nSIGNING_KEY={hex}\nSTRIPE_ID=\"a b\"\n"
    );
    let room = room().file(".env", text);
    let ran = room
        .run(&["import", ".env", "--dry-run", "--format", "json"])
        .ends(0);
    let told: Value = serde_json::from_str(&ran.stdout()).unwrap();
    assert_eq!(told["secrets"][1]["name"], "database/password");
    assert_eq!(told["secrets"][1]["from"], "PGPASSWORD");
    assert!(!room.path("out/api").exists());
    room.run(&["import", ".env"]).ends(0);
    assert_eq!(get(&room, "database/password"), PASSWORD);
    assert_eq!(get(&room, "api/token"), TOKEN);
    assert_eq!(get(&room, "stripe_id"), "a b");
    // A key is 32 bytes everywhere, and what the target holds is its declared encoding.
    assert_eq!(room.run(&["get", "signing/key"]).0.stdout.len(), 32);
    assert_eq!(
        std::fs::read_to_string(room.path("out/signing/key")).unwrap(),
        hex
    );
    room.run(&["import", ".env"]).ends(0);
    let ran = room
        .run_with(&["import", "-", "--from", "dotenv"], b"API_TOKEN=other\n")
        .ends(7);
    assert!(!ran.stderr().contains("=other"));
}

#[test]
fn json_and_yaml_may_be_flat_or_nested() {
    let json = format!(
        "{{\"database\": {{\"password\": \"{PASSWORD}\"}}, \"api/token\": \"{TOKEN}\", \"port\": 5432}}"
    );
    let yaml = format!("database:\n  password: {PASSWORD}\napi/token: {TOKEN}\nport: 5432\n");
    for (file, text) in [("x.json", json), ("x.yaml", yaml)] {
        let room = room().file(file, text);
        room.run(&["import", file]).ends(0);
        assert_eq!(get(&room, "database/password"), PASSWORD);
        assert_eq!(get(&room, "api/token"), TOKEN);
        assert_eq!(get(&room, "port"), "5432");
    }
}

#[test]
fn every_secret_of_a_kubernetes_stream_is_read() {
    let text = format!(
        "# made by hand\n---\napiVersion: v1\nkind: ConfigMap\ndata:\n  not: taken\n---\napiVersion: v1\n\
         kind: Secret\nmetadata:\n  name: one\ndata:\n  PGPASSWORD: dmlvbGV0LUtheWFrLTE5LXRodW5kZXI=\n  raw: /wD+\n\
         ---\nkind: Secret\nstringData:\n  api.token: {TOKEN}\n"
    );
    let room = room().file("secret.yaml", text);
    room.run(&["import", "secret.yaml", "--from", "kubernetes"])
        .ends(0);
    assert_eq!(get(&room, "database/password"), PASSWORD);
    assert_eq!(get(&room, "api/token"), TOKEN);
    assert_eq!(room.run(&["get", "raw"]).0.stdout, [0xff, 0x00, 0xfe]);
    assert!(!room.path("out/not").exists());
}

#[test]
fn a_docker_file_has_no_quotes_to_take_away() {
    let text = format!("# c\n\nPGPASSWORD={PASSWORD}\nAPI_TOKEN={TOKEN}\nQUOTED=\"x # y\" \n");
    let room = room().file("app.list", text);
    room.run(&["import", "app.list", "--from", "docker"])
        .ends(0);
    assert_eq!(get(&room, "quoted"), "\"x # y\" ");
    assert_eq!(get(&room, "api/token"), TOKEN);
}

#[test]
fn variables_are_taken_from_the_environment_and_no_others() {
    let room = room()
        .var("PGPASSWORD", PASSWORD)
        .var("APP_API_TOKEN", TOKEN)
        .var("UNRELATED", CANARY);
    let arguments = [
        "import",
        "--from",
        "env",
        "--prefix-strip",
        "APP_",
        "--format",
        "json",
    ];
    let ran = room.run(&arguments).ends(0);
    let told: Value = serde_json::from_str(&ran.stdout()).unwrap();
    assert_eq!(told["secrets"].as_array().unwrap().len(), 2);
    assert_eq!(get(&room, "api/token"), TOKEN);
    room.run(&["import", ".env", "--from", "env"]).ends(2);
    let empty = self::room().var("UNRELATED", CANARY);
    empty.run(&["import", "--from", "env"]).ends(3);
}

/// Seals as the services in TypeScript do.
fn sealed(key: &[u8; 32], value: &str) -> String {
    let nonce = [7_u8; 12];
    let mut text = value.as_bytes().to_vec();
    let cipher = Aes256Gcm::new_from_slice(key).unwrap();
    let tag = cipher
        .encrypt_inout_detached(&Nonce::from(nonce), &[], text.as_mut_slice().into())
        .unwrap();
    Base64UrlUnpadded::encode_string(&[&nonce[..], &text, &tag].concat())
}

const KEY: [u8; 32] = *b"k9\x02zQ\xa7w4nV8\xe1r-T1~m\xc3yBf6\x90pLd0sXhG";

fn master_key_file(token_key: &[u8; 32]) -> String {
    let (password, token) = (sealed(&KEY, PASSWORD), sealed(token_key, TOKEN));
    format!(
        "{{\"version\": 1, \"secrets\": {{\"PGPASSWORD\": \"{password}\",\n\"API_TOKEN\": \"{token}\"}}}}"
    )
}

const FROM_MASTER_KEY: [&str; 4] = ["import", "secrets.json", "--from", "master-key-file"];

#[test]
fn the_encrypted_file_of_typescript_services_is_read() {
    let keys = [
        base16ct::lower::encode_string(&KEY),
        Base64UrlUnpadded::encode_string(&KEY),
        base64ct::Base64::encode_string(&KEY),
    ];
    for key in keys {
        let room = room()
            .file("secrets.json", master_key_file(&KEY))
            .var("SECRETS_MASTER_KEY", &key);
        room.run(&FROM_MASTER_KEY).ends(0);
        assert_eq!(get(&room, "database/password"), PASSWORD);
        assert_eq!(get(&room, "api/token"), TOKEN);
    }
}

#[test]
fn a_wrong_master_key_writes_nothing_even_if_it_opens_some() {
    let other = KEY.map(|byte| byte ^ 0x5a);
    let ours = base16ct::lower::encode_string(&KEY);
    let zeros = "0".repeat(64);
    for (file, key, code, said) in [
        (
            master_key_file(&other),
            Some(ours.as_str()),
            6,
            "line 2, key `API_TOKEN`",
        ),
        (
            master_key_file(&KEY),
            None,
            4,
            "SECRETS_MASTER_KEY is not set",
        ),
        (
            master_key_file(&KEY),
            Some(zeros.as_str()),
            1,
            "is a placeholder",
        ),
        (
            master_key_file(&KEY),
            Some("canary-Zq81-vK3x"),
            2,
            "is not 32 bytes",
        ),
        (
            "{\"version\": 2, \"secrets\": {}}".to_owned(),
            Some(ours.as_str()),
            1,
            "`version` is not 1",
        ),
        (
            "{\"secrets\": {}}".to_owned(),
            Some(ours.as_str()),
            1,
            "has no `version`",
        ),
        (
            "{\"version\": 1, \"secrets\": {\"A\": \"canary!\"}}".to_owned(),
            Some(ours.as_str()),
            1,
            "not base64url",
        ),
        (
            "{\"version\": 1, \"secrets\": {\"A\": \"YQ\"}}".to_owned(),
            Some(ours.as_str()),
            6,
            "doesn't open it",
        ),
    ] {
        let mut room = room().file("secrets.json", file);
        if let Some(key) = key {
            room = room.var("SECRETS_MASTER_KEY", key);
        }
        let ran = room.run(&FROM_MASTER_KEY).ends(code);
        let stderr = ran.stderr();
        assert!(
            stderr.contains(said) && !stderr.contains("canary"),
            "{stderr}"
        );
        assert!(
            !stderr.contains(&ours) && !stderr.contains(PASSWORD),
            "{stderr}"
        );
        assert_eq!(std::fs::read_dir(room.path("out")).unwrap().count(), 0);
    }
}

#[test]
fn what_is_malformed_is_placed_and_never_quoted() {
    for (format, text) in [
        ("dotenv", format!("A=1\n{CANARY}\n")),
        ("dotenv", format!("A='{CANARY}\n")),
        ("json", format!("{{\"a\": \"{CANARY}\" \"b\"}}")),
        ("json", format!("{{\"a\": null, \"b\": \"{CANARY}\"}}")),
        ("json", format!("{{\"{CANARY} {CANARY}\": \"x\"}}")),
        ("yaml", format!("a: *{CANARY}\n")),
        ("yaml", format!("a: {CANARY}\n---\nb: 1\n")),
        (
            "kubernetes",
            format!("kind: Secret\ndata:\n  a: {CANARY}!\n"),
        ),
        (
            "kubernetes",
            format!("kind: ConfigMap\ndata:\n  a: {CANARY}\n"),
        ),
        (
            "kubernetes",
            format!("kind: Secret\nstringData:\n  a: 12\n  b: {CANARY}\n"),
        ),
        ("docker", format!("A=1\n{CANARY}\n")),
        ("docker", format!("A=1\n{CANARY} B={CANARY}\n")),
    ] {
        let room = room();
        let arguments = ["import", "-", "--from", format];
        let ran = room.run_with(&arguments, text.as_bytes());
        assert!(
            ran.code() == 1 || ran.code() == 2,
            "{format} {text}: {}",
            ran.code()
        );
        let stderr = ran.stderr();
        assert!(stderr.contains("standard input"), "{format}: {stderr}");
        assert!(!stderr.contains("canary"), "{format}: {stderr}");
        assert_eq!(std::fs::read_dir(room.path("out")).unwrap().count(), 0);
    }
}

#[test]
fn what_sops_or_age_encrypted_is_theirs_to_open() {
    for (format, text, said) in [
        (
            "json",
            "{\"a\": \"ENC[AES256_GCM,data:x]\", \"sops\": {\"mac\": \"x\"}}",
            "sops decrypt",
        ),
        (
            "yaml",
            "a: ENC[AES256_GCM,data:x]\nsops:\n  mac: x\n",
            "sops decrypt",
        ),
        (
            "dotenv",
            "A=ENC[AES256_GCM,data:x]\nsops_mac=x\n",
            "sops decrypt",
        ),
        (
            "docker",
            "A=ENC[AES256_GCM,data:x]\nsops_mac=x\n",
            "sops decrypt",
        ),
        (
            "kubernetes",
            "kind: Secret\nstringData:\n  a: ENC[AES256_GCM,data:x]\nsops:\n  mac: x\n",
            "sops decrypt",
        ),
        (
            "json",
            "{\"version\": 1, \"secrets\": {\"A\": \"AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8\"}}",
            "--from master-key-file",
        ),
        (
            "dotenv",
            "age-encryption.org/v1\n-> X25519 x\n",
            "age --decrypt",
        ),
        (
            "json",
            "-----BEGIN AGE ENCRYPTED FILE-----\nYWdl\n",
            "age --decrypt",
        ),
    ] {
        let room = room();
        let ran = room
            .run_with(&["import", "-", "--from", format], text.as_bytes())
            .ends(2);
        assert!(ran.stderr().contains(said), "{}", ran.stderr());
        assert_eq!(std::fs::read_dir(room.path("out")).unwrap().count(), 0);
    }
}

#[test]
fn names_are_given_and_collisions_found_before_any_write() {
    let room = room();
    let text = format!("ODD={TOKEN}\nPGPASSWORD={PASSWORD}\n");
    let arguments = ["import", "-", "--from", "dotenv", "--map", "ODD=api/token"];
    room.run_with(&arguments, text.as_bytes()).ends(0);
    assert_eq!(get(&room, "api/token"), TOKEN);
    let both = format!("API_TOKEN={TOKEN}\nODD={PASSWORD}\n");
    let ran = room.run_with(&arguments, both.as_bytes()).ends(2);
    assert!(
        ran.stderr()
            .contains("`API_TOKEN` and `ODD` would both become it"),
        "{}",
        ran.stderr()
    );
    let text = b"{\"x/y\": \"a-longer-value\", \"x_y\": \"another-value\"}";
    let ran = self::room()
        .run_with(&["import", "-", "--from", "json"], text)
        .ends(2);
    assert!(
        ran.stderr().contains("share a spelling"),
        "{}",
        ran.stderr()
    );
    let ran = room
        .run_with(&["import", "-", "--from", "dotenv", "--map", CANARY], b"")
        .ends(2);
    assert!(!ran.stderr().contains("canary"));
    let ran = room.run(&["import", "unknown.bin"]).ends(2);
    assert!(ran.stderr().contains("--from dotenv"), "{}", ran.stderr());
    // As a pipe is whose first program failed.
    room.run_with(&["import", "-", "--from", "dotenv"], b"")
        .ends(1);
    room.run(&["import"]).ends(2);
    room.run(&["import", "none.env"]).ends(2);
}

#[test]
fn a_mistyped_map_is_no_silent_other_name() {
    let room = room().file("e.env", format!("DATABASE_PASSWORD={PASSWORD}\n"));
    for map in [
        &["--map", "DATABASE_PASWORD=database/password"][..],
        &[
            "--map",
            "DATABASE_PASSWORD=a",
            "--map",
            "DATABASE_PASSWORD=b",
        ],
    ] {
        let ran = room.run(&[&["import", "e.env"], map].concat()).ends(2);
        assert!(ran.stderr().contains("--map"), "{}", ran.stderr());
    }
    assert!(!room.path("out/database").exists());
}

#[test]
fn standard_input_is_read_from_where_it_stands() {
    let room = room().file("two.env", format!("HEAD=skipped\nAPI_TOKEN={TOKEN}\n"));
    let mut input = std::fs::File::open(room.path("two.env")).unwrap();
    std::io::Seek::seek(&mut input, std::io::SeekFrom::Start(13)).unwrap();
    let ran = room
        .command(&["import", "-", "--from", "dotenv"])
        .stdin(input)
        .output()
        .unwrap();
    assert!(
        ran.status.success(),
        "{}",
        String::from_utf8_lossy(&ran.stderr)
    );
    assert_eq!(get(&room, "api/token"), TOKEN);
    room.run(&["get", "head"]).ends(3);
}
