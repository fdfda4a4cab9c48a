//! What `.gitignore` files name.
//!
//! They are read here and not by the crate that understands them: a pipe or a device of such a name must
//! not hold the scan up.

use std::collections::{HashMap, HashSet};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use ignore::Match;
use ignore::gitignore::{Gitignore, GitignoreBuilder};

use crate::files;

/// The most bytes of one such file.
const MOST: usize = 4 * 1024 * 1024;

/// The rules that hold in a folder: its own, then those of the folder above.
struct Rules {
    own: Gitignore,
    above: Option<Arc<Rules>>,
    /// The folder itself is ignored, and with it whatever is in it.
    is_ignored: bool,
}

/// The rules of every folder that was met. Folders are met before what is in them.
#[derive(Default)]
pub(super) struct Ignored {
    rules: Mutex<HashMap<PathBuf, Arc<Rules>>>,
    /// What git tracks although a rule names it, and the folders on the way there.
    tracked: HashSet<PathBuf>,
}

impl Ignored {
    pub(super) fn new(tracked: impl IntoIterator<Item = PathBuf>) -> Self {
        let mut all = HashSet::new();
        for path in tracked {
            for above in path.ancestors() {
                if !all.insert(above.to_owned()) {
                    break;
                }
            }
        }
        Self {
            rules: Mutex::default(),
            tracked: all,
        }
    }

    /// Prepares for a folder that is scanned: the rules of the folders above it hold too, up to the top of
    /// its repository.
    pub(super) fn enter_root(&self, dir: &Path) {
        let mut above: Vec<_> = dir.ancestors().collect();
        if let Some(top) = above.iter().position(|dir| dir.join(".git").exists()) {
            above.truncate(top.saturating_add(1));
        } else {
            above.truncate(1);
        }
        let mut parent: Option<Arc<Rules>> = None;
        for dir in above.into_iter().rev() {
            let rules = Arc::new(Rules {
                own: read(dir),
                above: parent,
                is_ignored: false,
            });
            self.set(dir, &rules);
            parent = Some(rules);
        }
    }

    /// Reports whether an entry of a folder is ignored, and gets ready for what is in it.
    pub(super) fn is_ignored(&self, path: &Path, is_dir: bool) -> bool {
        let parent = path.parent().and_then(|parent| self.get(parent));
        let is_ignored = parent
            .as_deref()
            .is_some_and(|rules| rules.name(path, is_dir));
        let is_ignored = is_ignored && (is_dir || !self.tracked.contains(path));
        if is_dir {
            let rules = Arc::new(Rules {
                own: read(path),
                above: parent,
                is_ignored,
            });
            self.set(path, &rules);
        }
        is_ignored
    }

    /// Reports whether git tracks something that a rule names, or something below it.
    pub(super) fn has_tracked(&self, path: &Path) -> bool {
        self.tracked.contains(path)
    }

    fn get(&self, dir: &Path) -> Option<Arc<Rules>> {
        let rules = self.rules.lock().unwrap_or_else(PoisonError::into_inner);
        rules.get(dir).cloned()
    }

    fn set(&self, dir: &Path, rules: &Arc<Rules>) {
        let mut all = self.rules.lock().unwrap_or_else(PoisonError::into_inner);
        all.insert(dir.to_owned(), Arc::clone(rules));
    }
}

impl Rules {
    /// Reports whether the nearest rule that names a path ignores it.
    fn name(&self, path: &Path, is_dir: bool) -> bool {
        let mut here = Some(self);
        while let Some(rules) = here {
            if rules.is_ignored {
                return true;
            }
            match rules.own.matched(path, is_dir) {
                Match::Ignore(_) => return true,
                Match::Whitelist(_) => return false,
                Match::None => here = rules.above.as_deref(),
            }
        }
        false
    }
}

/// Reads the rules of one folder. What can't be read or understood ignores nothing.
fn read(dir: &Path) -> Gitignore {
    match files::read(&dir.join(".gitignore"), MOST) {
        Ok(bytes) => parse(dir, &String::from_utf8_lossy(&bytes), str::to_owned),
        Err(_) => Gitignore::empty(),
    }
}

fn parse(dir: &Path, text: &str, line: impl Fn(&str) -> String) -> Gitignore {
    let mut rules = GitignoreBuilder::new(dir);
    for text in text.trim_start_matches('\u{feff}').lines() {
        // A line that can't be understood ignores nothing.
        let _ = rules.add_line(None, &line(text));
    }
    rules.build().unwrap_or_else(|_| Gitignore::empty())
}

/// Reports whether the image that is built in `context` would hold a file: neither `.dockerignore` nor a
/// missing recipe keeps it out.
pub(super) fn goes_into_image(context: &Path, path: &Path) -> bool {
    let recipes = ["Dockerfile", "Containerfile"];
    if !recipes.iter().any(|name| context.join(name).is_file()) {
        return false;
    }
    let Ok(bytes) = files::read(&context.join(".dockerignore"), MOST) else {
        return true;
    };
    // Its patterns are relative to the folder, even those without a slash.
    let anchored = |line: &str| {
        let line = line.trim();
        let (not, pattern) = line
            .strip_prefix('!')
            .map_or(("", line), |rest| ("!", rest));
        let pattern = pattern.trim_start_matches("./").trim_matches('/');
        match pattern.is_empty() || line.starts_with('#') {
            true => String::new(),
            false => format!("{not}/{pattern}"),
        }
    };
    let rules = parse(context, &String::from_utf8_lossy(&bytes), anchored);
    !rules.matched_path_or_any_parents(path, false).is_ignore()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_rule_decides() {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path();
        std::fs::create_dir_all(root.join("a/b")).unwrap();
        std::fs::create_dir_all(root.join("out/x")).unwrap();
        std::fs::write(root.join(".gitignore"), "*.log\n/out\n[broken\n").unwrap();
        std::fs::write(root.join("a/.gitignore"), "!kept.log\n").unwrap();
        let ignored = Ignored::new([root.join("out/tracked.log")]);
        ignored.enter_root(root);
        for (path, is_dir, expected) in [
            ("a", true, false),
            ("a/b", true, false),
            ("a/b/x.log", false, true),
            ("a/b/kept.log", false, false),
            ("x.log", false, true),
            ("x.rs", false, false),
            ("out", true, true),
            ("out/x", true, true),
            ("out/x/y.rs", false, true),
            ("out/tracked.log", false, false),
        ] {
            assert_eq!(
                ignored.is_ignored(&root.join(path), is_dir),
                expected,
                "{path}"
            );
        }
        assert!(ignored.has_tracked(&root.join("out")));
        assert!(!ignored.has_tracked(&root.join("out/x")));
    }

    #[test]
    fn an_image_holds_what_dockerignore_does_not_name() {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path();
        let env = root.join(".env");
        assert!(!goes_into_image(root, &env), "there is no image");
        std::fs::write(root.join("Dockerfile"), "FROM scratch").unwrap();
        assert!(goes_into_image(root, &env));
        for (rules, path, expected) in [
            (".env", ".env", false),
            (".env", "a/.env", true),
            ("**/.env", "a/.env", false),
            ("*", "a/.env", false),
            ("*\n!a", "a/.env", true),
            ("a/", "a/.env", false),
            ("# .env", ".env", true),
        ] {
            std::fs::write(root.join(".dockerignore"), rules).unwrap();
            assert_eq!(
                goes_into_image(root, &root.join(path)),
                expected,
                "{rules:?} {path}"
            );
        }
    }
}
