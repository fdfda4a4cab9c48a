use std::time::Duration;

use super::*;
use crate::live::{Live, Terms};
use crate::logged::Log;
use crate::secret::Metadata;
use crate::{Declared, Env, Kind, Memory, Operation, SecretsFactory, generate};

const NAME: SecretName = SecretName::from_static("api/token");
const MONDAY: &str = "canary-monday-8Kd2.xw~Qz+0/Lm==";
const TUESDAY: &str = "canary-tuesday-3jB7.ty~Rp+1/No==";
const CLIENT: ClientKey = ClientKey::UNKNOWN;

/// A value as it comes out of a boot, strong and named.
fn strong(text: &str) -> Secret {
    let mut metadata = Metadata::new().with_name(&NAME);
    metadata.set_strong(true);
    Secret::from_text(text).with_metadata(metadata)
}

fn fixed(text: &str) -> BearerVerifier {
    BearerVerifier::new(Live::fixed(strong(text))).unwrap()
}

fn bearer(token: &str) -> String {
    format!("Bearer {token}")
}

fn ask(verifier: &BearerVerifier, token: &str) -> Result<Matched, Refusal> {
    let verified = verifier.verify(CLIENT, [bearer(token)]);
    verified.map(|verified| verified.matched())
}

fn limited(tokens: Vec<LiveSecret>, burst: u32, clock: Clock) -> BearerVerifier {
    let limit = FailureLimit::new(burst, Duration::from_secs(10)).unwrap();
    BearerVerifier::of(tokens, limit, clock)
}

#[test]
fn only_the_token_in_force_opens() {
    let verifier = fixed(MONDAY);
    let verified = verifier.verify(CLIENT, [bearer(MONDAY)]).unwrap();
    assert_eq!(verified.matched(), Matched::Current);
    assert_eq!(verified.secret(), Some(&NAME));
    assert_eq!(verified.fingerprint(), strong(MONDAY).fingerprint());
    let near = format!("{MONDAY}=");
    for token in [TUESDAY, &near, "canary-monday", "x"] {
        assert_eq!(ask(&verifier, token), Err(Refusal::Invalid), "{token}");
    }
    for header in [
        "Bearer",
        "Bearer ",
        "Bearer a b",
        "\tBearer a",
        &bearer("ä"),
    ] {
        let refusal = verifier.verify(ClientKey::named("other"), [header]);
        assert_eq!(refusal.unwrap_err(), Refusal::Invalid, "{header}");
    }
}

#[test]
fn a_repeated_header_is_refused_though_both_are_right() {
    let verifier = fixed(MONDAY);
    let twice = [bearer(MONDAY), bearer(MONDAY)];
    assert_eq!(
        verifier.verify(CLIENT, twice).unwrap_err(),
        Refusal::Invalid
    );
    let beside = [bearer(MONDAY), "Basic b9Xk".to_owned()];
    assert_eq!(
        verifier.verify(CLIENT, beside).unwrap_err(),
        Refusal::Invalid
    );
}

#[test]
fn the_former_token_counts_while_it_overlaps() {
    let (publisher, live) = Live::channel(strong(MONDAY));
    let verifier = BearerVerifier::new(live).unwrap();
    publisher.publish_with_overlap(strong(TUESDAY), Duration::from_secs(3600));
    assert_eq!(ask(&verifier, TUESDAY), Ok(Matched::Current));
    let verified = verifier.verify(CLIENT, [bearer(MONDAY)]).unwrap();
    assert_eq!(verified.matched(), Matched::Previous);
    // The fingerprint tells which value was used, not which is in force.
    assert_eq!(verified.fingerprint(), strong(MONDAY).fingerprint());
    publisher.publish(strong(TUESDAY));
    assert_eq!(ask(&verifier, MONDAY), Err(Refusal::Invalid));
    // The same value twice is the current one.
    publisher.publish_with_overlap(strong(TUESDAY), Duration::from_secs(3600));
    assert_eq!(ask(&verifier, TUESDAY), Ok(Matched::Current));
}

