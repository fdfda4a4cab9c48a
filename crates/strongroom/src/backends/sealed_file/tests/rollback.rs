//! Old states, guard rails, and where keys come from, through the address.

use super::*;
use crate::backends::Connect;
use crate::rails::Rail;

impl Room {
    fn env(&self) -> Env {
        Env::empty()
            .with_working_dir(self.dir.path())
            .with_var("XDG_STATE_HOME", self.dir.path().join("state"))
            .with_var("XDG_CONFIG_HOME", self.dir.path().join("config"))
    }

    fn connect(
        &self,
        address: &str,
        env: Env,
        deployment: Deployment,
    ) -> (Result<SealedFile>, GuardRails) {
        let rails = GuardRails::new(deployment, []);
        let connect = Connect::new(address.parse().unwrap(), env, rails.clone());
        (SealedFile::connect(&connect), rails)
    }

    fn write_key(&self) {
        let text = self.key.to_text(self.file.id()).unwrap();
        self.write_private("key", text.expose_bytes());
    }
}

const ADDRESS: &str = "sealed:s.sealed?key_file=key";
use Deployment::{Development, Production, Staging, Test, Undeclared};

#[test]
fn an_older_state_is_refused_where_it_counts() {
    let room = Room::new();
    room.write_key();
    room.put(&A, "first");
    let old = room.bytes();
    let open = |deployment| room.connect(ADDRESS, room.env(), deployment);
    let (file, _) = open(Production);
    file.unwrap()
        .put(&A, &Secret::from_text("second"), &Expect::Any)
        .unwrap();
    let new = room.bytes();
    fs::write(room.path(), &old).unwrap();
    for deployment in [Production, Staging, Undeclared] {
        let error = open(deployment).0.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Integrity, "{deployment}");
        assert!(error.help().unwrap().contains("state"), "{error:?}");
    }
    for deployment in [Development, Test] {
        let (file, rails) = open(deployment);
        assert!(
            file.unwrap()
                .get(&A, &Stage::Current)
                .unwrap()
                .verify("first")
        );
        assert_eq!(rails.said().len(), 1);
        assert_eq!(rails.said()[0].rule, "sealed-file-rollback");
    }
    // Another state of the same epoch, as on another branch.
    let other = SealedFile::open(room.path(), room.key.clone()).unwrap();
    other
        .put(&A, &Secret::from_text("third"), &Expect::Any)
        .unwrap();
    assert_eq!(kind(open(Production).0), ErrorKind::Integrity);
    fs::write(room.path(), &new).unwrap();
    let (file, rails) = open(Production);
    assert!(
        file.unwrap()
            .get(&A, &Stage::Current)
            .unwrap()
            .verify("second")
    );
    assert!(rails.said().is_empty());
}

#[test]
fn a_least_epoch_holds_everywhere() {
    let room = Room::new();
    room.write_key();
    room.put(&A, "first");
    let open = |min: &str| {
        let env = room.env().without_var("XDG_STATE_HOME");
        room.connect(&format!("{ADDRESS}&min_epoch={min}"), env, Development)
            .0
    };
    open("2").unwrap();
    assert_eq!(kind(open("3")), ErrorKind::Integrity);
    assert_eq!(kind(open("two")), ErrorKind::Config);
}

#[test]
fn a_record_that_cannot_be_read_is_refused_where_it_counts() {
    let room = Room::new();
    room.write_key();
    room.connect(ADDRESS, room.env(), Production).0.unwrap();
    let record = room
        .dir
        .path()
        .join("state/strongroom/sealed")
        .join(room.file.id().to_string());
    fs::write(&record, "nonsense").unwrap();
    assert_eq!(
        kind(room.connect(ADDRESS, room.env(), Production).0),
        ErrorKind::Malformed
    );
    let (file, rails) = room.connect(ADDRESS, room.env(), Development);
    file.unwrap();
    assert_eq!(rails.said().len(), 1);
}

