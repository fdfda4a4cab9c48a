//! The ends of a file: its first line, which says whose chain it goes on with, and its last one, with what
//! a crash left behind it.

use std::path::Path;
use std::time::{Duration, SystemTime};

use sha2::{Digest as _, Sha256};

use super::head::{Head, code, hex};
use super::line::{self, FORMAT, Line, MOST, Torn};
use crate::backends::Growing;
use crate::error::{Error, ErrorKind, Result};

/// How much of a file's beginning is read to find its first line.
const BEGINNING: u64 = MOST as u64;
/// How much of a file's end is read at first to find its last line. Ours are far shorter.
const WINDOW: u64 = 4 * 1024;
/// The most bytes without a line that are passed over to find the last one.
const MOST_REMAINS: u64 = 16 * 1024 * 1024;

/// The first line of a file.
pub(super) struct Header {
    pub(super) chain: [u8; 16],
    pub(super) previous: [u8; 32],
    pub(super) authenticated: Vec<u8>,
    pub(super) head: Head,
    pub(super) begun: SystemTime,
}

impl Header {
    /// Finds it in a file, behind what a crash may have left before it.
    pub(super) fn of(file: &mut Growing, path: &Path) -> Result<Option<Self>> {
        let start = file.read(0, BEGINNING, path)?;
        Ok(start.split(|byte| *byte == b'\n').find_map(Self::parse))
    }

    fn parse(bytes: &[u8]) -> Option<Self> {
        let parsed = Line::parse(bytes)?;
        let extras = line::extras(bytes)?;
        extras.format.filter(|format| format == FORMAT)?;
        let millis = serde_json::from_slice::<Timed>(bytes).ok()?.time;
        Some(Self {
            chain: hex(extras.chain?.as_bytes())?,
            previous: code(extras.previous?.as_bytes())?,
            authenticated: parsed.authenticated.to_vec(),
            head: parsed.head,
            begun: SystemTime::UNIX_EPOCH.checked_add(Duration::from_millis(millis))?,
        })
    }
}

#[derive(serde::Deserialize)]
struct Timed {
    time: u64,
}

/// Bytes at the end of a file that are no line.
pub(super) struct Remains {
    /// Which bytes these are. Nothing is said of a line that only lacks its newline.
    pub(super) said: Option<Torn>,
    pub(super) ends_line: bool,
}

impl Remains {
    /// Describes bytes behind a line; `None` if there are none.
    pub(super) fn of(bytes: &[u8]) -> Option<Self> {
        let last = bytes.last()?;
        Some(Self {
            said: Some(torn(bytes)),
            ends_line: *last == b'\n',
        })
    }
}

/// Finds the last line of a file, and what lies behind it; `None` where there is no line.
pub(super) fn last_line(
    file: &mut Growing,
    path: &Path,
) -> Result<Option<(Head, Option<Remains>)>> {
    let mut window = WINDOW;
    loop {
        let from = file.len.saturating_sub(window);
        let bytes = file.read(from, file.len.saturating_sub(from), path)?;
        let newline = bytes.iter().rposition(|byte| *byte == b'\n');
        let last = newline.map_or(0, |at| at.saturating_add(1));
        if newline.is_some() || from == 0 {
            let unended = bytes.get(last..).and_then(Line::parse);
            if let Some(line) = unended {
                let remains = Remains {
                    said: None,
                    ends_line: false,
                };
                return Ok(Some((line.head, Some(remains))));
            }
        }
        let mut end = bytes.len();
        // From newline to newline, backwards.
        while let Some(newline) = bytes
            .get(..end)
            .and_then(|part| part.iter().rposition(|b| *b == b'\n'))
        {
            let before = bytes.get(..newline).unwrap_or_default();
            let begin = before.iter().rposition(|byte| *byte == b'\n');
            let begin = begin.map_or(0, |at| at.saturating_add(1));
            if let Some(line) = before.get(begin..).and_then(Line::parse) {
                let behind = bytes.get(newline.saturating_add(1)..).unwrap_or_default();
                return Ok(Some((line.head, Remains::of(behind))));
            }
            end = newline;
        }
        if from == 0 {
            return Ok(None);
        }
        if window >= MOST_REMAINS {
            return Err(not_a_log(path));
        }
        window = window.saturating_mul(8);
    }
}

/// Says which bytes these are.
fn torn(bytes: &[u8]) -> Torn {
    Torn {
        bytes: u64::try_from(bytes.len()).unwrap_or(u64::MAX),
        sha256: base16ct::lower::encode_string(&Sha256::digest(bytes)),
    }
}

pub(super) fn not_a_log(path: &Path) -> Error {
    let message = format!("{} is not an audit log", path.display());
    Error::new(ErrorKind::Integrity, message)
        .with_help("move it away, and find out who put it there")
}
