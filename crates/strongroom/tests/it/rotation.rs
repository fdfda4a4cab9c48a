//! Rotation on what this machine has: a sealed file, plain files, memory. Those behind a server are in
//! the modules of their backends.

use std::path::Path;

use strongroom::provider::Expect;
use strongroom::rotation::{Method, Undone};
use strongroom::sealed_file::{FileId, NewSlot, SealedFile, SlotKey};
use strongroom::{
    Connection, Declared, Env, ErrorKind, Kind, Memory, Secret, SecretName, SecretsFactory,
};

pub(crate) const NAME: SecretName = SecretName::from_static("db#password");
pub(crate) const USER: SecretName = SecretName::from_static("db#user");
const FORMER: &str = "quiet-harbour-7-lamp-kV9";

/// Connects with a user and a password of one document declared.
pub(crate) async fn connect(address: &str, env: Env) -> Connection {
    let declared = [
        Declared::new(NAME, Kind::Password),
        Declared::new(USER, Kind::Opaque),
    ];
    let env = env.with_var("STRONGROOM_ENV", "development");
    let builder = SecretsFactory::builder().env(env).declare(declared);
    let builder = builder.provider_url(address.parse().unwrap());
    builder.connect().await.unwrap()
}

pub(crate) async fn write(connection: &Connection, name: &SecretName, value: &str) {
    let value = Secret::from_text(value);
    connection.put(name, &value, Expect::Any).await.unwrap();
}

pub(crate) async fn holds(connection: &Connection, name: &SecretName, value: impl AsRef<[u8]>) {
    let found = connection.read(name).await.unwrap();
    assert!(found.verify(value), "{name} has another value");
}

/// Rotates one field of a document, undoes it, meets another writer of that field and of another one.
pub(crate) async fn exercise(connection: &Connection, method: Method) {
    write(connection, &USER, "app").await;
    write(connection, &NAME, FORMER).await;

    let rotation = connection.rotation(&NAME).await.unwrap();
    assert_eq!(rotation.method(), method);
    let begun = rotation.clone().begin(None).await.unwrap();
    let new = begun.value().clone();
    let meanwhile = match method {
        Method::Staged => FORMER.as_bytes(),
        _ => new.expose_bytes(),
    };
    holds(connection, &NAME, meanwhile).await;
    begun.complete().await.unwrap();
    holds(connection, &NAME, new.expose_bytes()).await;
    holds(connection, &USER, "app").await;

    // What was looked at is replaced by now.
    let error = rotation.begin(None).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Conflict, "{error}");

    let begun = connection
        .rotation(&NAME)
        .await
        .unwrap()
        .begin(None)
        .await
        .unwrap();
    let undone = begun.undo().await.unwrap();
    assert_eq!(
        undone == Undone::Discarded,
        method == Method::Staged,
        "{undone:?}"
    );
    holds(connection, &NAME, new.expose_bytes()).await;

    let begun = connection
        .rotation(&NAME)
        .await
        .unwrap()
        .begin(None)
        .await
        .unwrap();
    write(connection, &NAME, FORMER).await;
    let error = begun.complete().await.unwrap_err();
    if method == Method::Staged {
        assert_eq!(error.kind(), ErrorKind::Conflict, "{error}");
        assert_eq!(begun.undo().await.unwrap(), Undone::Discarded);
    } else {
        assert_eq!(error.kind(), ErrorKind::Conflict, "{error}");
        let error = begun.undo().await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Conflict, "{error}");
    }
    holds(connection, &NAME, FORMER).await;

    // Another field's writer is in nobody's way, and loses nothing.
    let begun = connection
        .rotation(&NAME)
        .await
        .unwrap()
        .begin(None)
        .await
        .unwrap();
    write(connection, &USER, "app2").await;
    begun.undo().await.unwrap();
    holds(connection, &NAME, FORMER).await;
    holds(connection, &USER, "app2").await;
    let rotation = connection.rotation(&NAME).await.unwrap();
    assert_eq!(rotation.pending(), None);
}

