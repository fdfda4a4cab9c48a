//! Every command on a real Vault, and what `doctor` finds out about one.

use serde_json::Value;
use strongroom::Env;

use crate::harness::{Ran, Room, TOKEN};

/// A mount of its own on the shared server, and a room whose provider it is.
struct Vault {
    bao: String,
    host: String,
    mount: String,
    room: Room,
}

const MANIFEST: &str = "\
[default.secrets.\"api/token\"]
kind = \"token\"
[default.secrets.\"database#password\"]
kind = \"password\"
[default.secrets.\"database#user\"]
kind = \"opaque\"
";

impl Vault {
    /// Mounts a key-value store of this version; `None` where there is no server.
    fn new(version: &str) -> Option<Self> {
        let env = Env::process();
        let variable = |name: &str| {
            let value = env.var(name).unwrap().map(str::to_owned);
            if value.is_none() {
                assert_ne!(env.var("CI").unwrap(), Some("true"), "{name} is not set");
                println!("not run: needs `cargo xtask servers`");
            }
            value
        };
        let bao = variable("STRONGROOM_TEST_BAO")?;
        let address = variable("STRONGROOM_TEST_VAULT_ADDR")?;
        let token = variable("STRONGROOM_TEST_VAULT_TOKEN")?;
        let host = address.strip_prefix("http://").unwrap().to_owned();
        let dir = tempfile::tempdir().unwrap();
        let mount = dir.path().file_name().unwrap().to_str().unwrap();
        let mount = format!("kv-{}", mount.trim_start_matches('.').to_lowercase());
        let provider = format!("vault+http://{host}/{mount}");
        let vault = Self {
            room: Room::new()
                .var("VAULT_ADDR", &address)
                .var("VAULT_TOKEN", &token)
                .var("STRONGROOM_PROVIDER", &provider)
                .file("strongroom.toml", MANIFEST),
            bao,
            host,
            mount,
        };
        let path = format!("-path={}", vault.mount);
        let version = format!("-version={version}");
        vault.bao(&["secrets", "enable", &path, &version, "kv"]);
        Some(vault)
    }

    /// Does what an operator does, with the server's own tool.
    fn bao(&self, arguments: &[&str]) -> String {
        let ran = Ran(self.room.other(&self.bao, arguments).output().unwrap());
        ran.ends(0).stdout().trim().to_owned()
    }

    /// A token that this policy is given to.
    fn token(&self, policy: &str) -> String {
        let policy = format!("-policy={policy}");
        let create = ["token", "create", "-field=token", "-ttl=1h"];
        self.bao(&[&create[..], &[&policy]].concat())
    }

    fn with_token(self, token: &str) -> Self {
        let room = self.room.without("VAULT_TOKEN").var("VAULT_TOKEN", token);
        Self { room, ..self }
    }

    fn with_provider(self, provider: &str) -> Self {
        let room = self.room.without("STRONGROOM_PROVIDER");
        let room = room.var("STRONGROOM_PROVIDER", provider);
        Self { room, ..self }
    }

    fn json(&self, arguments: &[&str], code: i32) -> Value {
        let arguments = [arguments, &["--format", "json"]].concat();
        let ran = self.room.run(&arguments).ends(code);
        serde_json::from_str(&ran.stdout()).unwrap()
    }

    /// Runs `doctor`, and returns its checks of the provider.
    fn doctor(&self, code: i32) -> Vec<Value> {
        let found = self.json(&["doctor"], code);
        assert_eq!(found["schema"], 1);
        assert_eq!(found["ok"], code == 0);
        found["providers"][0]["checks"].as_array().unwrap().clone()
    }
}

fn check<'a>(checks: &'a [Value], subject: &str) -> &'a Value {
    let found = checks.iter().find(|check| check["subject"] == subject);
    found.unwrap_or_else(|| panic!("no check of {subject}: {checks:?}"))
}

#[test]
fn every_command_works_on_vault() {
    let Some(vault) = Vault::new("2") else { return };
    let room = &vault.room;
    room.run(&["validate"]).ends(1);
    room.run_with(&["set", "api/token", "--if-absent"], TOKEN.as_bytes())
        .ends(0);
    let ran = room.run(&["generate", "database#password"]).ends(0);
    assert!(!ran.stdout().contains("password="), "{}", ran.stdout());
    // A second field of one secret is a second version of it.
    let ran = room.run_with(&["set", "database#user"], b"app").ends(0);
    assert!((ran.stdout() + &ran.stderr()).contains("version 2"));
    assert_eq!(room.run(&["get", "api/token"]).ends(0).stdout(), TOKEN);
    assert_eq!(room.run(&["get", "database#user"]).ends(0).stdout(), "app");
    let got = vault.json(&["get", "database#user"], 0);
    assert_eq!(got["schema"], 1);
    let listed = room.run(&["list"]).ends(0).stdout();
    for name in ["api/token", "database"] {
        assert!(listed.contains(name), "{listed}");
    }
    let valid = vault.json(&["validate"], 0);
    assert_eq!(
        (&valid["ok"], &valid["secrets"][0]["outcome"]["state"]),
        (&true.into(), &"present".into())
    );
    let seen = room.run(&["inspect"]).ends(0).stdout();
    assert!(
        seen.contains(&format!("vault+http://{}/{}", vault.host, vault.mount)),
        "{seen}"
    );
    assert!(!seen.contains(TOKEN), "{seen}");
    let script = "test \"$API_TOKEN\" && ! env | grep VAULT_TOKEN && echo there";
    let ran = room.run(&["run", "--", "sh", "-c", script]);
    assert_eq!(ran.ends(0).stdout(), "there\n");
    room.run(&["rm", "database#user", "--if-version", "1"])
        .ends(7);
    room.run(&["rm", "database#user", "--if-version", "2"])
        .ends(0);
    assert!(
        room.run(&["get", "database#password"])
            .ends(0)
            .stdout()
            .len()
            > 10
    );
    room.run(&["rm", "api/token"]).ends(0);
    room.run(&["get", "api/token"]).ends(3);
}

