//! Rotation by AWS's own steps: AWSPENDING, then AWSCURRENT, and the former one is AWSPREVIOUS.

use std::collections::BTreeMap;

use serde_json::json;
use strongroom::ErrorKind;
use strongroom::rotation::Method;

use super::account::Account;
use crate::rotation::{NAME, USER, connect, exercise, holds, write};

/// The labels of the document, and the version of each.
async fn labels(account: &Account) -> BTreeMap<String, String> {
    let id = format!("{}/db", account.prefix);
    let said = account
        .admin("DescribeSecret", json!({ "SecretId": id }))
        .await;
    let mut labels = BTreeMap::new();
    for (version, on) in said["VersionIdsToStages"].as_object().unwrap() {
        for label in on.as_array().unwrap() {
            labels.insert(label.as_str().unwrap().to_owned(), version.clone());
        }
    }
    labels
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_labels_move_as_aws_says() {
    let Some(account) = Account::new() else {
        return;
    };
    let connection = connect(&account.address(), account.env()).await;
    exercise(&connection, Method::Staged).await;

    let before = labels(&account).await["AWSCURRENT"].clone();
    let begun = connection
        .rotation(&NAME)
        .await
        .unwrap()
        .begin(None)
        .await
        .unwrap();
    let pending = begun.version().unwrap().to_string();
    let now = labels(&account).await;
    assert_eq!(
        (&now["AWSCURRENT"], &now["AWSPENDING"]),
        (&before, &pending)
    );
    let done = begun.complete().await.unwrap();
    let now = labels(&account).await;
    assert_eq!(
        (&now["AWSCURRENT"], &now["AWSPREVIOUS"]),
        (&pending, &before)
    );
    assert!(!now.contains_key("AWSPENDING"), "{now:?}");
    assert_eq!(done.previous.unwrap().version.unwrap().as_str(), before);

    // What is taken back has no label any more, and the others stay where they were.
    let begun = connection
        .rotation(&NAME)
        .await
        .unwrap()
        .begin(None)
        .await
        .unwrap();
    begun.undo().await.unwrap();
    assert_eq!(labels(&account).await, now);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_pending_version_of_another_field_is_left_alone() {
    let Some(account) = Account::new() else {
        return;
    };
    let connection = connect(&account.address(), account.env()).await;
    account
        .create(
            "db",
            r#"{"password": "quiet-harbour-7-lamp-kV9", "user": "app"}"#,
        )
        .await;
    let id = format!("{}/db", account.prefix);
    for (pending, abort) in [
        // The one has our field, unchanged; the other hasn't got it.
        (
            r#"{"password": "quiet-harbour-7-lamp-kV9", "user": "app2"}"#,
            false,
        ),
        (r#"{"user": "app2"}"#, true),
    ] {
        let body =
            json!({ "SecretId": id, "SecretString": pending, "VersionStages": ["AWSPENDING"] });
        account.admin("PutSecretValue", body).await;
        let before = labels(&account).await;
        let rotation = connection.rotation(&NAME).await.unwrap();
        assert_eq!(rotation.pending().unwrap().as_str(), before["AWSPENDING"]);
        for outcome in [
            rotation.clone().begin(None).await,
            rotation.clone().resume().await,
        ] {
            assert_eq!(outcome.unwrap_err().kind(), ErrorKind::Conflict);
        }
        assert_eq!(labels(&account).await, before);
        if abort {
            rotation.abort().await.unwrap();
            assert!(!labels(&account).await.contains_key("AWSPENDING"));
        }
    }
    holds(&connection, &USER, "app").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_label_that_stayed_on_the_current_version_is_nothing_pending() {
    let Some(account) = Account::new() else {
        return;
    };
    let connection = connect(&account.address(), account.env()).await;
    write(&connection, &NAME, "quiet-harbour-7-lamp-kV9").await;
    let id = format!("{}/db", account.prefix);
    let value = r#"{"password": "quiet-harbour-8-lamp-kV9"}"#;
    // So AWS's own rotation leaves it.
    let stages = ["AWSCURRENT", "AWSPENDING"];
    let body = json!({ "SecretId": id, "SecretString": value, "VersionStages": stages });
    account.admin("PutSecretValue", body).await;
    let rotation = connection.rotation(&NAME).await.unwrap();
    assert_eq!(rotation.pending(), None);
    rotation
        .begin(None)
        .await
        .unwrap()
        .complete()
        .await
        .unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_refused_promotion_leaves_it_pending_and_is_repeated() {
    let Some(account) = Account::new() else {
        return;
    };
    let connection = connect(&account.address(), account.env()).await;
    write(&connection, &NAME, "quiet-harbour-7-lamp-kV9").await;
    let begun = connection
        .rotation(&NAME)
        .await
        .unwrap()
        .begin(None)
        .await
        .unwrap();
    let before = labels(&account).await;
    let ops = ["UpdateSecretVersionStage"];
    account
        .fault(json!({ "n": 9, "ops": ops, "status": 400, "type": "AccessDeniedException" }))
        .await;
    for outcome in [
        begun.complete().await.map(drop),
        begun.undo().await.map(drop),
    ] {
        assert_eq!(outcome.unwrap_err().kind(), ErrorKind::Denied);
    }
    assert_eq!(labels(&account).await, before);
    account.calls().await;
    begun.complete().await.unwrap();
    holds(&connection, &NAME, begun.value().expose_bytes()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_resumed_rotation_keeps_what_was_written_to_another_field() {
    let Some(account) = Account::new() else {
        return;
    };
    let connection = connect(&account.address(), account.env()).await;
    write(&connection, &NAME, "quiet-harbour-7-lamp-kV9").await;
    write(&connection, &USER, "app").await;
    let begun = connection
        .rotation(&NAME)
        .await
        .unwrap()
        .begin(None)
        .await
        .unwrap();
    write(&connection, &USER, "app2").await;
    assert_eq!(
        begun.complete().await.unwrap_err().kind(),
        ErrorKind::Conflict
    );
    let resumed = connection
        .rotation(&NAME)
        .await
        .unwrap()
        .resume()
        .await
        .unwrap();
    assert!(resumed.value().verify(begun.value().expose_bytes()));
    resumed.complete().await.unwrap();
    holds(&connection, &NAME, begun.value().expose_bytes()).await;
    holds(&connection, &USER, "app2").await;
}
