//! What `#[secret(…)]` says of a field.

use std::time::Duration;

use syn::ext::IdentExt as _;
use syn::spanned::Spanned as _;
use syn::{Error, Expr, GenericArgument, Ident, Lit, LitStr, Meta, PathArguments, Result, Type};

use crate::attribute::{self, Problems};
use crate::container::Container;
use crate::{name, plain};

const KINDS: [&str; 8] = [
    "token", "password", "key", "url", "pem", "jwt", "json", "opaque",
];
const ENCODINGS: [&str; 4] = ["text", "base64", "base64url", "hex"];
const KNOWN: [&str; 11] = [
    "name",
    "kind",
    "description",
    "env",
    "encoding",
    "min_length",
    "length",
    "rotate_after",
    "parse",
    "nested",
    "prefix",
];

/// One field, checked.
pub(crate) struct Field<'a> {
    pub(crate) ident: &'a Ident,
    /// Its name as text, without `r#`.
    pub(crate) label: String,
    /// Its type, or that inside of its `Option`.
    pub(crate) inner: &'a Type,
    pub(crate) optional: bool,
    pub(crate) shape: Shape,
}

/// What it is built from.
pub(crate) enum Shape {
    /// A secret, and whether it is parsed.
    Secret(Box<Declaration>, bool),
    /// A type with fields of its own, and the folder of their names.
    Nested(String),
}

/// What is declared of one secret.
pub(crate) struct Declaration {
    pub(crate) name: LitStr,
    pub(crate) kind: String,
    pub(crate) description: Option<String>,
    pub(crate) env: Option<String>,
    pub(crate) encoding: Option<String>,
    pub(crate) min_length: Option<usize>,
    pub(crate) length: Option<usize>,
    pub(crate) rotate_after: Option<Duration>,
}

/// The settings as they stand there.
#[derive(Default)]
struct Settings {
    name: Option<LitStr>,
    kind: Option<String>,
    description: Option<String>,
    env: Option<String>,
    encoding: Option<String>,
    min_length: Option<usize>,
    length: Option<usize>,
    rotate_after: Option<Duration>,
    parse: bool,
    nested: bool,
    prefix: Option<String>,
    /// Every key, where it stands.
    keys: Vec<(String, Ident)>,
}

impl<'a> Field<'a> {
    /// Reads a field. What is wrong with it is kept, and it is then left out.
    pub(crate) fn read(
        field: &'a syn::Field,
        container: &Container,
        problems: &mut Problems,
    ) -> Option<Self> {
        let ident = field.ident.as_ref()?;
        let label = ident.unraw().to_string();
        let settings = Settings::read(field, problems)?;
        let (inner, optional) = match optional(&field.ty) {
            Some(inner) => (inner, true),
            None => (&field.ty, false),
        };
        if let Some(problem) = settings.contradiction(inner) {
            problems.push(problem);
            return None;
        }
        let own_name = || name::renamed(&label, &container.rename_all);
        let shape = if settings.nested {
            let folder = settings.prefix.unwrap_or_else(own_name);
            Shape::Nested(name::join(&container.prefix, &folder))
        } else {
            let Some(kind) = settings.kind else {
                problems.say(
                    ident,
                    format!(
                        "this field needs a kind, which decides how its strength is judged: \
                         #[secret(kind = \"…\")] with one of {}; \
                         or #[secret(nested)] for a type with fields of its own",
                        KINDS.join(", ")
                    ),
                );
                return None;
            };
            let (own, span) = match &settings.name {
                Some(literal) => (literal.value(), literal.span()),
                None => (own_name(), ident.span()),
            };
            let name = name::join(&container.prefix, &own);
            // A prefix that is wrong is said where it stands.
            let problem = name::problem(&own).or_else(|| {
                let prefix_is_fine = name::prefix_problem(&container.prefix).is_none();
                name::problem(&name).filter(|_| prefix_is_fine)
            });
            if let Some(problem) = problem {
                problems.push(Error::new(span, problem));
                return None;
            }
            let declaration = Declaration {
                name: LitStr::new(&name, span),
                kind,
                description: settings.description.or_else(|| documentation(field)),
                env: settings.env,
                encoding: settings.encoding,
                min_length: settings.min_length,
                length: settings.length,
                rotate_after: settings.rotate_after,
            };
            Shape::Secret(Box::new(declaration), settings.parse)
        };
        Some(Self {
            ident,
            label,
            inner,
            optional,
            shape,
        })
    }
}

