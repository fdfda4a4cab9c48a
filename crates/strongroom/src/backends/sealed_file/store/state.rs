//! One state of the file: read and checked, and replaced by the next one under the lock.

use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use std::sync::{Mutex, PoisonError};

use cap_std::fs::Dir;

use super::super::disk::Location;
use super::super::fields::FileId;
use super::super::format::Document;
use super::super::key::SlotKey;
use super::super::rollback::Rollback;
use super::super::source;
use super::super::unlocked::Unlocked;
use super::SealedFile;
use crate::backends::Connect;
use crate::backends::files::confinement::Confinement;
use crate::backends::files::guard::{Guard, the_directory};
use crate::backends::files::read::Opened;
use crate::backends::files::stamp::Stamp;
use crate::error::{Error, ErrorKind, Result};

/// How often a file is read again because others keep replacing it.
const ROUNDS: u32 = 16;

/// What a file is checked with that was opened by its address.
pub(super) struct Safeguards {
    guard: Guard,
    confinement: Confinement,
    rollback: Rollback,
}

impl Safeguards {
    fn check_writers(&self, opened: &Opened, location: &Location) -> Result<()> {
        let (mode, path) = (opened.metadata.mode(), location.path());
        self.guard.writers(mode, &path.display(), None)
    }
}

impl SealedFile {
    pub(in super::super) fn open_guarded(path: &Path, connect: &Connect) -> Result<Self> {
        let location = Location::new(path)?;
        let guard = Guard::new(&connect.env, &connect.rails, location.dir());
        guard.directory_and_parent(location.dir(), the_directory, None)?;
        let safeguards = Safeguards {
            guard,
            confinement: Confinement::new(connect, location.dir()),
            rollback: Rollback::new(connect)?,
        };
        let mut opened = location.open(&location.root()?)?;
        safeguards.check_writers(&opened, &location)?;
        let read = location.read(&mut opened)?;
        let (epoch, seal) = (read.0.epoch, read.0.seal);
        let key = source::find(connect, read.0.id)?;
        let mut file = Self::unlocked(location, read, key, Some(safeguards))?;
        let stamp = Stamp::of(&opened.metadata);
        if !file.check_age(file.id, epoch, &seal, || file.location.is_replaced(&stamp))? {
            // What was read is of the file before.
            file.opened = Mutex::default();
            file.read()?;
        }
        Ok(file)
    }

    /// Opens what was read, and holds it for the first reading.
    pub(super) fn unlocked(
        location: Location,
        (document, stamp): (Document, Option<Stamp>),
        key: SlotKey,
        safeguards: Option<Safeguards>,
    ) -> Result<Self> {
        let mut file = Self {
            location,
            key,
            id: document.id,
            safeguards,
            opened: Mutex::default(),
        };
        let unlocked = file.unlock(document)?;
        file.opened = Mutex::new(stamp.map(|stamp| (stamp, unlocked)));
        Ok(file)
    }

    /// Reads the file once; several names are then read from one state of it.
    pub(in super::super) fn read(&self) -> Result<Unlocked> {
        self.read_in(&self.location.root()?, |stamp| self.held(stamp))
    }

    fn read_in(
        &self,
        root: &Dir,
        held: impl FnOnce(&Stamp) -> Option<Unlocked>,
    ) -> Result<Unlocked> {
        let (mut held, mut rounds) = (Some(held), ROUNDS);
        loop {
            rounds = rounds.saturating_sub(1);
            let mut opened = self.location.open(root)?;
            if let Some(safeguards) = &self.safeguards {
                safeguards.check_writers(&opened, &self.location)?;
            }
            let stamp = Stamp::of(&opened.metadata);
            let unlocked = match held.take().and_then(|held| held(&stamp)) {
                Some(unlocked) => unlocked,
                None => self.unlock(self.location.read(&mut opened)?.0)?,
            };
            let Document {
                id, epoch, seal, ..
            } = &unlocked.document;
            let is_replaced = || rounds > 0 && self.location.is_replaced(&stamp);
            if self.check_age(*id, *epoch, seal, is_replaced)? {
                return Ok(unlocked);
            }
        }
    }

