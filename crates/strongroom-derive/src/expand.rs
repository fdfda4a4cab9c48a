//! The code that is written.

use proc_macro2::{Span, TokenStream};
use quote::{ToTokens as _, format_ident, quote, quote_spanned};
use syn::spanned::Spanned as _;
use syn::{DeriveInput, Ident, Path, Result, parse_quote};

use crate::attribute::Problems;
use crate::container::{self, Container};
use crate::field::{self, Declaration, Field, Shape};

/// Writes the implementation, or says everything that is wrong.
pub(crate) fn expand(input: &DeriveInput) -> Result<TokenStream> {
    let mut problems = Problems::default();
    let container = Container::read(&input.attrs, &mut problems);
    let named = match container::fields(input) {
        Ok(named) => named,
        Err(error) => {
            problems.push(error);
            return problems.finish().map(|()| TokenStream::new());
        }
    };
    let fields: Vec<Field<'_>> = named
        .named
        .iter()
        .filter_map(|field| Field::read(field, &container, &mut problems))
        .collect();
    problems.keep(field::check_names(&fields));
    problems.finish()?;

    let krate: Path = container
        .krate
        .unwrap_or_else(|| parse_quote!(::strongroom));
    let name = &input.ident;
    let type_name = name.to_string();
    let declared = fields
        .iter()
        .map(|field| declare(&krate, &type_name, field));
    let locals: Vec<Ident> = (0..fields.len())
        .map(|at| format_ident!("field_{at}", span = Span::mixed_site()))
        .collect();
    let takes = fields.iter().map(take);
    let idents = fields.iter().map(|field| field.ident);
    Ok(quote! {
        #[automatically_derived]
        impl #krate::FromSecrets for #name {
            fn declared() -> ::std::vec::Vec<#krate::Declared> {
                let mut declared = ::std::vec::Vec::new();
                #(#declared)*
                declared
            }

            fn from_secrets(found: &#krate::Loaded<'_>) -> #krate::Result<Self> {
                let mut fields = #krate::__private::Fields::of(#type_name, found);
                #(let #locals = #takes;)*
                let built = (move || {
                    ::std::option::Option::Some(Self { #(#idents: #locals?),* })
                })();
                fields.finish(built)
            }
        }
    })
}

fn declare(krate: &Path, type_name: &str, field: &Field<'_>) -> TokenStream {
    let needed_by = format!("{type_name}.{}", field.label);
    let (declaration, optional) = match &field.shape {
        Shape::Secret(declaration, _) => (declaration, field.optional),
        Shape::Nested(folder) => {
            let (inner, optional) = (field.inner, field.optional);
            return quote_spanned! {inner.span()=>
                #krate::__private::declare_nested::<#inner>(&mut declared, #needed_by, #folder, #optional);
            };
        }
    };
    let Declaration {
        name,
        kind,
        description,
        env,
        encoding,
        min_length,
        length,
        rotate_after,
    } = &**declaration;
    let kind = variant(kind);
    let description = description.iter();
    let env = env.iter();
    let encoding = encoding.iter().map(|word| variant(word));
    let min_length = min_length.iter();
    let length = length.iter();
    let rotate_after = rotate_after
        .iter()
        .map(|age| (age.as_secs(), age.subsec_nanos()))
        .map(|(seconds, nanos)| quote!(::std::time::Duration::new(#seconds, #nanos)));
    let optional = optional.then(|| quote!(.optional()));
    quote! {
        declared.push({
            const NAME: #krate::SecretName = #krate::SecretName::from_static(#name);
            #krate::Declared::new(NAME, #krate::Kind::#kind)
                .with_needed_by(#needed_by)
                #optional
                #(.with_description(#description))*
                #(.with_variable(#env))*
                #(.with_encoding(#krate::Encoding::#encoding))*
                #(.with_min_length(#min_length))*
                #(.with_length(#length))*
                #(.with_rotate_after(#rotate_after))*
        });
    }
}

fn take(field: &Field<'_>) -> TokenStream {
    let (label, inner) = (&field.label, field.inner);
    // What the type can't do is shown at the type.
    let call = |method: &str| {
        let method = Ident::new(method, inner.span());
        quote_spanned!(inner.span()=> fields.#method::<#inner>)
    };
    let arguments = match &field.shape {
        Shape::Nested(folder) => quote!((#label, #folder)),
        Shape::Secret(declaration, parse) => {
            let name = &declaration.name;
            match parse {
                true => {
                    let type_name = shown(inner);
                    quote!((#label, #name, #type_name))
                }
                false => quote!((#label, #name)),
            }
        }
    };
    let call = call(match (&field.shape, field.optional) {
        (Shape::Nested(_), false) => "nested",
        (Shape::Nested(_), true) => "nested_optional",
        (Shape::Secret(_, true), false) => "parsed",
        (Shape::Secret(_, true), true) => "parsed_optional",
        (Shape::Secret(_, false), false) => "required",
        (Shape::Secret(_, false), true) => "optional",
    });
    quote!(#call #arguments)
}

/// Shows a type as a person writes it.
pub(crate) fn shown(ty: &syn::Type) -> String {
    let text = ty.to_token_stream().to_string();
    text.replace(" :: ", "::")
        .replace(" < ", "<")
        .replace(" >", ">")
        .replace(" ,", ",")
}

/// The variant of an enum whose word this is.
fn variant(word: &str) -> Ident {
    let name = match word {
        "base64url" => "Base64Url".to_owned(),
        word => {
            let mut letters = word.chars();
            let first = letters.next().into_iter();
            first.flat_map(char::to_uppercase).chain(letters).collect()
        }
    };
    Ident::new(&name, Span::call_site())
}
