//! What a user of the library compiles: how many crates, and which stay out.

use std::collections::BTreeSet;

use crate::Result;
use crate::command::{cargo, output};

/// The most crates that a user of the default features may have to compile, strongroom included.
const MOST_CRATES: usize = 80;

/// The most crates of the library with the layer for services.
const MOST_CRATES_WITH_TOWER: usize = 96;

/// The most crates of the library with the backends behind a network. A user whose own lock file leaves the
/// names of hosts to `idna`'s usual tables compiles 16 more.
const MOST_CRATES_WITH_BACKENDS: usize = 199;

/// The most crates of the program with everything in it.
const MOST_CRATES_WITH_ALL: usize = 252;

/// What only these features may bring.
const BEHIND_FEATURES: &[(&[&str], &[&str])] = &[
    (&["vault"], &["vaultrs", "rustify", "reqwest"]),
    (
        &["aws", "aws-sso"],
        &[
            "aws-config",
            "aws-runtime",
            "aws-sdk-secretsmanager",
            "aws-sdk-sts",
            "aws-sigv4",
            "aws-smithy-http-client",
            "aws-smithy-runtime",
            "aws-types",
        ],
    ),
    (&["aws-sso"], &["aws-sdk-sso", "aws-sdk-ssooidc"]),
    (&["derive"], &["strongroom-derive"]),
    (&["metrics"], &["metrics"]),
    (&["auth", "tower"], &["governor"]),
    (&["aws", "aws-sso", "vault"], &["hyper", "rustls", "ring"]),
];

/// There is one TLS stack with one provider of cryptography, whatever is switched on.
const ONE_OF_EACH: &[&str] = &["rustls", "ring"];
const NONE_OF: &[&str] = &[
    "aws-lc-rs",
    "aws-lc-sys",
    "boring",
    "native-tls",
    "openssl",
    "openssl-sys",
    "rustls-openssl",
];

pub(crate) fn check(features: &[String]) -> Result<String> {
    let default = tree("--package strongroom")?;
    let backends = tree("--package strongroom --features aws,vault")?;
    let tower = tree("--package strongroom --features tower")?;
    let all = tree("--package strongroom-cli --all-features")?;
    for (behind, brings) in BEHIND_FEATURES {
        let others: Vec<_> = features
            .iter()
            .filter(|other| !behind.contains(&other.as_str()))
            .cloned()
            .collect();
        let without = format!(
            "--package strongroom --no-default-features --features {}",
            others.join(",")
        );
        is_without(&tree(&without)?, brings)
            .map_err(|named| format!("without {behind:?}, {named} is compiled"))?;
    }
    one_provider(&all)?;
    let of = "a user of the default features";
    let default = judge(of, &default, MOST_CRATES)?;
    let tower = judge("the library with `tower`", &tower, MOST_CRATES_WITH_TOWER)?;
    let of = "the library with the backends behind a network";
    let backends = judge(of, &backends, MOST_CRATES_WITH_BACKENDS)?;
    let all = judge("the program with all features", &all, MOST_CRATES_WITH_ALL)?;
    Ok(format!(
        "{default}, with `tower` {tower}, with `aws` and `vault` {backends}, the program with all features {all}"
    ))
}

fn tree(of: &str) -> Result<BTreeSet<String>> {
    let args = format!("tree --locked {of} --edges normal,build --prefix none");
    Ok(compiled(&output(cargo(
        &args.split(' ').collect::<Vec<_>>(),
    ))?))
}

/// Fails with the first of these crates that is there.
fn is_without(crates: &BTreeSet<String>, names: &[&str]) -> Result<()> {
    match crates.iter().find(|found| names.contains(&name(found))) {
        Some(found) => Err(format!("`{found}`")),
        None => Ok(()),
    }
}

fn one_provider(crates: &BTreeSet<String>) -> Result<()> {
    is_without(crates, NONE_OF).map_err(|found| format!("{found} is a second provider for TLS"))?;
    for wanted in ONE_OF_EACH {
        let found: Vec<_> = crates
            .iter()
            .filter(|found| name(found) == *wanted)
            .cloned()
            .collect();
        if found.len() != 1 {
            return Err(format!(
                "one `{wanted}` is wanted, and there are: {}",
                found.join(", ")
            ));
        }
    }
    Ok(())
}

fn name(name_and_version: &str) -> &str {
    name_and_version.split(' ').next().unwrap_or_default()
}

/// Returns each crate of the tree once, as its name and version.
fn compiled(tree: &str) -> BTreeSet<String> {
    let name_and_version = |line: &str| {
        let mut words = line.split_whitespace();
        Some(format!("{} {}", words.next()?, words.next()?))
    };
    tree.lines().filter_map(name_and_version).collect()
}

fn judge(who: &str, crates: &BTreeSet<String>, most: usize) -> Result<String> {
    let count = crates.len();
    if count > most {
        let all = crates.iter().cloned().collect::<Vec<_>>().join(", ");
        return Err(format!(
            "{who} compiles {count} crates, and may compile {most}; put what is new behind a feature: \
             {all}"
        ));
    }
    Ok(format!("{count} crates of at most {most}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_each_crate_once_and_each_version_apart() {
        let tree = "\
strongroom v0.1.0 (/somewhere)
syn v2.0.0
serde_derive v1.0.0 (proc-macro)
syn v2.0.0 (*)
syn v3.0.0

";
        let names: Vec<_> = compiled(tree).into_iter().collect();
        let expected = [
            "serde_derive v1.0.0",
            "strongroom v0.1.0",
            "syn v2.0.0",
            "syn v3.0.0",
        ];
        assert_eq!(names, expected);
    }

    #[test]
    fn eighty_are_enough() {
        let crates = |count| (0..count).map(|n| format!("crate{n} v1.0.0")).collect();
        assert!(judge("a user", &crates(80), 80).is_ok());
        let failure = judge("a user", &crates(81), 80).unwrap_err();
        assert!(
            failure.contains("81 crates") && failure.contains("crate80"),
            "{failure}"
        );
    }

    #[test]
    fn a_second_provider_for_tls_is_found() {
        let crates = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
        assert!(one_provider(&crates(&["ring v0.17.0", "rustls v0.23.0"])).is_ok());
        for tree in [
            &["ring v0.17.0", "rustls v0.23.0", "aws-lc-rs v1.0.0"][..],
            &["ring v0.17.0", "rustls v0.21.0", "rustls v0.23.0"],
            &["ring v0.16.0", "ring v0.17.0", "rustls v0.23.0"],
            &["rustls v0.23.0"],
        ] {
            assert!(one_provider(&crates(tree)).is_err(), "{tree:?}");
        }
    }

    #[test]
    fn a_crate_that_a_feature_should_bring_is_found_without_it() {
        let crates = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
        assert!(is_without(&crates(&["reqwest-like v1.0.0"]), &["reqwest"]).is_ok());
        let failure = is_without(&crates(&["reqwest v0.13.0"]), &["reqwest"]).unwrap_err();
        assert!(failure.contains("reqwest v0.13.0"), "{failure}");
    }
}