impl Settings {
    /// Reads the settings, or `None` if something is wrong with them.
    fn read(field: &syn::Field, problems: &mut Problems) -> Option<Self> {
        let mut settings = Self::default();
        let mut wrong = Problems::default();
        attribute::each(&field.attrs, &mut wrong, |key, meta, wrong| {
            if let Some(ident) = meta.path.get_ident() {
                settings.keys.push((key.to_owned(), ident.clone()));
            }
            match key {
                "name" => settings.name = Some(attribute::text(meta)?),
                "description" => settings.description = Some(attribute::text(meta)?.value()),
                "kind" => {
                    let literal = attribute::text(meta)?;
                    let word = attribute::one_of(&literal, "kind of secret", &KINDS);
                    settings.kind = wrong.keep(word);
                }
                "encoding" => {
                    let literal = attribute::text(meta)?;
                    let word = attribute::one_of(&literal, "encoding", &ENCODINGS);
                    settings.encoding = wrong.keep(word);
                }
                "env" => {
                    let literal = attribute::text(meta)?;
                    settings.env = Some(literal.value());
                    if !is_variable(&literal.value()) {
                        wrong.say(
                            &literal,
                            "not the name of a variable: letters, digits and `_`, and no digit first",
                        );
                    }
                }
                "min_length" => settings.min_length = Some(attribute::number(meta)?),
                "length" => settings.length = Some(attribute::number(meta)?),
                "rotate_after" => {
                    let literal = attribute::text(meta)?;
                    settings.rotate_after = humantime::parse_duration(&literal.value()).ok();
                    if settings.rotate_after.is_none() {
                        wrong.say(
                            &literal,
                            "not a length of time, such as \"90days\" or \"12h\"",
                        );
                    }
                }
                "parse" => {
                    attribute::flag(key, meta)?;
                    settings.parse = true;
                }
                "nested" => {
                    attribute::flag(key, meta)?;
                    settings.nested = true;
                }
                "prefix" => {
                    let literal = attribute::text(meta)?;
                    if let Some(problem) = name::prefix_problem(&literal.value()) {
                        wrong.say(&literal, problem);
                    }
                    settings.prefix = Some(literal.value());
                }
                "required" | "optional" => {
                    return Err(meta.error(
                        "the type says whether a secret is required: an `Option` is not, and everything \
                         else is",
                    ));
                }
                _ => return Err(attribute::unknown(key, meta, &KNOWN)),
            }
            Ok(())
        });
        problems.keep(wrong.finish())?;
        Some(settings)
    }

    /// Finds settings that don't go together.
    fn contradiction(&self, inner: &Type) -> Option<Error> {
        let at = |key: &str| {
            let found = self.keys.iter().find(|(known, _)| known == key);
            found.map(|(_, ident)| ident.span())
        };
        if optional(inner).is_some() {
            let message =
                "one `Option` says that a secret may be absent; a second says nothing more";
            return Some(Error::new(inner.span(), message));
        }
        if self.parse
            && !self.nested
            && let Some(refusal) = plain::refusal(inner)
        {
            return Some(refusal);
        }
        if self.nested {
            let misplaced =
                |(key, _): &&(String, Ident)| !matches!(key.as_str(), "nested" | "prefix");
            let (key, ident) = self.keys.iter().find(misplaced)?;
            let message = format!(
                "`{key}` is a setting of one secret, and a nested type declares its own: write it there"
            );
            return Some(Error::new(ident.span(), message));
        }
        let kind = self.kind.as_deref();
        if let Some(span) = at("prefix") {
            let message = "`prefix` is a setting of the struct, or of a field that is `nested`";
            return Some(Error::new(span, message));
        }
        if let Some(span) = at("length").filter(|_| kind.is_some_and(|kind| kind != "key")) {
            let message =
                "`length` is the exact length of a key; for other kinds there is `min_length`";
            return Some(Error::new(span, message));
        }
        None
    }
}

/// Returns what is inside of an `Option`.
fn optional(ty: &Type) -> Option<&Type> {
    let Type::Path(path) = ty else {
        return None;
    };
    let last = path.path.segments.last()?;
    match &last.arguments {
        PathArguments::AngleBracketed(inside) if last.ident == "Option" => {
            match inside.args.first() {
                Some(GenericArgument::Type(inner)) if inside.args.len() == 1 => Some(inner),
                _ => None,
            }
        }
        _ => None,
    }
}

/// Returns the first paragraph of a field's documentation, on one line.
fn documentation(field: &syn::Field) -> Option<String> {
    let lines = field.attrs.iter().filter_map(|attribute| {
        let Meta::NameValue(meta) = &attribute.meta else {
            return None;
        };
        match &meta.value {
            Expr::Lit(literal) if meta.path.is_ident("doc") => match &literal.lit {
                Lit::Str(text) => Some(text.value()),
                _ => None,
            },
            _ => None,
        }
    });
    let text = lines.collect::<Vec<_>>().join("\n");
    let lines = text.lines().map(str::trim);
    let paragraph = lines
        .skip_while(|line| line.is_empty())
        .take_while(|line| !line.is_empty());
    let paragraph = paragraph.collect::<Vec<_>>().join(" ");
    let sentence = paragraph.strip_suffix('.').unwrap_or(&paragraph);
    (!sentence.is_empty()).then(|| sentence.to_owned())
}

fn is_variable(name: &str) -> bool {
    !name.starts_with(|c: char| c.is_ascii_digit())
        && !name.is_empty()
        && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
}

/// Refuses two fields of one name, at the second.
pub(crate) fn check_names(fields: &[Field<'_>]) -> Result<()> {
    let mut problems = Problems::default();
    for (at, field) in fields.iter().enumerate() {
        let Shape::Secret(declaration, _) = &field.shape else {
            continue;
        };
        let name = declaration.name.value();
        let before = fields.iter().take(at).find(|before| match &before.shape {
            Shape::Secret(other, _) => other.name.value() == name,
            Shape::Nested(_) => false,
        });
        if let Some(before) = before {
            problems.say(
                &declaration.name,
                format!(
                    "the field `{}` is the secret `{name}` already",
                    before.label
                ),
            );
        }
    }
    problems.finish()
}
