//! What `run` adds to starting a program.

use std::error::Error;
use std::fmt::Write as _;
use std::fs::{self, OpenOptions};
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use strongroom::provider::Expect;
use strongroom::sealed_file::{FileId, NewSlot, SealedFile, SlotKey};
use strongroom::{Secret, SecretName};

use crate::Section;
use crate::measure::{self, alternating};
use crate::start::build;

const ROUNDS: usize = 300;
const SECRETS: usize = 200;

pub fn section() -> Section {
    let home = tempfile::tempdir()?;
    let program = home.path().join("strongroom");
    fs::copy(build()?, &program)?;
    let address = sealed_file(home.path())?;
    let child = |program: &Path, words: &[&str]| {
        let mut command = Command::new(program);
        command
            .args(words)
            .env_clear()
            .env("HOME", home.path())
            .env("STRONGROOM_ENV", "development")
            .current_dir(home.path());
        command
    };
    let ours = [
        "run",
        "--quiet",
        "--manifest",
        "strongroom.toml",
        "--provider",
        &address,
        "--",
    ];
    let with_variables = [&ours[..], &["/usr/bin/env"]].concat();
    let shown = child(&program, &with_variables).output()?;
    let seen = String::from_utf8_lossy(&shown.stdout)
        .matches(VALUE)
        .count();
    if seen != SECRETS {
        return Err(format!(
            "the program got {seen}: {}",
            String::from_utf8_lossy(&shown.stderr)
        )
        .into());
    }
    measure::let_it_settle();
    let title = format!("`strongroom run`, {SECRETS} secrets of a sealed file, a raw key");
    let mut subjects = vec![(title, program.clone(), ours.to_vec())];
    // Taken along where somebody installed them there: they compile for long.
    for (name, words) in [("fnox", ["exec", "--"]), ("secretspec", ["run", "--"])] {
        let peer = Path::new(env!("CARGO_MANIFEST_DIR"))
            .join("target/peers/bin")
            .join(name);
        if peer.exists() {
            let title = format!("`{name}`, {SECRETS} values that stand in its file as they are");
            subjects.push((title, peer, words.to_vec()));
        }
    }
    peers_files(home.path())?;
    let floor = || run(child(Path::new("/bin/true"), &[]));
    let mut rows = String::new();
    for (title, program, words) in &subjects {
        let words = [words.as_slice(), &["/bin/true"]].concat();
        let pair = alternating(ROUNDS, || run(child(program, &words)), floor)?;
        let (subject, baseline) = (pair.subject / 1e6, pair.baseline / 1e6);
        let more = subject - baseline;
        write!(
            rows,
            "\n| {title} | {subject:.2} ms | {baseline:.2} ms | {more:.2} ms |"
        )?;
    }
    Ok(format!(
        "\
## Starting a program with its secrets

From the start of `strongroom run -- /bin/true` to the program's end, against `/bin/true` alone. Every \
value is read, decrypted and judged by the policy. Medians of {ROUNDS} alternating rounds.

| | measured | `/bin/true` | more |
|---|---|---|---|{rows}"
    ))
}

const VALUE: &str = "pX4v-Tz0qL9e_W2mR7kB1nY6cH3sJ8d";

fn value(n: usize) -> String {
    format!("{VALUE}{n:03}")
}

/// Makes the file, its key file and a manifest, and returns the address.
fn sealed_file(dir: &Path) -> Result<String, Box<dyn Error>> {
    let (path, key_path) = (dir.join("secrets.sealed"), dir.join("key"));
    let (id, key) = (FileId::random()?, SlotKey::generate()?);
    let file = SealedFile::create(&path, id, &NewSlot::new("bench", key.clone()))?;
    let mut manifest = String::from("[default.secrets]\n");
    for n in 0..SECRETS {
        let name = SecretName::parse(format!("service/secret-{n}"))?;
        file.put(&name, &Secret::from_text(value(n)), &Expect::Absent)?;
        writeln!(manifest, "\"{name}\" = {{ kind = \"token\" }}")?;
    }
    fs::write(dir.join("strongroom.toml"), manifest)?;
    let mut owned = OpenOptions::new();
    let mut key_file = owned.write(true).create(true).mode(0o600).open(&key_path)?;
    key_file.write_all(key.to_text(id)?.expose_bytes())?;
    Ok(format!(
        "sealed:{}?key_file={}",
        path.display(),
        key_path.display()
    ))
}

/// Writes what the peers read, if they are there.
fn peers_files(dir: &Path) -> Result<(), Box<dyn Error>> {
    let mut fnox = String::from("[secrets]\n");
    let mut spec =
        String::from("[project]\nname = \"bench\"\nrevision = \"1.0\"\n[profiles.default]\n");
    for n in 0..SECRETS {
        writeln!(fnox, "SECRET_{n} = {{ default = \"{}\" }}", value(n))?;
        writeln!(
            spec,
            "SECRET_{n} = {{ description = \"one\", required = false, default = \"{}\" }}",
            value(n)
        )?;
    }
    let files: [(PathBuf, String); 2] = [
        (dir.join("fnox.toml"), fnox),
        (dir.join("secretspec.toml"), spec),
    ];
    for (path, text) in files {
        fs::write(path, text)?;
    }
    Ok(())
}

fn run(mut command: Command) -> Result<(), Box<dyn Error>> {
    let output = command.stdin(Stdio::null()).output()?;
    match output.status.success() {
        true => Ok(()),
        false => Err(String::from_utf8_lossy(&output.stderr).into()),
    }
}
