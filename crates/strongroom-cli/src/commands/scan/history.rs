//! Everything that a repository's references lead to: each version of each file, and each message.

use std::collections::HashMap;
use std::io::{BufRead as _, BufReader, Read, Write as _};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::mpsc::{Receiver, sync_channel};
use std::sync::{Mutex, PoisonError};

use strongroom::Result;
use zeroize::Zeroizing;

use super::content::Examiner;
use super::finding::{Finding, Place};
use super::git::Git;
use super::looked::{Looked, Reason};

/// The most versions of files that wait for a core.
const QUEUE: usize = 64;

/// The paths under which messages are reported.
const COMMIT_MESSAGE: &str = "commit-message";
const TAG_MESSAGE: &str = "tag-message";

/// Something that is stored in the repository.
#[derive(Debug)]
struct Object {
    id: String,
    kind: Kind,
    /// One of the paths that it has had; for messages, where they are reported.
    path: PathBuf,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Blob,
    Message,
}

/// Looks at everything that the references, the index and the stash lead to, each object once.
pub(super) fn look(
    git: &Git<'_>,
    examiner: &Examiner,
    most: usize,
    done: &(dyn Fn() + Sync),
) -> Result<Looked> {
    let mut looked = Looked::default();
    if git
        .ask(&["rev-parse", "--is-shallow-repository"])?
        .starts_with(b"true")
    {
        looked
            .notes
            .push("the repository is shallow: its history ends where it was cut off".to_owned());
    }
    let stashed = stashed(git)?;
    let objects = list(git, examiner, &stashed, most, &mut looked)?;
    let found = read(git, examiner, &objects, &mut looked, done)?;
    let findings = with_commits(git, examiner, &stashed, &objects, found)?;
    looked.findings = once(findings);
    Ok(looked)
}

/// Lists what was stashed, of which only the last is a reference.
fn stashed(git: &Git<'_>) -> Result<Vec<String>> {
    let stash = ["show-ref", "--verify", "--quiet", "refs/stash"];
    if git.ask(&stash).is_err() {
        return Ok(Vec::new());
    }
    let listed = git.ask(&["rev-list", "--walk-reflogs", "refs/stash", "--"])?;
    let listed = String::from_utf8_lossy(&listed);
    Ok(listed.lines().map(str::to_owned).collect())
}

/// Lists what is small enough to be looked at.
fn list(
    git: &Git<'_>,
    examiner: &Examiner,
    stashed: &[String],
    most: usize,
    looked: &mut Looked,
) -> Result<Vec<Object>> {
    let mut arguments = vec![
        "rev-list",
        "--objects",
        "--all",
        "--indexed-objects",
        "--missing=print",
    ];
    arguments.extend(stashed.iter().map(String::as_str));
    arguments.push("--");
    let mut listed = git.start(&arguments, Stdio::null())?;
    let format = "--batch-check=%(objecttype) %(objectsize) %(objectname) %(rest)";
    let sizes = git.start(&["cat-file", "--buffer", format], listed.output())?;
    let mut objects = Vec::new();
    sizes.each_line(|line| {
        let line = String::from_utf8_lossy(line);
        let mut words = line.splitn(4, ' ');
        let (kind, size) = (
            words.next().unwrap_or_default(),
            words.next().unwrap_or_default(),
        );
        let (id, path) = (
            words.next().unwrap_or_default(),
            words.next().unwrap_or_default(),
        );
        let (kind, path) = match kind {
            "blob" => (Kind::Blob, path),
            "commit" => (Kind::Message, COMMIT_MESSAGE),
            "tag" => (Kind::Message, TAG_MESSAGE),
            "tree" => return,
            _ => return looked.skip(kind.trim_start_matches('?').to_owned(), Reason::Missing),
        };
        if size.parse().is_ok_and(|size: usize| size <= most) {
            objects.push(Object {
                id: id.to_owned(),
                kind,
                path: path.into(),
            });
        } else {
            looked.skip(examiner.shown(Path::new(path)), Reason::TooLarge);
        }
    })?;
    listed.finish()?;
    Ok(objects)
}

