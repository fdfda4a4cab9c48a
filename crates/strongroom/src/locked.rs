//! Memory for values that never reaches a swap device or a core dump (feature `locked-memory`).
//!
//! The one module that may hold `unsafe`. Pages are locked (`mlock`), left out of core dumps
//! (`MADV_DONTDUMP`) and out of forked children (`MADV_DONTFORK`: a child that reads a value ends there,
//! where wiped pages would hand it zeros for a key). Values share pages, since a process may lock few.

use std::ptr::NonNull;
use std::sync::{Mutex, MutexGuard, PoisonError};

use zeroize::Zeroize as _;

mod map;
#[cfg(test)]
mod tests;

/// What a value's size is rounded up to: values share no cache line.
const GRANULE: usize = 64;

/// What a mapping's size is rounded up to: four pages on most machines.
const REGION: usize = 16 * 1024;

/// All locked memory of the process.
static ARENA: Mutex<Vec<Region>> = Mutex::new(Vec::new());

/// Bytes in locked memory, wiped on drop.
pub(crate) struct Locked {
    start: NonNull<u8>,
    length: usize,
}

/// The system locks no more memory for this process.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct NotLocked;

/// One mapping, and which of its granules are taken.
struct Region {
    start: NonNull<u8>,
    taken: Vec<bool>,
}

// SAFETY: a region is plain memory without ties to a thread.
unsafe impl Send for Region {}

// SAFETY: the memory belongs to this value alone until it is dropped, and nothing ties it to a thread.
unsafe impl Send for Locked {}

// SAFETY: what is behind a shared reference is only read.
unsafe impl Sync for Locked {}

impl Locked {
    /// Copies bytes into locked memory of their size.
    ///
    /// # Errors
    /// [`NotLocked`] if the system's limit is reached.
    pub(crate) fn copy_of(bytes: &[u8]) -> Result<Self, NotLocked> {
        let length = bytes.len();
        if length == 0 {
            let start = NonNull::dangling();
            return Ok(Self { start, length });
        }
        let start = take(&mut arena(), length)?;
        // SAFETY: `take` hands out at least `length` bytes that nobody else has, in a mapping of ours,
        // which `bytes` can't be part of.
        unsafe {
            start.copy_from_nonoverlapping(NonNull::from(bytes).cast(), length);
        }
        Ok(Self { start, length })
    }
}

impl AsRef<[u8]> for Locked {
    fn as_ref(&self) -> &[u8] {
        // SAFETY: `copy_of` wrote `length` bytes there, which stay as they are while `self` lives; of no
        // bytes any aligned pointer is valid.
        unsafe { std::slice::from_raw_parts(self.start.as_ptr(), self.length) }
    }
}

impl Drop for Locked {
    fn drop(&mut self) {
        if self.length == 0 {
            return;
        }
        // SAFETY: as in `as_ref`, and nobody else has a reference: `self` is dropped.
        let bytes = unsafe { std::slice::from_raw_parts_mut(self.start.as_ptr(), self.length) };
        bytes.zeroize();
        give_back(&mut arena(), self.start, self.length);
    }
}

impl Region {
    fn new(length: usize) -> Result<Self, NotLocked> {
        let size = length.next_multiple_of(REGION);
        Ok(Self {
            start: map::lock(size)?,
            taken: vec![false; size.div_euclid(GRANULE)],
        })
    }

    /// Finds free granules in a row, and takes them.
    fn take(&mut self, granules: usize) -> Option<NonNull<u8>> {
        let free = |row: &[bool]| row.iter().all(|taken| !taken);
        let first = self.taken.windows(granules).position(free)?;
        let end = first.checked_add(granules)?;
        self.taken.get_mut(first..end)?.fill(true);
        let offset = first.checked_mul(GRANULE)?;
        // SAFETY: there is a flag for each granule, so the first of them begins inside the mapping.
        Some(unsafe { self.start.add(offset) })
    }

    /// Returns which granule begins at an address, if it is one of this region.
    fn granule_at(&self, start: NonNull<u8>) -> Option<usize> {
        let offset = start.addr().get().checked_sub(self.start.addr().get())?;
        let granule = offset.div_euclid(GRANULE);
        (granule < self.taken.len()).then_some(granule)
    }
}

impl Drop for Region {
    fn drop(&mut self) {
        map::unlock(self.start, self.taken.len().saturating_mul(GRANULE));
    }
}

fn arena() -> MutexGuard<'static, Vec<Region>> {
    ARENA.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Takes memory for so many bytes, from a further mapping if need be.
fn take(arena: &mut Vec<Region>, length: usize) -> Result<NonNull<u8>, NotLocked> {
    let granules = length.div_ceil(GRANULE);
    if let Some(start) = arena.iter_mut().find_map(|region| region.take(granules)) {
        return Ok(start);
    }
    let mut region = Region::new(length)?;
    let start = region.take(granules).ok_or(NotLocked)?;
    arena.push(region);
    Ok(start)
}

/// Gives wiped memory back, and a mapping that is empty by that.
fn give_back(arena: &mut Vec<Region>, start: NonNull<u8>, length: usize) {
    let found = arena.iter_mut().enumerate().find_map(|(at, region)| {
        let first = region.granule_at(start)?;
        Some((at, region, first))
    });
    let Some((at, region, first)) = found else {
        return;
    };
    let end = first.saturating_add(length.div_ceil(GRANULE));
    if let Some(taken) = region.taken.get_mut(first..end) {
        taken.fill(false);
    }
    if !region.taken.contains(&true) {
        arena.swap_remove(at);
    }
}