    /// Takes what the opening read, if the file is still the one of this stamp.
    fn held(&self, now: &Stamp) -> Option<Unlocked> {
        let mut opened = self.opened.lock().unwrap_or_else(PoisonError::into_inner);
        let (stamp, unlocked) = opened.take()?;
        (stamp == *now).then_some(unlocked)
    }

    /// Opens a slot with the key, and checks the seal.
    fn unlock(&self, document: Document) -> Result<Unlocked> {
        let id = document.id;
        let unlocked = Unlocked::open(document, &self.key).map_err(|error| {
            let other = self.key.file().filter(|other| *other != id);
            match (error.kind(), other) {
                (ErrorKind::Denied, Some(other)) => {
                    let message = format!("this is sealed file {id}, and the key is of {other}");
                    Error::new(ErrorKind::Config, message).with_help(format!(
                        "give the key of this file; whoever made the file has it as \
                         `strongroom/keys/{id}.key` in the configuration directory"
                    ))
                }
                _ => error,
            }
        });
        unlocked.map_err(|error| self.location.located(&error))
    }

    /// Refuses a state older than one that was seen before. `false` says that a writer replaced the
    /// file since it was opened, and that what was read is to be read again.
    fn check_age(
        &self,
        file: FileId,
        epoch: u64,
        seal: &[u8; 32],
        is_replaced: impl FnOnce() -> bool,
    ) -> Result<bool> {
        let Some(Safeguards { rollback, .. }) = &self.safeguards else {
            return Ok(true);
        };
        rollback
            .check(file, epoch, seal, is_replaced)
            .map_err(|error| self.location.located(&error))
    }

    pub(in super::super) fn change<T>(
        &self,
        work: impl FnOnce(&Unlocked) -> Result<(String, T)>,
    ) -> Result<T> {
        self.change_if(|unlocked| {
            let (text, done) = work(unlocked)?;
            Ok((Some(text), done))
        })
    }

