//! inotify: the kernel says in which of the places something happened.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::io::{PipeReader, PipeWriter, Read as _};
use std::mem::MaybeUninit;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::inotify::{self, CreateFlags, ReadFlags, WatchFlags};
use rustix::io::Errno;

use super::places::{Interest, Places};
use super::settling::Settling;

/// How many places are watched. More directories than that are polled.
const MAX_WATCHES: usize = 512;
/// How long after a notice at least the next one is not listened to: a busy directory costs little.
const PAUSE: Duration = Duration::from_millis(10);

/// What happens to directories on the way to a file, and to entries that are replaced.
const COMING_AND_GOING: WatchFlags = WatchFlags::CREATE
    .union(WatchFlags::DELETE)
    .union(WatchFlags::MOVE)
    .union(WatchFlags::DELETE_SELF)
    .union(WatchFlags::MOVE_SELF);
const WRITING: WatchFlags = WatchFlags::MODIFY
    .union(WatchFlags::CLOSE_WRITE)
    .union(WatchFlags::ATTRIB);

/// What makes it unsure that a file is whole. Its writer may close it after the renaming.
const TOUCHED: ReadFlags = ReadFlags::CREATE
    .union(ReadFlags::MODIFY)
    .union(ReadFlags::DELETE)
    .union(ReadFlags::MOVED_FROM);

/// An instance of inotify, and a pipe by which other threads end its waiting.
#[derive(Debug)]
pub(super) struct Notices {
    inotify: OwnedFd,
    woken: PipeReader,
    watches: BTreeMap<i32, Watched>,
    partly: bool,
    pause: Duration,
}

#[derive(Debug)]
struct Watched {
    path: PathBuf,
    interest: Interest,
}

/// Why there are no notices.
#[derive(Debug)]
pub(super) struct Failure(&'static str, std::io::Error);

impl std::fmt::Display for Failure {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}: {}", self.0, self.1)
    }
}

impl Notices {
    pub(super) fn open() -> Result<(Self, PipeWriter), Failure> {
        let flags = CreateFlags::CLOEXEC | CreateFlags::NONBLOCK;
        let inotify = inotify::init(flags).map_err(|errno| match errno {
            Errno::MFILE => Failure(
                "there are too many instances of inotify (fs.inotify.max_user_instances) or open files",
                errno.into(),
            ),
            errno => Failure("inotify can't be had", errno.into()),
        })?;
        let (woken, waker) = std::io::pipe().map_err(|error| Failure("no pipe", error))?;
        let notices = Self {
            inotify,
            woken,
            watches: BTreeMap::new(),
            partly: false,
            pause: Duration::ZERO,
        };
        Ok((notices, waker))
    }

    /// Reports whether changes can happen of which nobody gives notice.
    pub(super) fn is_partial(&self) -> bool {
        self.partly
    }

    /// Listens to nothing for a while.
    pub(super) fn pause(&mut self, pause: Duration) {
        self.pause = self.pause.max(pause);
    }

    /// Watches these places and no others. Reports whether one of them is new.
    pub(super) fn watch(&mut self, places: &Places) -> Result<bool, Failure> {
        let mut before = std::mem::take(&mut self.watches);
        let mut any_new = false;
        self.partly = places.directories.len() > MAX_WATCHES;
        for (path, interest) in places.directories.iter().take(MAX_WATCHES) {
            let flags = match interest.needed {
                true => COMING_AND_GOING | WRITING,
                false => COMING_AND_GOING,
            };
            // The union, where one directory has two paths.
            let flags = flags | WatchFlags::ONLYDIR | WatchFlags::MASK_ADD;
            match inotify::add_watch(&self.inotify, path, flags) {
                Ok(id) => any_new |= self.took(id, path, interest, &mut before),
                // What is gone shows in the directory above; one on the way may not be readable.
                Err(Errno::NOENT | Errno::NOTDIR) => {}
                Err(Errno::ACCESS) if !interest.needed => {}
                Err(Errno::NOSPC) => {
                    let what = "there are too many inotify watches (fs.inotify.max_user_watches)";
                    return Err(Failure(what, Errno::NOSPC.into()));
                }
                Err(errno) => return Err(Failure("a directory can't be watched", errno.into())),
            }
            self.partly |= interest.needed && is_elsewhere(path);
        }
        let room = MAX_WATCHES.saturating_sub(places.directories.len());
        for path in places.files.iter().take(room) {
            let flags = WRITING | WatchFlags::MASK_ADD | WatchFlags::DONT_FOLLOW;
            // Its directory is watched as well, so that a failure costs nothing that is usual.
            if let Ok(id) = inotify::add_watch(&self.inotify, path, flags) {
                any_new |= self.took(id, path, &Interest::default(), &mut before);
            }
        }
        for id in before.into_keys() {
            // The kernel has taken away what is gone.
            let _ = inotify::remove_watch(&self.inotify, id);
        }
        Ok(any_new)
    }

