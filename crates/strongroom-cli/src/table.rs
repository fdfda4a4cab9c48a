//! Aligned columns that fit the terminal.

/// The blanks between two columns.
const GAP: usize = 2;

/// Lays rows out in aligned columns, the first row being the head.
///
/// Where a row would be wider than `width`, each one becomes a paragraph instead: its first cell,
/// then the others indented with their heads.
pub(crate) fn layout(rows: &[Vec<String>], width: Option<usize>) -> String {
    let columns = rows.iter().map(Vec::len).max().unwrap_or_default();
    let widest = |column: usize| {
        let cells = rows.iter().filter_map(|row| row.get(column));
        cells.map(|cell| cell.chars().count()).max().unwrap_or(0)
    };
    let widths: Vec<usize> = (0..columns).map(widest).collect();
    let gaps = columns.saturating_sub(1).saturating_mul(GAP);
    let total = widths.iter().sum::<usize>().saturating_add(gaps);
    let lines: Vec<String> = if width.is_none_or(|width| total <= width) {
        rows.iter().map(|row| line(row, &widths)).collect()
    } else {
        paragraphs(rows)
    };
    lines.join("\n")
}

fn line(row: &[String], widths: &[usize]) -> String {
    let cells = row.iter().zip(widths);
    let padded = cells.map(|(cell, width)| format!("{cell:width$}"));
    let line = padded.collect::<Vec<_>>().join(&" ".repeat(GAP));
    line.trim_end().to_owned()
}

fn paragraphs(rows: &[Vec<String>]) -> Vec<String> {
    let Some((heads, rows)) = rows.split_first() else {
        return Vec::new();
    };
    let mut lines = Vec::new();
    for row in rows {
        let mut cells = row.iter().zip(heads);
        lines.extend(cells.next().map(|(first, _)| first.clone()));
        let filled = cells.filter(|(cell, _)| !cell.is_empty());
        lines.extend(filled.map(|(cell, head)| format!("  {head}: {cell}")));
    }
    lines
}

/// Returns the terminal's width; `None` where standard output is none.
pub(crate) fn terminal_width() -> Option<usize> {
    let (width, _) = terminal_size::terminal_size_of(std::io::stdout())?;
    Some(usize::from(width.0))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rows() -> Vec<Vec<String>> {
        let row = |cells: [&str; 3]| cells.iter().map(|&cell| cell.to_owned()).collect();
        vec![
            row(["NAME", "STATE", "AGE"]),
            row(["database/password", "ok", ""]),
        ]
    }

    #[test]
    fn aligns_columns() {
        assert_eq!(
            layout(&rows(), Some(80)),
            "NAME               STATE  AGE\ndatabase/password  ok"
        );
    }

    #[test]
    fn becomes_paragraphs_on_a_narrow_terminal() {
        assert_eq!(layout(&rows(), Some(20)), "database/password\n  STATE: ok");
    }
}
