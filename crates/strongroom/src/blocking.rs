//! The same for programs without async code: [`detect`] owns a thread that runs it.
//!
//! ```
//! use strongroom::{Declared, Env, Kind, Memory, SecretName, SecretsFactory, blocking};
//!
//! # fn main() -> strongroom::Result<()> {
//! let token = Declared::new(SecretName::from_static("api/token"), Kind::Token);
//! let builder = SecretsFactory::builder()
//!     .env(Env::empty())
//!     .provider(Memory::new().with("api/token", "pX4v-Tz0qL9e_W2mR7kB1nY6cH3sJ8dF"))
//!     .declare([token]);
//!
//! let secrets = blocking::detect(builder)?;
//! assert!(secrets.get("api/token")?.verify("pX4v-Tz0qL9e_W2mR7kB1nY6cH3sJ8dF"));
//! secrets.shutdown()
//! # }
//! ```

use std::fmt;
use std::future::Future;
use std::sync::{Arc, mpsc};
use std::thread;

use tokio::runtime::{self, Handle};
use tokio::sync::Notify;

use crate::error::{Error, ErrorKind, Result};
use crate::factory::{Detection, SecretsBuilder};
use crate::health::Health;
use crate::live::{Live, LiveSecret};
use crate::load::FromSecrets;
use crate::name::SecretName;
use crate::provider::Expect;
use crate::secret::{Secret, Version};

/// The name of the thread, as debuggers and process listings show it.
const THREAD_NAME: &str = "strongroom";

/// Starts a thread with a tokio runtime of its own, and boots there.
///
/// The calling thread waits, here and in every call of [`Secrets`]. Inside async code that holds up
/// the whole executor thread, and it is never a panic; use
/// [`SecretsBuilder::detect`] there.
///
/// # Errors
/// As [`SecretsBuilder::detect`], and [`ErrorKind::Config`] if the system gives no further thread.
pub fn detect(builder: SecretsBuilder) -> Result<Secrets> {
    let thread = Arc::new(Thread::start()?);
    let secrets = thread.run(builder.detect())?;
    Ok(Secrets::on(thread, secrets))
}

/// As [`detect`], for a type that declares what it needs and is then loaded.
///
/// # Errors
/// As [`SecretsBuilder::detect_for`], and [`ErrorKind::Config`] if the system gives no further thread.
pub fn detect_for<T: FromSecrets + Send + 'static>(
    builder: SecretsBuilder,
) -> Result<(T, Secrets)> {
    let thread = Arc::new(Thread::start()?);
    let (loaded, secrets) = thread.run(builder.detect_for())?;
    Ok((loaded, Secrets::on(thread, secrets)))
}

/// What a synchronous program holds: [`crate::Secrets`], whose calls wait for their answer.
///
/// Cheap to clone; clones, scoped views and handles share the thread, which ends when the last of them
/// is dropped, or at [`shutdown`](Self::shutdown). Each call takes a trip to that thread: for a value
/// that is used often hold the handle that [`watch`](Self::watch) returns, which is read in place.
#[derive(Clone)]
pub struct Secrets {
    secrets: crate::Secrets,
    thread: Arc<Thread>,
}

impl Secrets {
    fn on(thread: Arc<Thread>, secrets: crate::Secrets) -> Self {
        // A handle keeps the refresh alive, and that needs the thread.
        secrets.keep_beside(thread.clone());
        Self { secrets, thread }
    }

    /// Returns a secret.
    ///
    /// # Errors
    /// As [`crate::Secrets::get`].
    pub fn get(&self, name: impl AsRef<str>) -> Result<Secret> {
        let (secrets, name) = self.asking(name);
        self.thread.run(async move { secrets.get(name).await })
    }

    /// Returns a secret, or `None` if the backend holds none.
    ///
    /// # Errors
    /// As [`crate::Secrets::get_optional`].
    pub fn get_optional(&self, name: impl AsRef<str>) -> Result<Option<Secret>> {
        let (secrets, name) = self.asking(name);
        self.thread
            .run(async move { secrets.get_optional(name).await })
    }

