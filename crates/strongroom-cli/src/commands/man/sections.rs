//! What a page has beside the help: examples, exit codes, variables, files, other pages.

use super::roff::{Roff, bold, roman};
use super::{is_listed, name};

const EXIT_CODES: &[(&str, &str)] = &[
    (
        "0",
        "All is well; a watch that was ended by Ctrl-C, SIGTERM or SIGHUP.",
    ),
    (
        "1",
        "The check failed: the policy, a guard rail, a malformed value; a hook of rotate.",
    ),
    ("2", "Usage or configuration."),
    ("3", "There is no such secret."),
    (
        "4",
        "Denied; or the program's own credential is missing or was refused.",
    ),
    ("5", "The backend can't be reached."),
    ("6", "Integrity: what was read is not what was written."),
    ("7", "Conflict: something else was there than expected."),
    (
        "125, 126, 127",
        "Of run only: strongroom failed, the program can't be executed, it was not found.",
    ),
];

/// What the program itself reads; the variables of Vault, AWS and the platforms are in docs/remote-backends.md.
const VARIABLES: &[(&str, &str)] = &[
    (
        "STRONGROOM_PROVIDER",
        "The address of the provider, unless --provider is given.",
    ),
    (
        "STRONGROOM_MANIFEST",
        "The manifest, instead of strongroom.toml in the working directory.",
    ),
    (
        "STRONGROOM_ENV",
        "The deployment: development, test, staging or production. Without it the guard rails are those of production.",
    ),
    (
        "STRONGROOM_PROFILE",
        "The manifest's profile, instead of the deployment's own.",
    ),
    (
        "STRONGROOM_CFG_…",
        "A setting of the manifest: STRONGROOM_CFG_POLICY__MIN_LENGTH. Never a guard rail.",
    ),
    (
        "STRONGROOM_KEY, STRONGROOM_KEY_FILE, STRONGROOM_PASSPHRASE_FILE",
        "What opens the sealed file: the key, or the file of a key or of a passphrase.",
    ),
    (
        "STRONGROOM_DIR",
        "A directory of plain files to read secrets from.",
    ),
    (
        "STRONGROOM_AWS_PREFIX",
        "Chooses AWS Secrets Manager, and what the names there begin with.",
    ),
    (
        "STRONGROOM_LOG",
        "What is logged to standard error, such as debug or strongroom=trace,warn. Without it, nothing is.",
    ),
    ("NO_COLOR", "Prints without colours."),
];

const FILES: &[(&str, &str)] = &[
    (
        "strongroom.toml",
        "The manifest: declared secrets, policy, providers. strongroom schema prints its JSON Schema.",
    ),
    (
        ".strongroom/secrets.sealed",
        "The sealed file: secrets, encrypted, to be committed.",
    ),
    (
        "~/.config/strongroom/",
        "Keys of sealed files, what this machine is recorded as, and the manifests that the user trusts.",
    ),
];

/// Writes them for one command.
pub(super) fn of(command: &clap::Command) -> Roff {
    let mut page = Roff::new();
    examples(&mut page, command);
    table(&mut page, "EXIT STATUS", EXIT_CODES);
    table(&mut page, "ENVIRONMENT", VARIABLES);
    table(&mut page, "FILES", FILES);
    let mut others: Vec<String> = Vec::new();
    if let Some((above, _)) = name(command).rsplit_once(command.get_name())
        && !above.is_empty()
    {
        others.push(above.trim_end_matches('-').to_owned());
    }
    let inner = command.get_subcommands().filter(|inner| is_listed(inner));
    others.extend(inner.map(|inner| name(inner).to_owned()));
    if !others.is_empty() {
        page.control("SH", ["SEE ALSO"]);
        let others: Vec<_> = others.iter().map(|other| format!("{other}(1)")).collect();
        page.text([roman(others.join(", "))]);
    }
    page
}

/// The examples of the help, as they stand there.
fn examples(page: &mut Roff, command: &clap::Command) {
    let help = command
        .get_after_help()
        .map(ToString::to_string)
        .unwrap_or_default();
    let Some(examples) = help.strip_prefix("Examples:\n") else {
        return;
    };
    page.control("SH", ["EXAMPLES"]);
    page.control("nf", []);
    for line in examples.lines().take_while(|line| !line.is_empty()) {
        page.text([roman(line)]);
    }
    page.control("fi", []);
}

fn table(page: &mut Roff, title: &str, rows: &[(&str, &str)]) {
    page.control("SH", [title]);
    for (head, text) in rows {
        page.control("TP", []);
        page.text([bold(*head)]);
        page.text([roman(*text)]);
    }
}
