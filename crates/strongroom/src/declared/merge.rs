//! One declaration of a secret from those of the manifest and of types.

use super::{Declared, Encoding, Kind};
use crate::name::SecretName;
use crate::report::Finding;

/// Adds further declarations to those that are known, and returns what contradicts.
///
/// What is known, the manifest for example, says where a secret is and may tighten what is asked of it;
/// nothing loosens. [`Kind::Opaque`] and [`Encoding::Text`], which stand where nothing is said, yield
/// to another kind and encoding. `place` says where the known declaration of a name stands.
pub(crate) fn merge(
    known: &mut Vec<Declared>,
    further: &[Declared],
    place: impl Fn(&SecretName, &'static str) -> Option<String>,
) -> Vec<Finding> {
    let mut contradictions = Vec::new();
    for further in further {
        let Some(known) = known.iter_mut().find(|known| known.name == further.name) else {
            known.push(further.clone());
            continue;
        };
        let place = |key| place(&known.name, key).unwrap_or_else(|| by(known));
        contradictions.extend(contradiction(known, further, place));
        join(known, further);
    }
    contradictions
}

/// Takes from `further` what `known` leaves open, and what is stricter.
fn join(known: &mut Declared, further: &Declared) {
    if known.kind == Kind::Opaque {
        known.kind = further.kind;
    }
    if known.encoding == Encoding::Text {
        known.encoding = further.encoding;
    }
    known.required |= further.required;
    known.min_length = known.min_length.max(further.min_length);
    known.length = known.length.or(further.length);
    known.rotate_after = match (known.rotate_after, further.rotate_after) {
        (Some(one), Some(other)) => Some(one.min(other)),
        (one, other) => one.or(other),
    };
    fill(&mut known.description, &further.description);
    fill(&mut known.variable, &further.variable);
    fill(&mut known.default, &further.default);
    fill(&mut known.source, &further.source);
    known.needed_by = match (known.needed_by.take(), &further.needed_by) {
        (Some(one), Some(other)) if one != *other => Some(format!("{one}, {other}")),
        (one, other) => one.or_else(|| other.clone()),
    };
}

fn fill<T: Clone>(known: &mut Option<T>, further: &Option<T>) {
    if known.is_none() {
        known.clone_from(further);
    }
}

/// Finds what both say, and say differently.
fn contradiction(
    known: &Declared,
    further: &Declared,
    place: impl Fn(&'static str) -> String,
) -> Option<Finding> {
    let (key, one, other) = differing(known, further)?;
    let message = format!(
        "its `{key}` is {one} in {} and {other} in {}",
        place(key),
        by(further)
    );
    let help = "say the same in both places, or leave it to one of them";
    Some(Finding::violation(
        Some(&known.name),
        "contradiction",
        message,
        help,
    ))
}

/// Finds the key of which both say something, and not the same, and what each says.
fn differing(known: &Declared, further: &Declared) -> Option<(&'static str, String, String)> {
    let kinds = [known.kind, further.kind];
    if known.kind != further.kind && !kinds.contains(&Kind::Opaque) {
        return Some(("kind", known.kind.to_string(), further.kind.to_string()));
    }
    let (one, other) = (known.encoding, further.encoding);
    if one != other && ![one, other].contains(&Encoding::Text) {
        return Some(("encoding", one.to_string(), other.to_string()));
    }
    match (known.length, further.length) {
        (Some(one), Some(other)) if one != other => {
            Some(("length", one.to_string(), other.to_string()))
        }
        _ => None,
    }
}

/// Says who declared it, where that was not the manifest.
fn by(declared: &Declared) -> String {
    match &declared.needed_by {
        Some(field) => format!("`{field}`"),
        None => "what the program declares".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::declared::DeclaredSource;

    const NAME: SecretName = SecretName::from_static("api/token");

    fn merged(one: Declared, other: Declared) -> (Declared, Vec<Finding>) {
        let mut known = vec![one];
        let findings = merge(&mut known, &[other], |_, key| Some(format!("a.toml:{key}")));
        assert_eq!(known.len(), 1);
        (known.remove(0), findings)
    }

    #[test]
    fn the_stricter_of_both_holds() {
        let days = |days: u64| Duration::from_secs(days * 86_400);
        let manifest = Declared::new(NAME, Kind::Token)
            .optional()
            .with_min_length(40)
            .with_rotate_after(days(90));
        let own = Declared::new(NAME, Kind::Token)
            .with_min_length(36)
            .with_rotate_after(days(30));
        for (one, other) in [(manifest.clone(), own.clone()), (own, manifest)] {
            let (both, findings) = merged(one, other);
            assert!(findings.is_empty());
            assert!(both.required);
            assert_eq!(both.min_length, Some(40));
            assert_eq!(both.rotate_after, Some(days(30)));
        }
    }

    #[test]
    fn the_manifest_says_where_it_is() {
        let source = DeclaredSource::of_id("rds!db-1", None);
        let manifest = Declared::new(NAME, Kind::Token)
            .with_variable("THEIRS")
            .with_source(source.clone());
        let own = Declared::new(NAME, Kind::Token)
            .with_variable("OURS")
            .with_description("the partner")
            .with_source(DeclaredSource::of_name(SecretName::from_static("other")))
            .with_needed_by("App.token");
        let (both, _) = merged(manifest, own);
        assert_eq!(both.variable.as_deref(), Some("THEIRS"));
        assert_eq!(both.source, Some(source));
        assert_eq!(both.description.as_deref(), Some("the partner"));
        assert_eq!(both.needed_by.as_deref(), Some("App.token"));
    }

    #[test]
    fn what_says_nothing_yields() {
        let manifest = Declared::new(NAME, Kind::Opaque);
        let own = Declared::new(NAME, Kind::Key).with_encoding(Encoding::Hex);
        for (one, other) in [(manifest.clone(), own.clone()), (own, manifest)] {
            let (both, findings) = merged(one, other);
            assert!(findings.is_empty());
            assert_eq!((both.kind, both.encoding), (Kind::Key, Encoding::Hex));
        }
    }

    #[test]
    fn a_contradiction_names_both_places() {
        let own = Declared::new(NAME, Kind::Password).with_needed_by("App.token");
        let (_, findings) = merged(Declared::new(NAME, Kind::Token), own);
        assert_eq!(
            findings[0].message,
            "its `kind` is token in a.toml:kind and password in `App.token`"
        );
        let key = |length| Declared::new(NAME, Kind::Key).with_length(length);
        let (_, findings) = merged(key(32), key(64));
        assert_eq!(
            findings[0].message,
            "its `length` is 32 in a.toml:length and 64 in what the program declares"
        );
        let key = |encoding| Declared::new(NAME, Kind::Key).with_encoding(encoding);
        let (_, findings) = merged(key(Encoding::Hex), key(Encoding::Base64));
        assert_eq!(
            findings[0].message,
            "its `encoding` is hex in a.toml:encoding and base64 in what the program declares"
        );
    }
}
