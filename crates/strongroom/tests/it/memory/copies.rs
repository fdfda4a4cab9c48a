//! Looking through a process's memory for every copy of a canary, whole or in part.

use std::collections::BTreeMap;
use std::fmt;
use std::fs::{self, File};
use std::io;
use std::os::unix::fs::FileExt as _;

use strongroom::Env;

use super::canary::{Canary, PIECES, Piece};

/// How much is read at a time.
const BLOCK: usize = 1 << 20;

/// How much is shown of what stands before and behind a copy.
const AROUND: usize = 96;

/// The copies that were found, by where the whole value begins or would begin.
pub(super) struct Copies(BTreeMap<u64, Copy>);

struct Copy {
    form: &'static str,
    pieces: usize,
    region: String,
    before: Vec<u8>,
    behind: Vec<u8>,
}

/// A part of a process's memory that it can write, or could.
struct Region {
    start: u64,
    end: u64,
    name: String,
}

impl Copies {
    /// Looks through all memory of a process. `None` where this system doesn't allow it, except in CI.
    pub(super) fn find(process: u32, canary: &Canary) -> Option<Self> {
        let memory = match File::open(format!("/proc/{process}/mem")) {
            Ok(memory) => memory,
            Err(error) => {
                let refused = error.kind() == io::ErrorKind::PermissionDenied;
                let elsewhere = !Env::process().has("CI");
                assert!(refused && elsewhere, "can't read a child's memory: {error}");
                println!("not tested: this system lets no process read another's memory");
                return None;
            }
        };
        let search = Search::new(canary);
        let mut copies = Self(BTreeMap::new());
        for region in regions(process) {
            search.region(&memory, &region, &mut copies);
        }
        Some(copies)
    }

    pub(super) fn count(&self) -> usize {
        self.0.len()
    }

    /// Returns where each begins.
    #[cfg(feature = "locked-memory")]
    pub(super) fn addresses(&self) -> impl Iterator<Item = u64> {
        self.0.keys().copied()
    }
}

fn regions(process: u32) -> Vec<Region> {
    let maps = fs::read_to_string(format!("/proc/{process}/maps")).unwrap();
    let region = |line: &str| {
        let mut fields = line.split_ascii_whitespace();
        let (start, end) = fields.next()?.split_once('-')?;
        let (mode, file) = (fields.next()?, fields.nth(2)? != "0");
        // What lies in a file and can't be written is the program itself.
        let holds_data = mode.starts_with('r') && (!file || mode.contains('w'));
        let address = |text| u64::from_str_radix(text, 16).unwrap();
        holds_data.then(|| Region {
            start: address(start),
            end: address(end),
            name: fields.next().unwrap_or("anonymous memory").to_owned(),
        })
    };
    maps.lines().filter_map(region).collect()
}

/// The pieces of a canary, by their first two bytes.
struct Search<'a> {
    begins: Vec<bool>,
    pieces: Vec<(&'static str, &'a Piece)>,
    longest: usize,
}

impl<'a> Search<'a> {
    fn new(canary: &'a Canary) -> Self {
        let forms = canary.forms.iter();
        let pieces: Vec<_> = forms
            .flat_map(|form| form.pieces.iter().map(|piece| (form.name, piece)))
            .collect();
        let mut begins = vec![false; 1 << 16];
        for (_, piece) in &pieces {
            begins[beginning(&piece.bytes)] = true;
        }
        let longest = pieces.iter().map(|(_, piece)| piece.bytes.len()).max();
        Self {
            begins,
            pieces,
            longest: longest.unwrap(),
        }
    }

    fn region(&self, memory: &File, region: &Region, copies: &mut Copies) {
        let mut at = region.start;
        while at < region.end {
            // A piece may lie across two blocks.
            let size = (region.end - at).min((BLOCK + self.longest) as u64);
            let mut block = vec![0; size as usize];
            // Pages of the kernel can't be read.
            if memory.read_exact_at(&mut block, at).is_ok() {
                self.block(&block, at, region, copies);
            }
            at += BLOCK as u64;
        }
    }

    fn block(&self, block: &[u8], at: u64, region: &Region, copies: &mut Copies) {
        for place in 0..block.len().saturating_sub(1) {
            if !self.begins[beginning(&block[place..])] {
                continue;
            }
            for (form, piece) in &self.pieces {
                if !block[place..].starts_with(&piece.bytes) {
                    continue;
                }
                let part = |from: usize, to: usize| {
                    let to = to.min(block.len());
                    block[from.min(to)..to].to_vec()
                };
                let begin = place.saturating_sub(piece.offset);
                let end = begin + PIECES * piece.bytes.len();
                let found = Copy {
                    form,
                    pieces: 0,
                    region: region.name.clone(),
                    before: part(begin.saturating_sub(AROUND), begin),
                    behind: part(end, end + AROUND),
                };
                let address = (at + place as u64).wrapping_sub(piece.offset as u64);
                let copy = copies.0.entry(address).or_insert(found);
                copy.pieces += 1;
            }
        }
    }
}

fn beginning(bytes: &[u8]) -> usize {
    usize::from(bytes[0]) << 8 | usize::from(bytes[1])
}

impl fmt::Display for Copies {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (address, copy) in &self.0 {
            let Copy {
                form,
                pieces,
                region,
                ..
            } = copy;
            let (before, behind) = (copy.before.escape_ascii(), copy.behind.escape_ascii());
            writeln!(f, "  {form}, {pieces} pieces at {address:#x} in {region}:")?;
            writeln!(f, "    {before} [it] {behind}")?;
        }
        Ok(())
    }
}