#[test]
fn any_of_several_tokens_opens_and_says_which() {
    let other = SecretName::from_static("partner/token");
    let second = Metadata::new().with_name(&other);
    let second = Live::fixed(Secret::from_text(TUESDAY).with_metadata(second));
    let tokens = [Live::fixed(strong(MONDAY)), second];
    let verifier = BearerVerifier::with_limit(tokens, FailureLimit::default()).unwrap();
    for (token, name) in [(MONDAY, &NAME), (TUESDAY, &other)] {
        let verified = verifier.verify(CLIENT, [bearer(token)]).unwrap();
        assert_eq!(verified.secret(), Some(name));
    }
    assert_eq!(ask(&verifier, "neither"), Err(Refusal::Invalid));
}

#[test]
fn what_no_header_can_carry_is_refused_at_once() {
    let new = |text: &str| BearerVerifier::new(Live::fixed(strong(text)));
    for bad in [
        "",
        "canary with blanks",
        "canary!",
        "=",
        "can=ary",
        &"a".repeat(8193),
    ] {
        let error = new(bad).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Policy);
        assert!(!format!("{error:?}").contains("canary"), "{error:?}");
    }
    new(&"a".repeat(8192)).unwrap();
    let none = BearerVerifier::with_limit([], FailureLimit::default());
    assert_eq!(none.unwrap_err().kind(), ErrorKind::Config);
}

#[test]
fn an_empty_value_opens_nothing() {
    let (publisher, live) = Live::channel(strong(MONDAY));
    let verifier = BearerVerifier::new(live).unwrap();
    publisher.publish(Secret::from_text(""));
    for header in ["Bearer ", "Bearer =", "Bearer", "Bearer a"] {
        let refusal = verifier.verify(CLIENT, [header]).unwrap_err();
        assert_eq!(refusal, Refusal::Invalid, "{header}");
    }
    assert_eq!(verifier.verify(CLIENT, [""]).unwrap_err(), Refusal::Missing);
}

#[test]
fn failures_are_limited_for_each_client_and_the_right_token_waits_too() {
    let clock = Clock::manual();
    let verifier = limited(vec![Live::fixed(strong(MONDAY))], 3, clock.clone());
    let wait = |seconds| Refusal::Limited {
        retry_after: Duration::from_secs(seconds),
    };
    for _ in 0..100 {
        ask(&verifier, MONDAY).unwrap();
        // Nothing was guessed.
        assert_eq!(
            verifier.verify(CLIENT, [""; 0]).unwrap_err(),
            Refusal::Missing
        );
        let basic = verifier.verify(CLIENT, ["Basic b9Xk"]);
        assert_eq!(basic.unwrap_err(), Refusal::Missing);
    }
    assert_eq!(ask(&verifier, "guess"), Err(Refusal::Invalid));
    let malformed = verifier.verify(CLIENT, ["Bearer a b"]);
    assert_eq!(malformed.unwrap_err(), Refusal::Invalid);
    let long = verifier.verify(CLIENT, [bearer(&"a".repeat(9_000))]);
    assert_eq!(long.unwrap_err(), Refusal::Invalid);
    for token in [MONDAY, "guess"] {
        assert_eq!(ask(&verifier, token), Err(wait(10)), "{token}");
    }
    let other = verifier.verify(ClientKey::named("other"), [bearer(MONDAY)]);
    assert_eq!(other.unwrap().matched(), Matched::Current);
    let clone = verifier.clone();
    clock.advance(4);
    assert_eq!(ask(&clone, MONDAY), Err(wait(6)));
    clock.advance(6);
    assert_eq!(ask(&clone, MONDAY), Ok(Matched::Current));
    assert_eq!(ask(&clone, "guess"), Err(Refusal::Invalid));
    assert_eq!(ask(&verifier, MONDAY), Err(wait(10)));
}

