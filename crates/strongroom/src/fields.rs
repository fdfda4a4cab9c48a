//! What the code calls that `#[derive(FromSecrets)]` writes. Not for people.

use std::str::FromStr;

use secrecy::SecretString;

use crate::declared::Declared;
use crate::error::{Error, ErrorKind, Result};
use crate::live::LiveSecret;
use crate::load::{FromSecrets, Loaded};
use crate::name::SecretName;
use crate::report::{self, Finding};
use crate::secret::Secret;

/// A type that holds one secret.
#[diagnostic::on_unimplemented(
    message = "a field of type `{Self}` can't hold a secret",
    label = "not a type for a secret",
    note = "a field is a `Secret`, a `LiveSecret` or a `SecretString`, or an `Option` of one, written as `Option<…>`",
    note = "a type that is parsed from the text needs `#[secret(parse)]`, one that derives `FromSecrets` needs `#[secret(nested)]`"
)]
pub trait Field: Sized {
    /// Takes the secret of this name.
    ///
    /// # Errors
    /// As [`Loaded::get`], and [`ErrorKind::Malformed`] for a text that is none.
    fn take(found: &Loaded<'_>, name: &str) -> Result<Self>;
}

impl Field for Secret {
    fn take(found: &Loaded<'_>, name: &str) -> Result<Self> {
        found.get(name).cloned()
    }
}

impl Field for LiveSecret {
    fn take(found: &Loaded<'_>, name: &str) -> Result<Self> {
        found.live(name)
    }
}

impl Field for SecretString {
    fn take(found: &Loaded<'_>, name: &str) -> Result<Self> {
        // EXPOSES: to the `SecretString` of a field, which wipes its copy
        found.get(name)?.to_secret_string()
    }
}

/// A type that is parsed from the text of a secret.
#[diagnostic::on_unimplemented(
    message = "a field of type `{Self}` can't be parsed from the text of a secret",
    label = "not a type with `FromStr`",
    note = "`#[secret(parse)]` asks for `std::str::FromStr`; a type with fields of its own needs `#[secret(nested)]`"
)]
pub trait Parse: Sized {
    /// Parses a text. The type's own error may hold the text, and goes no further.
    fn parse(text: &str) -> Option<Self>;
}

#[diagnostic::do_not_recommend]
impl<T: FromStr> Parse for T {
    fn parse(text: &str) -> Option<Self> {
        text.parse().ok()
    }
}

/// Adds what the nested type of a field declares. `field` begins with the outer type.
pub fn declare_nested<T: FromSecrets>(
    declared: &mut Vec<Declared>,
    field: &str,
    folder: &str,
    optional: bool,
) {
    for mut inner in T::declared() {
        // A name that becomes too long is missing here, and is an error when the type is built.
        let Ok(name) = SecretName::parse(joined(folder, inner.name.as_str())) else {
            continue;
        };
        inner.name = name;
        inner.required &= !optional;
        inner.needed_by = Some(inside(field, inner.needed_by.as_deref()));
        declared.push(inner);
    }
}

/// Takes the fields of one type, and keeps what is wrong with any of them.
#[derive(Debug)]
pub struct Fields<'a> {
    type_name: &'static str,
    found: &'a Loaded<'a>,
    failures: Vec<(ErrorKind, Finding)>,
}

impl<'a> Fields<'a> {
    /// Begins with none.
    pub fn of(type_name: &'static str, found: &'a Loaded<'a>) -> Self {
        Self {
            type_name,
            found,
            failures: Vec::new(),
        }
    }

    /// Takes a field that must be there.
    pub fn required<T: Field>(&mut self, field: &str, name: &str) -> Option<T> {
        let taken = T::take(self.found, name);
        self.keep(field, name, taken)
    }

    /// Takes a field that may be absent.
    pub fn optional<T: Field>(&mut self, field: &str, name: &str) -> Option<Option<T>> {
        let taken = or_absent(T::take(self.found, name));
        self.keep(field, name, taken)
    }

    /// Takes a field that is parsed from the text.
    pub fn parsed<T: Parse>(&mut self, field: &str, name: &str, type_name: &str) -> Option<T> {
        let parsed = parse(self.found, name, type_name);
        self.keep(field, name, parsed)
    }

