//! A pool of database connections that follows its password as it rotates.
//!
//! ```text
//! cargo run --example database_pool
//! ```
//!
//! The database is a small one inside this program, and so is the operator who rotates. The pool is
//! what a service would have: it takes the handle that `secrets.watch("database/password")` returns,
//! opens new connections when the password changes, and survives the moments in which the database
//! and the secrets backend disagree.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use strongroom::{
    Changes, Declared, Error, ErrorKind, Kind, Live, LiveSecret, Metadata, Result, Secret,
    SecretName, Version, generate,
};

const PASSWORD: SecretName = SecretName::from_static("database/password");
const OVERLAP: Duration = Duration::from_secs(60);

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<()> {
    let (one, two, three, four) = (
        password("1")?,
        password("2")?,
        password("3")?,
        password("4")?,
    );
    let database = Database::default();
    database.accept([&one]);
    let (operator, live) = Live::channel(one.clone());
    let pool = Pool::open(database.clone(), live.clone()).await?;
    let follower = tokio::spawn(follow(pool.clone(), live.changes()));

    println!("An ordinary rotation: the database takes both passwords for a while.");
    database.accept([&one, &two]);
    operator.publish_with_overlap(two.clone(), OVERLAP);
    pool.reopened_with("2").await;
    database.accept([&two]);
    pool.query().await?;

    println!("The password arrives here before it arrives at the database.");
    operator.publish_with_overlap(three.clone(), OVERLAP);
    tokio::task::yield_now().await;
    pool.query().await?;
    database.accept([&three]);
    pool.query().await?;

    println!("The database changes first, and the notice comes while a login is under way.");
    let taken_before = live.current()?;
    database.accept([&four]);
    operator.publish(four.clone());
    pool.log_in(taken_before).await?;

    println!("Nobody knows the password any more: a clear answer, and no endless retries.");
    database.accept([]);
    match pool.query().await {
        Ok(()) => println!("  that was not expected"),
        Err(error) => println!("  {error} ({})", error.kind()),
    }

    operator.close();
    // The follower ends with the value that it follows.
    follower
        .await
        .map_err(|error| Error::new(ErrorKind::Closed, "the follower failed").with_source(error))
}

/// Reopens the idle connections whenever the password changes, until no change can come.
async fn follow(pool: Pool, mut changes: Changes<Secret>) {
    while let Some(change) = changes.next().await {
        let reopened = match change {
            Ok(password) => pool.reopen(password).await,
            Err(error) => Err(error),
        };
        if let Err(error) = reopened {
            // The open connections still work; the next query tries again by itself.
            println!("  keeping the open connections: {error}");
        }
    }
}

#[derive(Clone)]
struct Pool {
    database: Database,
    password: LiveSecret,
    idle: Arc<Mutex<Vec<Session>>>,
}

impl Pool {
    async fn open(database: Database, password: LiveSecret) -> Result<Self> {
        let pool = Self {
            database,
            password,
            idle: Arc::default(),
        };
        pool.reopen(pool.password.current()?).await?;
        Ok(pool)
    }

    /// Replaces the idle connections by ones that logged in with this password.
    async fn reopen(&self, password: Arc<Secret>) -> Result<()> {
        let session = self.log_in(password).await?;
        *lock(&self.idle) = vec![session; 3];
        Ok(())
    }

    /// Opens a connection for one query. An `Arc` of the password can be held across an await.
    async fn query(&self) -> Result<()> {
        let session = self.log_in(self.password.current()?).await?;
        println!("  a query ran, logged in by version {}", session.version);
        Ok(())
    }

    /// Logs in; a refusal is reported once, and what comes back is tried once.
    async fn log_in(&self, password: Arc<Secret>) -> Result<Session> {
        if let Ok(session) = self.database.log_in(&password).await {
            return Ok(session);
        }
        let other = self.password.report_rejected(&password).await?;
        println!(
            "  version {} was refused, trying {}",
            version(&password),
            version(&other)
        );
        self.database.log_in(&other).await.map_err(|Refused| {
            Error::new(ErrorKind::Auth, "the database refused two passwords").with_name(&PASSWORD)
        })
    }

    /// Waits until the follower has done its work.
    async fn reopened_with(&self, version: &str) {
        while lock(&self.idle)
            .iter()
            .any(|session| session.version != version)
        {
            tokio::task::yield_now().await;
        }
        println!("  the idle connections were reopened with version {version}");
    }
}

/// A database that knows which passwords it accepts.
#[derive(Clone, Default)]
struct Database(Arc<Mutex<Vec<Secret>>>);

#[derive(Clone)]
struct Session {
    version: String,
}

struct Refused;

impl Database {
    fn accept<'a>(&self, passwords: impl IntoIterator<Item = &'a Secret>) {
        *lock(&self.0) = passwords.into_iter().cloned().collect();
    }

    async fn log_in(&self, password: &Secret) -> Result<Session, Refused> {
        tokio::task::yield_now().await;
        let version = version(password);
        let accepted = lock(&self.0);
        let fits = |known: &Secret| known.verify(password.expose_bytes());
        match accepted.iter().any(fits) {
            true => Ok(Session { version }),
            false => Err(Refused),
        }
    }
}

/// Makes a password, as the secrets backend would hold it.
fn password(version: &str) -> Result<Secret> {
    let metadata = Metadata::new()
        .with_name(&PASSWORD)
        .with_version(Version::new(version));
    Ok(generate(&Declared::new(PASSWORD, Kind::Password))?.with_metadata(metadata))
}

fn version(password: &Secret) -> String {
    let version = password.metadata().version();
    version.map_or_else(|| "unknown".to_owned(), Version::to_string)
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
