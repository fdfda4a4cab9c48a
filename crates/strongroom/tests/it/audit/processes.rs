//! Many processes that write one log.

use std::io::{BufRead as _, BufReader, Write as _};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use strongroom::audit::{self, Filter};
use strongroom::{Env, Memory, SecretName, SecretsBuilder, SecretsFactory};

use super::service::{KEY, NAMES, key, manifest};

const PROCESSES: usize = 8;
const EVENTS: usize = 100_000;

/// What a process reads in one call.
const BATCH: usize = 20;

fn builder(dir: &Path, more: &str) -> SecretsBuilder {
    let memory = NAMES.iter().fold(Memory::new(), |memory, name| {
        memory.with(*name, "pX4v-Tz0qL9e_W2mR7kB1nY6cH3sJ8dF")
    });
    let env = Env::empty()
        .with_var("STRONGROOM_ENV", "development")
        .with_working_dir(dir);
    SecretsFactory::builder()
        .env(env)
        .manifest_text(manifest(more))
        .provider(memory)
}

fn start(dir: &Path, calls: usize, more: &str) -> Child {
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args([
            "--ignored",
            "--exact",
            "audit::processes::reader",
            "--nocapture",
        ])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let input = child.stdin.as_mut().unwrap();
    writeln!(input, "{}\n{calls}\n{more}", dir.display()).unwrap();
    child
}

/// The reader: standard input names the directory, how many calls it makes, and more of the manifest.
#[test]
#[ignore = "it is the process that other tests start"]
fn reader() {
    let mut lines = std::io::stdin().lines().map(Result::unwrap);
    let (Some(dir), Some(calls), Some(more)) = (lines.next(), lines.next(), lines.next()) else {
        return;
    };
    let names: Vec<SecretName> = NAMES.iter().map(|name| name.parse().unwrap()).collect();
    let names: Vec<_> = names.into_iter().cycle().take(BATCH).collect();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(async {
        let connection = builder(Path::new(&dir), &more).connect().await.unwrap();
        println!("\nreader: ready");
        assert_eq!(lines.next().as_deref(), Some("go"));
        for _ in 0..calls.parse::<usize>().unwrap() {
            for read in connection.fetch(&names).await {
                read.unwrap();
            }
        }
        connection.close().await.unwrap();
    });
}

/// Lets all begin at one time, and returns how each ended.
fn run(mut readers: Vec<Child>) {
    for reader in &mut readers {
        let answers = BufReader::new(reader.stdout.take().unwrap());
        let mut answers = answers.lines().map(Result::unwrap);
        assert!(answers.any(|line| line == "reader: ready"));
        // The rest is let go through, so that no reader waits for it to be read.
        std::thread::spawn(move || answers.count());
    }
    for reader in &mut readers {
        writeln!(reader.stdin.as_mut().unwrap(), "go").unwrap();
    }
    for mut reader in readers {
        assert!(reader.wait().unwrap().success());
    }
}

#[test]
fn a_hundred_thousand_events_of_eight_processes_make_one_chain_and_none_is_lost() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("audit.key"), KEY).unwrap();
    let calls = EVENTS / PROCESSES / BATCH;
    run((0..PROCESSES)
        .map(|_| start(dir.path(), calls, "max_bytes = 10000000"))
        .collect());

    let path = dir.path().join("audit.jsonl");
    let verified = audit::verify(&path, &key(), None).unwrap();
    assert!(verified.notes.is_empty(), "{:?}", verified.notes);
    assert!(verified.files > 3, "the chain goes on over several files");
    let mut of_each = std::collections::BTreeMap::<u32, usize>::new();
    let mut filter = Filter::default();
    filter.operation = Some("fetch".to_owned());
    let passed_over = audit::read::<strongroom::Error>(&path, &filter, |entry| {
        *of_each.entry(entry.process.unwrap()).or_default() += 1;
        Ok(true)
    });
    assert_eq!(passed_over.unwrap(), 0);
    assert_eq!(of_each.len(), PROCESSES);
    assert!(
        of_each.values().all(|count| *count == EVENTS / PROCESSES),
        "{of_each:?}"
    );
    // Besides, each file begins with an event of its own.
    assert_eq!(verified.events, (EVENTS + verified.files) as u64);
}

#[test]
fn processes_that_are_killed_lose_nothing_that_was_recorded() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("audit.key"), KEY).unwrap();
    let mut readers: Vec<_> = (0..4)
        .map(|_| start(dir.path(), 1_000_000, "sync = false"))
        .collect();
    for reader in &mut readers {
        let answers = BufReader::new(reader.stdout.take().unwrap());
        let mut answers = answers.lines().map(Result::unwrap);
        assert!(answers.any(|line| line == "reader: ready"));
        writeln!(reader.stdin.as_mut().unwrap(), "go").unwrap();
    }
    let path = dir.path().join("audit.jsonl");
    for mut reader in readers {
        // Until it surely is in the middle of writing.
        let before = std::fs::metadata(&path).unwrap().len();
        while std::fs::metadata(&path).unwrap().len() < before + 200_000 {
            std::thread::yield_now();
        }
        reader.kill().unwrap();
        reader.wait().unwrap();
    }
    run(vec![start(dir.path(), 1, "sync = true")]);
    audit::verify(&path, &key(), None).unwrap();
}

#[test]
fn a_disk_that_is_full_loses_nothing_that_was_recorded() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("audit.key"), KEY).unwrap();
    // A process that may write no file beyond 64 KiB, and is not killed for trying.
    let shell = "trap '' XFSZ; ulimit -f 64; exec \"$@\"";
    let mut limited = Command::new("bash");
    limited
        .args(["-c", shell, "bash"])
        .arg(std::env::current_exe().unwrap())
        .args([
            "--ignored",
            "--exact",
            "audit::processes::reader",
            "--nocapture",
        ])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped());
    let mut limited = limited.spawn().unwrap();
    let input = limited.stdin.as_mut().unwrap();
    writeln!(input, "{}\n20\nsync = false", dir.path().display()).unwrap();
    run(vec![limited]);
    let path = dir.path().join("audit.jsonl");
    let full = std::fs::metadata(&path).unwrap().len();
    assert!(full <= 64 * 1024, "{full}");
    let before = audit::verify(&path, &key(), None).unwrap();
    assert!(before.events < 400);

    // What comes later is recorded behind it.
    run(vec![start(dir.path(), 1, "sync = false")]);
    let after = audit::verify(&path, &key(), Some(&before.head)).unwrap();
    assert_eq!(after.events, before.events + BATCH as u64);
}
