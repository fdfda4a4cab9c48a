//! How fast known values are masked in a stream, beside a plain copy and a search for as many patterns.

use std::error::Error;
use std::fmt::Write as _;
use std::fs;
use std::io::{Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use crate::Section;
use crate::start::build;

const VALUES: usize = 1_000;
const BLOCK: usize = 16 << 20;
const BLOCKS: usize = 64;
const ROUNDS: usize = 3;

/// Starts one of those that are compared.
type Start<'a> = Box<dyn Fn() -> Command + 'a>;

pub fn section() -> Section {
    let home = tempfile::tempdir()?;
    let program = home.path().join("strongroom");
    fs::copy(build()?, &program)?;
    let values = values();
    let document: Vec<_> = (0..)
        .zip(&values)
        .map(|(n, value): (usize, _)| format!("\"secret-{n}\": \"{value}\""))
        .collect();
    let document = format!("{{{}}}", document.join(","));
    fs::write(home.path().join("values.json"), document)?;
    fs::write(home.path().join("patterns"), values.join("\n"))?;
    let clean = text(None);
    let leaking = text(Some(&values));
    let command = |program: &Path, arguments: &str| {
        let mut command = Command::new(program);
        command
            .args(arguments.split(' ').filter(|word| !word.is_empty()))
            .env_clear()
            .env("STRONGROOM_ENV", "development")
            .current_dir(home.path());
        command
    };
    let cat = || command(Path::new("/bin/cat"), "");
    let redact = || command(&program, "redact --quiet --all --provider file:values.json");
    let mut subjects: Vec<(&str, Start<'_>)> = vec![
        ("`cat`", Box::new(cat)),
        (
            "`strongroom redact`, every form of each value",
            Box::new(redact),
        ),
    ];
    if let Some(rg) = ripgrep()? {
        let passthru = rg.clone();
        subjects.push((
            "`rg --passthru`, the values as they are",
            Box::new(move || command(&passthru, "-F -f patterns --passthru --no-config -")),
        ));
        subjects.push((
            "`rg --count`, the values as they are",
            Box::new(move || command(&rg, "-F -f patterns --count --no-config -")),
        ));
    }
    let mut tables = String::new();
    for (title, text) in [
        ("no value in it", clean),
        ("a value in every thousandth line", leaking),
    ] {
        let text: &'static [u8] = text.leak();
        let mut times = vec![Vec::new(); subjects.len()];
        for _ in 0..ROUNDS {
            for ((_, subject), times) in subjects.iter().zip(&mut times) {
                times.push(through(subject(), text)?);
            }
        }
        let medians: Vec<_> = times
            .into_iter()
            .map(|mut times| {
                times.sort();
                times[ROUNDS / 2].as_secs_f64()
            })
            .collect();
        write!(
            tables,
            "\n\n| {title} | time | times `cat` |\n|---|---|---|"
        )?;
        for ((name, _), median) in subjects.iter().zip(&medians) {
            write!(
                tables,
                "\n| {name} | {median:.2} s | {:.2} |",
                median / medians[0]
            )?;
        }
    }
    Ok(format!(
        "\
## Masking a stream

1 GiB of log lines, from one pipe to another, with {VALUES} known values of 32 characters. `redact` \
reads them first, which is in its time. Medians of {ROUNDS} alternating rounds.{tables}"
    ))
}

/// Returns the time in which a program copies or reads the text, again and again, to its end.
fn through(mut command: Command, text: &'static [u8]) -> Result<Duration, Box<dyn Error>> {
    let start = Instant::now();
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::inherit())
        .spawn()?;
    let (stdin, stdout) = (child.stdin.take(), child.stdout.take());
    let (Some(mut stdin), Some(mut stdout)) = (stdin, stdout) else {
        return Err("there is no pipe".into());
    };
    let feeding = thread::spawn(move || -> std::io::Result<()> {
        for _ in 0..BLOCKS {
            stdin.write_all(text)?;
        }
        Ok(())
    });
    let mut part = vec![0; 1 << 18];
    while stdout.read(&mut part)? > 0 {}
    feeding.join().map_err(|_| "the feeder failed")??;
    // A search that finds nothing ends with 1.
    match child.wait()?.code() {
        Some(0 | 1) => Ok(start.elapsed()),
        code => Err(format!("it ended with {code:?}").into()),
    }
}

/// Numbers that look random and are the same in every run.
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, limit: usize) -> usize {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        ((self.0 >> 33) as usize) % limit
    }
}

fn values() -> Vec<String> {
    const CHARACTERS: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let mut numbers = Numbers(7);
    let mut value = || {
        (0..32)
            .map(|_| CHARACTERS[numbers.below(64)] as char)
            .collect()
    };
    (0..VALUES).map(|_| value()).collect()
}

/// Returns log lines, of words, numbers and identifiers.
fn text(values: Option<&[String]>) -> Vec<u8> {
    const WORDS: &[&str] = &[
        "request",
        "served",
        "connection",
        "from",
        "user",
        "order",
        "database",
        "query",
        "took",
        "retry",
        "timeout",
        "cache",
        "miss",
        "hit",
        "GET",
        "POST",
        "/api/v1/orders",
        "status",
        "token=none",
        "worker",
        "started",
        "finished",
        "in",
        "the",
        "postgres://db:5432/orders",
    ];
    let mut numbers = Numbers(11);
    let mut out = String::with_capacity(BLOCK + 1_000);
    for line in 0.. {
        if out.len() >= BLOCK {
            break;
        }
        let _ = write!(
            out,
            "2026-11-22T{:02}:{:02}:{:02}Z INFO ",
            line % 24,
            line % 60,
            line % 59
        );
        for _ in 0..8 {
            out.push_str(WORDS[numbers.below(WORDS.len())]);
            out.push(' ');
        }
        let (took, id) = (numbers.below(5_000), numbers.0);
        let _ = write!(out, "id={id:016x} ms={took}");
        if let Some(value) = values
            .filter(|_| line % 1_000 == 0)
            .map(|all| &all[numbers.below(VALUES)])
        {
            let _ = write!(out, " password={value}");
        }
        out.push('\n');
    }
    out.into_bytes()
}

/// Finds ripgrep, or has it installed beside the benchmarks where peers are measured.
fn ripgrep() -> Result<Option<PathBuf>, Box<dyn Error>> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/peers");
    let program = root.join("bin/rg");
    if !program.exists() && cfg!(feature = "peers") {
        let installed = Command::new("cargo")
            .args(["install", "ripgrep", "--locked", "--quiet", "--root"])
            .arg(&root)
            .status()?;
        if !installed.success() {
            return Err("ripgrep can't be installed".into());
        }
    }
    Ok(program.exists().then_some(program))
}
