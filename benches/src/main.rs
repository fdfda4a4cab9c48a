//! Runs every benchmark and prints what docs/performance.md shows.
//!
//! One file for each subject: it returns a section, and has its line in `SUBJECTS`.

mod audit;
#[cfg(feature = "peers")]
mod cached;
mod crates;
mod expose;
mod held;
#[cfg(feature = "peers")]
mod herd;
mod live;
mod machine;
mod measure;
#[cfg(feature = "peers")]
mod peers;
// One fault proxy for tests and benchmarks.
#[allow(dead_code, reason = "a benchmark needs only its latency")]
#[path = "../../crates/strongroom/tests/it/proxy.rs"]
mod proxy;
mod redact;
mod remote_boot;
mod ripgrep;
mod run;
mod scan;
mod sealed_file;
mod start;

/// What a benchmark found, as Markdown.
type Section = Result<String, Box<dyn std::error::Error>>;

/// What is measured, and the name by which it is asked for alone.
type Subject = (&'static str, fn() -> Section);

const SUBJECTS: &[Subject] = &[
    ("expose", expose::section),
    ("live", live::section),
    #[cfg(feature = "peers")]
    ("cached", cached::section),
    #[cfg(feature = "peers")]
    ("herd", herd::section),
    ("held", held::section),
    ("sealed_file", sealed_file::section),
    ("audit", audit::section),
    ("start", start::section),
    ("run", run::section),
    ("redact", redact::section),
    ("remote_boot", remote_boot::section),
    ("scan", scan::section),
    ("crates", crates::section),
];

/// Runs the subjects that the arguments name, or all.
fn main() -> Result<(), Box<dyn std::error::Error>> {
    let named: Vec<_> = std::env::args().skip(1).collect();
    println!("{}", machine::describe()?);
    for (name, subject) in SUBJECTS {
        if named.is_empty() || named.iter().any(|named| named == name) {
            println!("\n{}", subject()?);
        }
    }
    Ok(())
}
