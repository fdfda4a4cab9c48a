//! How long a scan of a large tree takes, beside ripgrep with the same texts to search for.

use std::error::Error;
use std::fmt::Write as _;
use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

use crate::Section;
use crate::measure::{self, alternating};
use crate::ripgrep;
use crate::start;

const FOLDERS: usize = 1_000;
const FILES: usize = 100;
const VALUES: usize = 100;
const ROUNDS: usize = 5;

pub fn section() -> Section {
    let home = tempfile::tempdir()?;
    let program = home.path().join("strongroom");
    fs::copy(start::build()?, &program)?;
    let rg = ripgrep::install()?;
    let tree = home.path().join("tree");
    let bytes = write_tree(&tree)?;
    let (manifest, values, patterns) = declare(home.path())?;
    let scan = |arguments: &[&str]| {
        let mut command = Command::new(&program);
        command
            .args(["scan", "--quiet", "--manifest"])
            .arg(&manifest)
            .args(["--provider", &format!("file:{}", values.display())])
            .args(arguments)
            .arg(&tree)
            .env_clear()
            .env("HOME", home.path())
            .env("STRONGROOM_ENV", "development")
            .current_dir(home.path());
        command
    };
    // The same files: hidden ones too, no configuration, and the files that hold NUL.
    let search = |file: &Path| {
        let mut command = Command::new(&rg);
        command
            .args([
                "--no-config",
                "--hidden",
                "--text",
                "--fixed-strings",
                "--files-with-matches",
                "--file",
            ])
            .arg(file)
            .arg(&tree)
            .env_clear();
        command
    };
    let found = scan(&["--format", "json"]).output()?;
    let found = String::from_utf8(found.stdout)?
        .matches("known-value")
        .count();
    let lines = String::from_utf8(search(&patterns).output()?.stdout)?
        .lines()
        .count();
    if (found, lines) != (2, 2) {
        return Err(format!("the scan finds {found}, ripgrep {lines}, where 2 are").into());
    }
    measure::let_it_settle();
    let pair = alternating(ROUNDS, || run(scan(&[])), || run(search(&patterns)))?;
    let literals = alternating(
        ROUNDS,
        || run(scan(&["--no-known"])),
        || run(search(&patterns)),
    )?;
    let row = |title: &str, pair: &measure::Pair| {
        format!(
            "| {title} | {:.2} s | {:.2} s | {:.2} |",
            pair.subject / 1e9,
            pair.baseline / 1e9,
            pair.ratio()
        )
    };
    Ok(format!(
        "\
## Scanning a tree

{} files of {} MB in all, in {FOLDERS} folders; {VALUES} declared secrets of 32 characters, of which two files hold one. \
`strongroom scan` searches for each in all its forms, and for everything its rules know; ripgrep for the {VALUES} \
values as they are. Medians of {ROUNDS} alternating rounds, files in the page cache.

| | `strongroom scan` | ripgrep | ratio |
|---|---|---|---|
{}
{}",
        FOLDERS * FILES,
        bytes / 1_000_000,
        row("values in all forms, and rules", &pair),
        row("rules alone (`--no-known`)", &literals),
    ))
}

/// Writes files as source code has them: words, names and numbers in lines, 2 to 8 KiB.
fn write_tree(tree: &Path) -> Result<usize, Box<dyn Error>> {
    const WORDS: &[&str] = &[
        "let",
        "value",
        "fn",
        "return",
        "config",
        "the",
        "request",
        "token",
        "of",
        "index",
        "if",
        "0x1f",
        "self.state",
        "match",
        "struct",
        "Error::new",
        "(",
        ")",
        "{",
        "}",
        "=",
        "\"text\"",
        "// as before",
        "password_field",
    ];
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let mut next = move || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state
    };
    let mut bytes = 0;
    for folder in 0..FOLDERS {
        let dir = tree.join(format!("{:02}/{folder:04}", folder % 100));
        fs::create_dir_all(&dir)?;
        for file in 0..FILES {
            let length = 2048 + (next() % 6144) as usize;
            let mut text = String::with_capacity(length + 32);
            while text.len() < length {
                let number = next();
                text.push_str(WORDS[(number % WORDS.len() as u64) as usize]);
                text.push(if number % 11 == 0 { '\n' } else { ' ' });
            }
            if (folder, file) == (500, 50) || (folder, file) == (999, 99) {
                writeln!(text, "{}", value(folder % VALUES))?;
            }
            bytes += text.len();
            fs::write(dir.join(format!("{file:03}.rs")), text)?;
        }
    }
    Ok(bytes)
}

/// Writes the manifest, the values as a provider has them, and the same as patterns.
fn declare(
    home: &Path,
) -> Result<(std::path::PathBuf, std::path::PathBuf, std::path::PathBuf), Box<dyn Error>> {
    use std::os::unix::fs::PermissionsExt as _;
    let mut manifest = "[default.secrets]\n".to_owned();
    let mut patterns = String::new();
    let values = home.join("values");
    fs::create_dir(&values)?;
    fs::set_permissions(&values, fs::Permissions::from_mode(0o700))?;
    for number in 0..VALUES {
        writeln!(manifest, "\"s{number}\" = {{ kind = \"token\" }}")?;
        writeln!(patterns, "{}", value(number))?;
        let path = values.join(format!("s{number}"));
        fs::write(&path, value(number))?;
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600))?;
    }
    let (manifest_file, patterns_file) = (home.join("strongroom.toml"), home.join("patterns"));
    fs::write(&manifest_file, manifest)?;
    fs::write(&patterns_file, patterns)?;
    Ok((manifest_file, values, patterns_file))
}

/// A value of 32 characters that looks random.
fn value(number: usize) -> String {
    let mut state = (number as u64 + 1).wrapping_mul(0x2545_f491_4f6c_dd1d);
    let mut text = String::new();
    while text.len() < 32 {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        text.push(char::from(
            b"ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz23456789"
                [(state >> 40) as usize % 57],
        ));
    }
    text
}

/// Runs a search; that something was found, or not, is no failure.
fn run(mut command: Command) -> Result<(), Box<dyn Error>> {
    let status = command
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()?;
    match status.code() {
        Some(0 | 1) => Ok(()),
        other => Err(format!("the search ended with {other:?}").into()),
    }
}
