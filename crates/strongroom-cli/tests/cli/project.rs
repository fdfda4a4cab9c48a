//! A project on a sealed file, as `init` begins it.

use std::path::PathBuf;

use tempfile::TempDir;

use crate::harness::{Ran, Room};

pub(crate) const FILE: &str = ".strongroom/secrets.sealed";
pub(crate) const PASSPHRASE: &str = "seven lamps over the old harbour";

/// An empty folder, and a home that is elsewhere and empty too.
pub(crate) struct Project {
    pub(crate) room: Room,
    pub(crate) home: TempDir,
}

impl Project {
    pub(crate) fn new() -> Self {
        let home = tempfile::tempdir().unwrap();
        let room = Room::new()
            .without("STRONGROOM_ENV")
            .var("HOME", home.path().to_str().unwrap());
        Self { room, home }
    }

    /// The same after `init` and `generate`.
    pub(crate) fn begun() -> Self {
        let project = Self::new();
        project.run(&["init"]).ends(0);
        project.run(&["generate", "session/signing-key"]).ends(0);
        project
    }

    pub(crate) fn run(&self, arguments: &[&str]) -> Ran {
        self.room.run(arguments)
    }

    pub(crate) fn set(&self, name: &str, value: &str) {
        self.room.run_with(&["set", name], value.as_bytes()).ends(0);
    }

    pub(crate) fn read(&self, path: &str) -> String {
        std::fs::read_to_string(self.room.path(path)).unwrap()
    }

    pub(crate) fn write(&self, path: &str, text: &str) {
        std::fs::write(self.room.path(path), text).unwrap();
    }

    /// A path outside of the folder.
    pub(crate) fn home(&self, path: &str) -> PathBuf {
        self.home.path().join(path)
    }

    pub(crate) fn home_text(&self, path: &str) -> String {
        self.home(path).to_str().unwrap().to_owned()
    }

    /// Writes a file outside of the folder, for its owner alone.
    pub(crate) fn private(&self, path: &str, text: &str) -> String {
        use std::os::unix::fs::PermissionsExt as _;
        std::fs::write(self.home(path), text).unwrap();
        std::fs::set_permissions(self.home(path), std::fs::Permissions::from_mode(0o600)).unwrap();
        self.home_text(path)
    }

    pub(crate) fn key_file(&self) -> PathBuf {
        let mut keys = std::fs::read_dir(self.home(".config/strongroom/keys")).unwrap();
        let key = keys.next().unwrap().unwrap().path();
        assert!(keys.next().is_none(), "one key");
        key
    }

    pub(crate) fn fails(&self, arguments: &[&str], code: i32, kind: &str, says: &str) {
        let ran = self.run(arguments).ends(code);
        assert!(ran.stderr().contains(says), "{}", ran.stderr());
        assert!(ran.stderr().contains("\nhelp: "), "{}", ran.stderr());
        assert_eq!(ran.stdout(), "");
        let json = self.run(&[arguments, &["--format", "json"]].concat());
        let json = json.ends(code).stdout();
        assert!(json.contains(&format!("\"kind\":\"{kind}\"")), "{json}");
        assert!(json.contains("\"help\":\""), "{json}");
    }
}
