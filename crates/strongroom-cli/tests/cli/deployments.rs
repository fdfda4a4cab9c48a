//! The units of docs/systemd and the manifests of docs/kubernetes: what they demand of a platform, and that the
//! program finds its secrets where they put them.

use std::collections::HashMap;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::Path;
use std::process::Command;

use granit_parser::{Event, Parser, StrInput};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::harness::{Room, TOKEN};

const MOUNTED: &str = include_str!("../../../../docs/kubernetes/mounted.yaml");
const VAULT: &str = include_str!("../../../../docs/kubernetes/vault.yaml");
const IRSA: &str = include_str!("../../../../docs/kubernetes/irsa.yaml");
const UNIT: &str = include_str!("../../../../docs/systemd/strongroom-example.service");

const MANIFEST: &str = "\
[default.secrets.\"database/password\"]
kind = \"password\"
[default.secrets.\"api/token\"]
kind = \"token\"
";
const PASSWORD: &str = "Tq7-vB2_xK9pZ4mW";

/// YAML as a tree in which every scalar is a text, aliases written out.
struct Loader<'a> {
    events: Parser<'a, StrInput<'a>>,
    anchors: HashMap<usize, Value>,
}

impl Loader<'_> {
    fn documents(text: &str) -> Vec<Value> {
        let mut loader = Loader {
            events: Parser::new_from_str(text),
            anchors: HashMap::new(),
        };
        let mut documents = Vec::new();
        while let Some(next) = loader.events.next() {
            match next.unwrap().0 {
                Event::StreamStart
                | Event::DocumentStart(..)
                | Event::DocumentEnd
                | Event::StreamEnd => {}
                event => documents.push(loader.value(event)),
            }
        }
        documents
    }

    fn node(&mut self) -> Option<Value> {
        match self.events.next()?.unwrap().0 {
            Event::SequenceEnd | Event::MappingEnd => None,
            event => Some(self.value(event)),
        }
    }

    fn value(&mut self, event: Event<'_>) -> Value {
        let (anchor, value) = match event {
            Event::Scalar(text, _, anchor, _) => (anchor, json!(text)),
            Event::Alias(anchor) => (anchor, self.anchors[&anchor].clone()),
            Event::SequenceStart(_, anchor, _) => {
                let mut items = Vec::new();
                while let Some(item) = self.node() {
                    items.push(item);
                }
                (anchor, Value::Array(items))
            }
            Event::MappingStart(_, anchor, _) => {
                let mut fields = serde_json::Map::new();
                while let Some(key) = self.node() {
                    let value = self.node().unwrap();
                    let former = fields.insert(key.as_str().unwrap().to_owned(), value);
                    assert!(former.is_none(), "{key} stands twice");
                }
                (anchor, Value::Object(fields))
            }
            other => panic!("{other:?}"),
        };
        self.anchors.insert(anchor, value.clone());
        value
    }
}

fn deployment(text: &str) -> Value {
    let documents = Loader::documents(text);
    let kinds: Vec<_> = documents
        .iter()
        .map(|document| document["kind"].as_str().unwrap())
        .collect();
    assert_eq!(kinds, ["ServiceAccount", "Deployment"]);
    assert_eq!(documents[0]["automountServiceAccountToken"], "false");
    documents[1].clone()
}

/// The variables of a container.
fn variables(container: &Value) -> Vec<(String, String)> {
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let all = container["env"].as_array().unwrap().iter();
    all.map(|variable| (text(&variable["name"]), text(&variable["value"])))
        .collect()
}

