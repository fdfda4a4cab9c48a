//! Directory mode: one file for each secret.

use std::path::PathBuf;

use super::claims::Claims;
use crate::backends::files::batch::fail_all;
use crate::backends::files::failure::failure;
use crate::backends::files::guard::{Guard, the_directory};
use crate::backends::files::{is_kubernetes_volume, read};
use crate::error::{Error, ErrorKind, Result};
use crate::name::SecretName;
use crate::provider::{Reply, Request, Target};

mod batch;
mod change;
mod list;
mod lookup;

use batch::Batch;

/// How often a batch starts again because Kubernetes swapped the generation under it.
const ATTEMPTS: usize = 64;

/// A directory whose files are secrets.
#[derive(Debug)]
pub(super) struct Directory {
    path: PathBuf,
    guard: Guard,
    claims: Claims,
    mounted: bool,
}

impl Directory {
    /// Opens the directory, and refuses declared names that would share a file.
    pub(super) fn open(path: PathBuf, guard: Guard, claims: Claims) -> Result<Self> {
        let directory = Self {
            mounted: is_kubernetes_volume(&path),
            path,
            guard,
            claims,
        };
        directory.check()?;
        let mut batch = Batch::open(&directory)?;
        for target in directory.claims.targets() {
            match batch.locate(target) {
                Err(error) if error.kind() == ErrorKind::Config => {
                    return Err(error.with_name(&target.name));
                }
                // Whatever else is wrong with it is said when it is read.
                _ => {}
            }
        }
        Ok(directory)
    }

    /// Checks that the directory is there, can be listed, and passes the guard rails.
    pub(super) fn check(&self) -> Result<()> {
        let root = read::open_root(&self.path)?;
        let opened = root.open(".").and_then(|opened| {
            root.entries()?;
            Ok(opened)
        });
        match opened {
            Ok(opened) => {
                let shown = the_directory(&self.path);
                self.guard.root(&shown, &opened.into_std())?;
            }
            // A directory that may be searched but not listed still serves every name.
            Err(error) if error.kind() == std::io::ErrorKind::PermissionDenied => {}
            Err(error) => return Err(failure("list", &self.path.display(), error)),
        }
        self.guard
            .directory_and_parent(&self.path, the_directory, None)
    }

    pub(super) fn is_writable(&self) -> bool {
        !self.mounted
    }

    /// Reads many secrets, those beneath one `..data` link from one generation.
    pub(super) fn fetch(&self, wanted: &[Request]) -> Vec<Result<Reply>> {
        for _ in 0..ATTEMPTS {
            let mut batch = match Batch::open(self) {
                Ok(batch) => batch,
                Err(error) => return fail_all(wanted, &error),
            };
            let replies: Vec<_> = wanted
                .iter()
                .map(|request| {
                    let reply = batch.fetch(request);
                    reply.map_err(|error| error.with_name(&request.target.name))
                })
                .collect();
            if batch.is_settled(replies.iter().all(Result::is_ok)) {
                return replies;
            }
        }
        fail_all(wanted, &self.never_still())
    }

    /// Lists the names that the files spell, declared ones as they are declared.
    pub(super) fn list(&self) -> Result<Vec<SecretName>> {
        for _ in 0..ATTEMPTS {
            let mut batch = Batch::open(self)?;
            let listed = list::names(&mut batch);
            if !batch.is_settled(listed.is_ok()) {
                continue;
            }
            let find = |target: &Target| {
                let spelling = batch.locate(target).ok()??.spelling;
                let whole = spelling.field.is_none();
                whole.then(|| list::without_suffix(&spelling.path).to_owned())
            };
            return listed.map(|names| self.claims.rename(names, find));
        }
        Err(self.never_still())
    }

    fn never_still(&self) -> Error {
        Error::new(
            ErrorKind::Transient,
            format!("{} was replaced again and again", self.path.display()),
        )
    }
}
