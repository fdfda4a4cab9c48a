//! Where `init` puts things.

use std::fs::DirBuilder;
use std::io::{self, IsTerminal as _, Write as _};
use std::path::{Path, PathBuf};

use strongroom::sealed_file::FileId;
use strongroom::{Env, Error, ErrorKind, Result};

use crate::files::{create, exists, failed};
use crate::key_source::default_key_file;

pub(super) const MANIFEST: &str = "strongroom.toml";
pub(super) const SEALED: &str = ".strongroom/secrets.sealed";

/// What git ignores beside sealed files: the lock, and whatever else gets there.
const IGNORED: &[u8] = b"*\n!.gitignore\n!*.sealed\n";

/// The manifest of a new project.
const NEW_MANIFEST: &str = include_str!("strongroom.toml");

/// The folder of the project.
pub(super) struct Place {
    /// Without links, so that it can be compared.
    dir: PathBuf,
}

impl Place {
    pub(super) fn new(env: &Env) -> Result<Self> {
        let here = env.working_dir();
        let dir = here
            .canonicalize()
            .map_err(|error| failed("find", here, error))?;
        Ok(Self { dir })
    }

    pub(super) fn sealed_file(&self) -> PathBuf {
        self.dir.join(SEALED)
    }

    pub(super) fn has_sealed_file(&self) -> bool {
        self.sealed_file().symlink_metadata().is_ok()
    }

    /// Refuses a link in the place of the file's directory: who put it there says where is written.
    pub(super) fn refuse_link(&self) -> Result<()> {
        let sealed = self.sealed_file();
        let Some(dir) = sealed.parent().filter(|dir| dir.is_symlink()) else {
            return Ok(());
        };
        let message = format!("{} is a symbolic link", dir.display());
        Err(Error::new(ErrorKind::Config, message).with_help("nothing was written; take it away"))
    }

    pub(super) fn exists_already(&self) -> Error {
        Error::new(ErrorKind::Conflict, format!("{SEALED} exists already")).with_help(
            "nothing was written. `strongroom inspect` says whether its key is on this machine; \
             `strongroom init --git` sets up git only",
        )
    }

    /// Creates the file's directory, of which git sees sealed files only. Returns the file that says
    /// so, unless it was there.
    pub(super) fn create_directory(&self) -> Result<Option<PathBuf>> {
        let file = self.sealed_file();
        create_private_dirs(&file)?;
        let ignoring = file.with_file_name(".gitignore");
        match create(&ignoring, IGNORED, 0o644) {
            Ok(()) => Ok(Some(ignoring)),
            Err(error) if error.kind() == ErrorKind::Conflict => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Writes the manifest; `false` where there is one, which stays.
    pub(super) fn create_manifest(&self) -> Result<bool> {
        match create(&self.dir.join(MANIFEST), NEW_MANIFEST.as_bytes(), 0o644) {
            Ok(()) => Ok(true),
            Err(error) if error.kind() == ErrorKind::Conflict => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// The key's place in the user's configuration directory, which must be outside of the folder.
    pub(super) fn key_file(&self, env: &Env, id: FileId) -> Result<PathBuf> {
        let dir = env.config_dir().ok_or_else(no_config_dir)?;
        if real(&dir).starts_with(&self.dir) {
            let message = format!(
                "the key would be in {}, inside of this folder",
                dir.display()
            );
            return Err(Error::new(ErrorKind::Config, message).with_help(
                "start the project in a folder of its own, so that the key is never beside the file",
            ));
        }
        Ok(default_key_file(&dir, id))
    }

    /// The recovery key's place, which must be free and outside of the repository.
    pub(super) fn recovery_file(&self, path: &Path) -> Result<PathBuf> {
        let path = self.dir.join(path);
        let mut above = self.dir.ancestors();
        let repository = above.find(|dir| dir.join(".git").exists());
        if real(&path).starts_with(repository.unwrap_or(&self.dir)) {
            let message = format!("{} is inside of the repository", path.display());
            return Err(Error::new(ErrorKind::Config, message)
                .with_help("keep the recovery key elsewhere, best away from this machine"));
        }
        match path.symlink_metadata() {
            Ok(_) => Err(exists(&path)),
            Err(_) => Ok(path),
        }
    }
}

/// A path without links, as far as it is there.
fn real(path: &Path) -> PathBuf {
    for there in path.ancestors() {
        if let (Ok(real), Ok(rest)) = (there.canonicalize(), path.strip_prefix(there)) {
            return real.join(rest);
        }
    }
    path.to_owned()
}

/// Creates the directories above a file, for their owner alone. Those that are there stay.
pub(super) fn create_private_dirs(file: &Path) -> Result<()> {
    let Some(dir) = file.parent() else {
        return Ok(());
    };
    let mut builder = DirBuilder::new();
    builder.recursive(true);
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder
        .create(dir)
        .map_err(|error| failed("create", dir, error))
}

pub(super) fn no_config_dir() -> Error {
    let message = "there is no configuration directory to keep the key in";
    Error::new(ErrorKind::Config, message)
        .with_help("set HOME or XDG_CONFIG_HOME to an absolute path, or use a passphrase")
}

/// Asks where the recovery key goes. Without a terminal there is none.
pub(super) fn ask_for_recovery(env: &Env) -> Result<Option<PathBuf>> {
    if !io::stdin().is_terminal() || !io::stderr().is_terminal() {
        return Ok(None);
    }
    let asked = || -> io::Result<Option<String>> {
        let mut err = io::stderr().lock();
        writeln!(
            err,
            "A lost key can't be recovered, but a second one opens the file too."
        )?;
        write!(
            err,
            "Write a recovery key to which file? (Enter for none): "
        )?;
        err.flush()?;
        let mut line = String::new();
        let read = io::stdin().read_line(&mut line)?;
        Ok((read > 0).then_some(line))
    };
    let line = asked().map_err(|error| {
        Error::new(ErrorKind::Config, "can't ask on this terminal").with_source(error)
    })?;
    let Some(line) = line else {
        let message = "the input ended at the question of the recovery key";
        return Err(Error::new(ErrorKind::Config, message).with_help(
            "nothing was written; press Enter for none, or give --recovery FILE or --no-recovery",
        ));
    };
    let path = line.trim();
    let path = match (path.strip_prefix("~/"), env.var("HOME")?) {
        // No shell has read this line.
        (Some(rest), Some(home)) => Path::new(home).join(rest),
        _ => PathBuf::from(path),
    };
    Ok((!path.as_os_str().is_empty()).then_some(path))
}
