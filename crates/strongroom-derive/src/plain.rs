//! Types that would hold a secret as plain text.

use syn::{Error, GenericArgument, Ident, PathArguments, PathSegment, Type};

use crate::expand::shown;

const TEXTS: [&str; 3] = ["String", "PathBuf", "OsString"];
const POINTERS: [&str; 4] = ["Box", "Arc", "Rc", "Cow"];

/// Refuses to parse a secret into text, which is no parsing: it only takes the protection away.
pub(crate) fn refusal(ty: &Type) -> Option<Error> {
    let segment = last(ty)?;
    let text = is_one_of(&segment.ident, &TEXTS);
    let pointer = is_one_of(&segment.ident, &POINTERS) && holds_str(segment);
    if !text && !pointer {
        return None;
    }
    let shown = shown(ty);
    let message = format!(
        "`{shown}` is plain text, which is printed by `Debug` and not wiped from memory: hold the secret as \
         `Secret` or `secrecy::SecretString`, without `parse`"
    );
    Some(Error::new_spanned(ty, message))
}

fn last(ty: &Type) -> Option<&PathSegment> {
    match ty {
        Type::Path(path) => path.path.segments.last(),
        _ => None,
    }
}

fn is_one_of(ident: &Ident, names: &[&str]) -> bool {
    names.iter().any(|name| ident == name)
}

fn holds_str(pointer: &PathSegment) -> bool {
    let PathArguments::AngleBracketed(inside) = &pointer.arguments else {
        return false;
    };
    inside.args.iter().any(|argument| match argument {
        GenericArgument::Type(ty) => last(ty).is_some_and(|last| last.ident == "str"),
        _ => false,
    })
}
