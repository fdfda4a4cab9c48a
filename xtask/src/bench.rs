//! `cargo xtask bench`: runs the benchmarks of `benches/` and writes docs/performance.md.

use std::fs;

use crate::Result;
use crate::command::{cargo, output};
use crate::servers::Servers;
use crate::workspace::{Workspace, root};

const PAGE: &str = "docs/performance.md";
const BEGIN: &str = "<!-- written by `cargo xtask bench`: begin -->\n";
const END: &str = "<!-- written by `cargo xtask bench`: end -->\n";

pub(crate) fn run() -> Result<()> {
    let args = "run --locked --quiet --release --features peers --manifest-path benches/Cargo.toml";
    let servers = Servers::start(&Workspace::load()?.target_dir)?;
    let mut benches = cargo(&args.split(' ').collect::<Vec<_>>());
    benches.envs(servers.variables());
    let measured = output(benches)?;
    let path = root().join(PAGE);
    let page = fs::read_to_string(&path).map_err(|error| format!("can't read {PAGE}: {error}"))?;
    fs::write(&path, splice(&page, &measured)?)
        .map_err(|error| format!("can't write {PAGE}: {error}"))?;
    eprintln!("wrote {PAGE}");
    Ok(())
}

/// Replaces what is between the two markers.
fn splice(page: &str, measured: &str) -> Result<String> {
    let parts = page.split_once(BEGIN).and_then(|(before, rest)| {
        let (_, after) = rest.split_once(END)?;
        Some((before, after))
    });
    let (before, after) = parts.ok_or_else(|| {
        format!("{PAGE} has lost the two markers between which the numbers belong")
    })?;
    Ok(format!(
        "{before}{BEGIN}\n{}\n\n{END}{after}",
        measured.trim()
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn replaces_what_is_between_the_markers_and_nothing_else() {
        let page = format!("before\n{BEGIN}old\n{END}after\n");
        let new = splice(&page, "new\n").unwrap();
        assert_eq!(new, format!("before\n{BEGIN}\nnew\n\n{END}after\n"));
        assert_eq!(splice(&new, "new").unwrap(), new);
    }

    #[test]
    fn a_page_without_markers_is_left_alone() {
        for page in ["", BEGIN, END, &format!("{END}{BEGIN}")] {
            assert!(splice(page, "new").is_err(), "{page}");
        }
    }
}
