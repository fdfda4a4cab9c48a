//! Runs every benchmark and prints what docs/performance.md shows.
//!
//! One file for each subject: it returns a section, and has its line in `SUBJECTS`.

mod crates;
mod expose;
mod machine;
mod measure;
// One fault proxy for tests and benchmarks.
#[allow(dead_code, reason = "a benchmark needs only its latency")]
#[path = "../../crates/strongroom/tests/it/proxy.rs"]
mod proxy;
mod remote_boot;
mod sealed_file;
mod start;

/// What a benchmark found, as Markdown.
type Section = Result<String, Box<dyn std::error::Error>>;

const SUBJECTS: &[fn() -> Section] = &[
    expose::section,
    sealed_file::section,
    start::section,
    remote_boot::section,
    crates::section,
];

fn main() -> Result<(), Box<dyn std::error::Error>> {
    println!("{}", machine::describe()?);
    for subject in SUBJECTS {
        println!("\n{}", subject()?);
    }
    Ok(())
}
