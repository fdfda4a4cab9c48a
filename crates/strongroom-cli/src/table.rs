//! Aligned columns that fit the terminal.

use crate::paint::{Marks, STRONG, Span};
use crate::report::Screen;

/// The blanks between two columns.
const GAP: usize = 2;

/// The fewest columns of a terminal that a column of text is shrunk to.
const NARROWEST: usize = 12;

/// Rows of cells beneath heads.
#[derive(Debug)]
pub(crate) struct Table {
    heads: Vec<Span>,
    /// Which columns may be cut, since the whole text is told elsewhere.
    cut: Vec<bool>,
    rows: Vec<Vec<Span>>,
}

impl Table {
    pub(crate) fn new<const N: usize>(heads: [&str; N]) -> Self {
        Self {
            heads: heads.map(|head| Span::new(STRONG, head)).to_vec(),
            cut: vec![false; N],
            rows: Vec::new(),
        }
    }

    /// Lets the column of this head be cut, not wrapped, where it doesn't fit: `--format json` has the
    /// whole text.
    pub(crate) fn cut(mut self, head: &str) -> Self {
        for (cut, known) in self.cut.iter_mut().zip(&self.heads) {
            *cut |= known.text() == head;
        }
        self
    }

    pub(crate) fn row<const N: usize>(&mut self, cells: [Span; N]) {
        self.rows.push(cells.to_vec());
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// Lays the rows out beneath their heads, for a terminal of this width, or for none.
    ///
    /// Where they are too wide, the widest columns shrink: their cells are wrapped or cut. Where that
    /// isn't enough, each row becomes a paragraph: its first cell, then the others with their heads.
    pub(crate) fn layout(&self, width: Option<usize>, marks: &Marks) -> Vec<String> {
        match self.widths(width) {
            Some(widths) => {
                let all = std::iter::once(&self.heads).chain(&self.rows);
                all.flat_map(|row| self.lines(row, &widths, marks))
                    .collect()
            }
            None => self.paragraphs(),
        }
    }

    /// Returns how wide each column is; `None` where they can't fit.
    fn widths(&self, width: Option<usize>) -> Option<Vec<usize>> {
        let widest = |column: usize| {
            let rows = std::iter::once(&self.heads).chain(&self.rows);
            let cells = rows.filter_map(|row| row.get(column));
            cells.map(Span::width).max().unwrap_or(0)
        };
        let mut widths: Vec<usize> = (0..self.heads.len()).map(widest).collect();
        let Some(width) = width else {
            return Some(widths);
        };
        let gaps = widths.len().saturating_sub(1).saturating_mul(GAP);
        while widths.iter().sum::<usize>().saturating_add(gaps) > width {
            let widest = widths.iter_mut().max_by_key(|width| **width)?;
            if *widest <= NARROWEST {
                return None;
            }
            *widest = widest.saturating_sub(1);
        }
        Some(widths)
    }

    /// Lays one row out, as several lines where cells are wrapped.
    fn lines(&self, row: &[Span], widths: &[usize], marks: &Marks) -> Vec<String> {
        let cells: Vec<Vec<Span>> = row
            .iter()
            .zip(widths)
            .zip(&self.cut)
            .map(|((cell, width), cut)| match cut {
                true => vec![cell.cut(*width, marks.ellipsis)],
                false => cell.wrapped(*width),
            })
            .collect();
        let height = cells.iter().map(Vec::len).max().unwrap_or(0);
        let blank = Span::from("");
        let line = |at: usize| {
            let parts = cells.iter().map(|cell| cell.get(at).unwrap_or(&blank));
            let parts: Vec<&Span> = parts.collect();
            // No blanks at the end of a line.
            let used = parts.iter().rposition(|part| part.width() > 0);
            let used = used.map_or(0, |last| last.saturating_add(1));
            let last = used.saturating_sub(1);
            let padded = parts.iter().zip(widths).take(used).enumerate();
            let padded = padded.map(|(column, (part, width))| match column == last {
                true => part.to_string(),
                false => part.padded(*width),
            });
            padded.collect::<Vec<_>>().join(&" ".repeat(GAP))
        };
        (0..height).map(line).collect()
    }

    fn paragraphs(&self) -> Vec<String> {
        let mut lines = Vec::new();
        for row in &self.rows {
            let mut cells = row.iter().zip(&self.heads);
            lines.extend(cells.next().map(|(first, _)| first.to_string()));
            let filled = cells.filter(|(cell, _)| cell.width() > 0);
            lines.extend(filled.map(|(cell, head)| format!("  {}: {cell}", head.text())));
        }
        lines
    }

    /// Shows it on standard output.
    pub(crate) fn show(&self, screen: &Screen) -> Result<(), crate::exit::Failure> {
        let lines = self.layout(terminal_width(), &Marks::of(screen));
        screen.painted(&lines.join("\n"))
    }
}

/// Returns the terminal's width; `None` where standard output is none.
pub(crate) fn terminal_width() -> Option<usize> {
    let (width, _) = terminal_size::terminal_size_of(std::io::stdout())?;
    Some(usize::from(width.0))
}

#[cfg(test)]
mod tests {
    use super::*;

    const MARKS: Marks = Marks {
        ok: "",
        bad: "",
        warning: "",
        none: "",
        to: "",
        ellipsis: "…",
        branch: "",
        last_branch: "",
        stem: "",
    };

    fn shown(table: &Table, width: usize) -> String {
        let lines = table.layout(Some(width), &MARKS).join("\n");
        anstream::adapter::strip_str(&lines).to_string()
    }

    fn table() -> Table {
        let mut table = Table::new(["NAME", "STATE", "AGE"]);
        table.row(["database/password", "ok", ""].map(Span::from));
        table
    }

    #[test]
    fn aligns_columns() {
        assert_eq!(
            shown(&table(), 80),
            "NAME               STATE  AGE\ndatabase/password  ok"
        );
        let mut table = Table::new(["NAME", "STATE"]);
        table.row(["日本", "ok"].map(Span::from));
        table.row(["cafe\u{301}/key", "ok"].map(Span::from));
        assert_eq!(
            shown(&table, 80),
            "NAME      STATE\n日本      ok\ncafe\u{301}/key  ok"
        );
    }

    #[test]
    fn the_widest_column_is_wrapped_first() {
        let mut table = Table::new(["NAME", "TEXT", "STATE"]);
        table.row(["api/token", "what it is for, in some words", "ok"].map(Span::from));
        assert_eq!(
            shown(&table, 36),
            "NAME       TEXT                STATE\n\
             api/token  what it is for, in  ok\n           some words"
        );
    }

    #[test]
    fn a_column_is_cut_only_where_it_may_be() {
        let rows = |table: Table| {
            let mut table = table;
            table.row(["a", "0123456789abcdefghij"].map(Span::from));
            shown(&table, 18)
        };
        let heads = ["NAME", "VERSION"];
        assert_eq!(
            rows(Table::new(heads).cut("VERSION")),
            "NAME  VERSION\na     0123456789a…"
        );
        assert_eq!(
            rows(Table::new(heads)),
            "NAME  VERSION\na     0123456789ab\n      cdefghij"
        );
    }

    #[test]
    fn becomes_paragraphs_on_a_narrow_terminal() {
        assert_eq!(shown(&table(), 10), "database/password\n  STATE: ok");
    }

    #[test]
    fn nothing_is_wrapped_where_there_is_no_terminal() {
        let mut table = Table::new(["NAME"]);
        table.row([Span::from("x ".repeat(200))]);
        assert_eq!(table.layout(None, &MARKS).len(), 2);
    }
}
