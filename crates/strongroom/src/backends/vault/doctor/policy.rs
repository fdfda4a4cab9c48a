//! The least that Vault must allow us, in its own language.

use std::fmt::Write as _;

use super::{Wanted, joined};
use crate::backends::vault::settings::{KvVersion, Settings};

/// Writes a policy that allows to read exactly the declared secrets, for `vault policy write`.
pub(super) fn write(settings: &Settings, generation: Option<KvVersion>, wanted: &Wanted) -> String {
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
    if wanted.keys().any(|place| place.lent) {
        policy.push_str(
            "# Renewing a lease comes with the policy `default` too. Giving one back at shutdown does\n\
             # not (`update` on sys/leases/revoke); without it a lease ends with its token.\n",
        );
    }
    for (place, names) in wanted {
        let path = place.read_path(settings, generation);
        let names = joined(names);
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

/// Reports whether a policy means this path alone by it: it has marks for others, and templates. A
/// `${` would end the whole policy in an error.
fn is_exact(path: &str) -> bool {
    !path.contains(['*', '+']) && !path.contains("{{") && !path.contains("${")
}

fn escaped(path: &str) -> String {
    path.replace('\\', "\\\\").replace('"', "\\\"")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::backends::Connect;
    use crate::backends::vault::doctor::Place;
    use crate::env::{Deployment, Env};
    use crate::name::SecretName;
    use crate::rails::GuardRails;

    fn written(address: &str, generation: Option<KvVersion>, places: &[(&str, bool)]) -> String {
        let rails = GuardRails::new(Deployment::Development, []);
        let connect = Connect::new(address.parse().unwrap(), Env::empty(), rails);
        let settings = Settings::read(&connect).unwrap();
        let place = |(path, lent): &(&str, bool)| {
            let path = (*path).to_owned();
            (
                Place { path, lent: *lent },
                vec![SecretName::from_static("a/b")],
            )
        };
        write(&settings, generation, &places.iter().map(place).collect())
    }

    fn allowed(policy: &str) -> Vec<&str> {
        let lines = policy.lines();
        lines
            .filter_map(|line| line.strip_prefix("path \"")?.strip_suffix("\" {"))
            .collect()
    }

    #[test]
    fn allows_exactly_the_paths_of_either_generation_and_of_leases() {
        let places = [("eu/a/b", false), ("database/creds/app", true)];
        for (generation, expected) in [
            (Some(KvVersion::V1), "team/kv/eu/a/b"),
            (Some(KvVersion::V2), "team/kv/data/eu/a/b"),
            (None, "team/kv/data/eu/a/b"),
        ] {
            let policy = written("vault://h/?mount=team/kv&prefix=eu", generation, &places);
            assert_eq!(
                allowed(&policy),
                ["database/creds/app", expected],
                "{policy}"
            );
            assert_eq!(policy.contains("could not be asked"), generation.is_none());
            assert!(policy.contains("sys/leases/revoke"));
            assert_eq!(policy.matches("capabilities = [\"read\"]").count(), 2);
        }
        let policy = written("vault://h/?namespace=team/a", Some(KvVersion::V2), &[]);
        assert!(policy.contains("-namespace=team/a") && policy.contains("No secret is declared"));
    }

    #[test]
    fn a_path_with_marks_for_others_is_never_written() {
        for path in ["a/*", "+/a", "a/{{identity.entity.id}}", "a/${b", "a/${b}"] {
            let policy = written("vault://h/", Some(KvVersion::V2), &[(path, false)]);
            assert!(allowed(&policy).is_empty(), "{policy}");
            assert!(policy.contains("not written"), "{policy}");
        }
        let policy = written("vault://h/", Some(KvVersion::V2), &[("a\"b\\c", false)]);
        assert_eq!(allowed(&policy), ["secret/data/a\\\"b\\\\c"]);
    }
}
