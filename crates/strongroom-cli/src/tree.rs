//! A tree of lines, drawn with its branches.

use crate::paint::{FAINT, Marks, Span};

/// The narrowest column that text is wrapped to.
const NARROWEST: usize = 12;

/// A line with what is beneath it.
#[derive(Debug, Clone)]
pub(crate) struct Node {
    /// A mark or a label; what follows it is aligned behind it where it is wrapped.
    label: Span,
    text: Span,
    children: Vec<Node>,
}

impl Node {
    pub(crate) fn new(label: Span, text: Span) -> Self {
        Self {
            label,
            text,
            children: Vec::new(),
        }
    }

    #[must_use]
    pub(crate) fn with(mut self, children: impl IntoIterator<Item = Node>) -> Self {
        self.children.extend(children);
        self
    }

    /// Draws the tree for a terminal of this width, or for none.
    pub(crate) fn draw(&self, width: Option<usize>, marks: &Marks) -> Vec<String> {
        let mut lines = Vec::new();
        self.draw_beneath(["", ""], width, marks, &mut lines);
        lines
    }

    /// Draws the tree behind what leads to its first line, and to all further ones.
    fn draw_beneath(
        &self,
        [first, further]: [&str; 2],
        width: Option<usize>,
        marks: &Marks,
        lines: &mut Vec<String>,
    ) {
        let label = self.label.width();
        let used = Span::from(first).width().saturating_add(label);
        let room = width.map_or(usize::MAX, |width| width.saturating_sub(used));
        let guide = |text: &str| Span::new(FAINT, text).to_string();
        // What is wrapped stands beside the branches to its children.
        let stem = match self.children.is_empty() {
            true => " ".repeat(label),
            false => format!("{:label$}", marks.stem.trim_end()),
        };
        for (at, line) in self.text.wrapped(room.max(NARROWEST)).iter().enumerate() {
            lines.push(match at {
                0 => format!("{}{}{line}", guide(first), self.label),
                _ => format!("{}{line}", guide(&format!("{further}{stem}"))),
            });
        }
        let last = self.children.len().saturating_sub(1);
        for (at, child) in self.children.iter().enumerate() {
            let (branch, stem) = match at == last {
                true => (marks.last_branch, "   "),
                false => (marks.branch, marks.stem),
            };
            let leads = [format!("{further}{branch}"), format!("{further}{stem}")];
            let [first, further] = &leads;
            child.draw_beneath([first, further], width, marks, lines);
        }
    }
}