    /// Returns many secrets, in the order asked; those that are not held take one call together.
    ///
    /// # Errors
    /// As [`crate::Secrets::get_many`].
    pub fn get_many(&self, names: &[SecretName]) -> Result<Vec<Secret>> {
        let (secrets, names) = (self.secrets.clone(), names.to_vec());
        self.thread
            .run(async move { secrets.get_many(&names).await })
    }

    /// Returns a live handle, whose value is replaced in place when the secret rotates.
    ///
    /// # Errors
    /// As [`crate::Secrets::watch`].
    pub fn watch(&self, name: impl AsRef<str>) -> Result<LiveSecret> {
        let (secrets, name) = self.asking(name);
        self.thread.run(async move { secrets.watch(name).await })
    }

    /// Builds a type from the secrets it declares.
    ///
    /// Its [`from_secrets`](FromSecrets::from_secrets) runs on the thread, and must not call this
    /// `Secrets`, since it would wait for itself.
    ///
    /// # Errors
    /// As [`crate::Secrets::load`].
    pub fn load<T: FromSecrets + Send + 'static>(&self) -> Result<T> {
        let secrets = self.secrets.clone();
        self.thread.run(async move { secrets.load().await })
    }

    /// Returns a live handle of a type, replaced as a whole when one of its secrets rotates.
    ///
    /// # Errors
    /// As [`crate::Secrets::watch_as`].
    pub fn watch_as<T: FromSecrets + Send + Sync + 'static>(&self) -> Result<Live<T>> {
        let secrets = self.secrets.clone();
        self.thread.run(async move { secrets.watch_as().await })
    }

    /// Says that a server refused a value, and returns the one to try next.
    ///
    /// # Errors
    /// As [`crate::Secrets::report_rejected`].
    pub fn report_rejected(&self, used: &Secret) -> Result<Secret> {
        let (secrets, used) = (self.secrets.clone(), used.clone());
        self.thread
            .run(async move { secrets.report_rejected(&used).await })
    }

    /// Reads everything held again, and returns when what came of it is in force.
    ///
    /// # Errors
    /// As [`crate::Secrets::refresh`].
    pub fn refresh(&self) -> Result<()> {
        let secrets = self.secrets.clone();
        self.thread.run(async move { secrets.refresh().await })
    }

    /// Writes a secret, and puts it in force.
    ///
    /// # Errors
    /// As [`crate::Secrets::put`].
    pub fn put(
        &self,
        name: impl AsRef<str>,
        value: &Secret,
        expect: Expect,
    ) -> Result<Option<Version>> {
        let (secrets, name) = self.asking(name);
        let value = value.clone();
        self.thread
            .run(async move { secrets.put(name, &value, expect).await })
    }

    /// Returns a view that can reach nothing outside `prefix`.
    ///
    /// # Errors
    /// As [`crate::Secrets::scoped`].
    pub fn scoped(&self, prefix: &str) -> Result<Secrets> {
        Ok(Self {
            secrets: self.secrets.scoped(prefix)?,
            thread: Arc::clone(&self.thread),
        })
    }

    /// Reports the state of everything held, without asking the backend.
    pub fn health(&self) -> Health {
        self.secrets.health()
    }

    /// Returns the explained choice of the provider.
    pub fn detection(&self) -> &Detection {
        self.secrets.detection()
    }

    /// Ends the providers' sessions and the thread, and wipes what is held here. Every clone, view
    /// and handle answers [`ErrorKind::Closed`] from now on.
    ///
    /// # Errors
    /// The first error of a provider's own end; everything is shut down all the same.
    pub fn shutdown(&self) -> Result<()> {
        let secrets = self.secrets.clone();
        let outcome = self.thread.run(async move { secrets.shutdown().await });
        self.thread.stop.notify_one();
        outcome
    }

    fn asking(&self, name: impl AsRef<str>) -> (crate::Secrets, String) {
        (self.secrets.clone(), name.as_ref().to_owned())
    }
}

