//! Pages of the documentation of which a chore writes a part.

use std::fs;

use crate::Result;
use crate::workspace::root;

/// Replaces the part of a page that `cargo xtask CHORE` writes.
pub(crate) fn write(page: &str, chore: &str, text: &str) -> Result<()> {
    let path = root().join(page);
    let old = fs::read_to_string(&path).map_err(|error| format!("can't read {page}: {error}"))?;
    let new = splice(&old, chore, text)
        .ok_or_else(|| format!("{page} has lost the two markers between which this belongs"))?;
    fs::write(&path, new).map_err(|error| format!("can't write {page}: {error}"))?;
    eprintln!("wrote {page}");
    Ok(())
}

/// Replaces what is between the two markers.
fn splice(page: &str, chore: &str, text: &str) -> Option<String> {
    let mark = |end: &str| format!("<!-- written by `cargo xtask {chore}`: {end} -->\n");
    let (begin, end) = (mark("begin"), mark("end"));
    let (before, rest) = page.split_once(&begin)?;
    let (_, after) = rest.split_once(&end)?;
    Some(format!("{before}{begin}\n{}\n\n{end}{after}", text.trim()))
}

#[cfg(test)]
mod tests {
    use super::*;

    const BEGIN: &str = "<!-- written by `cargo xtask bench`: begin -->\n";
    const END: &str = "<!-- written by `cargo xtask bench`: end -->\n";

    #[test]
    fn replaces_what_is_between_the_markers_and_nothing_else() {
        let page = format!("before\n{BEGIN}old\n{END}after\n");
        let new = splice(&page, "bench", "new\n").unwrap();
        assert_eq!(new, format!("before\n{BEGIN}\nnew\n\n{END}after\n"));
        assert_eq!(splice(&new, "bench", "new").unwrap(), new);
    }

    #[test]
    fn a_page_without_markers_is_left_alone() {
        for page in ["", BEGIN, END, &format!("{END}{BEGIN}")] {
            assert!(splice(page, "bench", "new").is_none(), "{page}");
        }
        let page = format!("{BEGIN}{END}");
        assert!(splice(&page, "fuzz", "new").is_none());
    }
}
