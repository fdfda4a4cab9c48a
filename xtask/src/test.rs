//! `cargo xtask test`: everything CI runs, the cheap steps first.

use crate::command::{cargo, run as run_command, succeeds};
use crate::steps::{self, Step};
use crate::workspace::Workspace;
use crate::{Result, deny, examples, sources, tree};

pub(crate) fn run() -> Result<()> {
    let workspace = Workspace::load()?;
    let target_dir = workspace.target_dir.as_path();
    let mut all = vec![
        Step::new("format", || run_cargo("fmt --all -- --check")),
        Step::new("format, benchmarks", || {
            run_cargo("fmt --manifest-path benches/Cargo.toml -- --check")
        }),
        Step::new("sources", sources::check),
        // For every platform, since cargo-deny looks at all of them and must not need the network.
        Step::new("fetch", || run_cargo("fetch --locked")),
        Step::new("crates", tree::check),
    ];
    all.extend(clippy(&workspace.features));
    all.extend([
        // Not measured here, only kept in step with the library.
        Step::new("clippy, benchmarks", || {
            run_cargo(
                "clippy --locked --no-deps --manifest-path benches/Cargo.toml -- --deny warnings",
            )
        }),
        Step::new("documentation", documentation),
        Step::new("tests, all features", || {
            tests("--workspace --all-features")
        }),
        Step::new("tests, default features", || tests("--package strongroom")),
        Step::new("documentation tests", || {
            run_cargo("test --locked --doc --workspace --all-features")
        }),
        Step::new("examples", || examples::run(target_dir)),
        Step::new("cargo-deny", || deny::install(target_dir)),
        Step::new("bans, licences, sources", || deny::check(target_dir)),
        Step::new("advisories", || deny::advisories(target_dir)),
    ]);
    steps::run(all)
}

/// Runs clippy on the library as its users build it, with each set of features, and on everything.
fn clippy(features: &[String]) -> Vec<Step<'static>> {
    // Without dev-dependencies: their features must not hide one that the library forgot.
    let library = "--package strongroom";
    let mut sets = vec![
        ("default features".to_owned(), library.to_owned()),
        (
            "default features, tests".to_owned(),
            format!("{library} --all-targets"),
        ),
    ];
    for feature in features {
        let args = format!("{library} --no-default-features --features {feature}");
        sets.push((format!("feature {feature}"), args));
    }
    sets.push((
        "all features".to_owned(),
        format!("{library} --all-features"),
    ));
    sets.push((
        "everything".to_owned(),
        "--workspace --all-features --all-targets".to_owned(),
    ));
    sets.into_iter()
        .map(|(name, args)| {
            Step::new(format!("clippy, {name}"), move || {
                run_cargo(&format!("clippy --locked {args} -- --deny warnings"))
            })
        })
        .collect()
}

fn documentation() -> Result<String> {
    let mut command = cargo(&[
        "doc",
        "--locked",
        "--workspace",
        "--all-features",
        "--no-deps",
    ]);
    command.env("RUSTDOCFLAGS", "--deny warnings");
    run_command(command)?;
    Ok(String::new())
}

/// Runs the tests by nextest where it is installed, else by cargo's own runner.
fn tests(selection: &str) -> Result<String> {
    if succeeds(cargo(&["nextest", "--version"])) {
        run_cargo(&format!("nextest run --locked {selection}"))?;
        return Ok("nextest".to_owned());
    }
    run_cargo(&format!("test --locked {selection} --all-targets"))?;
    Ok("cargo test".to_owned())
}

fn run_cargo(args: &str) -> Result<String> {
    let args: Vec<_> = args.split(' ').collect();
    run_command(cargo(&args))?;
    Ok(String::new())
}
