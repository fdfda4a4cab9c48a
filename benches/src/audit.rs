//! What it costs to record an event, beside appending the same bytes.

use std::error::Error;
use std::fs::{self, File, OpenOptions, Permissions};
use std::hint::black_box;
use std::io::Write as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::thread;

use tokio::runtime::Runtime;

use strongroom::{Connection, Env, Memory, SecretName, SecretsFactory};

use crate::Section;
use crate::measure::{Pair, alternating};

const ROUNDS: usize = 300;
/// How many events a round records.
const EVENTS: usize = 200;

pub fn section() -> Section {
    let dir = tempfile::tempdir()?;
    let key = dir.path().join("audit.key");
    fs::write(&key, "0123456789abcdef".repeat(4))?;
    fs::set_permissions(&key, Permissions::from_mode(0o600))?;
    let (runtime, other) = (runtime()?, runtime()?);
    let names: Vec<SecretName> = (0..EVENTS)
        .map(|n| SecretName::parse(format!("service/secret-{n:05}")))
        .collect::<Result<_, _>>()?;
    let log = "[default.audit]\npath = \"audit.jsonl\"\nkey_file = \"audit.key\"\n\
               max_bytes = 1000000000";
    let recorded = runtime.block_on(connect(dir.path(), log, &names))?;
    let plain = runtime.block_on(connect(dir.path(), "[default]", &names))?;

    runtime.block_on(async { recorded.fetch(&names).await });
    let text = fs::read(dir.path().join("audit.jsonl"))?;
    let lines: Vec<_> = text.split_inclusive(|byte| *byte == b'\n').collect();
    let lines = lines.get(lines.len() - EVENTS..).unwrap_or_default();
    let floor = || {
        let mut options = OpenOptions::new();
        let path = dir.path().join("floor.jsonl");
        options.create(true).append(true).open(path)
    };
    let (one, two) = (floor()?, floor()?);

    let one_by_one = |runtime: &Runtime, connection: &Connection| {
        for name in &names {
            black_box(runtime.block_on(connection.read(name))).map_err(|_| "a read failed")?;
        }
        Ok::<_, &str>(())
    };
    let at_once = |connection: &Connection| {
        for read in black_box(runtime.block_on(connection.fetch(&names))) {
            read?;
        }
        Ok::<_, Box<dyn Error>>(())
    };
    let append = |mut floor: &File| {
        for line in lines {
            floor.write_all(line).map_err(|_| "an append failed")?;
        }
        Ok::<_, &str>(())
    };
    let of_two = |connection: &Connection| {
        in_two_threads(
            || one_by_one(&runtime, connection),
            || one_by_one(&other, connection),
        )
    };
    let floor_of_one = || Ok(append(&one)?);
    let floor_of_two = || in_two_threads(|| append(&one), || append(&two));
    // What a read costs without a log is taken away.
    let single = |connection| Ok(one_by_one(&runtime, connection)?);
    let rows = [
        row(
            "awaited one by one",
            EVENTS,
            &alternating(ROUNDS, || single(&recorded), floor_of_one)?,
            &alternating(ROUNDS, || single(&plain), floor_of_one)?,
        ),
        row(
            "in one call",
            EVENTS,
            &alternating(ROUNDS, || at_once(&recorded), floor_of_one)?,
            &alternating(ROUNDS, || at_once(&plain), floor_of_one)?,
        ),
        row(
            "one by one in each of two threads",
            EVENTS * 2,
            &alternating(ROUNDS, || of_two(&recorded), floor_of_two)?,
            &alternating(ROUNDS, || of_two(&plain), floor_of_two)?,
        ),
    ]
    .join("\n");
    let bytes = text.len() / (lines.len() + 1);
    Ok(format!(
        "\
## The audit log

{EVENTS} secrets of memory, read with an audit log and without; the difference is what recording costs, \
with lock and chain, until the event is written and the reader goes on. Beside it, appending the same \
lines of some {bytes} bytes by one write each to a file open for appending, with neither. Medians of \
{ROUNDS} alternating rounds.

| | for each event | appending | ratio |
|---|---|---|---|
{rows}"
    ))
}

fn runtime() -> std::io::Result<Runtime> {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
}

fn in_two_threads(
    one: impl FnOnce() -> Result<(), &'static str>,
    two: impl FnOnce() -> Result<(), &'static str> + Send,
) -> Result<(), Box<dyn Error>> {
    thread::scope(|scope| {
        let two = scope.spawn(two);
        one()?;
        Ok(two.join().map_err(|_| "a thread panicked")??)
    })
}

fn row(title: &str, events: usize, with: &Pair, without: &Pair) -> String {
    let events = events as f64 * 1e3;
    let cost = (with.subject - without.subject) / events;
    let floor = with.baseline / events;
    format!(
        "| {title} | {cost:.2} µs | {floor:.2} µs | {:.2} |",
        cost / floor
    )
}

async fn connect(
    dir: &Path,
    manifest: &str,
    names: &[SecretName],
) -> Result<Connection, Box<dyn Error>> {
    let memory = names.iter().fold(Memory::new(), |memory, name| {
        memory.with(name.as_str(), "a value")
    });
    let env = Env::empty()
        .with_var("STRONGROOM_ENV", "development")
        .with_working_dir(dir);
    let builder = SecretsFactory::builder().env(env).manifest_text(manifest);
    Ok(builder.provider(memory).connect().await?)
}
