//! Mappings of locked memory, from the system; under Miri, which has no such call, from the allocator.

#[cfg(not(miri))]
pub(super) use system::{lock, unlock};

#[cfg(miri)]
pub(super) use plain::{lock, unlock};

#[cfg(not(miri))]
mod system {
    use std::ptr::{NonNull, null_mut};

    use rustix::mm::{Advice, MapFlags, ProtFlags, madvise, mlock, mmap_anonymous, munmap};

    use crate::locked::NotLocked;

    /// Maps locked memory of zeros. The system rounds the size up to whole pages, here and in [`unlock`].
    pub(in crate::locked) fn lock(size: usize) -> Result<NonNull<u8>, NotLocked> {
        let (access, private) = (ProtFlags::READ | ProtFlags::WRITE, MapFlags::PRIVATE);
        // SAFETY: a new mapping, at an address that the system chooses.
        let start = unsafe { mmap_anonymous(null_mut(), size, access, private) };
        let start = NonNull::new(start.map_err(|_| NotLocked)?).ok_or(NotLocked)?;
        let settled = || {
            #[cfg(target_os = "linux")]
            for advice in [Advice::LinuxDontDump, Advice::LinuxDontFork] {
                // SAFETY: the mapping is ours, and neither advice changes what this process reads there.
                unsafe { madvise(start.as_ptr(), size, advice) }?;
            }
            // SAFETY: the mapping is ours, and locking changes nothing that is read there.
            unsafe { mlock(start.as_ptr(), size) }
        };
        if settled().is_err() {
            unlock(start.cast(), size);
            return Err(NotLocked);
        }
        Ok(start.cast())
    }

    /// Gives a mapping back that [`lock`] made and nobody uses.
    pub(in crate::locked) fn unlock(start: NonNull<u8>, size: usize) {
        // SAFETY: the caller hands over the whole mapping. It can't fail: the range is as it was mapped.
        let _ = unsafe { munmap(start.as_ptr().cast(), size) };
    }
}

#[cfg(miri)]
mod plain {
    use std::alloc::{Layout, alloc_zeroed, dealloc};
    use std::ptr::NonNull;

    use crate::locked::NotLocked;

    const PAGE: usize = 4096;

    pub(in crate::locked) fn lock(size: usize) -> Result<NonNull<u8>, NotLocked> {
        let layout = Layout::from_size_align(size, PAGE).map_err(|_| NotLocked)?;
        // SAFETY: no mapping is of no size.
        NonNull::new(unsafe { alloc_zeroed(layout) }).ok_or(NotLocked)
    }

    pub(in crate::locked) fn unlock(start: NonNull<u8>, size: usize) {
        if let Ok(layout) = Layout::from_size_align(size, PAGE) {
            // SAFETY: `lock` allocated it by the same layout, and nobody uses it.
            unsafe { dealloc(start.as_ptr(), layout) };
        }
    }
}
