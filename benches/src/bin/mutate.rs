//! Opens many mutated sealed files, as `cargo xtask mutate` asks for.

#[path = "../../../crates/strongroom/tests/it/sealed_file/mutator.rs"]
mod mutator;

use std::time::Instant;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let count = std::env::args().nth(1).ok_or("how many inputs?")?;
    let started = Instant::now();
    let report = mutator::run(0..count.parse()?);
    println!("{report}");
    println!("{:.0} s in all", started.elapsed().as_secs_f64());
    Ok(())
}