impl fmt::Debug for Secrets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.secrets, f)
    }
}

/// The thread that runs every call, until it is told to stop.
struct Thread {
    runtime: Handle,
    stop: Arc<Notify>,
}

impl Thread {
    fn start() -> Result<Self> {
        let stop = Arc::new(Notify::new());
        let stopped = Arc::clone(&stop);
        let (ready, started) = mpsc::sync_channel(1);
        // The runtime is made and dropped on its own thread: dropping one in async code panics.
        let work = move || match runtime::Builder::new_current_thread().enable_all().build() {
            Ok(runtime) => {
                if ready.send(Ok(runtime.handle().clone())).is_ok() {
                    runtime.block_on(stopped.notified());
                }
            }
            // Whoever started this waits for the answer; there is nobody else to tell.
            Err(error) => drop(ready.send(Err(error))),
        };
        let spawned = thread::Builder::new()
            .name(THREAD_NAME.to_owned())
            .spawn(work);
        let runtime = spawned.and_then(|_| started.recv().map_err(std::io::Error::other)?);
        match runtime {
            Ok(runtime) => Ok(Self { runtime, stop }),
            Err(error) => Err(Error::new(
                ErrorKind::Config,
                "the system gives strongroom no thread of its own",
            )
            .with_help("look at the limits of processes, threads and open files")
            .with_source(error)),
        }
    }

    /// Runs a future on the thread, and waits for what it returns.
    fn run<T: Send + 'static>(
        &self,
        future: impl Future<Output = Result<T>> + Send + 'static,
    ) -> Result<T> {
        let (answer, answered) = mpsc::sync_channel(1);
        self.runtime.spawn(async move {
            // The caller waits below; it can't have gone.
            let _ = answer.send(future.await);
        });
        // A runtime that has ended drops the future, and a panic does: the channel then ends too.
        answered.recv().unwrap_or_else(|_| {
            let message = "the call was cut off: the secrets were shut down, or it panicked";
            Err(Error::new(ErrorKind::Closed, message))
        })
    }
}

impl Drop for Thread {
    fn drop(&mut self) {
        self.stop.notify_one();
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use super::*;
    use crate::{Declared, Env, Fault, Kind, Loaded, Memory, Operation, SecretsFactory};

    const TOKEN: &str = "pX4v-Tz0qL9e_W2mR7kB1nY6cH3sJ8dF";
    const NAME: SecretName = SecretName::from_static("api/token");

    fn memory() -> Memory {
        Memory::new().with(NAME.as_str(), TOKEN)
    }

    fn builder(memory: &Memory) -> SecretsBuilder {
        let env = Env::empty()
            .with_var("STRONGROOM_ENV", "test")
            .with_working_dir("/nonexistent");
        SecretsFactory::builder()
            .env(env)
            .provider(memory.clone())
            .declare([Declared::new(NAME, Kind::Token)])
    }

    /// Waits until the thread has let go of its reference and `others` are left.
    #[track_caller]
    fn assert_ends(stop: &Arc<Notify>, others: usize) {
        let begun = Instant::now();
        while Arc::strong_count(stop) > others {
            assert!(begun.elapsed() < Duration::from_secs(10), "still runs");
            thread::yield_now();
        }
    }

    struct Api(Secret);

    impl FromSecrets for Api {
        fn declared() -> Vec<Declared> {
            vec![Declared::new(NAME, Kind::Token)]
        }

        fn from_secrets(found: &Loaded<'_>) -> Result<Self> {
            Ok(Self(found.get("api/token")?.clone()))
        }
    }

    #[test]
    fn every_call_answers_as_the_async_one_does() {
        let secrets = detect(builder(&memory().with("api/other", "x"))).unwrap();
        assert!(secrets.get("api/token").unwrap().verify(TOKEN));
        assert!(secrets.get_optional("api/none").unwrap().is_none());
        assert_eq!(
            secrets.get("api/none").unwrap_err().kind(),
            ErrorKind::Absent
        );
        let other = SecretName::from_static("api/other");
        let many = secrets.get_many(&[other, NAME]).unwrap();
        assert!(many[0].verify("x") && many[1].verify(TOKEN));
        assert!(secrets.watch(NAME).unwrap().verify(TOKEN));
        assert!(secrets.load::<Api>().unwrap().0.verify(TOKEN));
        let names = secrets
            .health()
            .secrets
            .into_iter()
            .map(|secret| secret.name);
        assert!(names.collect::<Vec<_>>().contains(&NAME));
        assert_eq!(secrets.detection().chosen().unwrap().address, "memory:");
        let scoped = secrets.scoped("billing/").unwrap();
        assert_eq!(scoped.get(NAME).unwrap_err().kind(), ErrorKind::Denied);
        assert!(!format!("{secrets:?}").contains(TOKEN));
    }

    #[test]
    fn a_boot_that_fails_says_why() {
        let error = detect(builder(&Memory::new())).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Policy);
        assert_eq!(error.report().unwrap().violations().count(), 1);
    }