#[test]
fn each_failure_has_its_code_and_its_words() {
    let Some(vault) = Vault::new("2") else { return };
    vault
        .room
        .run_with(&["set", "api/token"], TOKEN.as_bytes())
        .ends(0);
    let absent = vault.json(&["get", "not/there"], 3);
    assert_eq!(absent["error"]["kind"], "absent");
    for arguments in [
        ["set", "api/token", "--if-absent", "--quiet"],
        ["set", "api/token", "--if-version", "7"],
    ] {
        let ran = vault.room.run_with(&arguments, TOKEN.as_bytes()).ends(7);
        assert!(
            ran.stderr().starts_with("error: secret `api/token`"),
            "{}",
            ran.stderr()
        );
    }
    let nobody = vault.token("default");
    let vault = vault.with_token(&nobody);
    assert_eq!(
        vault.json(&["get", "api/token"], 4)["error"]["kind"],
        "denied"
    );
    let vault = vault.with_token("canary-that-nobody-knows");
    let ran = vault.room.run(&["get", "api/token"]).ends(4);
    assert!(
        ran.stderr().contains("is refused (403)"),
        "{}",
        ran.stderr()
    );
    assert!(!ran.stderr().contains("canary"), "{}", ran.stderr());
    let nowhere = vault.with_provider("vault+http://127.0.0.1:1/kv");
    let nowhere = nowhere.with_one_attempt();
    let unreachable = nowhere.json(&["get", "api/token"], 5);
    assert_eq!(unreachable["error"]["kind"], "transient");
    let doctor = nowhere.doctor(5);
    assert_eq!(check(&doctor, "TCP")["outcome"], "failed");
}

impl Vault {
    /// Without pauses before the error.
    fn with_one_attempt(self) -> Self {
        let room = self.room.var("STRONGROOM_CFG_RETRY__ATTEMPTS", "1");
        Self { room, ..self }
    }
}

#[test]
fn the_policy_that_doctor_writes_is_enough_and_not_more() {
    for version in ["1", "2"] {
        let Some(vault) = Vault::new(version) else {
            return;
        };
        let policy = format!("{}-read", vault.mount);
        // In version 1 the fields of one path come in one write.
        let path = |name: &str| format!("{}/{name}", vault.mount);
        let strong = "password=correct-Horse_battery9staple";
        vault.bao(&["kv", "put", &path("api/token"), &format!("value={TOKEN}")]);
        vault.bao(&["kv", "put", &path("database"), strong, "user=app"]);
        vault.bao(&["kv", "put", &path("other"), "value=of-somebody-else"]);

        let before = vault.token(&policy);
        let script = format!(
            "'{}' doctor --policy | '{}' policy write {policy} -",
            env!("CARGO_BIN_EXE_strongroom"),
            vault.bao
        );
        let vault = vault.with_token(&before);
        // Nothing is allowed yet; the operator's own token writes the policy.
        let checks = vault.doctor(4);
        assert_eq!(check(&checks, "mount")["outcome"], "failed");
        let vault = vault.with_token("root");
        vault.room.shell(&script).ends(0);

        let vault = vault.with_token(&before);
        let checks = vault.doctor(0);
        for subject in [
            "DNS", "TCP", "TLS", "clock", "server", "latency", "auth", "mount",
        ] {
            assert_eq!(check(&checks, subject)["outcome"], "ok", "{checks:?}");
        }
        let auth = check(&checks, "auth")["detail"].as_str().unwrap();
        assert!(
            auth.contains(&policy) && auth.contains("renewable"),
            "{auth}"
        );
        check(&checks, "policy of api/token");
        check(&checks, "policy of database#password, database#user");
        vault.room.run(&["validate"]).ends(0);
        vault.room.run(&["get", "other"]).ends(4);
        vault
            .room
            .run_with(&["set", "api/token"], TOKEN.as_bytes())
            .ends(4);

        // One right is taken away: the check names the path and the capability.
        let middle = if version == "2" { "/data" } else { "" };
        let allowed = format!(
            "path \"{}{middle}/database\" {{ capabilities = [\"read\"] }}",
            vault.mount
        );
        let vault = vault.with_token("root");
        let file = vault.room.path("less.hcl");
        std::fs::write(&file, allowed).unwrap();
        vault.bao(&["policy", "write", &policy, file.to_str().unwrap()]);
        let vault = vault.with_token(&before);
        let checks = vault.doctor(1);
        let missing = check(&checks, "policy of api/token");
        let said = format!("`read` on `{}{middle}/api/token` is missing", vault.mount);
        assert_eq!(
            (&missing["outcome"], &missing["detail"]),
            (&"failed".into(), &said.into())
        );
        let text = vault.room.run(&["doctor"]).ends(1);
        assert!(
            text.stdout().contains("  ✗ policy of api/token: "),
            "{}",
            text.stdout()
        );
        assert!(text.stderr().contains("checks failed"), "{}", text.stderr());
        assert!(!(text.stdout() + &text.stderr()).contains(&before));
    }
}

