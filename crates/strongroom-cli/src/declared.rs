//! What a service declares beside the manifest, from the file that it wrote.

use std::io;
use std::path::{Path, PathBuf};

use clap::ValueHint;
use strongroom::{Declared, Result, declaration};

use crate::files;

/// The option of the commands that work with it.
#[derive(Debug, clap::Args)]
pub(crate) struct Declaration {
    /// What the service declares beside the manifest, as it wrote it by `strongroom::declaration`; `-` is
    /// standard input
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    declared: Option<PathBuf>,
}

impl Declaration {
    /// Reads it; where no file is named there is none.
    pub(crate) fn read(&self) -> Result<Vec<Declared>> {
        let Some(file) = &self.declared else {
            return Ok(Vec::new());
        };
        if file == Path::new("-") {
            return declaration::read("standard input", io::stdin().lock());
        }
        let name = file.display().to_string();
        match files::read(file, declaration::MAX_BYTES) {
            Ok(bytes) => declaration::read(&name, bytes.as_slice()),
            Err(error) if error.kind() == io::ErrorKind::FileTooLarge => {
                // It says so of whatever is too large.
                declaration::read(&name, io::repeat(b' '))
            }
            Err(error) => Err(files::failed("read", file, error)),
        }
    }
}