    fn took(
        &mut self,
        id: i32,
        path: &Path,
        interest: &Interest,
        before: &mut BTreeMap<i32, Watched>,
    ) -> bool {
        let is_new = before.remove(&id).is_none() && !self.watches.contains_key(&id);
        let watched = self.watches.entry(id).or_insert_with(|| Watched {
            path: path.to_owned(),
            interest: Interest::default(),
        });
        watched.interest.add(interest);
        is_new
    }

    /// Waits. Reports whether to look: something happened in one of the places, or somebody called.
    pub(super) fn wait(
        &mut self,
        timeout: Duration,
        settling: &mut Settling,
    ) -> Result<bool, Failure> {
        let waiting = |errno: Errno| Failure("can't wait for inotify", errno.into());
        let pause = std::mem::take(&mut self.pause).min(timeout);
        if !pause.is_zero() {
            let mut fds = [PollFd::new(&self.woken, PollFlags::IN)];
            wait_for(&mut fds, pause).map_err(waiting)?;
        }
        let mut fds = [
            PollFd::new(&self.inotify, PollFlags::IN),
            PollFd::new(&self.woken, PollFlags::IN),
        ];
        wait_for(&mut fds, timeout).map_err(waiting)?;
        let [noticed, called] = fds.map(|fd| !fd.revents().is_empty());
        if called {
            let read = self.woken.read(&mut [0; 64]);
            read.map_err(|error| Failure("can't read the pipe", error))?;
        }
        if noticed {
            self.pause = PAUSE;
        }
        Ok((noticed && self.read(settling).map_err(waiting)?) | called)
    }

    /// Reads what happened. Reports whether any of it matters.
    fn read(&self, settling: &mut Settling) -> Result<bool, Errno> {
        let mut buffer = [MaybeUninit::uninit(); 8192];
        let mut reader = inotify::Reader::new(&self.inotify, &mut buffer);
        let mut matters = false;
        loop {
            let event = match reader.next() {
                Ok(event) => event,
                Err(Errno::AGAIN) => return Ok(matters),
                Err(Errno::INTR) => continue,
                Err(errno) => return Err(errno),
            };
            if event.events().contains(ReadFlags::QUEUE_OVERFLOW) {
                matters = true;
            }
            // None for a watch that was taken away.
            let Some(watched) = self.watches.get(&event.wd()) else {
                continue;
            };
            let Some(name) = event.file_name() else {
                matters = true;
                // A file that was replaced by another one says so too, but that it was not written.
                if event.events().contains(ReadFlags::MODIFY) {
                    settling.touched(&watched.path);
                }
                continue;
            };
            let name = OsStr::from_bytes(name.to_bytes());
            if !watched.interest.concerns(name) {
                continue;
            }
            matters = true;
            let path = watched.path.join(name);
            if event.events().contains(ReadFlags::MOVED_TO) {
                settling.renamed(path);
            } else if event.events().intersects(TOUCHED) {
                settling.touched(&path);
            }
        }
    }
}

fn wait_for(fds: &mut [PollFd<'_>], timeout: Duration) -> Result<(), Errno> {
    // Too long for the system is long enough.
    let timeout = Timespec::try_from(timeout).ok();
    match poll(fds, timeout.as_ref()) {
        Ok(_) | Err(Errno::INTR) => Ok(()),
        Err(errno) => Err(errno),
    }
}

/// Reports whether others can change a directory's files without this system taking part.
fn is_elsewhere(path: &Path) -> bool {
    const NFS: u32 = 0x6969;
    const SMB: u32 = 0x517b;
    const CIFS: u32 = 0xff53_4d42;
    const SMB2: u32 = 0xfe53_4d42;
    const FUSE: u32 = 0x6573_5546;
    const PLAN_9: u32 = 0x0102_1997;
    const CEPH: u32 = 0x00c3_6400;
    const AFS: u32 = 0x6b41_4653;
    // The field's type differs between platforms; the magic numbers have 32 bits on all.
    rustix::fs::statfs(path).is_ok_and(|stat| {
        let kind = stat.f_type as u32;
        [NFS, SMB, CIFS, SMB2, FUSE, PLAN_9, CEPH, AFS].contains(&kind)
    })
}
