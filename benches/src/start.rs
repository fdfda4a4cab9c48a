//! How long the command takes from its start to a value, and how much memory.

use std::error::Error;
use std::fs::{self, OpenOptions};
use std::io::{Read as _, Write as _, pipe};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread;
use std::time::Duration;

use strongroom::provider::Expect;
use strongroom::sealed_file::{FileId, NewSlot, SealedFile, SlotKey};
use strongroom::{Secret, SecretName};

use crate::Section;
use crate::measure::{self, alternating};

const ROUNDS: usize = 500;

pub fn section() -> Section {
    let home = tempfile::tempdir()?;
    // As `cargo install` copies it. What the linker wrote lies in the page cache in small pieces, and
    // mapping those takes half a millisecond more.
    let program = home.path().join("strongroom");
    fs::copy(build()?, &program)?;
    let address = sealed_file(home.path())?;
    let get = || {
        let mut command = Command::new(&program);
        command
            .args(["get", "api/token", "--provider", &address])
            .env_clear()
            .env("HOME", home.path())
            .env("STRONGROOM_ENV", "development")
            .current_dir(home.path());
        command
    };
    let shown = get().output()?;
    if shown.stdout.trim_ascii() != VALUE.as_bytes() {
        return Err(String::from_utf8_lossy(&shown.stderr).into());
    }
    measure::let_it_settle();
    let floor = || {
        let mut command = Command::new("/bin/true");
        command.env_clear();
        command
    };
    let pair = alternating(ROUNDS, || run(get()), || run(floor()))?;
    let control = alternating(ROUNDS, || run(floor()), || run(floor()))?;
    let rows = [
        ("`strongroom get` on a sealed file", &pair),
        ("`/bin/true`, as a control", &control),
    ]
    .map(|(title, pair)| {
        let (subject, baseline) = (pair.subject / 1e6, pair.baseline / 1e6);
        let more = subject - baseline;
        format!("| {title} | {subject:.2} ms | {baseline:.2} ms | {more:.2} ms |")
    })
    .join("\n");
    let resident = peak_resident(get())?;
    let size = fs::metadata(&program)?.len() as f64 / 1e6;
    Ok(format!(
        "\
## Starting the command

From the start of a process to its end, with the value read from its standard output: a sealed file of \
ten entries, a raw key from a key file. Medians of {ROUNDS} alternating rounds.

| | measured | `/bin/true` | more |
|---|---|---|---|
{rows}

When it writes the value, `strongroom get` has had at most {:.1} MiB resident. The program has {size:.1} MB.",
        resident as f64 / 1024.0
    ))
}

const VALUE: &str = "pX4v-Tz0qL9e_W2mR7kB1nY6cH3sJ8dF";

/// Builds the command, by a chore of the workspace that prints where it is.
pub(crate) fn build() -> Result<PathBuf, Box<dyn Error>> {
    let workspace = concat!(env!("CARGO_MANIFEST_DIR"), "/..");
    let built = Command::new("cargo")
        .args(["xtask", "program"])
        .current_dir(workspace)
        .stderr(Stdio::inherit())
        .output()?;
    let path = String::from_utf8(built.stdout)?;
    match built.status.success() {
        true => Ok(PathBuf::from(path.trim_end())),
        false => Err("the command can't be built".into()),
    }
}

/// Makes the file and its key file, and returns the address.
fn sealed_file(dir: &Path) -> Result<String, Box<dyn Error>> {
    let (path, key_path) = (dir.join("secrets.sealed"), dir.join("key"));
    let (id, key) = (FileId::random()?, SlotKey::generate()?);
    let file = SealedFile::create(&path, id, &NewSlot::new("bench", key.clone()))?;
    for n in 0..9 {
        let name = SecretName::parse(format!("service/secret-{n}"))?;
        file.put(&name, &Secret::from_text(VALUE), &Expect::Absent)?;
    }
    let name = SecretName::parse("api/token")?;
    file.put(&name, &Secret::from_text(VALUE), &Expect::Absent)?;
    let mut owned = OpenOptions::new();
    let mut key_file = owned.write(true).create(true).mode(0o600).open(&key_path)?;
    key_file.write_all(key.to_text(id)?.expose_bytes())?;
    Ok(format!(
        "sealed:{}?key_file={}",
        path.display(),
        key_path.display()
    ))
}

fn run(mut command: Command) -> Result<(), Box<dyn Error>> {
    let output = command.stdin(Stdio::null()).output()?;
    match output.status.success() {
        true => Ok(()),
        false => Err(String::from_utf8_lossy(&output.stderr).into()),
    }
}

/// Returns the most KiB that a process had resident when it writes its output. The pipe it writes to
/// is full, so that it stays to be looked at: afterwards, the kernel would count its parent's too.
fn peak_resident(mut command: Command) -> Result<u64, Box<dyn Error>> {
    const PIPE: usize = 64 * 1024;
    let (mut reader, mut writer) = pipe()?;
    writer.write_all(&[0; PIPE])?;
    let mut child = command.stdin(Stdio::null()).stdout(writer).spawn()?;
    // The command held the last other end of the pipe.
    drop(command);
    let status = PathBuf::from(format!("/proc/{}/status", child.id()));
    thread::sleep(Duration::from_millis(300));
    let status = fs::read_to_string(status)?;
    let line = status.lines().find(|line| line.starts_with("VmHWM:"));
    let words = line.and_then(|line| line.split_whitespace().nth(1));
    let resident = words.ok_or("the process did not wait")?.parse()?;
    let mut shown = Vec::new();
    reader.read_to_end(&mut shown)?;
    let value = shown.get(PIPE..).unwrap_or_default().trim_ascii();
    match child.wait()?.success() && value == VALUE.as_bytes() {
        true => Ok(resident),
        false => Err("the process wrote something else".into()),
    }
}
