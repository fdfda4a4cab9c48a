//! How many crates a user of the library compiles.

use std::collections::BTreeSet;

use crate::Result;
use crate::command::{cargo, output};

/// The most crates that a user of the default features may have to compile, strongroom included.
const MOST_CRATES: usize = 80;

pub(crate) fn check() -> Result<String> {
    let args = "tree --locked --package strongroom --edges normal,build --prefix none";
    let tree = output(cargo(&args.split(' ').collect::<Vec<_>>()))?;
    judge(&compiled(&tree))
}

/// Returns each crate of the tree once, as its name and version.
fn compiled(tree: &str) -> BTreeSet<String> {
    let name_and_version = |line: &str| {
        let mut words = line.split_whitespace();
        Some(format!("{} {}", words.next()?, words.next()?))
    };
    tree.lines().filter_map(name_and_version).collect()
}

fn judge(crates: &BTreeSet<String>) -> Result<String> {
    let count = crates.len();
    if count > MOST_CRATES {
        let all = crates.iter().cloned().collect::<Vec<_>>().join(", ");
        return Err(format!(
            "a user of the default features compiles {count} crates, and may compile {MOST_CRATES}; \
             put what is new behind a feature: {all}"
        ));
    }
    Ok(format!("{count} crates of at most {MOST_CRATES}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_each_crate_once_and_each_version_apart() {
        let tree = "\
strongroom v0.1.0 (/somewhere)
syn v2.0.0
serde_derive v1.0.0 (proc-macro)
syn v2.0.0 (*)
syn v3.0.0

";
        let names: Vec<_> = compiled(tree).into_iter().collect();
        let expected = [
            "serde_derive v1.0.0",
            "strongroom v0.1.0",
            "syn v2.0.0",
            "syn v3.0.0",
        ];
        assert_eq!(names, expected);
    }

    #[test]
    fn eighty_are_enough() {
        let crates = |count| (0..count).map(|n| format!("crate{n} v1.0.0")).collect();
        assert!(judge(&crates(80)).is_ok());
        let failure = judge(&crates(81)).unwrap_err();
        assert!(
            failure.contains("81 crates") && failure.contains("crate80"),
            "{failure}"
        );
    }
}
