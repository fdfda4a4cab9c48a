//! Answers that break the protocol, as one text each and out of a process.

use proptest::prelude::*;
use zeroize::Zeroizing;

use super::super::answer;
use super::super::fuzzing::exec_answer;
use super::super::introduction::Introduction;
use super::super::object::Problem;
use super::*;
use crate::secret::{MAX_VALUE_BYTES, Version};

fn body(text: &str) -> Zeroizing<Vec<u8>> {
    Zeroizing::new(text.as_bytes().to_vec())
}

/// What is said to two requests, of which the second knows version 7.
fn replies(text: &str) -> std::result::Result<Vec<std::result::Result<Reply, Problem>>, Problem> {
    let known = Request::from(A).with_known(Version::new("7"));
    answer::replies(body(text), &[&Request::from(A), &known])
}

#[test]
fn a_good_answer_is_read() {
    let said = r#"{"answers": [{"request": 2, "unchanged": true}, {"version": "8",
        "base64": "/wA=", "created": "2026-01-31T12:00:00Z", "request": 1}], "protocol": 1}"#;
    let said = replies(said).unwrap();
    let Ok(Reply::Value(secret)) = &said[0] else {
        panic!("no value");
    };
    assert_eq!(secret.expose_bytes(), [0xff, 0]);
    assert_eq!(secret.metadata().version(), Some(&Version::new("8")));
    assert!(secret.metadata().created().is_some());
    assert!(matches!(said[1], Ok(Reply::Unchanged)));
}

