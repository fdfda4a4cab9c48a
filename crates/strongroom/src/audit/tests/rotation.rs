//! A chain that goes on over several files, and loses the oldest to retention.

use super::*;

/// Writes so many events into files of a few lines each.
fn rotated(events: usize, change: impl FnOnce(&mut LogSettings)) -> (tempfile::TempDir, PathBuf) {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("audit.jsonl");
    let mut settings = settings(&path);
    settings.max_bytes = 3_000;
    change(&mut settings);
    let mut chain = chain_with(settings, key());
    for n in 0..events {
        chain.append(&[record(n)]).unwrap();
    }
    (dir, path)
}

fn files(dir: &Path) -> Vec<PathBuf> {
    let all = fs::read_dir(dir)
        .unwrap()
        .map(|entry| entry.unwrap().path());
    let mut all: Vec<_> = all
        .filter(|path| !path.to_string_lossy().ends_with(".lock"))
        .collect();
    // The one that grows has no number, and is the last.
    all.sort_by_key(|path| (path.extension().is_some_and(|e| e == "jsonl"), path.clone()));
    all
}

#[test]
fn the_chain_goes_on_across_files() {
    let (dir, path) = rotated(30, |_| {});
    let files = files(dir.path());
    assert!(files.len() > 4, "{files:?}");
    let verified = verify(&path, &key(), None).unwrap();
    assert_eq!(verified.files, files.len());
    assert_eq!(verified.events, 30 + files.len() as u64);
    verify_in_order(&files, &key(), Some(&verified.head)).unwrap();
}

#[test]
fn several_processes_follow_each_other_over_the_files() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("audit.jsonl");
    let writer = || {
        let mut settings = settings(&path);
        settings.max_bytes = 2_000;
        chain_with(settings, key())
    };
    let mut writers = [writer(), writer(), writer()];
    for n in 0..60 {
        writers[n % 3].append(&[record(n)]).unwrap();
    }
    let verified = verify(&path, &key(), None).unwrap();
    assert_eq!(verified.events, 60 + verified.files as u64);
}

#[test]
fn a_file_that_is_old_is_set_aside() {
    let (dir, path) = rotated(3, |settings| settings.max_age = Some(Duration::ZERO));
    assert_eq!(files(dir.path()).len(), 3);
    assert_eq!(verify(&path, &key(), None).unwrap().events, 6);
}

#[test]
fn each_file_that_is_changed_missing_or_moved_is_found() {
    let (dir, path) = rotated(20, |_| {});
    let head = verify(&path, &key(), None).unwrap().head;
    let files = files(dir.path());
    for (at, file) in files.iter().enumerate() {
        let text = fs::read(file).unwrap();
        // Missing: the last one against a head alone.
        fs::remove_file(file).unwrap();
        refused(&path, Some(&head));
        if at + 1 < files.len() {
            refused(&path, None);
        }
        // Changed, emptied, doubled, or one of its lines cut off.
        let cut = text[..text.len() - 1]
            .iter()
            .rposition(|b| *b == b'\n')
            .unwrap()
            + 1;
        let mut edited = text.clone();
        edited[text.len() / 2] ^= 1;
        for changed in [
            &edited[..],
            &text[..cut],
            &[][..],
            &[&text[..], &text[..]].concat(),
        ] {
            fs::write(file, changed).unwrap();
            refused(&path, Some(&head));
        }
        fs::write(file, text).unwrap();
    }
    for (one, two) in [(0, 1), (1, 2), (0, 2)] {
        let mut moved = files.clone();
        moved.swap(one, two);
        let error = verify_in_order(&moved, &key(), None).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Integrity);
    }
    verify(&path, &key(), Some(&head)).unwrap();
}

#[test]
fn retention_removes_the_oldest_files_and_says_so() {
    let (dir, path) = rotated(40, |settings| settings.keep = Some(2));
    let kept = files(dir.path());
    assert_eq!(kept.len(), 3, "{kept:?}");
    let verified = verify(&path, &key(), None).unwrap();
    assert!(verified.first > 1);
    // What retention didn't remove is missed all the same.
    fs::remove_file(&kept[0]).unwrap();
    let error = refused(&path, None);
    assert!(
        error
            .to_string()
            .contains("retention removed only those to"),
        "{error}"
    );
}

#[test]
fn files_that_are_old_enough_are_removed() {
    let (dir, path) = rotated(10, |settings| settings.keep_for = Some(Duration::ZERO));
    assert_eq!(files(dir.path()).len(), 1);
    verify(&path, &key(), None).unwrap();
    let (dir, _) = rotated(10, |settings| {
        settings.keep_for = Some(Duration::from_secs(3600))
    });
    assert!(files(dir.path()).len() > 1);
}

#[test]
fn a_process_that_dies_between_two_files_breaks_nothing() {
    let (dir, path) = rotated(12, |_| {});
    // It had set the file aside, and not made the next one.
    let first = verify(&path, &key(), None).unwrap();
    let journal = Journal::new(&path).unwrap();
    let growing = fs::read(&path).unwrap();
    let header = growing.split(|b| *b == b'\n').next().unwrap();
    let number = line::Line::parse(header).unwrap().head.seq;
    fs::rename(&path, journal.aside_path(number)).unwrap();
    verify(&path, &key(), Some(&first.head)).unwrap();
    let mut writer = chain(&path);
    writer.append(&[record(0)]).unwrap();
    let verified = verify(&path, &key(), Some(&first.head)).unwrap();
    assert_eq!(verified.events, first.events + 2);
    assert_eq!(verified.files, files(dir.path()).len());
}

#[test]
fn a_file_that_a_group_may_read_is_followed_by_one_that_it_may_read() {
    use std::os::unix::fs::PermissionsExt as _;
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    let (_dir, path) = rotated(1, |_| {});
    assert_eq!(mode(&path), 0o600);
    fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).unwrap();
    let mut settings = settings(&path);
    settings.max_bytes = 1;
    chain_with(settings, key()).append(&[record(1)]).unwrap();
    assert_eq!(mode(&path), 0o640);
    verify(&path, &key(), None).unwrap();
}

#[test]
fn who_may_not_lock_reads_one_chain_while_files_are_set_aside() {
    let (_dir, path) = rotated(1, |_| {});
    let journal = Journal::new(&path).unwrap();
    std::thread::scope(|scope| {
        let writer = scope.spawn(|| {
            let mut settings = settings(&path);
            settings.max_bytes = 1;
            let mut chain = chain_with(settings, key());
            for n in 0..150 {
                chain.append(&[record(n)]).unwrap();
            }
        });
        while !writer.is_finished() {
            let files = super::super::files::opened(&journal).unwrap();
            verify::verify_files(files, &key(), None).unwrap();
        }
    });
    assert_eq!(verify(&path, &key(), None).unwrap().files, 151);
}