#[tokio::test]
async fn a_sealed_file_keeps_the_former_value() {
    let dir = tempfile::tempdir().unwrap();
    let connection = connect(
        &sealed(dir.path()),
        Env::empty().with_working_dir(dir.path()),
    )
    .await;
    exercise(&connection, Method::Replacing).await;
    let rotation = connection.rotation(&NAME).await.unwrap();
    let former = rotation.former().cloned();
    let overlap = std::time::Duration::from_secs(600);
    let done = rotation
        .with_overlap(overlap)
        .begin(None)
        .await
        .unwrap()
        .complete()
        .await
        .unwrap();
    let previous = done.previous.unwrap();
    assert_eq!(previous.version, former);
    let left = previous
        .until
        .unwrap()
        .duration_since(std::time::SystemTime::now())
        .unwrap();
    assert!(left <= overlap && left > overlap / 2, "{left:?}");
    // A time past every calendar is refused, and nothing is written.
    let rotation = connection.rotation(&NAME).await.unwrap();
    let endless = rotation.clone().with_overlap(std::time::Duration::MAX);
    let error = endless.begin(None).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unsupported, "{error}");
    assert_eq!(
        connection.rotation(&NAME).await.unwrap().former(),
        rotation.former()
    );
}

/// Makes a sealed file with its key, and returns its address.
fn sealed(dir: &Path) -> String {
    let (key, path) = (SlotKey::generate().unwrap(), dir.join("s.sealed"));
    let id = FileId::random().unwrap();
    let text = key.to_text(id).unwrap();
    SealedFile::create(&path, id, &NewSlot::new("test", key)).unwrap();
    let key_file = dir.join("key");
    std::fs::write(&key_file, text.expose_bytes()).unwrap();
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        std::fs::set_permissions(&key_file, std::fs::Permissions::from_mode(0o600)).unwrap();
    }
    format!("sealed:{}?key_file={}", path.display(), key_file.display())
}

#[tokio::test]
async fn plain_files_rotate_without_an_overlap() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::create_dir(dir.path().join("secrets")).unwrap();
    std::fs::write(dir.path().join("app.env"), "").unwrap();
    for address in ["secrets", "app.env"] {
        let address = format!("file:{}", dir.path().join(address).display());
        let connection = connect(&address, Env::empty()).await;
        exercise(&connection, Method::Replacing).await;
        let rotation = connection.rotation(&NAME).await.unwrap();
        let begun = rotation.begin(None).await.unwrap();
        assert!(begun.complete().await.unwrap().previous.is_none());
    }
}

#[tokio::test]
async fn the_environment_is_rotated_by_whoever_sets_it() {
    let env = Env::empty().with_var("DB_PASSWORD", FORMER);
    let connection = connect("env:", env).await;
    let error = connection.rotation(&NAME).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unsupported);
    assert!(
        error.help().unwrap().contains("where its value comes from"),
        "{error:?}"
    );
}

#[tokio::test]
async fn a_service_sees_the_rotation_of_its_own_secret() {
    const TOKEN: SecretName = SecretName::from_static("api/token");
    let memory = Memory::new().with(TOKEN.as_str(), "pX4v-Tz0qL9e_W2mR7kB1nY6cH3sJ8dF");
    let builder = SecretsFactory::builder().env(Env::empty()).provider(memory);
    let builder = builder.declare([Declared::new(TOKEN, Kind::Token)]);
    let connection = builder.connect().await.unwrap();
    let secrets = connection.clone().boot().await.unwrap();
    let begun = connection
        .rotation(&TOKEN)
        .await
        .unwrap()
        .begin(None)
        .await
        .unwrap();
    begun.complete().await.unwrap();
    let again = connection.boot().await.unwrap().get(&TOKEN).await.unwrap();
    assert!(again.verify(begun.value().expose_bytes()));
    drop(secrets);
}