#[test]
fn doctor_goes_on_where_a_check_fails_and_shows_no_token() {
    let Some(vault) = Vault::new("2") else { return };
    let vault = vault.with_token("canary-that-nobody-knows");
    let ran = vault.room.run(&["doctor"]).ends(4);
    let shown = ran.stdout() + &ran.stderr();
    for said in [
        "✓ server: active",
        "✓ latency",
        "✗ auth: ",
        "least policy",
        "path \"",
    ] {
        assert!(shown.contains(said), "{shown}");
    }
    assert!(!shown.contains("canary"), "{shown}");
    // It is https that is spoken to a port of plain http.
    let plain = vault.with_provider("vault://127.0.0.1:1/kv");
    let host = plain.host.clone();
    let plain = plain.with_provider(&format!("vault://{host}/kv"));
    let checks = plain.doctor(1);
    assert_eq!(check(&checks, "TCP")["outcome"], "ok");
    assert_eq!(check(&checks, "TLS")["outcome"], "failed");
}

#[test]
fn version_1_says_what_it_can_not_do() {
    let Some(vault) = Vault::new("1") else { return };
    let room = &vault.room;
    room.run_with(&["set", "api/token"], TOKEN.as_bytes())
        .ends(0);
    assert_eq!(room.run(&["get", "api/token"]).ends(0).stdout(), TOKEN);
    let ran = room
        .run_with(&["set", "api/token", "--if-absent"], TOKEN.as_bytes())
        .ends(2);
    assert!(
        ran.stderr().contains("can't compare before it writes"),
        "{}",
        ran.stderr()
    );
    room.run_with(&["set", "database#user"], b"app").ends(0);
    let strong = b"correct-Horse_battery9staple";
    let ran = room.run_with(&["set", "database#password"], strong).ends(2);
    assert!(
        ran.stderr().contains("without risk to the others"),
        "{}",
        ran.stderr()
    );
    room.run(&["rm", "api/token"]).ends(0);
    room.run(&["get", "api/token"]).ends(3);
}

#[test]
fn a_named_provider_is_examined_and_has_its_own_policy() {
    let Some(vault) = Vault::new("2") else { return };
    let manifest = format!(
        "[default.providers]\nshared = \"vault+http://{}/{}\"\n[default.secrets.\"api/token\"]\n\
         kind = \"token\"\nsource = {{ provider = \"shared\", id = \"legacy/api\", field = \"key\" }}\n",
        vault.host, vault.mount
    );
    let vault = vault.with_provider("env:?prefix=APP_");
    let room = vault.room.file("strongroom.toml", manifest);
    let vault = Vault { room, ..vault };
    let found = vault.json(&["doctor"], 0);
    assert_eq!(found["providers"][0]["provider"], Value::Null);
    assert_eq!(found["providers"][1]["provider"], "shared");
    let expected = format!("path \"{}/data/legacy/api\"", vault.mount);
    let policy = vault.room.run(&["doctor", "--policy=shared"]).ends(0);
    assert!(policy.stdout().contains(&expected), "{}", policy.stdout());
    let json = vault.json(&["doctor", "--policy=shared"], 0);
    assert!(json["policy"].as_str().unwrap().contains(&expected));
    for (option, said) in [
        ("--policy", "has no policy of its own"),
        ("--policy=other", "from a provider of this name"),
    ] {
        let ran = vault.room.run(&["doctor", option]).ends(2);
        assert!(ran.stderr().contains(said), "{}", ran.stderr());
    }

    // Without the variable nobody vouches for the address: it gets no token.
    let room = vault.room.without("VAULT_ADDR");
    let ran = room.run(&["doctor"]).ends(1);
    let said = "✗ trust: ";
    assert!(ran.stdout().contains(said), "{}", ran.stdout());
    room.run(&["doctor", "--manifest", "strongroom.toml"])
        .ends(0);
}
