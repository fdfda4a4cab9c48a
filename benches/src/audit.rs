//! What it costs to record an event, beside appending the same bytes.

use std::error::Error;
use std::fs::{self, OpenOptions, Permissions};
use std::hint::black_box;
use std::io::Write as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

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
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
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
    let mut floor = OpenOptions::new()
        .create(true)
        .append(true)
        .open(dir.path().join("floor.jsonl"))?;

    let one_by_one = |connection: &Connection| {
        for name in &names {
            black_box(runtime.block_on(connection.read(name)))?;
        }
        Ok::<_, Box<dyn Error>>(())
    };
    let at_once = |connection: &Connection| {
        for read in black_box(runtime.block_on(connection.fetch(&names))) {
            read?;
        }
        Ok::<_, Box<dyn Error>>(())
    };
    let mut append = || {
        for line in lines {
            floor.write_all(line)?;
        }
        Ok::<_, Box<dyn Error>>(())
    };
    // What a read costs without a log is taken away.
    let rows = [
        (
            "read one by one",
            alternating(ROUNDS, || one_by_one(&recorded), &mut append)?,
            alternating(ROUNDS, || one_by_one(&plain), &mut append)?,
        ),
        (
            "read in one call",
            alternating(ROUNDS, || at_once(&recorded), &mut append)?,
            alternating(ROUNDS, || at_once(&plain), &mut append)?,
        ),
    ]
    .map(|(title, with, without)| row(title, &with, &without))
    .join("\n");
    let bytes = text.len() / (lines.len() + 1);
    Ok(format!(
        "\
## The audit log

{EVENTS} secrets of memory, read with an audit log and without; the difference is what recording costs, \
from the reader's thread to the writer's and back, with lock and chain. Beside it, appending the same \
lines of some {bytes} bytes by one write each, with neither. Medians of {ROUNDS} alternating rounds.

| | for each event | appending | ratio |
|---|---|---|---|
{rows}"
    ))
}

fn row(title: &str, with: &Pair, without: &Pair) -> String {
    let events = EVENTS as f64 * 1e3;
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
