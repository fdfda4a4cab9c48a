//! What `#[secret(…)]` says of the struct.

use syn::spanned::Spanned;
use syn::{Attribute, Data, DeriveInput, Error, Fields, FieldsNamed, Path, Result};

use crate::attribute::{self, Problems};
use crate::name;

const KNOWN: [&str; 3] = ["prefix", "rename_all", "crate"];

/// The settings of the struct.
#[derive(Default)]
pub(crate) struct Container {
    pub(crate) prefix: String,
    pub(crate) rename_all: String,
    pub(crate) krate: Option<Path>,
}

impl Container {
    pub(crate) fn read(attributes: &[Attribute], problems: &mut Problems) -> Self {
        let mut container = Self::default();
        attribute::each(attributes, problems, |key, meta, problems| {
            match key {
                "prefix" => {
                    let literal = attribute::text(meta)?;
                    container.prefix = literal.value();
                    if let Some(problem) = name::prefix_problem(&container.prefix) {
                        problems.say(&literal, problem);
                    }
                }
                "rename_all" => {
                    let literal = attribute::text(meta)?;
                    let word = attribute::one_of(&literal, "convention", &name::CONVENTIONS);
                    container.rename_all = problems.keep(word).unwrap_or_default();
                }
                "crate" => {
                    let literal = attribute::text(meta)?;
                    container.krate = Some(literal.parse().map_err(|_| {
                        Error::new(literal.span(), "not the path of a crate or module")
                    })?);
                }
                _ => return Err(attribute::unknown(key, meta, &KNOWN)),
            }
            Ok(())
        });
        container
    }
}

/// Returns the named fields of a struct that is not generic.
pub(crate) fn fields(input: &DeriveInput) -> Result<&FieldsNamed> {
    if !input.generics.params.is_empty() {
        let message = "FromSecrets can't be derived for a type with parameters: what it needs would \
                       depend on them";
        return Err(Error::new(input.generics.span(), message));
    }
    let message = match &input.data {
        Data::Struct(data) => match &data.fields {
            Fields::Named(fields) if !fields.named.is_empty() => return Ok(fields),
            Fields::Named(_) | Fields::Unit => "a struct without fields needs no secrets",
            Fields::Unnamed(_) => {
                "FromSecrets is derived for a struct with named fields: a secret is named after its field"
            }
        },
        Data::Enum(_) => {
            "FromSecrets is derived for a struct with named fields: nothing says which variant of an enum \
             is meant"
        }
        Data::Union(_) => "FromSecrets is derived for a struct with named fields",
    };
    Err(Error::new(input.ident.span(), message))
}
