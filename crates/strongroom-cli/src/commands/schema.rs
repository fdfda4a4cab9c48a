//! `schema`: the JSON Schema of the manifest, and of what commands print.

use clap::{CommandFactory as _, ValueEnum};
use serde_json::{Map, Value, json};
use strongroom::{Error, ErrorKind};

use crate::args::Cli;
use crate::context::Context;
use crate::exit::{FINE, Outcome};
use crate::report::SCHEMA;

mod outputs;

/// Print the JSON Schema of the manifest, or of what commands print with `--format json`
///
/// Editors check and complete `strongroom.toml` by the first: write `#:schema ./strongroom.schema.json`
/// as its first line. Scripts and tests check by the second what they read; docs/json.md says what may
/// change in it, and when its version rises. Both are JSON Schema, draft 2020-12.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  strongroom schema > strongroom.schema.json
  strongroom schema output > strongroom-output.schema.json
  strongroom schema output validate            of one command only")]
pub(crate) struct Args {
    /// What it describes: manifest or output
    #[arg(value_enum, default_value_t, hide_possible_values = true)]
    document: Document,
    /// Of `output`, only what this command prints
    command: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
enum Document {
    #[default]
    Manifest,
    Output,
}

pub(crate) fn run(args: &Args, context: &Context<'_>) -> Outcome {
    let schema = match (args.document, &args.command) {
        (Document::Manifest, None) => strongroom::manifest_schema(),
        (Document::Manifest, Some(_)) => {
            let message = "only the schema of `output` can be of one command";
            let error = Error::new(ErrorKind::Config, message);
            return Err(error
                .with_help("write `strongroom schema output COMMAND`")
                .into());
        }
        (Document::Output, command) => format!("{:#}", output(command.as_deref())?),
    };
    context.screen.bytes(schema.as_bytes())?;
    context.screen.bytes(b"\n")?;
    Ok(FINE)
}

/// Joins the schemas of the commands, or takes one.
fn output(command: Option<&str>) -> Result<Value, Error> {
    let cli = Cli::command();
    let command = command.map(|command| own_name(&cli, command)).transpose()?;
    let mut definitions = definitions(outputs::COMMON);
    let reference = |name: &str| json!({ "$ref": format!("#/$defs/{name}") });
    let mut all = vec![reference("failure")];
    for (name, schema) in outputs::COMMANDS {
        if command.is_none_or(|command| command == *name) {
            let schema = serde_json::from_str(schema).unwrap_or_default();
            definitions.insert((*name).to_owned(), versioned(schema));
            all.push(reference(name));
        }
    }
    if let Some(failure) = definitions.remove("failure") {
        definitions.insert("failure".to_owned(), versioned(failure));
    }
    Ok(json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": format!("What strongroom prints with --format json, version {SCHEMA}"),
        "description": "Each document is one line. Further properties may be added within a version, and so may further words of an enumeration.",
        "anyOf": all,
        "$defs": definitions,
    }))
}

/// Returns the name of a command, which an alias may stand for.
fn own_name<'a>(cli: &'a clap::Command, command: &str) -> Result<&'a str, Error> {
    let found = cli.find_subcommand(command).map(clap::Command::get_name);
    found.ok_or_else(|| {
        Error::new(ErrorKind::Config, "there is no such command")
            .with_help("`strongroom --help` lists the commands")
    })
}

fn definitions(text: &str) -> Map<String, Value> {
    serde_json::from_str(text).unwrap_or_default()
}

/// Adds the version, which every document has, to each form of a document.
fn versioned(mut document: Value) -> Value {
    if let Some(forms) = document.get_mut("anyOf").and_then(Value::as_array_mut) {
        for form in forms {
            *form = versioned(form.take());
        }
        return document;
    }
    if let Some(properties) = document
        .get_mut("properties")
        .and_then(Value::as_object_mut)
    {
        properties.insert("schema".to_owned(), json!({ "const": SCHEMA }));
    }
    if let Some(required) = document.get_mut("required").and_then(Value::as_array_mut) {
        required.insert(0, "schema".into());
    }
    document
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn every_command_has_a_schema_or_needs_none() {
        let cli = Cli::command();
        let commands: BTreeSet<&str> = cli.get_subcommands().map(clap::Command::get_name).collect();
        let with = outputs::COMMANDS.iter().map(|(name, _)| *name);
        let listed: Vec<&str> = with.chain(outputs::WITHOUT.iter().copied()).collect();
        assert_eq!(listed.iter().copied().collect::<BTreeSet<_>>(), commands);
        assert_eq!(listed.len(), commands.len(), "one is listed twice");
    }

    #[test]
    fn each_file_is_json_of_the_form_that_is_joined() {
        assert!(!definitions(outputs::COMMON).is_empty());
        for (name, text) in outputs::COMMANDS {
            let schema: Value = serde_json::from_str(text).unwrap();
            let forms = match schema.get("anyOf") {
                Some(forms) => forms.as_array().unwrap().clone(),
                None => vec![schema],
            };
            for form in forms {
                assert!(
                    form["properties"].is_object() && form["required"].is_array(),
                    "{name}"
                );
            }
        }
    }

    #[test]
    fn one_command_is_described_alone() {
        let schema = output(Some("get")).unwrap();
        assert_eq!(schema["anyOf"].as_array().unwrap().len(), 2);
        assert!(
            schema["$defs"]["get"]["required"]
                .as_array()
                .unwrap()
                .contains(&"schema".into())
        );
        assert_eq!(
            output(Some("check")).unwrap(),
            output(Some("validate")).unwrap()
        );
        assert!(output(Some("completions")).is_ok());
        assert!(output(Some("no-such-command")).is_err());
        assert!(output(Some("name")).is_err(), "a definition is no command");
    }
}