#[test]
fn what_cannot_be_handed_out_is_unavailable_and_no_failure() {
    let clock = Clock::manual();
    let terms = Terms {
        until: clock.after(Duration::from_secs(60)),
        fresh: clock.after(Duration::from_secs(30)),
    };
    let (publisher, live) = Live::with_terms(strong(MONDAY), terms, clock.clone());
    let verifier = limited(vec![live.clone()], 3, clock.clone());
    publisher.publish_on(strong(TUESDAY), terms, Duration::from_secs(3600));
    assert_eq!(ask(&verifier, TUESDAY), Ok(Matched::Current));
    clock.advance(60);
    // Past the bound of staleness the former value is no way in either.
    for token in [TUESDAY, MONDAY, "guess", "guess", "guess", "guess"] {
        assert_eq!(ask(&verifier, token), Err(Refusal::Unavailable), "{token}");
    }
    assert!(BearerVerifier::new(live).is_err());
    publisher.publish(strong(TUESDAY));
    assert_eq!(ask(&verifier, TUESDAY), Ok(Matched::Current));
    publisher.withdraw(ErrorKind::Absent);
    assert_eq!(ask(&verifier, TUESDAY), Err(Refusal::Unavailable));
    publisher.publish(strong(TUESDAY));
    publisher.close();
    assert_eq!(ask(&verifier, TUESDAY), Err(Refusal::Unavailable));
}

#[test]
fn one_of_several_that_is_gone_hides_no_other() {
    let (publisher, gone) = Live::channel(strong(MONDAY));
    let here = Live::fixed(strong(TUESDAY));
    let verifier = limited(vec![gone, here], 3, Clock::manual());
    publisher.withdraw(ErrorKind::Denied);
    assert_eq!(ask(&verifier, TUESDAY), Ok(Matched::Current));
    // It may have been the one that is gone.
    assert_eq!(ask(&verifier, MONDAY), Err(Refusal::Unavailable));
}

#[tokio::test(start_paused = true)]
async fn a_wrong_guess_reads_nothing_from_the_backend() {
    let declared = Declared::new(NAME, Kind::Token);
    let token = generate(&declared).unwrap();
    let memory = Memory::new();
    memory.set(NAME.as_str(), token.clone());
    let secrets = SecretsFactory::builder()
        .env(Env::empty())
        .provider(memory.clone())
        .declare([declared])
        .detect()
        .await
        .unwrap();
    let verifier = BearerVerifier::new(secrets.watch(NAME).await.unwrap()).unwrap();
    // What is stored before the boot is a change that is looked after once.
    tokio::time::sleep(Duration::from_secs(5)).await;
    let calls = || memory.calls(Operation::Fetch);
    let before = calls();
    for number in 0..1_000 {
        let client = ClientKey::named(format!("client {number}"));
        let guess = bearer(&format!("guess{number}"));
        assert_eq!(
            verifier.verify(client, [guess]).unwrap_err(),
            Refusal::Invalid
        );
        tokio::task::yield_now().await;
    }
    tokio::time::sleep(Duration::from_secs(60)).await;
    assert_eq!(calls(), before);
    assert_eq!(
        ask(&verifier, token.expose_str().unwrap()),
        Ok(Matched::Current)
    );
    secrets.shutdown().await.unwrap();
    assert_eq!(
        ask(&verifier, token.expose_str().unwrap()),
        Err(Refusal::Unavailable)
    );
}