/// Reads every object through one process, and examines them on all cores. Answers with the number of the
/// object in `objects` that each finding is in.
fn read(
    git: &Git<'_>,
    examiner: &Examiner,
    objects: &[Object],
    looked: &mut Looked,
    done: &(dyn Fn() + Sync),
) -> Result<Vec<(usize, Finding)>> {
    let mut contents = git.start(&["cat-file", "--buffer", "--batch"], Stdio::piped())?;
    let (input, mut output) = (contents.input(), contents.reader());
    let (send, receive) = sync_channel(QUEUE);
    let receive = Mutex::new(receive);
    let found = Mutex::new((Vec::new(), std::mem::take(looked)));
    std::thread::scope(|scope| {
        scope.spawn(move || {
            let Some(input) = input else { return };
            let mut input = std::io::BufWriter::new(input);
            for object in objects {
                // Whoever reads the answers notices that they end.
                if writeln!(input, "{}", object.id).is_err() {
                    return;
                }
            }
        });
        for _ in 0..std::thread::available_parallelism().map_or(1, usize::from) {
            scope.spawn(|| {
                while let Some((number, bytes)) = next(&receive) {
                    if let Some(object) = objects.get(number) {
                        examine(examiner, number, object, &bytes, &found);
                    }
                    done();
                }
            });
        }
        for (number, object) in objects.iter().enumerate() {
            let Some(bytes) = one(&mut output) else {
                let mut found = found.lock().unwrap_or_else(PoisonError::into_inner);
                found.1.skip(object.id.clone(), Reason::Missing);
                continue;
            };
            if send.send((number, bytes)).is_err() {
                break;
            }
        }
        drop(send);
    });
    let (findings, rest) = found.into_inner().unwrap_or_else(PoisonError::into_inner);
    *looked = rest;
    drop(output);
    contents.finish()?;
    Ok(findings)
}

/// The number of an object, and what stands in it.
type Content = (usize, Zeroizing<Vec<u8>>);

type Found = Mutex<(Vec<(usize, Finding)>, Looked)>;

fn next(receive: &Mutex<Receiver<Content>>) -> Option<Content> {
    receive
        .lock()
        .unwrap_or_else(PoisonError::into_inner)
        .recv()
        .ok()
}

/// Reads one answer of `cat-file --batch`; nothing, if the object is missing or the answers have ended.
fn one(output: &mut BufReader<Box<dyn Read + Send>>) -> Option<Zeroizing<Vec<u8>>> {
    let mut head = String::new();
    output.read_line(&mut head).ok()?;
    let size: usize = head.trim_end().rsplit(' ').next()?.parse().ok()?;
    let mut bytes = Zeroizing::new(vec![0; size.saturating_add(1)]);
    output.read_exact(&mut bytes).ok()?;
    bytes.pop();
    Some(bytes)
}

fn examine(examiner: &Examiner, number: usize, object: &Object, bytes: &[u8], found: &Found) {
    let text = match object.kind {
        Kind::Blob => bytes,
        // The message begins behind the first empty line. What is before is names, dates and a signature.
        Kind::Message => {
            let start = bytes.windows(2).position(|pair| pair == b"\n\n");
            bytes
                .get(start.map_or(0, |at| at.saturating_add(2))..)
                .unwrap_or_default()
        }
    };
    let examined = examiner.examine(&object.path, &Place::History(None), text);
    let mut found = found.lock().unwrap_or_else(PoisonError::into_inner);
    let (findings, looked) = &mut *found;
    findings.extend(
        examined
            .findings
            .into_iter()
            .map(|finding| (number, finding)),
    );
    looked.objects = looked.objects.saturating_add(1);
    looked.allowed = looked.allowed.saturating_add(examined.allowed);
    let bytes = u64::try_from(bytes.len()).unwrap_or(u64::MAX);
    looked.bytes = looked.bytes.saturating_add(bytes);
}

/// The first commit that has a version of a file.
struct First {
    /// The larger, the older.
    age: usize,
    commit: String,
    path: String,
}

