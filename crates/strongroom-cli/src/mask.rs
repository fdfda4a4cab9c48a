//! Replaces known values in a stream.

use std::io::{self, BufWriter, Write};

use rustix::event::Timespec;
use strongroom::{Error, ErrorKind, Result, SecretName};
use zeroize::Zeroizing;

use crate::forms::{Form, Found, KnownForms, Search};

/// How many bytes are read at once.
const CHUNK: usize = 256 * 1024;

/// After which time without input a line's end is let through.
pub(crate) const PAUSE: Timespec = Timespec {
    tv_sec: 0,
    tv_nsec: 100_000_000,
};
/// How many characters of what may be a value may come with it.
const LET_THROUGH: usize = 3;

/// What stands for a value.
pub(crate) enum Mask {
    /// `[REDACTED:name]`.
    Named,
    Text(String),
}

impl Mask {
    /// Chooses the text that stands for every value, or the secret's name where there is none.
    ///
    /// # Errors
    /// [`ErrorKind::Config`] if a value is in the text, which would show it.
    pub(crate) fn new(text: Option<&str>, forms: &KnownForms) -> Result<Self> {
        let shows = |text: &str| {
            forms
                .find(text.as_bytes())
                .first()
                .map(|found| found.name.clone())
        };
        let Some(text) = text else {
            let named = |name: &SecretName| shows(&format!("[REDACTED:{name}]"));
            return Ok(match forms.names().iter().find_map(named) {
                None => Self::Named,
                Some(_) => Self::Text("***".to_owned()),
            });
        };
        match shows(text) {
            None => Ok(Self::Text(text.to_owned())),
            Some(name) => {
                let message = "its value is in the text of --with, which would show it";
                let error = Error::new(ErrorKind::Config, message).with_name(&name);
                Err(error.with_help("choose another text, for example ***"))
            }
        }
    }

    fn write(&self, name: &SecretName, to: &mut impl Write) -> io::Result<()> {
        match self {
            Self::Named => write!(to, "[REDACTED:{name}]"),
            Self::Text(text) => to.write_all(text.as_bytes()),
        }
    }
}

/// One stream from which known values are masked.
///
/// What it holds is the text of a form that has begun and may go on; all before that is written as soon
/// as it is read. Nothing of a value is written, whatever becomes of the writer, but for the few characters
/// that [`pause`](Self::pause) lets through.
pub(crate) struct Masker<'a, W: Write> {
    mask: &'a Mask,
    search: Search<'a>,
    to: BufWriter<W>,
    /// The text that is not yet written, and room for more.
    text: Zeroizing<Vec<u8>>,
    held: usize,
    /// How much of the stream came before that text.
    written: u64,
    /// Up to where the stream is masked already.
    covered: u64,
    /// What was found behind a form that is still open.
    found: Vec<Found<'a>>,
    masked: Vec<(SecretName, Form)>,
    count: u64,
}

impl<'a, W: Write> Masker<'a, W> {
    pub(crate) fn new(forms: &'a KnownForms, mask: &'a Mask, to: W) -> Self {
        Self {
            mask,
            search: forms.search(),
            to: BufWriter::with_capacity(CHUNK / 4, to),
            text: Zeroizing::new(Vec::new()),
            held: 0,
            written: 0,
            covered: 0,
            found: Vec::new(),
            masked: Vec::new(),
            count: 0,
        }
    }

    /// Returns room for the next bytes of the stream.
    pub(crate) fn room(&mut self) -> &mut [u8] {
        let needed = self.held.saturating_add(CHUNK);
        if self.text.len() < needed {
            // Growing in place would leave a copy behind.
            let mut larger = Zeroizing::new(vec![0; needed.saturating_add(self.held)]);
            let kept = self.text.get(..self.held).unwrap_or_default();
            for (to, from) in larger.iter_mut().zip(kept) {
                *to = *from;
            }
            self.text = larger;
        }
        self.text.get_mut(self.held..).unwrap_or_default()
    }

