//! Prints what is public in the crate that a JSON file of rustdoc describes, one item a line.
//!
//! `cargo xtask api` runs it.

use std::process::ExitCode;

fn main() -> ExitCode {
    let Some(path) = std::env::args_os().nth(1) else {
        eprintln!("usage: strongroom-public-api RUSTDOC.json");
        return ExitCode::from(2);
    };
    let read = public_api::Builder::from_rustdoc_json(path)
        // What the compiler and the standard library implement for every type says nothing.
        .omit_blanket_impls(true)
        .omit_auto_trait_impls(false)
        .omit_auto_derived_impls(false)
        .build();
    match read {
        Ok(api) => {
            for item in api.items() {
                println!("{item}");
            }
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("can't read it: {error}");
            ExitCode::FAILURE
        }
    }
}
