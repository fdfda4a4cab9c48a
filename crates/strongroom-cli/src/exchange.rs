//! The formats in which other tools hold secrets: what `import` reads and `export` writes.

use std::collections::BTreeMap;
use std::path::Path;

use clap::ValueEnum;
use strongroom::{Env, Error, ErrorKind, Result, Secret, SecretName, documents};
use zeroize::Zeroizing;

mod docker;
mod kubernetes;
mod master_key_file;
pub(crate) mod names;
#[cfg(test)]
mod tests;

/// What `import` reads.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum From {
    Dotenv,
    Json,
    Yaml,
    Kubernetes,
    Docker,
    MasterKeyFile,
    Env,
}

/// What `export` writes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
pub(crate) enum To {
    #[default]
    Dotenv,
    Json,
    Kubernetes,
    Docker,
    Summon,
}

/// One value as a format holds it.
#[derive(Debug)]
pub(crate) struct Found {
    pub(crate) key: String,
    pub(crate) value: Secret,
}

impl From {
    /// Tells the format by the file's name.
    pub(crate) fn of(path: &Path) -> Option<Self> {
        let name = path.file_name()?.to_str()?;
        if name == ".env" || name.starts_with(".env.") {
            return Some(Self::Dotenv);
        }
        match path.extension()?.to_str()? {
            "env" => Some(Self::Dotenv),
            "json" => Some(Self::Json),
            "yaml" | "yml" => Some(Self::Yaml),
            _ => None,
        }
    }

    /// Reports whether its keys are variables, which spell less than a name.
    pub(crate) fn has_variables(self) -> bool {
        matches!(
            self,
            Self::Dotenv | Self::Docker | Self::MasterKeyFile | Self::Env
        )
    }

    /// Reads every value of a text. `origin` is what messages call it.
    ///
    /// # Errors
    /// [`ErrorKind::Malformed`] with the line, or the key, and never with the text.
    pub(crate) fn read(
        self,
        text: Zeroizing<Vec<u8>>,
        origin: &str,
        env: &Env,
    ) -> Result<Vec<Found>> {
        check_plain(&text, origin)?;
        match self {
            Self::Dotenv => flat(documents::dotenv(text, origin)?, origin),
            Self::Json => flat(documents::json(text, origin)?, origin),
            Self::Yaml => flat(documents::yaml(&text, origin)?, origin),
            Self::Kubernetes => kubernetes::read(&text, origin),
            Self::Docker => docker::read(&text, origin),
            Self::MasterKeyFile => master_key_file::read(text, origin, env),
            Self::Env => Err(Error::new(ErrorKind::Config, "variables are in no file")),
        }
    }
}

/// One secret to be exported: its name, its variable, and its value as text of its encoding.
pub(crate) struct Item<'a> {
    pub(crate) name: &'a SecretName,
    pub(crate) variable: String,
    pub(crate) value: Secret,
}

