use std::collections::BTreeMap;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use super::content::{Content, Kept, Origin, Place};
use super::{LONGEST, check_age, in_minutes};
use crate::{Declared, Encoding, ErrorKind, Kind, Metadata, Secret, SecretName, Source, Version};

fn content(kept: impl IntoIterator<Item = (&'static str, Option<Secret>)>) -> Content {
    let kept = kept.into_iter().map(|(name, value)| {
        let name: SecretName = name.parse().unwrap();
        let place = Place::of(&Declared::new(name.clone(), Kind::Opaque));
        (name, Kept { place, value })
    });
    Content {
        origin: Origin {
            deployment: "production".to_owned(),
            profile: "production".to_owned(),
            providers: BTreeMap::from([(String::new(), "memory:".to_owned())]),
        },
        taken: UNIX_EPOCH + Duration::from_secs(1_800_000_000),
        kept: kept.collect(),
    }
}

#[test]
fn what_is_kept_comes_back() {
    let created = UNIX_EPOCH + Duration::from_secs(1_700_000_000);
    let known = Metadata::new()
        .with_version(Version::new("v \"7\" é"))
        .with_created(created);
    let written = content([
        (
            "text",
            Some(Secret::from_text("a text").with_metadata(known)),
        ),
        // Valid UTF-8, and still bytes.
        ("db#key", Some(Secret::from_bytes(b"bytes".to_vec()))),
        ("binary", Some(Secret::from_bytes(vec![0xff, 0, 0xfe]))),
        ("empty", Some(Secret::from_text(""))),
        ("none", None),
    ]);
    let read = Content::from_entries(&written.to_entries().unwrap()).unwrap();
    assert_eq!(read.origin, written.origin);
    assert_eq!(read.taken, written.taken);
    assert_eq!(read.kept.len(), 5);
    for (name, kept) in &written.kept {
        let back = &read.kept[name];
        assert_eq!(back.place, kept.place);
        let (Some(value), Some(before)) = (&back.value, &kept.value) else {
            assert!(back.value.is_none() && kept.value.is_none(), "{name}");
            continue;
        };
        assert_eq!(value.expose_bytes(), before.expose_bytes(), "{name}");
        assert_eq!(value.is_text(), before.is_text(), "{name}");
        let metadata = value.metadata();
        assert_eq!(metadata.source(), Source::Snapshot);
        assert_eq!(metadata.name(), Some(name));
        assert_eq!(metadata.fetched_at(), written.taken);
        assert_eq!(metadata.version(), before.metadata().version());
        assert_eq!(metadata.created(), before.metadata().created());
    }
}

#[test]
fn another_form_is_refused_and_never_quoted() {
    let whole = content([("a", Some(Secret::from_text("value")))]);
    let whole = whole.to_entries().unwrap();
    let other = |entry: &str, text: Option<&str>| {
        let mut entries = whole.clone();
        match text {
            Some(text) => entries.insert(entry.to_owned(), Secret::from_text(text)),
            None => entries.remove(entry),
        };
        Content::from_entries(&entries).unwrap_err()
    };
    let newer = whole["about"]
        .expose_str()
        .unwrap()
        .replace("\"format\":1", "\"format\":2");
    for error in [
        other("about", None),
        other("about", Some("canary")),
        other("about", Some(&newer)),
        other(
            "about",
            Some(&newer.replace("1800000000", &u64::MAX.to_string())),
        ),
        other("secrets/0/known", Some("{\"canary\":")),
        other("secrets/0/known", Some("{}")),
    ] {
        assert_eq!(error.kind(), ErrorKind::Malformed);
        assert!(!format!("{error:?}").contains("canary"));
    }
}

#[test]
fn another_source_or_encoding_is_another_place() {
    let declared = |source: Option<&str>, encoding| {
        let mut declared = Declared::new(SecretName::from_static("a"), Kind::Opaque);
        declared.source = source.map(|id| crate::DeclaredSource::of_id(id, None));
        Place::of(&declared.with_encoding(encoding))
    };
    let places = [
        declared(None, Encoding::Text),
        declared(None, Encoding::Hex),
        declared(Some("one"), Encoding::Text),
        declared(Some("two"), Encoding::Text),
    ];
    for (at, place) in places.iter().enumerate() {
        assert_eq!(
            places.iter().filter(|other| *other == place).count(),
            1,
            "{at}"
        );
    }
}

#[test]
fn a_snapshot_has_an_age_within_bounds() {
    let now = UNIX_EPOCH + Duration::from_secs(1_800_000_000);
    let check = |taken: SystemTime| check_age(taken, LONGEST, now).map_err(|e| e.kind());
    let second = Duration::from_secs(1);
    assert_eq!(check(now), Ok(()));
    assert_eq!(check(now - LONGEST + second), Ok(()));
    assert_eq!(check(now - LONGEST), Err(ErrorKind::Stale));
    assert_eq!(check(UNIX_EPOCH), Err(ErrorKind::Stale));
    assert_eq!(check(now + 60 * second), Ok(()));
    assert_eq!(check(now + 61 * second), Err(ErrorKind::Config));
    let error = check_age(now + LONGEST, LONGEST, now).unwrap_err();
    assert!(
        error.to_string().contains("the clock or the file is wrong"),
        "{error}"
    );
}

#[test]
fn people_are_told_whole_minutes() {
    let shown = |seconds| in_minutes(Duration::from_secs(seconds)).to_string();
    assert_eq!(
        ["0s", "59s", "1m", "1h 1m"],
        [shown(0), shown(59), shown(119), shown(3719)].map(|s| s)
    );
}
