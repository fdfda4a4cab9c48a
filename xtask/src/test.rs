//! `cargo xtask test`: everything CI runs, the cheap steps first.

use std::cell::OnceCell;
use std::path::Path;
use std::process::Command;

use crate::command::{cargo, run as run_command, succeeds};
use crate::servers::Servers;
use crate::steps::{self, Step};
use crate::workspace::Workspace;
use crate::{Result, api, deny, examples, package, scan, security, sources, tree};

pub(crate) fn run() -> Result<()> {
    let workspace = Workspace::load()?;
    let target_dir = workspace.target_dir.as_path();
    // Started before the tests, and stopped when the last step has ended.
    let servers = OnceCell::new();
    let mut all = vec![
        Step::new("format", || run_cargo("fmt --all -- --check")),
        Step::new("format, benchmarks", || {
            run_cargo("fmt --all --manifest-path benches/Cargo.toml -- --check")
        }),
        Step::new("format, fuzz targets", || {
            run_cargo("fmt --manifest-path fuzz/Cargo.toml -- --check")
        }),
        Step::new("format, public API", || {
            run_cargo("fmt --manifest-path xtask/public-api/Cargo.toml -- --check")
        }),
        Step::new("sources", sources::check),
        // For every platform, since cargo-deny looks at all of them and must not need the network.
        Step::new("fetch", || run_cargo("fetch --locked")),
        Step::new("packages", || package::run(false)),
        Step::new("crates", || tree::check(&workspace.features)),
    ];
    all.extend(clippy(&workspace.features));
    all.extend([
        // Not measured here, only kept in step with the library.
        Step::new("clippy, benchmarks", || {
            run_cargo(
                "clippy --locked --no-deps --workspace --manifest-path benches/Cargo.toml -- --deny warnings",
            )
        }),
        Step::new("documentation", documentation),
        // Of what was just compiled for the documentation.
        Step::new("public API", || api::run(false)),
        Step::new("servers", || start_servers(target_dir, &servers)),
        Step::new("tests, all features", || {
            tests("--workspace --all-features", &servers)
        }),
        Step::new("scan", || scan::run(target_dir)),
        Step::new("threats", security::check),
        Step::new("tests, default features", || {
            tests("--package strongroom", &servers)
        }),
        // With all features values are locked and passwords scored: this is how most services hold them.
        Step::new("tests, memory", || {
            let library = "test --locked --package strongroom --features conformance";
            run_tests(&format!("{library} --test it memory::"), &servers)
        }),
        Step::new("documentation tests", || {
            run_tests("test --locked --doc --workspace --all-features", &servers)
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

/// Starts the servers that tests talk to. CI fails without them; elsewhere these tests don't run.
fn start_servers(target_dir: &Path, servers: &OnceCell<Servers>) -> Result<String> {
    match Servers::start(target_dir) {
        Ok(started) => {
            let _ = servers.set(started);
            Ok("started".to_owned())
        }
        Err(failure) if std::env::var_os("CI").is_some_and(|ci| ci == "true") => Err(failure),
        Err(failure) => {
            eprintln!("{failure}");
            Ok("SKIPPED: tests that need a server don't run".to_owned())
        }
    }
}

/// Runs the tests by nextest where it is installed, else by cargo's own runner.
fn tests(selection: &str, servers: &OnceCell<Servers>) -> Result<String> {
    if succeeds(cargo(&["nextest", "--version"])) {
        run_tests(&format!("nextest run --locked {selection}"), servers)?;
        return Ok("nextest".to_owned());
    }
    run_tests(&format!("test --locked {selection} --all-targets"), servers)?;
    Ok("cargo test".to_owned())
}

fn run_tests(args: &str, servers: &OnceCell<Servers>) -> Result<String> {
    let mut command = split_cargo(args);
    command.envs(servers.get().iter().flat_map(|servers| servers.variables()));
    run_command(command)?;
    Ok(String::new())
}

fn run_cargo(args: &str) -> Result<String> {
    run_command(split_cargo(args))?;
    Ok(String::new())
}

fn split_cargo(args: &str) -> Command {
    cargo(&args.split(' ').collect::<Vec<_>>())
}