    #[test]
    fn the_thread_lives_as_long_as_the_last_view_or_handle() {
        let secrets = detect(builder(&memory())).unwrap();
        let stop = Arc::clone(&secrets.thread.stop);
        let view = secrets.scoped("api/").unwrap();
        let live = secrets.watch(NAME).unwrap();
        drop(secrets);
        assert!(view.get(NAME).unwrap().verify(TOKEN));
        drop(view);
        let refreshed = thread::spawn(move || {
            assert!(live.verify(TOKEN));
            drop(live);
        });
        refreshed.join().unwrap();
        assert_ends(&stop, 1);
    }

    #[test]
    fn a_handle_alone_follows_its_secret() {
        let memory = memory();
        let live = {
            let secrets = detect(builder(&memory)).unwrap();
            secrets.watch(NAME).unwrap()
        };
        let next = "Hn7c-Qy2wK5r_D8uM1xV4tG9bF6jL3zS";
        memory.set(NAME.as_str(), Secret::from_text(next));
        let begun = Instant::now();
        while !live.with(|value| value.verify(next)).unwrap() {
            assert!(begun.elapsed() < Duration::from_secs(10), "not refreshed");
            thread::sleep(Duration::from_millis(10));
        }
    }

    #[test]
    fn shutdown_ends_the_thread_and_every_call_after_it() {
        let secrets = detect(builder(&memory())).unwrap();
        let stop = Arc::clone(&secrets.thread.stop);
        let (clone, live) = (secrets.clone(), secrets.watch(NAME).unwrap());
        secrets.shutdown().unwrap();
        drop(secrets);
        assert_ends(&stop, 2);
        assert_eq!(clone.get(NAME).unwrap_err().kind(), ErrorKind::Closed);
        assert_eq!(
            clone.get_many(&[NAME]).unwrap_err().kind(),
            ErrorKind::Closed
        );
        assert_eq!(live.with(|_| ()).unwrap_err().kind(), ErrorKind::Closed);
    }

    #[test]
    fn a_call_that_hangs_ends_with_the_shutdown() {
        let memory = memory();
        let secrets = detect(builder(&memory)).unwrap();
        memory.fail_next(Operation::Fetch, Fault::Hang);
        let before = memory.calls(Operation::Fetch);
        let clone = secrets.clone();
        let reader = thread::spawn(move || clone.get("not/held"));
        while memory.calls(Operation::Fetch) == before {
            thread::yield_now();
        }
        secrets.shutdown().unwrap();
        assert_eq!(
            reader.join().unwrap().unwrap_err().kind(),
            ErrorKind::Closed
        );
    }

    #[tokio::test]
    async fn inside_async_code_it_waits_and_does_not_panic() {
        let secrets = detect(builder(&memory())).unwrap();
        assert!(secrets.get(NAME).unwrap().verify(TOKEN));
        secrets.shutdown().unwrap();
    }
}
