//! The life of a token, on a server that really ends it.

use std::sync::Arc;
use std::time::{Duration, Instant};

use serde_json::json;
use strongroom::{Env, ErrorKind};

use super::place::{Place, VALUE};
use crate::servers::PrivateBao;
use crate::vault::admin::Admin;

/// A token that lives for seconds is renewed while that helps, and replaced before it ends: no read
/// of 30 seconds fails.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn constant_reads_outlive_many_tokens() {
    let mut running = tokio::task::JoinSet::new();
    for settings in [
        json!({ "token_ttl": "2s", "token_max_ttl": "5s" }),
        json!({ "token_period": "2s" }),
        json!({ "token_ttl": "2s", "token_type": "batch" }),
    ] {
        running.spawn(async move {
            let Some(place) = Place::new().await else {
                return;
            };
            let provider = place.as_role(settings.clone()).await;
            let started = Instant::now();
            let mut reads = 0;
            while started.elapsed() < Duration::from_secs(30) {
                assert_eq!(place.read(&provider).await.unwrap(), VALUE, "{settings}");
                reads += 1;
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
            assert!(reads > 50, "{reads}");
            provider.close().await.unwrap();
            assert_eq!(place.tokens().await, 0, "{settings}");
        });
    }
    while let Some(ended) = running.join_next().await {
        ended.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_periodic_token_is_renewed_and_never_replaced() {
    let Some(place) = Place::new().await else {
        return;
    };
    let provider = place.as_role(json!({ "token_period": "1s" })).await;
    for _ in 0..6 {
        assert_eq!(place.read(&provider).await.unwrap(), VALUE);
        assert_eq!(place.tokens().await, 1);
        tokio::time::sleep(Duration::from_millis(700)).await;
    }
    // With the provider its task ends too, and then the token.
    drop(provider);
    tokio::time::sleep(Duration::from_secs(3)).await;
    assert_eq!(place.tokens().await, 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_revoked_token_is_replaced_by_one_login_for_all_readers() {
    let Some(place) = Place::new().await else {
        return;
    };
    let place = Arc::new(place);
    let provider = place.as_role(json!({})).await;
    assert_eq!(place.read(&provider).await.unwrap(), VALUE);
    for _ in 0..5 {
        place.revoke_all(&place.auth).await;
        let readers = (0..30).map(|_| {
            let (place, provider) = (Arc::clone(&place), Arc::clone(&provider));
            tokio::spawn(async move { place.read(&provider).await })
        });
        for reader in readers.collect::<Vec<_>>() {
            assert_eq!(reader.await.unwrap().unwrap(), VALUE);
        }
        assert_eq!(place.tokens().await, 1);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_policy_taken_away_is_a_denial_and_no_login() {
    let Some(place) = Place::new().await else {
        return;
    };
    let provider = place.as_role(json!({})).await;
    assert_eq!(place.read(&provider).await.unwrap(), VALUE);
    place.allow(&place.policy, false).await;
    for _ in 0..3 {
        let error = place.read(&provider).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Denied, "{error:?}");
    }
    assert_eq!(place.tokens().await, 1);
    place.allow(&place.policy, true).await;
    assert_eq!(place.read(&provider).await.unwrap(), VALUE);
}

/// Without the policy `default` a token may not even be looked up by itself. A denial is then
/// believed after a new login, but not paid for by one each time.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_denial_is_found_out_without_a_look_at_the_token() {
    let Some(place) = Place::new().await else {
        return;
    };
    let provider = place
        .as_role(json!({ "token_no_default_policy": true }))
        .await;
    assert_eq!(place.read(&provider).await.unwrap(), VALUE);
    place.allow(&place.policy, false).await;
    for _ in 0..10 {
        let error = place.read(&provider).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Denied, "{error:?}");
    }
    assert!(place.tokens().await <= 3, "{} logins", place.tokens().await);
    place.allow(&place.policy, true).await;
    place.revoke_all(&place.auth).await;
    tokio::time::sleep(Duration::from_secs(5)).await;
    assert_eq!(place.read(&provider).await.unwrap(), VALUE);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_given_token_that_ended_is_an_auth_error_until_there_is_a_new_one() {
    let Some(place) = Place::new().await else {
        return;
    };
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("token");
    let first = place.token(json!({ "ttl": "1h" })).await;
    place.write(&file, &first);
    let query = format!("token_file={}", file.display());
    let provider = place.open(&query, Env::empty()).await.unwrap();
    assert_eq!(place.read(&provider).await.unwrap(), VALUE);
    place
        .admin
        .call("POST", "auth/token/revoke", json!({ "token": first }))
        .await;
    for _ in 0..3 {
        let error = place.read(&provider).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Auth, "{error:?}");
        assert!(
            format!("{error:?}").contains("put a new one there"),
            "{error:?}"
        );
    }
    place.write(&file, &place.token(json!({ "ttl": "1h" })).await);
    let started = Instant::now();
    while place.read(&provider).await.is_err() {
        assert!(started.elapsed() < Duration::from_secs(30));
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// Whoever gives us a token that can't be renewed puts the next one into the file in time.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_given_token_is_followed_through_its_file() {
    let Some(place) = Place::new().await else {
        return;
    };
    let place = Arc::new(place);
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("token");
    let fresh = || place.token(json!({ "ttl": "3s", "renewable": false }));
    place.write(&file, &fresh().await);
    let query = format!("token_file={}", file.display());
    let provider = place.open(&query, Env::empty()).await.unwrap();
    let started = Instant::now();
    let mut written = Instant::now();
    while started.elapsed() < Duration::from_secs(8) {
        if written.elapsed() > Duration::from_millis(1500) {
            let staged = dir.path().join("staged");
            place.write(&staged, &fresh().await);
            std::fs::rename(&staged, &file).unwrap();
            written = Instant::now();
        }
        assert_eq!(place.read(&provider).await.unwrap(), VALUE);
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_was_sealed_stopped_and_restarted_is_read_again() {
    let Some(mut bao) = PrivateBao::persistent() else {
        return;
    };
    let place = Place::on(Admin::new(&bao.server.address, &bao.server.token)).await;
    let provider = place.as_role(json!({ "token_ttl": "2s" })).await;
    assert_eq!(place.read(&provider).await.unwrap(), VALUE);
    for restart in [false, true] {
        if restart {
            bao.stop();
        } else {
            bao.seal();
        }
        let started = Instant::now();
        // Meanwhile its token ends: that is not to be taken for a denial.
        while started.elapsed() < Duration::from_secs(4) {
            let error = place.read(&provider).await.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Transient, "{error:?}");
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        if restart {
            bao.start();
        }
        bao.unseal();
        let started = Instant::now();
        while let Err(error) = place.read(&provider).await {
            assert_eq!(error.kind(), ErrorKind::Transient, "{error:?}");
            assert!(started.elapsed() < Duration::from_secs(40));
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        assert_eq!(place.read(&provider).await.unwrap(), VALUE);
    }
}
