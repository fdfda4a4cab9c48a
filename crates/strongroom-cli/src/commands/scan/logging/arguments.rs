//! Reads the arguments of a call up to its closing parenthesis.

use std::ops::Range;

use super::names;

/// What has to be known of a language's texts.
pub(super) struct Syntax {
    pub(super) comment: &'static str,
    pub(super) quotes: &'static str,
    /// What begins a text that has holes, a prefix or the quote itself, and what opens and closes a hole.
    pub(super) holes: Option<(&'static str, &'static str, &'static str)>,
}

/// Finds the first name that stands for a secret's value.
pub(super) fn secret(text: &[u8], syntax: &Syntax) -> Option<Range<usize>> {
    Reader {
        text,
        syntax,
        at: 0,
        hidden: Vec::new(),
        path: Vec::new(),
        range: 0..0,
    }
    .find()
}

struct Reader<'t> {
    text: &'t [u8],
    syntax: &'t Syntax,
    at: usize,
    /// For each open bracket, whether what stands in it is not shown by the call.
    hidden: Vec<bool>,
    /// The names of the path that is being read, `config`, `api_token`.
    path: Vec<&'t str>,
    range: Range<usize>,
}

impl Reader<'_> {
    fn find(mut self) -> Option<Range<usize>> {
        while let Some(byte) = self.peek() {
            match byte {
                b if is_name(b) => self.name(),
                b'.' | b':' | b'?' if self.joins() => {}
                b'(' => {
                    let callee = self.path.last().copied().unwrap_or_default();
                    // A method's arguments are not the value; nor is what another function makes of it.
                    let hides = !self.path.is_empty() && !names::shows(callee);
                    let outer = self.hidden.last().copied().unwrap_or(false);
                    if hides && self.skip_empty_call() {
                        continue;
                    }
                    if let Some(found) = self.end_of_path(hides && !names::hands_on(callee)) {
                        return Some(found);
                    }
                    self.hidden.push(outer || hides);
                    self.step(1);
                }
                b'[' | b'{' => {
                    if let Some(found) = self.end_of_path(false) {
                        return Some(found);
                    }
                    let outer = self.hidden.last().copied().unwrap_or(false);
                    self.hidden.push(outer);
                    self.step(1);
                }
                b')' | b']' | b'}' => {
                    let found = self.end_of_path(false);
                    if found.is_some() || self.hidden.pop().is_none() {
                        return found;
                    }
                    self.step(1);
                }
                b if self.syntax.quotes.as_bytes().contains(&b) => {
                    if let Some(found) = self.quoted(b) {
                        return Some(found);
                    }
                }
                b if b.is_ascii_whitespace() => {
                    self.blanks();
                    // A chain of methods goes on over lines.
                    let goes_on = self.peek().is_none_or(|byte| b".?(=:".contains(&byte));
                    if !goes_on && let Some(found) = self.end_of_path(false) {
                        return Some(found);
                    }
                }
                _ if self.rest().starts_with(self.syntax.comment.as_bytes()) => {
                    let line = self.rest().iter().position(|byte| *byte == b'\n');
                    self.step(line.unwrap_or(self.rest().len()));
                }
                _ => {
                    if let Some(found) = self.end_of_path(false) {
                        return Some(found);
                    }
                    self.step(1);
                }
            }
        }
        None
    }

    fn rest(&self) -> &[u8] {
        self.text.get(self.at..).unwrap_or_default()
    }

    fn peek(&self) -> Option<u8> {
        self.text.get(self.at).copied()
    }

    fn step(&mut self, by: usize) {
        self.at = self.at.saturating_add(by.max(1));
    }

    fn name(&mut self) {
        let length = self.rest().iter().position(|byte| !is_name(*byte));
        let end = self.at.saturating_add(length.unwrap_or(self.rest().len()));
        let name = self.text.get(self.at..end).unwrap_or_default();
        if self.path.is_empty() {
            self.range.start = self.at;
        }
        self.path
            .push(std::str::from_utf8(name).unwrap_or_default());
        self.at = end;
        self.range.end = end;
    }

    fn blanks(&mut self) {
        let length = self
            .rest()
            .iter()
            .position(|byte| !byte.is_ascii_whitespace());
        self.step(length.unwrap_or(self.rest().len()));
    }

    /// Steps over what joins two names, `.`, `::`, `?.`, if a name follows.
    fn joins(&mut self) -> bool {
        let joint = [&b"?."[..], b"::", b"."]
            .into_iter()
            .find(|joint| self.rest().starts_with(joint));
        let Some(joint) = joint.filter(|_| !self.path.is_empty()) else {
            return false;
        };
        let next = self.text.get(self.at.saturating_add(joint.len()));
        let follows = next.is_some_and(|byte| is_name(*byte));
        if follows {
            self.step(joint.len());
        }
        follows
    }

    /// Steps over `()`, which leaves a path going on behind it.
    fn skip_empty_call(&mut self) -> bool {
        let is_empty = self.rest().starts_with(b"()");
        if is_empty {
            self.step(2);
            self.range.end = self.at;
        }
        is_empty
    }

    /// Judges the path that ended here.
    fn end_of_path(&mut self, is_called: bool) -> Option<Range<usize>> {
        let path = std::mem::take(&mut self.path);
        let shown = !is_called && !self.hidden.last().copied().unwrap_or(false);
        let is_label = || {
            let rest = self.rest();
            let next = rest.get(1);
            match rest.first() {
                // The name of a field or of an argument, not a comparison.
                Some(b'=') => next != Some(&b'='),
                Some(b':') => true,
                _ => false,
            }
        };
        (shown && names::is_secret(&path) && !is_label()).then_some(self.range.clone())
    }

    /// Steps over a text, and looks into its holes.
    fn quoted(&mut self, quote: u8) -> Option<Range<usize>> {
        let prefix = self.path.pop().unwrap_or_default();
        if !prefix.is_empty() && prefix.len() > 2 {
            self.path.push(prefix);
            if let Some(found) = self.end_of_path(false) {
                return Some(found);
            }
        }
        self.path.clear();
        let holes = self.syntax.holes.filter(|(sign, ..)| {
            sign.is_empty() || sign.as_bytes() == [quote] || prefix.contains(sign)
        });
        self.step(1);
        while let Some(byte) = self.peek() {
            if byte == b'\\' {
                self.step(2);
            } else if byte == quote {
                self.step(1);
                return None;
            } else if let Some((_, open, close)) = holes
                && self.rest().starts_with(open.as_bytes())
            {
                self.step(open.len());
                if self.rest().starts_with(open.as_bytes()) {
                    // Written twice it stands for itself.
                    self.step(open.len());
                    continue;
                }
                let length = self
                    .rest()
                    .iter()
                    .position(|byte| *byte == close.as_bytes().first().copied().unwrap_or(b'}'));
                let hole = self.rest().get(..length?)?;
                // What stands behind a colon says how it is written.
                let inner = hole.split(|byte| *byte == b':').next().unwrap_or_default();
                let inner = [inner, b")"].concat();
                if let Some(found) = secret_in_hole(&inner, self.syntax) {
                    let at = |offset: usize| self.at.saturating_add(offset);
                    return Some(at(found.start)..at(found.end));
                }
                self.step(hole.len());
            } else {
                self.step(1);
            }
        }
        None
    }
}

/// A hole holds no further text with holes, so this goes one level deep.
fn secret_in_hole(hole: &[u8], syntax: &Syntax) -> Option<Range<usize>> {
    let plain = Syntax {
        holes: None,
        ..*syntax
    };
    secret(hole, &plain)
}

fn is_name(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_'
}