    /// Takes a field that is parsed from the text, which may be absent.
    pub fn parsed_optional<T: Parse>(
        &mut self,
        field: &str,
        name: &str,
        type_name: &str,
    ) -> Option<Option<T>> {
        let parsed = or_absent(parse(self.found, name, type_name));
        self.keep(field, name, parsed)
    }

    /// Builds a field of a type that has fields of its own.
    pub fn nested<T: FromSecrets>(&mut self, field: &str, folder: &str) -> Option<T> {
        let inner = self.found.below(folder);
        let error = match T::from_secrets(&inner) {
            Ok(built) => return Some(built),
            Err(error) => error,
        };
        let field = self.path(field);
        match error.report() {
            Some(report) => {
                let from_inside = |finding: &Finding| {
                    let needed_by = inside(&field, finding.needed_by.as_deref());
                    (error.kind(), finding.clone().needed_by(Some(&needed_by)))
                };
                self.failures
                    .extend(report.findings.iter().map(from_inside));
            }
            None => {
                let finding = match error.name() {
                    Some(name) => Finding::of_error(name, &error),
                    None => {
                        let help = error.help().unwrap_or_default();
                        Finding::violation(None, "unreadable", error.to_string(), help)
                    }
                };
                self.failures
                    .push((error.kind(), finding.needed_by(Some(&field))));
            }
        }
        None
    }

    /// Builds a field of a type that has fields of its own, if any of its secrets is there.
    pub fn nested_optional<T: FromSecrets>(
        &mut self,
        field: &str,
        folder: &str,
    ) -> Option<Option<T>> {
        let inner = self.found.below(folder);
        let absent = |declared: &Declared| {
            let held = inner.get(declared.name.as_str());
            held.is_err_and(|error| error.kind() == ErrorKind::Absent)
        };
        match T::declared().iter().all(absent) {
            true => Some(None),
            false => self.nested(field, folder).map(Some),
        }
    }

    /// Returns what was built of the fields, or everything that is wrong with them.
    ///
    /// # Errors
    /// One error with a report of all.
    pub fn finish<T>(self, built: Option<T>) -> Result<T> {
        match built {
            Some(built) if self.failures.is_empty() => Ok(built),
            _ => {
                let message = format!("`{}` can't be built from its secrets", self.type_name);
                Err(report::gathered(message, self.failures))
            }
        }
    }

    fn keep<T>(&mut self, field: &str, name: &str, taken: Result<T>) -> Option<T> {
        let error = match taken {
            Ok(value) => return Some(value),
            Err(error) => error,
        };
        let finding = match SecretName::parse(self.found.whole(name)) {
            Ok(name) => Finding::of_error(&name, &error),
            Err(_) => {
                let message = format!("the name of this secret is none: {error}");
                let help = error.help().unwrap_or_default();
                Finding::violation(None, "unreadable", message, help)
            }
        };
        let finding = finding.needed_by(Some(&self.path(field)));
        self.failures.push((error.kind(), finding));
        None
    }

    fn path(&self, field: &str) -> String {
        format!("{}.{field}", self.type_name)
    }
}

fn parse<T: Parse>(found: &Loaded<'_>, name: &str, type_name: &str) -> Result<T> {
    let secret = found.get(name)?;
    // EXPOSES: to the parser of the type that the service chose for this field
    T::parse(secret.expose_str()?).ok_or_else(|| {
        Error::new(
            ErrorKind::Malformed,
            format!("the value is no `{type_name}`"),
        )
        .with_help("store a value that the type's own parser takes")
    })
}

fn or_absent<T>(taken: Result<T>) -> Result<Option<T>> {
    match taken {
        Err(error) if error.kind() == ErrorKind::Absent => Ok(None),
        taken => taken.map(Some),
    }
}

fn joined(folder: &str, name: &str) -> String {
    match folder {
        "" => name.to_owned(),
        folder => format!("{folder}/{name}"),
    }
}

/// Says which field within `field` it is: the path of the nested type's own begins with its name.
fn inside(field: &str, inner: Option<&str>) -> String {
    match inner.and_then(|inner| inner.split_once('.')) {
        Some((_, path)) => format!("{field}.{path}"),
        None => field.to_owned(),
    }
}