/// Says of each finding which commit was the first to have it, and under which path.
fn with_commits(
    git: &Git<'_>,
    examiner: &Examiner,
    stashed: &[String],
    objects: &[Object],
    found: Vec<(usize, Finding)>,
) -> Result<Vec<(usize, Finding)>> {
    let mut first: HashMap<&str, Option<First>> = HashMap::new();
    for (number, _) in &found {
        if let Some(object) = objects
            .get(*number)
            .filter(|object| object.kind == Kind::Blob)
        {
            first.insert(&object.id, None);
        }
    }
    if !first.is_empty() {
        let mut age = 0_usize;
        each_change(git, stashed, |commit, id, path| {
            age = age.saturating_add(1);
            if let Some(first) = first.get_mut(id) {
                // They come from the last to the first.
                *first = Some(First {
                    age,
                    commit: commit.to_owned(),
                    path: examiner.shown(path),
                });
            }
        })?;
    }
    let named = found.into_iter().filter_map(|(number, finding)| {
        let object = objects.get(number)?;
        let (age, commit, path) = match (object.kind, first.get(object.id.as_str())) {
            (Kind::Message, _) => (0, Some(object.id.clone()), finding.path),
            (Kind::Blob, Some(Some(first))) => {
                (first.age, Some(first.commit.clone()), first.path.clone())
            }
            // It is in the index alone.
            (Kind::Blob, _) => (0, None, finding.path),
        };
        let place = Place::History(commit);
        Some((
            age,
            Finding {
                place,
                path,
                ..finding
            },
        ))
    });
    Ok(named.collect())
}

/// Calls for each version of a file that a commit brings, from the last commit to the first.
fn each_change(
    git: &Git<'_>,
    stashed: &[String],
    mut act: impl FnMut(&str, &str, &Path),
) -> Result<()> {
    use std::os::unix::ffi::OsStrExt as _;
    let mut arguments = vec!["rev-list", "--all", "--topo-order"];
    arguments.extend(stashed.iter().map(String::as_str));
    arguments.push("--");
    let mut commits = git.start(&arguments, Stdio::null())?;
    let raw = [
        "diff-tree",
        "--stdin",
        "-r",
        "-m",
        "--root",
        "--raw",
        "--no-renames",
        "--no-ext-diff",
        "--no-textconv",
        "--no-abbrev",
        "-z",
    ];
    let mut changes = git.start(&raw, commits.output())?;
    let mut output = changes.reader();
    let (mut commit, mut id) = (String::new(), None::<String>);
    let mut part = Vec::new();
    while output.read_until(0, &mut part).is_ok_and(|read| read > 0) {
        let text = part.strip_suffix(b"\0").unwrap_or(&part);
        if let Some(id) = id.take() {
            act(&commit, &id, Path::new(std::ffi::OsStr::from_bytes(text)));
        } else if let Some(fields) = text.strip_prefix(b":") {
            let fields = String::from_utf8_lossy(fields);
            id = fields.split(' ').nth(3).map(str::to_owned);
        } else {
            commit = String::from_utf8_lossy(text).trim().to_owned();
        }
        part.clear();
    }
    drop(output);
    changes.finish()?;
    commits.finish()
}

/// Of one text that many versions of a file have, the oldest is enough.
fn once(findings: Vec<(usize, Finding)>) -> Vec<Finding> {
    let mut oldest: HashMap<_, (usize, Finding)> = HashMap::new();
    for (age, finding) in findings {
        let message = [COMMIT_MESSAGE, TAG_MESSAGE]
            .contains(&finding.path.as_str())
            .then(|| finding.place.clone());
        let what = (
            finding.rule,
            finding.secret.clone(),
            finding.form,
            finding.tag,
        );
        let key = (finding.path.clone(), message, what);
        let known = oldest.entry(key).or_insert_with(|| (age, finding.clone()));
        // Within one version the first place counts.
        if age > known.0 || (age == known.0 && finding < known.1) {
            *known = (age, finding);
        }
    }
    oldest.into_values().map(|(_, finding)| finding).collect()
}
