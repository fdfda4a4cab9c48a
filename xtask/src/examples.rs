//! The examples, built and run: each must end by itself, successfully, without arguments.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::Value;

use crate::Result;
use crate::command::{cargo, output, program, run_within};

const LIMIT: Duration = Duration::from_secs(60);

pub(crate) fn run(target_dir: &Path) -> Result<String> {
    let args = "build --locked --quiet --workspace --all-features --examples --message-format json";
    let examples = executables(&output(cargo(&args.split(' ').collect::<Vec<_>>()))?);
    for example in &examples {
        // Each gets an empty directory, so that what it creates is new and stays out of the tree.
        let name = example.file_stem().unwrap_or_default();
        let dir = target_dir.join("examples-run").join(name);
        let cannot = |error| format!("can't prepare {dir:?}: {error}");
        if dir.exists() {
            fs::remove_dir_all(&dir).map_err(cannot)?;
        }
        fs::create_dir_all(&dir).map_err(cannot)?;
        let mut command = program(example, &[]);
        command.current_dir(&dir);
        run_within(command, LIMIT)?;
    }
    Ok(format!("{} ran", examples.len()))
}

/// Finds the examples among cargo's messages, one JSON object a line.
fn executables(messages: &str) -> Vec<PathBuf> {
    let executable = |line: &str| {
        let message: Value = serde_json::from_str(line).ok()?;
        let kind = message.get("target")?.get("kind")?.as_array()?;
        let path = message.get("executable")?.as_str()?;
        kind.contains(&"example".into())
            .then(|| PathBuf::from(path))
    };
    messages.lines().filter_map(executable).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_examples_and_nothing_else() {
        let messages = r#"
{"reason":"compiler-artifact","target":{"kind":["lib"],"name":"a"},"executable":null}
{"reason":"compiler-artifact","target":{"kind":["bin"],"name":"b"},"executable":"target/debug/b"}
{"reason":"compiler-artifact","target":{"kind":["example"],"name":"boot"},"executable":"target/debug/examples/boot"}
{"reason":"build-finished","success":true}
"#;
        assert_eq!(
            executables(messages),
            [PathBuf::from("target/debug/examples/boot")]
        );
    }
}
