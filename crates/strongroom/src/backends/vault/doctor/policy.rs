//! The least that Vault must allow us, in its own language.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use super::{Wanted, read_path};
use crate::backends::vault::settings::{KvVersion, Settings};

/// The declared names by the path that holds them.
pub(super) fn by_path(wanted: &[Wanted]) -> BTreeMap<&str, Vec<&str>> {
    let mut places: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for wanted in wanted {
        let names = places.entry(&wanted.place.path).or_default();
        names.push(wanted.name.as_str());
    }
    places
}

/// Writes a policy that allows to read exactly the declared secrets, for `vault policy write`.
pub(super) fn write(
    settings: &Settings,
    generation: Option<KvVersion>,
    wanted: &[Wanted],
) -> String {
    let mount = &settings.mount;
    let mut policy = format!(
        "# The least that Vault must allow for the declared secrets: reading exactly their paths.\n\
         # A token's own lookup, renewal and revocation, and the question for the version of the\n\
         # mount (sys/internal/ui/mounts/{mount}), need nothing here: the policy `default` and any\n\
         # right within the mount bring them.\n"
    );
    if let Some(namespace) = &settings.namespace {
        let line = "# Write it in the namespace that the secrets are in:";
        let _ = writeln!(policy, "{line} `-namespace={namespace}`.");
    }
    if generation.is_none() {
        policy.push_str(
            "# The version of the mount could not be asked: these are the paths of version 2. For\n\
             # version 1, say so by `kv=1` in the address, and have this written again.\n",
        );
    }
    if wanted.is_empty() {
        policy.push_str("# No secret is declared, so nothing is allowed.\n");
    }
    let generation = generation.unwrap_or(KvVersion::V2);
    for (place, names) in by_path(wanted) {
        let path = read_path(settings, generation, place);
        let names = names.join(", ");
        let _ = match is_exact(&path) {
            true => write!(
                policy,
                "\n# {names}\npath \"{}\" {{\n  capabilities = [\"read\"]\n}}\n",
                escaped(&path)
            ),
            false => writeln!(
                policy,
                "\n# {names}: not written, since a policy can't mean exactly this path:\n# {path}"
            ),
        };
    }
    policy
}

/// Reports whether a policy means this path alone by it: it has marks for others, and templates.
fn is_exact(path: &str) -> bool {
    !path.contains(['*', '+']) && !path.contains("{{")
}

fn escaped(path: &str) -> String {
    path.replace('\\', "\\\\").replace('"', "\\\"")
}