    /// Takes as many bytes of the room as the stream's next, and writes what is decided.
    ///
    /// # Errors
    /// Those of the writer.
    pub(crate) fn filled(&mut self, count: usize) -> io::Result<()> {
        let end = self.held.saturating_add(count).min(self.text.len());
        self.search
            .read(self.text.get(self.held..end).unwrap_or_default());
        self.held = end;
        self.write()
    }

    /// Ends the stream, and writes what was held.
    ///
    /// # Errors
    /// Those of the writer.
    pub(crate) fn end(&mut self) -> io::Result<()> {
        self.search.end();
        self.write()
    }

    /// Reports whether what waits is the end of a line with the first few characters of what may be a
    /// value broken there.
    ///
    /// Nearly every character begins some form of one of many values. So each line would wait for the next
    /// one, and who waits for the line would wait for ever.
    pub(crate) fn waits_for_line(&self) -> bool {
        let held = self.held();
        let visible = held.iter().filter(|byte| !byte.is_ascii_whitespace());
        let is_first = self.search.open_from() >= Some(self.written);
        is_first && held.ends_with(b"\n") && visible.count() <= LET_THROUGH
    }

    /// Lets such an end of a line through after a pause. If a value goes on from there, the rest of it is
    /// masked.
    ///
    /// # Errors
    /// Those of the writer.
    pub(crate) fn pause(&mut self) -> io::Result<()> {
        let end = self.written.saturating_add(self.held as u64);
        let from = self.written.max(self.covered);
        self.to
            .write_all(part(&self.text, self.written, from, end))?;
        self.drop_before(end);
        self.to.flush()
    }

    /// Returns the text that waits for what follows.
    pub(crate) fn held(&self) -> &[u8] {
        self.text.get(..self.held).unwrap_or_default()
    }

    /// Takes the next bytes of the stream from elsewhere.
    ///
    /// # Errors
    /// Those of the writer.
    pub(crate) fn feed(&mut self, text: &[u8]) -> io::Result<()> {
        for piece in text.chunks(CHUNK) {
            for (to, from) in self.room().iter_mut().zip(piece) {
                *to = *from;
            }
            self.filled(piece.len())?;
        }
        Ok(())
    }

    /// Returns how many values were masked, and which in which forms.
    pub(crate) fn masked(&self) -> (u64, &[(SecretName, Form)]) {
        (self.count, &self.masked)
    }

    /// Writes the text before the first form that is open.
    fn write(&mut self) -> io::Result<()> {
        let end = self.written.saturating_add(self.held as u64);
        let limit = self.search.open_from().unwrap_or(end);
        let mut cursor = self.written.max(self.covered);
        self.found.extend(self.search.take_found());
        self.found.sort_by_key(|found| found.offset);
        let settled = self.found.partition_point(|found| found.offset < limit);
        for found in self.found.drain(..settled) {
            // What overlaps is masked by the one before.
            if found.offset >= self.covered {
                let text = part(&self.text, self.written, cursor, found.offset);
                self.to.write_all(text)?;
                self.mask.write(found.name, &mut self.to)?;
                self.count = self.count.saturating_add(1);
                let entry = (found.name.clone(), found.form);
                if !self.masked.contains(&entry) {
                    self.masked.push(entry);
                }
            }
            self.covered = self.covered.max(found.offset.saturating_add(found.length));
            cursor = self.covered;
        }
        if cursor < limit {
            self.to
                .write_all(part(&self.text, self.written, cursor, limit))?;
            cursor = limit;
        }
        self.drop_before(cursor.min(end));
        self.to.flush()
    }

    fn drop_before(&mut self, offset: u64) {
        let dropped = offset.saturating_sub(self.written);
        let dropped = usize::try_from(dropped)
            .unwrap_or(usize::MAX)
            .min(self.held);
        self.text.copy_within(dropped..self.held, 0);
        self.held = self.held.saturating_sub(dropped);
        self.written = self.written.saturating_add(dropped as u64);
    }
}

/// Returns a part of the text by its places in the stream.
fn part(text: &[u8], start: u64, from: u64, to: u64) -> &[u8] {
    let place = |offset: u64| usize::try_from(offset.saturating_sub(start)).unwrap_or(usize::MAX);
    text.get(place(from)..place(to)).unwrap_or_default()
}