    /// Reads, changes and replaces the file under its lock.
    pub(in super::super) fn change_if<T>(
        &self,
        work: impl FnOnce(&Unlocked) -> Result<(Option<String>, T)>,
    ) -> Result<T> {
        if let Some(safeguards) = &self.safeguards {
            safeguards.confinement.check()?;
        }
        let root = self.location.root()?;
        let _lock = self.location.lock(&root)?;
        self.location.refuse_link(&root)?;
        // Read again now that nobody else writes: an update in between would be lost.
        let unlocked = self.read_in(&root, |_| None)?;
        let (text, done) = work(&unlocked)?;
        let Some(text) = text else { return Ok(done) };
        self.location.replace(&root, &text)?;
        if let Some(safeguards) = &self.safeguards {
            let written = Document::parse(text.into_bytes())?;
            safeguards
                .rollback
                .record(written.id, written.epoch, &written.seal);
        }
        Ok(done)
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::PermissionsExt as _;

    use super::super::super::slot_info::NewSlot;
    use super::*;
    use crate::env::{Deployment, Env};
    use crate::name::SecretName;
    use crate::provider::{Expect, Stage};
    use crate::rails::GuardRails;
    use crate::secret::Secret;

    const NAME: SecretName = SecretName::from_static("api/token");

    struct Room {
        dir: tempfile::TempDir,
        key: SlotKey,
        /// What the file was before its last write.
        old: Vec<u8>,
    }

    impl Room {
        /// A file that was written twice, with as many bytes each time.
        fn new() -> Self {
            let (dir, key) = (tempfile::tempdir().unwrap(), SlotKey::generate().unwrap());
            let slot = NewSlot::new("test", key.clone());
            let path = dir.path().join("s.sealed");
            let file = SealedFile::create(&path, FileId::random().unwrap(), &slot).unwrap();
            put(&file, "zero");
            put(&file, "first");
            let old = fs::read(&path).unwrap();
            put(&file, "second");
            assert_eq!(fs::read(&path).unwrap().len(), old.len());
            Self { dir, key, old }
        }

        fn path(&self) -> std::path::PathBuf {
            self.dir.path().join("s.sealed")
        }

        fn stamp(&self) -> Stamp {
            Stamp::of(&fs::metadata(self.path()).unwrap())
        }

        /// Opens the file as one that was last changed long ago.
        fn open(&self) -> SealedFile {
            let file = SealedFile::open(self.path(), self.key.clone()).unwrap();
            self.hold(file, &fs::read(self.path()).unwrap())
        }

        /// Opens the file by its address, in production.
        fn guarded(&self) -> SealedFile {
            let text = self.key.to_text(self.open().id()).unwrap();
            let key = self.dir.path().join("key");
            fs::write(&key, text.expose_bytes()).unwrap();
            fs::set_permissions(&key, fs::Permissions::from_mode(0o600)).unwrap();
            let env = Env::empty()
                .with_working_dir(self.dir.path())
                .with_var("XDG_STATE_HOME", self.dir.path().join("state"));
            let rails = GuardRails::new(Deployment::Production, []);
            let address = "sealed:s.sealed?key_file=key".parse().unwrap();
            SealedFile::connect(&Connect::new(address, env, rails)).unwrap()
        }

        /// Holds this state as that of the file that is there now.
        fn hold(&self, mut file: SealedFile, state: &[u8]) -> SealedFile {
            let document = Document::parse(state.to_vec()).unwrap();
            let unlocked = Unlocked::open(document, &self.key).unwrap();
            file.opened = Mutex::new(Some((self.stamp(), unlocked)));
            file
        }
    }

    fn put(file: &SealedFile, value: &str) {
        let value = Secret::from_text(value);
        file.put(&NAME, &value, &Expect::Any).unwrap();
    }

    #[track_caller]
    fn assert_reads(file: &SealedFile, value: &str) {
        assert!(file.get(&NAME, &Stage::Current).unwrap().verify(value));
    }

    #[test]
    fn the_first_reading_and_no_other_takes_what_the_opening_read() {
        let room = Room::new();
        let file = room.hold(room.open(), &room.old);
        assert_reads(&file, "first");
        assert_reads(&file, "second");
    }

    #[test]
    fn a_file_replaced_since_the_opening_is_seen() {
        let room = Room::new();
        let file = room.open();
        put(&room.open(), "third");
        assert_reads(&file, "third");

        let file = room.open();
        fs::remove_file(room.path()).unwrap();
        let error = file.get(&NAME, &Stage::Current).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Absent);
    }

    #[test]
    fn a_file_overwritten_in_place_since_the_opening_is_seen() {
        let room = Room::new();
        let (file, before) = (room.open(), room.stamp());
        // Within one tick of the clock the stamp stays, which is why a fresh file is never held.
        while room.stamp() == before {
            fs::write(room.path(), &room.old).unwrap();
        }
        assert_reads(&file, "first");
    }

    #[test]
    fn a_change_reads_again() {
        let room = Room::new();
        let file = room.hold(room.open(), &room.old);
        let other = SecretName::from_static("other");
        let value = Secret::from_text("value");
        file.put(&other, &value, &Expect::Absent).unwrap();
        assert_reads(&file, "second");
    }

    #[test]
    fn a_file_replaced_between_its_reading_and_the_look_at_its_age_is_read_again() {
        let room = Room::new();
        let file = room.guarded();
        let stale = Unlocked::open(
            Document::parse(fs::read(room.path()).unwrap()).unwrap(),
            &room.key,
        );
        let root = file.location.root().unwrap();
        let read = file.read_in(&root, |_| {
            put(&room.guarded(), "third");
            Some(stale.unwrap())
        });
        let value = read.unwrap().read(NAME.as_str(), &Stage::Current).unwrap();
        assert!(value.verify("third"));
    }

    #[test]
    fn a_newer_state_seen_since_the_opening_makes_this_one_old() {
        let room = Room::new();
        let (file, now) = (room.guarded(), fs::read(room.path()).unwrap());
        put(&room.guarded(), "third");
        fs::write(room.path(), &now).unwrap();
        let file = room.hold(file, &now);
        let error = file.get(&NAME, &Stage::Current).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Integrity);
    }
}
