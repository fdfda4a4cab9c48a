use axum::http::{HeaderMap, HeaderValue, header};
use strongroom::{Live, Secret};

use crate::program::{example, run};

#[path = "../../bearer/auth.rs"]
mod auth;

const TOKEN: &str = "b9Xk.f-2_~+/Zq==";

fn headers(values: &[&str]) -> HeaderMap {
    let mut headers = HeaderMap::new();
    for value in values {
        headers.append(header::AUTHORIZATION, HeaderValue::from_str(value).unwrap());
    }
    headers
}

#[test]
fn a_token_is_read_as_the_standards_say() {
    for good in [
        format!("Bearer {TOKEN}"),
        format!("bearer {TOKEN}"),
        format!("BEARER   {TOKEN}"),
    ] {
        let headers = headers(&[&good]);
        assert_eq!(auth::bearer_token(&headers), Some(TOKEN), "{good}");
    }
    let long = format!("Bearer {}", "a".repeat(8 * 1024));
    for bad in [
        "",
        "Bearer",
        "Bearer ",
        "Bearer =",
        "Bearer a=b",
        "Bearer a b",
        "Bearer a,b",
        "Bearer\ta",
        "Basic b9Xk",
        "Bearerb9Xk",
        " Bearer b9Xk",
        &long,
    ] {
        let headers = headers(&[bad]);
        assert_eq!(auth::bearer_token(&headers), None, "{bad}");
    }
    let two = format!("Bearer {TOKEN}");
    assert_eq!(auth::bearer_token(&headers(&[&two, &two])), None);
    assert_eq!(auth::bearer_token(&HeaderMap::new()), None);
}

#[test]
fn only_the_token_in_force_opens() {
    let live = Live::fixed(Secret::from_text(TOKEN));
    let opens = |value: &str| auth::is_authorized(&live, &headers(&[value]));
    assert!(opens(&format!("Bearer {TOKEN}")));
    assert!(!opens("Bearer b9Xk"));
    assert!(!opens(&format!("Basic {TOKEN}")));
}

#[test]
fn the_old_token_counts_until_the_overlap_is_ended() {
    let dir = tempfile::tempdir().unwrap();
    let (ok, printed) = run(&mut example("bearer", dir.path()));
    assert!(ok, "{printed}");
    let answers: Vec<_> = printed
        .lines()
        .filter_map(|line| line.split_once("-> "))
        .map(|(_, answer)| answer)
        .collect();
    let expected = [
        "200 OK for the token",
        "401 Unauthorized for another token",
        "401 Unauthorized for another scheme",
        "401 Unauthorized for no header",
        "200 OK for the new token",
        "200 OK for the old token",
        "200 OK for the new token",
        "401 Unauthorized for the old token",
    ];
    assert_eq!(answers, expected);
}
