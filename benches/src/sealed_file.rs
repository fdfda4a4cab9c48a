//! What it costs to read from a sealed file, and to write to it.

use std::error::Error;
use std::fs::{self, File};
use std::hint::black_box;
use std::io::Write as _;
use std::path::Path;

use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;
use strongroom::provider::{Expect, Stage};
use strongroom::sealed_file::{FileId, NewSlot, SealedFile, SlotKey};
use strongroom::{Secret, SecretName};

use crate::Section;
use crate::measure::{self, alternating};

const ENTRIES: usize = 10_000;
const ROUNDS: usize = 200;

pub fn section() -> Section {
    let dir = tempfile::tempdir()?;
    let path = dir.path().join("secrets.sealed");
    let key = SlotKey::generate()?;
    fs::write(&path, fixture(&key)?)?;
    measure::let_it_settle();
    let bytes = fs::read(&path)?;
    let name = entry(ENTRIES / 2)?;
    let value = Secret::from_text(VALUE);
    let file = SealedFile::open(&path, key.clone())?;

    let digest = || -> Result<(), Box<dyn Error>> {
        let read = fs::read(&path)?;
        let mut mac = Hmac::<Sha256>::new_from_slice(&[7; 32])?;
        mac.update(&read);
        black_box(mac.finalize());
        Ok(())
    };
    let get = || -> Result<(), Box<dyn Error>> {
        black_box(file.get(&name, &Stage::Current)?);
        Ok(())
    };
    let open = || -> Result<(), Box<dyn Error>> {
        let file = SealedFile::open(&path, key.clone())?;
        black_box(file.get(&name, &Stage::Current)?);
        Ok(())
    };
    let reading = alternating(ROUNDS, get, digest)?;
    let opening = alternating(ROUNDS, open, digest)?;
    let writing = alternating(
        ROUNDS,
        || Ok(file.put(&name, &value, &Expect::Any).map(drop)?),
        || replace(dir.path(), &bytes),
    )?;
    let rows = [
        ("read one entry", "read the file, one HMAC-SHA256", reading),
        (
            "open the file by its path, then read one entry",
            "the same",
            opening,
        ),
        (
            "set one entry",
            "write, fsync and rename the same bytes, fsync the directory",
            writing,
        ),
    ]
    .map(|(title, floor, pair)| {
        let (subject, baseline) = (pair.subject / 1e6, pair.baseline / 1e6);
        let ratio = pair.ratio();
        format!("| {title} | {subject:.2} ms | {floor} | {baseline:.2} ms | {ratio:.2} |")
    })
    .join("\n");
    let megabytes = bytes.len() as f64 / 1e6;
    Ok(format!(
        "\
## A sealed file

A sealed file of {ENTRIES} entries of 64 bytes, {megabytes:.1} MB, with a raw key, against the least \
that anything must do that reads, checks or replaces a file as a whole. Each reading reads the whole \
file, opens a slot, checks the seal and decrypts one value. Opening by the path does all but the last of \
it, and the first reading after it uses that, since the file was not changed for some seconds before. \
Medians of {ROUNDS} alternating rounds.

| | measured | the floor | measured | ratio |
|---|---|---|---|---|
{rows}"
    ))
}

/// 64 bytes.
const VALUE: &str = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";

fn entry(n: usize) -> strongroom::Result<SecretName> {
    SecretName::parse(format!("service/secret-{n:05}"))
}

/// Makes the file where syncing costs nothing, if there is such a place.
fn fixture(key: &SlotKey) -> Result<Vec<u8>, Box<dyn Error>> {
    let memory = Path::new("/dev/shm");
    let dir = match memory.is_dir() {
        true => tempfile::tempdir_in(memory)?,
        false => tempfile::tempdir()?,
    };
    let path = dir.path().join("secrets.sealed");
    let slot = NewSlot::new("bench", key.clone());
    let file = SealedFile::create(&path, FileId::random()?, &slot)?;
    for n in 0..ENTRIES {
        file.put(&entry(n)?, &Secret::from_text(VALUE), &Expect::Absent)?;
    }
    Ok(fs::read(&path)?)
}

fn replace(dir: &Path, bytes: &[u8]) -> Result<(), Box<dyn Error>> {
    let temporary = dir.join("floor.tmp");
    let mut file = File::create(&temporary)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    fs::rename(&temporary, dir.join("floor"))?;
    File::open(dir)?.sync_all()?;
    Ok(())
}