impl To {
    /// Writes every value. `title` is what the format calls the whole, where it does.
    ///
    /// # Errors
    /// [`ErrorKind::Malformed`] for a value that the format can't carry.
    pub(crate) fn write(self, items: &[Item<'_>], title: &str) -> Result<Zeroizing<Vec<u8>>> {
        match self {
            Self::Dotenv => lines(items, |item| {
                let value = documents::dotenv_value(text_of(item, "dotenv")?);
                Ok(vec![
                    item.variable.clone().into_bytes().into(),
                    bytes(b"="),
                    value,
                ])
            }),
            Self::Docker => lines(items, |item| {
                let value = docker::value(item)?;
                Ok(vec![
                    item.variable.clone().into_bytes().into(),
                    bytes(b"="),
                    bytes(value),
                ])
            }),
            Self::Summon => lines(items, |item| {
                let line = format!("{}: !var {}", item.variable, item.name);
                Ok(vec![line.into_bytes().into()])
            }),
            Self::Kubernetes => kubernetes::write(items, title),
            Self::Json => json(items),
        }
    }
}

/// Takes the values of a document, each under the keys that lead to it.
fn flat(entries: Vec<documents::Entry>, origin: &str) -> Result<Vec<Found>> {
    check_not_encrypted(&entries, origin)?;
    let found = |entry: documents::Entry| {
        let key = entry.way.join("/");
        if !entry.is_string && entry.value.verify(b"null") {
            let place = place(origin, entry.line, &key);
            return Err(malformed(&place, "there is no value"));
        }
        Ok(Found {
            key,
            value: entry.value,
        })
    };
    let found: Result<Vec<_>> = entries.into_iter().map(found).collect();
    let found = found?;
    check_keys(&found, origin)?;
    Ok(found)
}

/// Refuses a document whose values SOPS encrypted, or the system whose files `master-key-file` reads.
fn check_not_encrypted(entries: &[documents::Entry], origin: &str) -> Result<()> {
    let is_sops = |entry: &documents::Entry| match entry.way.as_slice() {
        [key] => key == "sops_mac",
        [first, second, ..] => first == "sops" && second == "mac",
        [] => false,
    };
    if entries.iter().any(is_sops) {
        return Err(encrypted(origin, "SOPS", "sops decrypt FILE"));
    }
    if master_key_file::is_one(entries) {
        let message = format!("{origin} has the form of a file that a master key encrypted");
        return Err(Error::new(ErrorKind::Unsupported, message)
            .with_help("its values are ciphertext here; say --from master-key-file"));
    }
    Ok(())
}

/// Refuses two values under one key, as `a: {b: …}` and `a/b: …` are.
fn check_keys(found: &[Found], origin: &str) -> Result<()> {
    let mut seen = BTreeMap::new();
    for found in found {
        if seen.insert(&found.key, ()).is_some() {
            let place = place(origin, None, &found.key);
            return Err(malformed(&place, "two values have this key"));
        }
    }
    Ok(())
}

/// Refuses what other tools encrypted, and says how it is read all the same.
fn check_plain(text: &[u8], origin: &str) -> Result<()> {
    let marks: [&[u8]; 2] = [
        b"age-encryption.org/v1",
        b"-----BEGIN AGE ENCRYPTED FILE-----",
    ];
    match marks
        .iter()
        .any(|mark| text.trim_ascii_start().starts_with(mark))
    {
        true => Err(encrypted(
            origin,
            "age",
            "age --decrypt --identity KEY FILE",
        )),
        false => Ok(()),
    }
}

fn encrypted(origin: &str, tool: &str, command: &str) -> Error {
    let message = format!("{origin} is encrypted by {tool}, which strongroom doesn't open");
    Error::new(ErrorKind::Unsupported, message).with_help(format!(
        "let {tool} open it, with nothing on the disk: `{command} | strongroom import - --from FORMAT`"
    ))
}

/// Where in a document something is wrong. A key is shown only where it looks like one.
fn place(origin: &str, line: Option<usize>, key: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "._-/#".contains(c);
    let line = line.map_or_else(String::new, |line| format!(", line {line}"));
    match !key.is_empty() && key.len() <= 64 && key.chars().all(plain) {
        true => format!("{origin}{line}, key `{key}`"),
        false => format!("{origin}{line}"),
    }
}

fn malformed(place: &str, what: &str) -> Error {
    Error::new(ErrorKind::Malformed, format!("{place}: {what}"))
}

/// Returns the text of a value that is to be written in a format of text.
fn text_of<'a>(item: &'a Item<'_>, format: &str) -> Result<&'a str> {
    let refuses_zero = !matches!(format, "json");
    // EXPOSES: to the text that is exported, which is wiped
    let text = item.value.expose_str().ok();
    // A zero byte is text, and yet nothing that a variable holds.
    let has_zero = |text: &str| text.bytes().any(|byte| matches!(byte, 0));
    text.filter(|text| !(refuses_zero && has_zero(text))).ok_or_else(|| {
        let message = format!("a {format} document holds text, and the value is none");
        Error::new(ErrorKind::Malformed, message)
            .with_name(item.name)
            .with_help(
                "declare an `encoding` for it in the manifest, or export --as kubernetes, which holds \
                 bytes",
            )
    })
}

fn json(items: &[Item<'_>]) -> Result<Zeroizing<Vec<u8>>> {
    let mut pieces = vec![bytes(b"{")];
    for (item, at) in items.iter().zip(0_usize..) {
        pieces.push(bytes(if at == 0 { b"\n  " } else { b",\n  " }));
        pieces.push(documents::json_string(item.name.as_str()));
        pieces.push(bytes(b": "));
        pieces.push(documents::json_string(text_of(item, "json")?));
    }
    pieces.push(bytes(b"\n}\n"));
    Ok(joined(&pieces))
}

fn lines(
    items: &[Item<'_>],
    line: impl Fn(&Item<'_>) -> Result<Vec<Zeroizing<Vec<u8>>>>,
) -> Result<Zeroizing<Vec<u8>>> {
    let mut pieces = Vec::new();
    for item in items {
        pieces.extend(line(item)?);
        pieces.push(bytes(b"\n"));
    }
    Ok(joined(&pieces))
}

fn bytes(bytes: &[u8]) -> Zeroizing<Vec<u8>> {
    Zeroizing::new(bytes.to_vec())
}

/// Joins pieces in a buffer of their size, which never moves and leaves nothing behind.
fn joined(pieces: &[Zeroizing<Vec<u8>>]) -> Zeroizing<Vec<u8>> {
    let length = pieces
        .iter()
        .fold(0_usize, |sum, piece| sum.saturating_add(piece.len()));
    let mut out = Zeroizing::new(Vec::with_capacity(length));
    pieces.iter().for_each(|piece| out.extend_from_slice(piece));
    out
}