#[test]
fn a_key_comes_from_one_place() {
    let room = Room::new();
    room.write_key();
    room.put(&A, "value");
    room.file.add_slot(&cheap("recovery", PASSPHRASE)).unwrap();
    room.write_private("phrase", format!("{PASSPHRASE}\n").as_bytes());
    let text = room.key.to_text(room.file.id()).unwrap();
    let key = text
        .expose_str()
        .unwrap()
        .lines()
        .nth(1)
        .unwrap()
        .to_owned();
    let open = |address: &str, env: Env| room.connect(address, env, Production).0;
    let bare = "sealed:s.sealed";
    open(bare, room.env().with_var("STRONGROOM_KEY", &key)).unwrap();
    open(bare, room.env().with_var("STRONGROOM_KEY_FILE", "key")).unwrap();
    open(
        bare,
        room.env().with_var("STRONGROOM_PASSPHRASE_FILE", "phrase"),
    )
    .unwrap();
    open(
        "sealed:s.sealed?passphrase_file=phrase",
        room.env().with_var("STRONGROOM_KEY", "x"),
    )
    .unwrap();

    let error = open(bare, room.env()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Auth);
    let default = format!("config/strongroom/keys/{}.key", room.file.id());
    assert!(error.to_string().contains(&default), "{error:?}");
    fs::create_dir_all(room.dir.path().join("config/strongroom/keys")).unwrap();
    fs::copy(room.dir.path().join("key"), room.dir.path().join(default)).unwrap();
    open(bare, room.env()).unwrap();

    for (address, env) in [
        (
            "sealed:s.sealed?key_file=key&passphrase_file=phrase",
            room.env(),
        ),
        (
            bare,
            room.env()
                .with_var("STRONGROOM_KEY", &key)
                .with_var("STRONGROOM_KEY_FILE", "key"),
        ),
        ("sealed:", room.env()),
        ("sealed://s.sealed", room.env()),
    ] {
        let error = open(address, env).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Config, "{address}: {error:?}");
        assert!(error.help().is_some());
    }
    let homeless = room
        .env()
        .without_var("HOME")
        .without_var("XDG_CONFIG_HOME");
    for (address, env) in [
        ("sealed:s.sealed?key_file=nowhere", room.env()),
        ("sealed:s.sealed?key_file=key/nowhere", room.env()),
        ("sealed:s.sealed?passphrase_file=nowhere", room.env()),
        (bare, room.env().with_var("STRONGROOM_KEY_FILE", "nowhere")),
        (
            bare,
            room.env().with_var("STRONGROOM_PASSPHRASE_FILE", "nowhere"),
        ),
        (bare, homeless),
    ] {
        let error = open(address, env).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Auth, "{address}: {error:?}");
        assert!(error.help().is_some());
    }
    room.write_private("nonsense", b"canary");
    fs::create_dir(room.dir.path().join("folder")).unwrap();
    for path in ["nonsense", "folder"] {
        let error = open(&format!("{bare}?key_file={path}"), room.env()).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Malformed, "{path}: {error:?}");
        assert!(error.to_string().contains(path), "{error}");
        assert!(!format!("{error:?}").contains("canary"));
    }
    let error = open(bare, room.env().with_var("STRONGROOM_KEY", "canary")).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Malformed);
    assert!(!format!("{error:?}").contains("canary"));
    assert_eq!(
        kind(open("sealed:nowhere?key_file=key", room.env())),
        ErrorKind::Absent
    );
}

#[test]
fn guard_rails() {
    let room = Room::new();
    room.write_key();
    let chmod = |path: &Path, mode| {
        fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
    };
    let key = room.dir.path().join("key");
    for (path, mode, rail) in [
        (&key, 0o644, Rail::ReadableByOthers),
        (&key, 0o640, Rail::ReadableByOthers),
        (&key, 0o602, Rail::WritableByOthers),
        (&room.path(), 0o602, Rail::WritableByOthers),
    ] {
        chmod(path, mode);
        let error = room.connect(ADDRESS, room.env(), Production).0.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Policy, "{mode:o}");
        assert!(error.to_string().contains(rail.rule()), "{error}");
        let (file, rails) = room.connect(ADDRESS, room.env(), Development);
        file.unwrap();
        assert_eq!(rails.said().len(), 1, "{:?}", rails.said());
        chmod(path, 0o600);
    }
    // The sealed file itself is made to be seen.
    chmod(&room.path(), 0o644);
    room.connect(ADDRESS, room.env(), Production).0.unwrap();
}

#[tokio::test]
async fn detection_boots_on_it() {
    let room = Room::new();
    fs::create_dir(room.dir.path().join(".strongroom")).unwrap();
    fs::rename(
        room.path(),
        room.dir.path().join(".strongroom/secrets.sealed"),
    )
    .unwrap();
    let path = room.dir.path().join(".strongroom/secrets.sealed");
    let file = SealedFile::open(&path, room.key.clone()).unwrap();
    let token = "pX4v-Tz0qL9e_W2mR7kB1nY6cH3sJ8dF";
    let name = SecretName::from_static("api/token");
    file.put(&name, &Secret::from_text(token), &Expect::Any)
        .unwrap();
    fs::create_dir_all(room.dir.path().join("config/strongroom/keys")).unwrap();
    let text = room.key.to_text(file.id()).unwrap();
    room.write_private(
        &format!("config/strongroom/keys/{}.key", file.id()),
        text.expose_bytes(),
    );
    let builder = crate::SecretsFactory::builder()
        .env(
            room.env()
                .with_mounted_secrets(room.dir.path().join("none")),
        )
        .manifest_text("[default.secrets]\n\"api/token\" = { kind = \"token\" }");
    let secrets = builder.detect().await.unwrap();
    assert!(secrets.get("api/token").await.unwrap().verify(token));
}
