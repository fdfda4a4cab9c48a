//! When and where the numbers were taken.

use std::process::Command;
use std::time::SystemTime;
use std::{fs, thread};

pub fn describe() -> Result<String, Box<dyn std::error::Error>> {
    let now = humantime::format_rfc3339_seconds(SystemTime::now()).to_string();
    let date = now.split('T').next().unwrap_or_default();
    let cores = thread::available_parallelism()?;
    let rustc = Command::new("rustc").arg("--version").output()?.stdout;
    let rustc = String::from_utf8(rustc)?;
    Ok(format!(
        "Measured on {date}, on {cores} cores of {}, by {}, with the release profile, \
         in one run of `cargo xtask bench`.",
        processor().unwrap_or_else(|| "an unnamed processor".to_owned()),
        rustc.trim(),
    ))
}

/// Linux says it in `/proc/cpuinfo`; elsewhere it stays unnamed.
fn processor() -> Option<String> {
    let all = fs::read_to_string("/proc/cpuinfo").ok()?;
    let line = all.lines().find(|line| line.starts_with("model name"))?;
    Some(line.split_once(':')?.1.trim().to_owned())
}