#[test]
fn an_answer_against_the_protocol_is_refused_whole_and_never_quoted() {
    let canary = CANARY;
    let one = format!(r#"{{"request":1,"text":"{canary}"}}"#);
    let two = r#"{"request":2,"text":"b"}"#;
    let of = |answers: &str| format!(r#"{{"protocol":1,"answers":[{answers}]}}"#);
    assert!(replies(&of(&format!("{one},{two}"))).is_ok());
    let mut bad = vec![
        String::new(),
        canary.to_owned(),
        "null".to_owned(),
        "[]".to_owned(),
        "{}".to_owned(),
        // Half of one, and more than one.
        of(&format!("{one},{two}"))[..40].to_owned(),
        of(&format!("{one},{two}")) + &of(&format!("{one},{two}")),
        of(&format!("{one},{two}")) + canary,
        // Of another protocol, or of none.
        format!(r#"{{"protocol":2,"answers":[{one},{two}]}}"#),
        format!(r#"{{"protocol":"1","answers":[{one},{two}]}}"#),
        format!(r#"{{"protocol":1.0,"answers":[{one},{two}]}}"#),
        format!(r#"{{"answers":[{one},{two}]}}"#),
        // Too few, too many, twice.
        of(""),
        of(&one),
        of(&format!("{one},{one}")),
        of(&format!("{one},{two},{two}")),
        of(&format!(r#"{one},{two},{{"request":3,"text":"{canary}"}}"#)),
        of(&format!(r#"{one},{{"request":3,"text":"{canary}"}}"#)),
        of(&format!(r#"{one},{{"request":0,"text":"{canary}"}}"#)),
        of(&format!(r#"{one},{{"request":-1,"text":"{canary}"}}"#)),
        of(&format!(r#"{one},{{"request":1e0,"text":"{canary}"}}"#)),
        of(&format!(
            r#"{one},{{"request":99999999999999999999,"text":"{canary}"}}"#
        )),
        of(&format!(r#"{one},{{"text":"{canary}"}}"#)),
        // Keys that nobody knows, and one key twice.
        of(&format!(r#"{one},{{"request":2,"text":"b","{canary}":1}}"#)),
        of(&format!(
            r#"{one},{{"request":2,"text":"b","text":"{canary}"}}"#
        )),
        of(&format!(
            r#"{one},{{"request":2,"request":2,"text":"{canary}"}}"#
        )),
        format!(r#"{{"protocol":1,"answers":[{one},{two}],"{canary}":1}}"#),
        format!(r#"{{"protocol":1,"protocol":1,"answers":[{one},{two}]}}"#),
        // None and more than one of what an answer may be.
        of(&format!(r#"{one},{{"request":2}}"#)),
        of(&format!(
            r#"{one},{{"request":2,"text":"{canary}","base64":"AA=="}}"#
        )),
        of(&format!(
            r#"{one},{{"request":2,"text":"{canary}","unchanged":true}}"#
        )),
        of(&format!(
            r#"{one},{{"request":2,"text":"{canary}","error":"absent"}}"#
        )),
        of(&format!(r#"{one},{{"request":2,"unchanged":false}}"#)),
        of(&format!(r#"{{"request":1,"unchanged":true}},{two}"#)),
        // Something of another type.
        of(&format!(r#"{one},{{"request":2,"text":["{canary}"]}}"#)),
        of(&format!(r#"{one},{{"request":2,"text":7}}"#)),
        of(&format!(r#"{one},{{"request":2,"text":"\ud800{canary}"}}"#)),
        of(&format!(r#"{one},{{"request":2,"base64":"{canary}="}}"#)),
        of(&format!(r#"{one},"{canary}""#)),
        of(&format!(r#"{one},["{canary}"]"#)),
        format!(r#"{{"protocol":1,"answers":{{"{canary}":1}}}}"#),
        // What can be shown has bounds.
        of(&format!(r#"{one},{{"request":2,"text":"b","version":""}}"#)),
        of(&format!(
            r#"{one},{{"request":2,"text":"b","version":"{canary}\n"}}"#
        )),
        of(&format!(
            r#"{one},{{"request":2,"text":"b","version":"{}"}}"#,
            "v".repeat(129)
        )),
        of(&format!(
            r#"{one},{{"request":2,"text":"b","created":"{canary}"}}"#
        )),
        // Failures.
        of(&format!(r#"{one},{{"request":2,"error":"{canary}"}}"#)),
        of(&format!(
            r#"{one},{{"request":2,"error":"transient","retry_after":-1}}"#
        )),
        of(&format!(
            r#"{one},{{"request":2,"error":"transient","retry_after":1e9}}"#
        )),
        of(&format!(
            r#"{one},{{"request":2,"error":"transient","retry_after":"{canary}"}}"#
        )),
        of(&format!(
            r#"{one},{{"request":2,"error":"absent","message":"{canary}"}}"#
        )),
        format!(r#"{{"protocol":1,"error":"denied","answers":[{one},{two}]}}"#),
        format!(r#"{{"protocol":1,"no_effect":true,"answers":[{one},{two}]}}"#),
    ];
    // Nested deeply.
    bad.push(format!(
        r#"{{"protocol":1,"answers":{}{}}}"#,
        "[".repeat(50_000),
        "]".repeat(50_000)
    ));
    bad.push(of(&format!(
        "{one},{}{}",
        "{\"a\":".repeat(100),
        "}".repeat(101)
    )));
    for text in bad {
        let Err(Problem::Broken(what)) = replies(&text) else {
            panic!("taken: {:.200}", text);
        };
        assert!(!what.contains("canary"), "{what}");
    }
    let not_text = [br#"{"protocol":1,"answers":["#.as_slice(), &[0xff], b"]}"].concat();
    let not_text = answer::replies(Zeroizing::new(not_text), &[&Request::from(A)]);
    assert!(matches!(not_text, Err(Problem::Broken(_))));
}

#[test]
fn a_value_of_more_than_64_kib_fails_alone() {
    let of = |length: usize| {
        let value = "x".repeat(length);
        let two = r#"{"request":2,"text":"b"}"#;
        replies(&format!(
            r#"{{"protocol":1,"answers":[{{"request":1,"text":"{value}"}},{two}]}}"#
        ))
        .unwrap()
    };
    assert!(of(MAX_VALUE_BYTES).iter().all(std::result::Result::is_ok));
    let said = of(MAX_VALUE_BYTES + 1);
    assert!(matches!(
        said[0],
        Err(Problem::Told {
            kind: ErrorKind::Malformed,
            ..
        })
    ));
    assert!(said[1].is_ok());
}

#[test]
fn every_error_of_the_protocol_is_one_of_ours() {
    for (word, kind) in [
        ("absent", ErrorKind::Absent),
        ("denied", ErrorKind::Denied),
        ("auth", ErrorKind::Auth),
        ("malformed", ErrorKind::Malformed),
        ("transient", ErrorKind::Transient),
        ("conflict", ErrorKind::Conflict),
        ("unsupported", ErrorKind::Unsupported),
    ] {
        let whole =
            format!(r#"{{"protocol":1,"error":"{word}","retry_after":2.5,"no_effect":true}}"#);
        let told = Problem::Told {
            kind,
            retry_after: Some(std::time::Duration::from_millis(2500)),
            no_effect: true,
        };
        assert_eq!(answer::done(body(&whole)), Err(told.clone()), "{word}");
        let one = whole.replace(r#""protocol":1"#, r#""request":1"#);
        let said = replies(&format!(
            r#"{{"protocol":1,"answers":[{one},{{"request":2,"text":"b"}}]}}"#
        ));
        assert_eq!(said.unwrap()[0].as_ref().err(), Some(&told), "{word}");
    }
}

#[test]
fn an_introduction_names_what_the_protocol_knows() {
    let of = |operations: &str| {
        let text =
            format!(r#"{{"protocol":1,"name":"p","version":"1","operations":[{operations}]}}"#);
        Introduction::read(body(&text))
    };
    assert!(!of(r#""fetch""#).unwrap().is_writable());
    assert!(
        of(r#""fetch","put","delete","promote","discard""#)
            .unwrap()
            .is_writable()
    );
    for operations in [
        "",
        r#""list""#,
        r#""fetch","fetch""#,
        r#""fetch","shell""#,
        r#""fetch",1"#,
        r#""fetch","promote""#,
        r#""fetch",["put"]"#,
    ] {
        assert!(of(operations).is_err(), "{operations}");
    }
    for name in ["", "two words", "\\u001b[31m", &"n".repeat(65)] {
        let text =
            format!(r#"{{"protocol":1,"name":"{name}","version":"1","operations":["fetch"]}}"#);
        assert!(Introduction::read(body(&text)).is_err(), "{name}");
    }
}

#[test]
fn a_list_has_names_of_the_prefix_alone_and_each_once() {
    let of = |names: &str| {
        let text = format!(r#"{{"protocol":1,"names":[{names}]}}"#);
        answer::names(body(&text), "a")
    };
    let names = of(r#""ab","a/b","a""#).unwrap();
    let names: Vec<_> = names.iter().map(SecretName::as_str).collect();
    assert_eq!(names, ["a", "a/b", "ab"]);
    for bad in [
        r#""b""#,
        r#""a","a""#,
        r#""a b""#,
        "1",
        r#""../a""#,
        r#""a\u002fb""#,
    ] {
        assert!(of(bad).is_err(), "{bad}");
    }
    let many = |count: usize| {
        let names: Vec<_> = (0..count).map(|n| format!("\"a{n}\"")).collect();
        of(&names.join(","))
    };
    assert!(many(crate::backends::MAX_LISTED).is_ok());
    assert!(many(crate::backends::MAX_LISTED + 1).is_err());
}

#[tokio::test]
async fn what_a_process_says_against_the_protocol_is_malformed_and_not_quoted() {
    let answers = [
        "",
        CANARY,
        r#"{"protocol":1,"answers":[{"request":1,"text":"canary-4c1b77e0""#,
        r#"{"protocol":2,"answers":[{"request":1,"text":"canary-4c1b77e0"}]}"#,
        r#"{"protocol":1,"answers":[]}"#,
        r#"{"protocol":1,"answers":[{"request":1,"text":"a"},{"request":1,"text":"b"}]}"#,
    ];
    for answer in answers {
        let fixture = Fixture::new(&format!("printf %s '{answer}'\n"));
        let provider = fixture.open("").await;
        let shown = refused(read(&*provider).await, ErrorKind::Malformed);
        assert!(shown.contains("against the protocol"), "{shown}");
    }
}

#[tokio::test]
async fn each_error_of_a_program_has_its_kind_its_wait_and_the_name() {
    let body = r#"printf %s '{"protocol":1,"answers":[{"request":1,"error":"transient","retry_after":3}]}'"#;
    let provider = Fixture::new(body);
    let provider = provider.open("").await;
    let error: Error = read(&*provider).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Transient);
    assert_eq!(error.retry_after(), Some(std::time::Duration::from_secs(3)));
    assert_eq!(error.name(), Some(&A));
}

proptest! {
    #[test]
    fn no_answer_panics_or_is_quoted(operation: u8, text in "[{}\\[\\]\",:\\\\a-z0-9]{0,80}") {
        exec_answer(&[&[operation], text.as_bytes()].concat());
    }

    #[test]
    fn no_answer_of_near_the_right_form_panics(
        operation: u8,
        key in "(protocol|answers|names|versions|operations|name|version|error|degraded)",
        value in "(1|\"x\"|true|\\[\\]|\\[\\{\\}\\]|\\[\\{\"request\":1,\"text\":\"[a-z]{0,30}\"\\}\\])",
    ) {
        let text = format!(r#"{{"protocol":1,"{key}":{value}}}"#);
        exec_answer(&[&[operation], text.as_bytes()].concat());
    }
}
