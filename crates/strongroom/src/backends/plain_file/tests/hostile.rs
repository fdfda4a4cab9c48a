//! Somebody who swaps what is in the directory while it is read.
//!
//! Nothing is decided by who is faster: whatever is read is one of what may be read, each time.

use rustix::fs::{CWD, RenameFlags, renameat_with};

use super::*;

/// Swaps two names for as long as something is done, so that neither is ever missing.
fn while_swapped<T>(one: &Path, other: &Path, work: impl FnOnce() -> T) -> T {
    let over = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !over.load(Ordering::Relaxed) {
                renameat_with(CWD, one, CWD, other, RenameFlags::EXCHANGE).unwrap();
            }
        });
        // Even where the work panics, the thread must end.
        struct Over<'a>(&'a AtomicBool);
        impl Drop for Over<'_> {
            fn drop(&mut self) {
                self.0.store(true, Ordering::Relaxed);
            }
        }
        let _over = Over(&over);
        work()
    })
}

/// Reads one name again and again; every answer is the inner value or an error of its kind.
fn reads_inside_only(root: &Path, asked: &str, kinds: &[ErrorKind]) {
    let runtime = tokio::runtime::Builder::new_current_thread();
    let runtime = { runtime }.enable_all().build().unwrap();
    runtime.block_on(async {
        let provider = open_at(root).await;
        for _ in 0..400 {
            match fetch(&provider, asked).await {
                Ok(found) => assert_eq!(found.expose_str().unwrap(), "inside"),
                Err(error) => assert!(is_of(&error, kinds), "{error:?}"),
            }
            // A listing meets the same, and never leaves the root.
            match provider.list("").await {
                Ok(names) => {
                    for listed in names {
                        assert!(!listed.as_str().contains("outside"), "{listed}");
                    }
                }
                Err(error) => assert!(is_of(&error, kinds), "{error:?}"),
            }
        }
    });
}

/// Whoever swaps faster than a file can be looked at twice is told of by a transient error.
fn is_of(error: &Error, kinds: &[ErrorKind]) -> bool {
    kinds.contains(&error.kind()) || error.kind() == ErrorKind::Transient
}

#[cfg(target_os = "linux")]
#[test]
fn a_directory_swapped_for_a_link_never_leads_out() {
    let (dir, outside) = (dir(), dir());
    write(dir.path(), "database/password", "inside");
    write(outside.path(), "password", CANARY);
    write(outside.path(), "outside", CANARY);
    symlink(outside.path(), dir.path().join(".link")).unwrap();
    let (one, other) = (dir.path().join("database"), dir.path().join(".link"));
    while_swapped(&one, &other, || {
        reads_inside_only(
            dir.path(),
            "database/password",
            &[ErrorKind::Denied, ErrorKind::Absent, ErrorKind::Malformed],
        );
    });
}

#[cfg(target_os = "linux")]
#[test]
fn a_file_swapped_for_a_link_never_leads_out() {
    let (dir, outside) = (dir(), dir());
    write(dir.path(), "token", "inside");
    let secret = write(outside.path(), "shadow", CANARY);
    symlink(secret, dir.path().join(".link")).unwrap();
    while_swapped(&dir.path().join("token"), &dir.path().join(".link"), || {
        reads_inside_only(dir.path(), "token", &[ErrorKind::Denied, ErrorKind::Absent]);
    });
}

#[cfg(target_os = "linux")]
#[test]
fn a_file_swapped_for_a_fifo_never_blocks() {
    let dir = dir();
    write(dir.path(), "token", "inside");
    make_fifo(&dir.path().join(".fifo"));
    while_swapped(&dir.path().join("token"), &dir.path().join(".fifo"), || {
        reads_inside_only(dir.path(), "token", &[ErrorKind::Malformed]);
    });
}

/// What is judged is what is read: the mode of one file never vouches for the content of another.
#[cfg(target_os = "linux")]
#[test]
fn a_file_swapped_for_one_that_everybody_can_write_is_never_read() {
    let dir = dir();
    write(dir.path(), "token", "inside");
    let open = write(dir.path(), ".open", "outside");
    fs::set_permissions(&open, fs::Permissions::from_mode(0o606)).unwrap();
    let rails = GuardRails::new(Deployment::Production, [Rail::PlainFileOnDisk]);
    let url = ProviderUrl::new("file", dir.path().to_str().unwrap());
    let connect = Connect::new(url, Env::empty(), rails);
    let runtime = tokio::runtime::Builder::new_current_thread();
    let runtime = { runtime }.enable_all().build().unwrap();
    while_swapped(&dir.path().join("token"), &open, || {
        runtime.block_on(async {
            let provider = try_open(connect).await.unwrap();
            let mut refused = 0;
            for _ in 0..2_000 {
                match fetch(&provider, "token").await {
                    Ok(found) => assert_eq!(found.expose_str().unwrap(), "inside"),
                    Err(error) => {
                        assert!(is_of(&error, &[ErrorKind::Policy]), "{error:?}");
                        refused += 1;
                    }
                }
            }
            eprintln!("{refused} of 2000 readings met the other file");
        });
    });
}

/// Hidden entries, and too many of them, are not gathered in memory before they are refused.
#[tokio::test]
async fn a_directory_of_too_many_files_is_refused() {
    let dir = dir();
    for number in 0..10_001 {
        fs::write(dir.path().join(format!("n{number}")), "").unwrap();
    }
    let provider = open_at(dir.path()).await;
    let error = provider.list("").await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unsupported);
}
