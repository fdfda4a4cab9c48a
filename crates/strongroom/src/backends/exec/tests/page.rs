//! The requests on the page are ours, and its answers are ones that we take.

use std::time::Duration;

use serde_json::Value;
use zeroize::Zeroizing;

use super::super::introduction::{Introduction, Operation};
use super::super::object::Problem;
use super::super::{answer, request};
use super::*;
use crate::provider::{Expect, Stage};
use crate::secret::Version;

/// The blocks of JSON on the page, in their order.
fn blocks() -> Vec<String> {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/write-a-backend.md");
    let page = fs::read_to_string(page).unwrap();
    let mut blocks = Vec::new();
    let mut rest = page.as_str();
    while let Some((_, behind)) = rest.split_once("```json\n") {
        let (block, after) = behind.split_once("```").unwrap();
        blocks.push(block.to_owned());
        rest = after;
    }
    blocks
}

#[test]
fn what_the_page_shows_is_what_is_asked_and_taken() {
    const CONFIG: Option<&str> = Some("/srv/store.json");
    let target = |name| Target::new(SecretName::from_static(name));
    let password = || target("database/password");
    let v = Version::new;
    let wanted = [
        Request::new(password()).with_known(v("v7")),
        Request::new(target("database#user")),
        Request::new(target("api/token").with_id("vendor-42", Some("token".to_owned())))
            .with_stage(Stage::Exact(v("v2"))),
        Request::new(target("session/key")).with_stage(Stage::Previous),
    ];
    let wanted: Vec<_> = wanted.iter().collect();
    let put = Put::new(password(), Secret::from_text("a \"value\""))
        .with_expect(Expect::Version(v("v7")))
        .with_overlap(Duration::from_secs(3600));

    type Read<'a> = Box<dyn Fn(Zeroizing<Vec<u8>>) -> std::result::Result<(), Problem> + 'a>;
    let rounds: Vec<(Zeroizing<Vec<u8>>, Read<'_>)> = vec![
        (
            request::plain(Operation::Describe, CONFIG),
            Box::new(|text| Introduction::read(text).map(drop)),
        ),
        (
            request::fetch(&wanted, CONFIG),
            Box::new(|text| {
                let replies = answer::replies(text, &wanted)?;
                assert!(matches!(replies[0], Ok(Reply::Unchanged)));
                assert!(replies[3].is_err());
                Ok(())
            }),
        ),
        (
            request::put(&put, CONFIG).unwrap(),
            Box::new(|text| {
                assert_eq!(answer::written(text)?, Some(v("v8")));
                Ok(())
            }),
        ),
        (
            request::delete(&password(), &Expect::Any, CONFIG),
            Box::new(answer::done),
        ),
        (
            request::list("data", CONFIG),
            Box::new(|text| answer::names(text, "data").map(drop)),
        ),
        (
            request::plain(Operation::Health, CONFIG),
            Box::new(|text| answer::degraded(text).map(drop)),
        ),
        (
            request::about(Operation::Versions, &password(), None, CONFIG),
            Box::new(|text| answer::history(text).map(drop)),
        ),
        (
            request::about(Operation::Promote, &password(), Some(&v("v8")), CONFIG),
            Box::new(answer::done),
        ),
    ];
    let blocks = blocks();
    let (last, pairs) = blocks.split_last().unwrap();
    assert_eq!(pairs.len(), 2 * rounds.len());
    for (pair, (asked, read)) in pairs.chunks(2).zip(rounds) {
        let shown: Value = serde_json::from_str(&pair[0]).unwrap();
        assert_eq!(serde_json::from_slice::<Value>(&asked).unwrap(), shown);
        let taken = read(Zeroizing::new(pair[1].clone().into_bytes()));
        assert!(taken.is_ok(), "{taken:?}: {}", pair[1]);
    }
    let told = answer::done(Zeroizing::new(last.clone().into_bytes()));
    let expected = Problem::Told {
        kind: ErrorKind::Transient,
        retry_after: Some(Duration::from_millis(2500)),
        no_effect: true,
    };
    assert_eq!(told, Err(expected));
}
