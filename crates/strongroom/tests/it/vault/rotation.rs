//! Rotation on the key-value store: by versions and comparison in version 2, by neither in version 1.

use serde_json::{Value, json};
use strongroom::provider::Expect;
use strongroom::rotation::Method;
use strongroom::{ErrorKind, Secret};

use super::admin::Admin;
use crate::rotation::{NAME, USER, connect, exercise, holds, write};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn version_2_keeps_every_step_as_a_version() {
    let Some(admin) = Admin::shared() else { return };
    let mount = admin.mount_kv("2").await;
    let connection = connect(&admin.url(&format!("/{mount}/app")), admin.env()).await;
    exercise(&connection, Method::Replacing).await;

    let rotation = connection.rotation(&NAME).await.unwrap();
    let former = rotation.former().cloned();
    let begun = rotation.begin(None).await.unwrap();
    let done = begun.complete().await.unwrap();
    assert_eq!(done.previous.unwrap().version, former);
    let version: u64 = done.version.unwrap().as_str().parse().unwrap();
    let path = |version: u64| format!("{mount}/data/app/db?version={version}");
    let at = async |version| {
        admin.call("GET", &path(version), Value::Null).await["data"]["data"].clone()
    };
    let value = begun.value().expose_str().unwrap();
    assert_eq!(
        at(version).await,
        json!({ "user": "app2", "password": value })
    );
    begun.undo().await.unwrap();
    assert_eq!(at(version + 1).await, at(version - 1).await);
    let error = connection
        .rotation(&NAME)
        .await
        .unwrap()
        .abort()
        .await
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unsupported);
    assert!(
        error
            .to_string()
            .contains(&format!("version {} is in force, written 20", version + 1)),
        "{error}"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn version_1_rotates_a_whole_secret_and_compares_its_value() {
    let Some(admin) = Admin::shared() else { return };
    let mount = admin.mount_kv("1").await;
    let connection = connect(&admin.url(&format!("/{mount}")), admin.env()).await;
    write(&connection, &NAME, "quiet-harbour-7-lamp-kV9").await;
    let former = connection.read(&NAME).await.unwrap();

    let begun = connection
        .rotation(&NAME)
        .await
        .unwrap()
        .begin(None)
        .await
        .unwrap();
    assert_eq!(begun.version(), None);
    holds(&connection, &NAME, begun.value().expose_bytes()).await;
    assert!(begun.complete().await.unwrap().previous.is_none());
    begun.undo().await.unwrap();
    holds(&connection, &NAME, former.expose_bytes()).await;

    // Without versions another writer is found by the value alone.
    let begun = connection
        .rotation(&NAME)
        .await
        .unwrap()
        .begin(None)
        .await
        .unwrap();
    write(&connection, &NAME, "theirs").await;
    for outcome in [
        begun.complete().await.map(drop),
        begun.undo().await.map(drop),
    ] {
        assert_eq!(outcome.unwrap_err().kind(), ErrorKind::Conflict);
    }
    holds(&connection, &NAME, "theirs").await;

    // A field beside others can't be written there, and nothing is.
    let document = json!({ "user": "app", "password": "quiet-harbour-7-lamp-kV9" });
    admin
        .call("POST", &format!("{mount}/db"), document.clone())
        .await;
    let error = connection
        .rotation(&NAME)
        .await
        .unwrap()
        .begin(None)
        .await
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unsupported, "{error}");
    assert_eq!(
        admin.call("GET", &format!("{mount}/db"), Value::Null).await["data"],
        document
    );
    let put = connection
        .put(&USER, &Secret::from_text("x"), Expect::Any)
        .await;
    assert!(put.is_err());
}
