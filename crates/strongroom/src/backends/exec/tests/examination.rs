//! What the doctor says.

use super::*;
use crate::examination::{Check, CheckOutcome};

async fn examine(fixture: &Fixture) -> Vec<Check> {
    let connect = connect(&fixture.address("?timeout=2s"));
    BACKEND.examine(&connect).unwrap().await.checks
}

#[tokio::test]
async fn the_doctor_looks_at_the_file_the_protocol_and_the_health() {
    let fixture = Fixture::new("");
    let checks = examine(&fixture).await;
    let subjects: Vec<_> = checks.iter().map(|check| check.subject.as_str()).collect();
    assert_eq!(subjects, ["program", "protocol", "health"]);
    assert!(
        checks.iter().all(|check| check.outcome == CheckOutcome::Ok),
        "{checks:?}"
    );
    assert!(checks[0].detail.contains("mode 0755"), "{checks:?}");
    assert!(
        checks[1]
            .detail
            .contains("script 1.0 speaks protocol 1: describe, fetch, put"),
        "{checks:?}"
    );
}

#[tokio::test]
async fn the_doctor_ends_at_the_first_step_that_fails() {
    let fixture = Fixture::new("");
    fixture.install(&format!("#!/bin/sh\ncat > /dev/null\necho '{CANARY}'\n"));
    let checks = examine(&fixture).await;
    assert_eq!(checks[1].subject, "protocol");
    assert_eq!(checks[1].kind, Some(ErrorKind::Malformed));
    assert!(!format!("{checks:?}").contains(CANARY));
    mode(&fixture.path(), 0o666);
    let checks = examine(&fixture).await;
    assert_eq!((checks.len(), checks[0].kind), (1, Some(ErrorKind::Policy)));

    let degraded = GOOD.replace(r#""list""#, r#""list","health""#)
        + r#"echo '{"protocol":1,"degraded":true}'"#;
    fixture.install(&degraded);
    let checks = examine(&fixture).await;
    assert_eq!(checks[2].outcome, CheckOutcome::Warning);
}
