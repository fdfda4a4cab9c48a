//! A directory as Kubernetes mounts a secret: links through `..data`, which is swapped as a whole.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use strongroom::Secret;

const KEY: &str = "api.token";

pub(crate) struct Mount {
    root: PathBuf,
    generation: u32,
}

impl Mount {
    pub(crate) fn new(root: &Path) -> Self {
        symlink(Path::new("..data").join(KEY), root.join(KEY)).unwrap();
        Self {
            root: root.to_owned(),
            generation: 0,
        }
    }

    /// Puts a new generation in place of the former one, in the order of the kubelet.
    pub(crate) fn swap(&mut self, token: &Secret) {
        self.swap_in(|dir| fs::write(dir.join(KEY), token.expose_bytes()).unwrap());
    }

    /// Puts a generation in place that has no token.
    pub(crate) fn swap_in_nothing(&mut self) {
        self.swap_in(|_| {});
    }

    fn swap_in(&mut self, fill: impl FnOnce(&Path)) {
        self.generation += 1;
        let name = format!("..generation_{}", self.generation);
        let dir = self.root.join(&name);
        fs::create_dir(&dir).unwrap();
        fill(&dir);
        let former = fs::read_link(self.root.join("..data")).ok();
        symlink(&name, self.root.join("..data_tmp")).unwrap();
        fs::rename(self.root.join("..data_tmp"), self.root.join("..data")).unwrap();
        if let Some(former) = former {
            fs::remove_dir_all(self.root.join(former)).unwrap();
        }
    }
}
