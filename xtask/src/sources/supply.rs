//! The table of docs/supply-chain.md: each crate that ours use directly, whether it touches bytes of
//! secrets, and why.

use super::{Finding, SourceFile};

const PAGE: &str = "docs/supply-chain.md";

/// Every direct dependency has its row in the table, and every row is of one.
pub(super) fn dependencies_listed(files: &[SourceFile]) -> Vec<Finding> {
    let Some(page) = files.iter().find(|file| file.path == PAGE) else {
        return Vec::new();
    };
    let rows: Vec<_> = (1..).zip(page.text.lines()).filter_map(row).collect();
    let mut findings = Vec::new();
    let mut known = Vec::new();
    for file in files.iter().filter(|file| is_manifest(file)) {
        for (line, name) in dependencies(&file.text) {
            known.push(name);
            if !rows.iter().any(|row| row.name == name) {
                let message = format!("`{name}` has no row in {PAGE}");
                findings.push(Finding::new(file, line, message));
            }
        }
    }
    for row in rows {
        if !known.contains(&row.name) {
            let message = format!("`{}` is no direct dependency", row.name);
            findings.push(Finding::new(page, row.line, message));
        } else if !row.is_whole {
            let message = "the row says `yes`, `sealed` or `no`, and why";
            findings.push(Finding::new(page, row.line, message));
        }
    }
    findings
}

fn is_manifest(file: &SourceFile) -> bool {
    file.path.starts_with("crates/") && file.path.ends_with("/Cargo.toml")
}

struct Row<'a> {
    line: usize,
    name: &'a str,
    is_whole: bool,
}

/// Reads a row of the table: `| name | yes, sealed or no | why |`.
fn row((line, text): (usize, &str)) -> Option<Row<'_>> {
    let mut cells = text.strip_prefix("| `")?.split('|').map(str::trim);
    let name = cells.next()?.strip_suffix('`')?;
    let touches = cells.next().unwrap_or_default();
    let why = cells.next().unwrap_or_default();
    Some(Row {
        line,
        name,
        is_whole: ["yes", "sealed", "no"].contains(&touches) && !why.is_empty(),
    })
}

/// The names in the sections of dependencies that users compile.
fn dependencies(manifest: &str) -> Vec<(usize, &str)> {
    let mut in_section = false;
    let mut found = Vec::new();
    for (at, line) in (1..).zip(manifest.lines()) {
        if let Some(section) = line.trim().strip_prefix('[') {
            let section = section.trim_end_matches(']');
            in_section = section == "dependencies" || section.ends_with(".dependencies");
            continue;
        }
        let name = line.split(['=', '.', ' ']).next().unwrap_or_default();
        if in_section && !name.is_empty() && !name.starts_with('#') {
            found.push((at, name));
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::super::tests::found;
    use super::*;

    const MANIFEST: &str = "crates/a/Cargo.toml";

    #[track_caller]
    fn check(manifest: &str, page: &str) -> Vec<String> {
        found(dependencies_listed, &[(MANIFEST, manifest), (PAGE, page)])
    }

    #[test]
    fn a_dependency_without_a_row_is_found() {
        let page = "| crate | touches | why |\n|---|---|---|\n| `b` | no | names |\n";
        let manifest = "[dependencies]\nb.workspace = true\n";
        assert_eq!(check(manifest, page), [""; 0]);
        let more = format!("{manifest}c = \"1\"\n");
        assert_eq!(check(&more, page), [format!("{MANIFEST}:3")]);
        let more = format!("{manifest}\n[target.'cfg(unix)'.dependencies]\nc = \"1\"\n");
        assert_eq!(check(&more, page), [format!("{MANIFEST}:5")]);
        let tests =
            format!("{manifest}\n[dev-dependencies]\nc = \"1\"\n\n[lints]\nworkspace = true");
        assert_eq!(check(&tests, page), [""; 0]);
    }

    #[test]
    fn a_row_is_of_a_dependency_and_whole() {
        let manifest = "[dependencies]\nb = { version = \"1\" }\n";
        assert_eq!(
            check(manifest, "| `b` | no | names |\n| `c` | no | x |"),
            [format!("{PAGE}:2")]
        );
        for row in ["| `b` | perhaps | why |", "| `b` | yes | |", "| `b` |"] {
            assert_eq!(check(manifest, row), [format!("{PAGE}:1")], "{row}");
        }
    }
}