#[test]
fn deployments_of_kubernetes_are_confined_and_prove_their_secrets_first() {
    for text in [MOUNTED, VAULT, IRSA] {
        let deployment = deployment(text);
        let pod = &deployment["spec"]["template"]["spec"];
        assert_eq!(pod["automountServiceAccountToken"], "false");
        assert_eq!(pod["securityContext"]["runAsNonRoot"], "true");
        assert_eq!(
            pod["securityContext"]["seccompProfile"]["type"],
            "RuntimeDefault"
        );
        assert_eq!(
            deployment["spec"]["selector"]["matchLabels"],
            deployment["spec"]["template"]["metadata"]["labels"]
        );
        let (validate, service) = (&pod["initContainers"][0], &pod["containers"][0]);
        assert_eq!(validate["command"], json!(["strongroom", "validate"]));
        for container in [validate, service] {
            let security = &container["securityContext"];
            assert_eq!(security["readOnlyRootFilesystem"], "true");
            assert_eq!(security["allowPrivilegeEscalation"], "false");
            assert_eq!(security["capabilities"]["drop"], json!(["ALL"]));
            // No value is in the manifest, and the tag of no image moves.
            assert!(!container["image"].as_str().unwrap().ends_with(":latest"));
            let volumes: Vec<_> = pod["volumes"]
                .as_array()
                .unwrap()
                .iter()
                .map(|volume| &volume["name"])
                .collect();
            for mount in container["volumeMounts"].as_array().unwrap() {
                assert!(volumes.contains(&&mount["name"]), "{mount}");
                assert_eq!(mount["readOnly"], "true");
                assert!(
                    mount.get("subPath").is_none(),
                    "what is mounted so doesn't rotate"
                );
            }
        }
        // What was proven is what the service gets.
        for shared in ["env", "volumeMounts"] {
            assert_eq!(validate[shared], service[shared]);
        }
        for probe in ["readinessProbe", "startupProbe"] {
            assert_eq!(service[probe]["httpGet"]["path"], "/health");
        }
        assert!(
            service["livenessProbe"].get("httpGet").is_none(),
            "a restart mends no backend"
        );
        assert!(
            variables(service).contains(&("STRONGROOM_ENV".to_owned(), "production".to_owned()))
        );
    }
}

/// A directory in memory, where there is one: production refuses files on a disk.
fn in_memory() -> Option<TempDir> {
    tempfile::tempdir_in("/dev/shm").ok()
}

fn write(path: &Path, text: &str, mode: u32) {
    std::fs::write(path, text).unwrap();
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
}

#[test]
fn a_mounted_secret_is_found_and_followed_when_it_is_swapped() {
    let Some(mount) = in_memory() else { return };
    let generation = |name: &str, password: &str| {
        let dir = mount.path().join(name);
        std::fs::create_dir(&dir).unwrap();
        write(&dir.join("database.password"), password, 0o440);
        write(&dir.join("api.token"), TOKEN, 0o440);
        symlink(name, mount.path().join("..data_tmp")).unwrap();
        std::fs::rename(mount.path().join("..data_tmp"), mount.path().join("..data")).unwrap();
    };
    generation("..2026_01", PASSWORD);
    for name in ["database.password", "api.token"] {
        symlink(Path::new("..data").join(name), mount.path().join(name)).unwrap();
    }
    let mut room = Room::new().file("strongroom.toml", MANIFEST);
    for (name, value) in
        variables(&deployment(MOUNTED)["spec"]["template"]["spec"]["initContainers"][0])
    {
        let value = match name.as_str() {
            "STRONGROOM_DIR" => mount.path().to_str().unwrap().to_owned(),
            "STRONGROOM_MANIFEST" => "strongroom.toml".to_owned(),
            _ => value,
        };
        room = room.without(&name).var(&name, &value);
    }
    let validated = room.run(&["validate"]).ends(0);
    assert!(
        validated.stderr().contains("all 2 declared secrets pass"),
        "{}",
        validated.stderr()
    );
    generation("..2026_02", "Rk8-wC3_yL1qA5nX");
    std::fs::remove_dir_all(mount.path().join("..2026_01")).unwrap();
    assert_eq!(
        room.run(&["get", "database/password"]).ends(0).stdout(),
        "Rk8-wC3_yL1qA5nX"
    );
    generation("..2026_03", "hunter2");
    assert!(!room.run(&["validate"]).ends(1).stderr().contains("hunter2"));
}