#[test]
fn logs_tell_fingerprints_in_force_and_no_token() {
    let log = Log::start();
    let verifier = limited(vec![Live::fixed(strong(MONDAY))], 3, Clock::manual());
    let presented = strong(TUESDAY).fingerprint().unwrap().to_string();
    let in_force = strong(MONDAY).fingerprint().unwrap().to_string();
    ask(&verifier, MONDAY).unwrap();
    ask(&verifier, TUESDAY).unwrap_err();
    verifier
        .verify(CLIENT, ["Bearer canary canary"])
        .unwrap_err();
    verifier.verify(CLIENT, ["Basic canary"]).unwrap_err();
    verifier
        .verify(CLIENT, ["Bearer canary", "Bearer canary"])
        .unwrap_err();
    ask(&verifier, MONDAY).unwrap_err();
    let text = log.text();
    assert!(
        !text.contains("canary") && !text.contains(&presented),
        "{text}"
    );
    let lines: Vec<_> = text.lines().collect();
    let expected = [
        (
            "DEBUG",
            format!("fingerprint={in_force} matched=\"current\""),
        ),
        (
            "WARN",
            format!("why=\"wrong token\" secret=api/token in_force={in_force}"),
        ),
        ("WARN", "why=\"malformed\"".to_owned()),
        ("DEBUG", "without a bearer token".to_owned()),
        ("WARN", "why=\"repeated\"".to_owned()),
        ("DEBUG", "refused unheard".to_owned()),
    ];
    assert_eq!(lines.len(), expected.len(), "{text}");
    for (line, (level, part)) in lines.iter().zip(&expected) {
        assert!(
            line.contains(level) && line.contains(part),
            "{part}: {line}"
        );
        assert!(line.contains("client=unknown"), "{line}");
    }
    assert!(!format!("{verifier:?}").contains("canary"));
}

/// Several threads may have looked before the first of them counts.
#[test]
fn a_failure_beyond_the_limit_is_limited_though_it_was_looked_at_before() {
    let log = Log::start();
    let verifier = limited(vec![Live::fixed(strong(MONDAY))], 2, Clock::manual());
    let refusals: Vec<_> = (0..4).map(|_| verifier.refuse(CLIENT, "late")).collect();
    assert_eq!(refusals[..2], [Refusal::Invalid; 2]);
    for refusal in &refusals[2..] {
        assert!(matches!(refusal, Refusal::Limited { .. }), "{refusal:?}");
    }
    assert_eq!(log.text().matches("late").count(), 2);
}

#[test]
fn what_cannot_be_handed_out_is_logged_at_a_bounded_rate() {
    let log = Log::start();
    let clock = Clock::manual();
    let (publisher, live) = Live::channel(strong(MONDAY));
    let verifier = limited(vec![live], 3, clock.clone());
    publisher.withdraw(ErrorKind::Denied);
    let lines = || log.text().matches("could not be verified").count();
    for number in 0..100 {
        let client = ClientKey::named(format!("client {number}"));
        let refusal = verifier.verify(client, [bearer(MONDAY)]);
        assert_eq!(refusal.unwrap_err(), Refusal::Unavailable);
    }
    assert_eq!(lines(), 3);
    clock.advance(10);
    for _ in 0..100 {
        assert_eq!(ask(&verifier, MONDAY), Err(Refusal::Unavailable));
    }
    assert_eq!(lines(), 4);
    // Nobody was counted as failing.
    publisher.publish(strong(MONDAY));
    assert_eq!(ask(&verifier, MONDAY), Ok(Matched::Current));
}

#[test]
fn answers_say_the_same_of_every_wrong_token() {
    let refusals = [Refusal::Missing, Refusal::Invalid];
    assert!(refusals.iter().all(|refusal| refusal.status() == 401));
    assert!(
        refusals
            .iter()
            .all(|refusal| refusal.to_string() == "unauthorized")
    );
    let limited = Refusal::Limited {
        retry_after: Duration::from_millis(1),
    };
    assert_eq!(
        (limited.status(), limited.retry_after_seconds()),
        (429, Some(1))
    );
    assert_eq!(Refusal::Unavailable.status(), 503);
    assert_eq!(Refusal::Unavailable.challenge(), None);
}