#[test]
fn addresses_of_the_manifests_are_understood() {
    for (text, chosen) in [(VAULT, "vault://vault.vault.svc:8200"), (IRSA, "aws:")] {
        let mut room = Room::new().file("strongroom.toml", MANIFEST);
        for (name, value) in
            variables(&deployment(text)["spec"]["template"]["spec"]["containers"][0])
        {
            let value = if name == "STRONGROOM_MANIFEST" {
                "strongroom.toml"
            } else {
                &value
            };
            room = room.without(&name).var(&name, value);
        }
        let shown = room.run(&["inspect", "--offline"]).stdout();
        let line = shown
            .lines()
            .find(|line| line.contains("─ provider"))
            .unwrap();
        assert!(line.contains(chosen), "{shown}");
    }
}

/// The unit's settings, in their order.
fn settings() -> Vec<(&'static str, &'static str)> {
    let lines = UNIT
        .lines()
        .filter(|line| !line.starts_with(['#', '[']) && !line.is_empty());
    lines.map(|line| line.split_once('=').unwrap()).collect()
}

#[test]
fn the_unit_is_confined_and_proves_its_secrets_first() {
    let settings = settings();
    for expected in [
        ("DynamicUser", "yes"),
        ("NoNewPrivileges", "yes"),
        ("ProtectSystem", "strict"),
        ("LimitCORE", "0"),
        ("ProtectProc", "invisible"),
        ("CapabilityBoundingSet", ""),
        ("MemoryDenyWriteExecute", "yes"),
        ("Environment", "STRONGROOM_ENV=production"),
        ("ExecStartPre", "/usr/bin/strongroom validate"),
    ] {
        assert!(settings.contains(&expected), "{expected:?}");
    }
    assert!(
        !settings
            .iter()
            .any(|(name, _)| name.starts_with("SetCredential")),
        "a unit is no secret"
    );
}

#[test]
fn credentials_of_systemd_are_found() {
    let Some(dir) = in_memory() else { return };
    let mut room = Room::new()
        .file("strongroom.toml", MANIFEST)
        .without("STRONGROOM_ENV");
    for (name, value) in settings() {
        match (name, value.split_once(['=', ':'])) {
            ("Environment", Some(("STRONGROOM_MANIFEST", _))) => {
                room = room.var("STRONGROOM_MANIFEST", "strongroom.toml")
            }
            ("Environment", Some((variable, value))) => room = room.var(variable, value),
            ("LoadCredential" | "LoadCredentialEncrypted", Some((id, _))) => {
                let value = if id == "database.password" {
                    PASSWORD
                } else {
                    TOKEN
                };
                write(&dir.path().join(id), value, 0o400);
            }
            _ => {}
        }
    }
    std::fs::set_permissions(dir.path(), std::fs::Permissions::from_mode(0o500)).unwrap();
    let room = room.var("CREDENTIALS_DIRECTORY", dir.path().to_str().unwrap());
    let validated = room.run(&["validate"]).ends(0);
    assert!(
        validated
            .stderr()
            .starts_with("ok: all 2 declared secrets pass"),
        "{}",
        validated.stderr()
    );
    std::fs::set_permissions(dir.path(), std::fs::Permissions::from_mode(0o700)).unwrap();
}

#[test]
fn systemd_understands_the_unit() {
    if Command::new("systemd-analyze")
        .arg("--version")
        .output()
        .is_err()
    {
        return;
    }
    // It looks whether the programs are there.
    let unit = UNIT
        .replace("/usr/bin/strongroom", env!("CARGO_BIN_EXE_strongroom"))
        .replace(
            "/usr/local/bin/strongroom-example",
            env!("CARGO_BIN_EXE_strongroom"),
        );
    let room = Room::new().file("strongroom-example.service", unit);
    let verify = &["verify", "--man=no", "strongroom-example.service"];
    let output = room.other("systemd-analyze", verify).output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    let ours: Vec<_> = said
        .lines()
        .filter(|line| line.contains("strongroom-example"))
        .collect();
    assert!(ours.is_empty(), "{ours:?}");
    let rate = &[
        "security",
        "--offline=yes",
        "--threshold=20",
        "strongroom-example.service",
    ];
    let output = room.other("systemd-analyze", rate).output().unwrap();
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stdout)
    );
}
