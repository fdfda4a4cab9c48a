//! What every command works with.

use std::future::Future;
use std::io::{self, IsTerminal as _};
use std::path::Path;

use strongroom::sealed_file::SealedFile;
use strongroom::{
    Backend, Connection, CoreLimit, Declared, Env, Error, ErrorKind, Examination, SecretName,
    SecretsBuilder, SecretsFactory,
};

use crate::args::Global;
use crate::exit::Failure;
use crate::key_source;
use crate::progress::Progress;
use crate::prompt;
use crate::report::Screen;

/// What every command works with.
#[derive(Debug)]
pub(crate) struct Context<'a> {
    pub(crate) env: Env,
    pub(crate) screen: Screen,
    /// What core files a program may leave that this one becomes.
    pub(crate) core_limit: Option<CoreLimit>,
    backends: &'a [Backend],
    global: Global,
}

impl<'a> Context<'a> {
    pub(crate) fn new(
        env: Env,
        backends: &'a [Backend],
        global: Global,
        screen: Screen,
        core_limit: Option<CoreLimit>,
    ) -> Self {
        Self {
            env,
            screen,
            core_limit,
            backends,
            global,
        }
    }

    /// Returns every backend's row: strongroom's own and those of the program around it.
    pub(crate) fn backends(&self) -> impl Iterator<Item = &Backend> {
        SecretsFactory::backends().iter().chain(self.backends)
    }

    /// Returns the manifest that was named on the command line.
    pub(crate) fn manifest(&self) -> Option<&Path> {
        self.global.manifest.as_deref()
    }

    /// Prepares a boot as the environment and the global options say.
    ///
    /// The tool runs in directories of others: a manifest that it merely finds is not trusted, unless
    /// the user vouched for it.
    pub(crate) fn builder(&self) -> Result<SecretsBuilder, Error> {
        let mut builder = self.manifest_builder();
        if let Some(address) = &self.global.provider {
            let url = address.parse().map_err(|error: Error| {
                let message = format!("--provider can't be used: {error}");
                let wrong = Error::new(ErrorKind::Config, message);
                wrong.with_help(error.help().unwrap_or("for example file:/run/secrets"))
            })?;
            builder = builder.provider_url(url);
        }
        Ok(builder)
    }

    /// Prepares a boot by the manifest alone, for commands that name their providers themselves.
    pub(crate) fn manifest_builder(&self) -> SecretsBuilder {
        let mut builder = SecretsFactory::builder()
            .env(self.env.clone())
            .distrust_found_manifest()
            .block_in_place();
        for backend in self.backends {
            builder = builder.backend(*backend);
        }
        if let Some(manifest) = &self.global.manifest {
            builder = builder.manifest_file(manifest);
        }
        if let Some(profile) = &self.global.profile {
            builder = builder.profile(profile);
        }
        builder
    }

    /// Refuses `--provider`, for commands that name their providers themselves.
    pub(crate) fn check_no_provider(&self) -> Result<(), Error> {
        match self.global.provider {
            None => Ok(()),
            Some(_) => Err(Error::new(
                ErrorKind::Config,
                "this command names its two providers itself, so `--provider` has no meaning",
            )),
        }
    }

    fn unlocked(&self) -> Result<SecretsBuilder, Error> {
        self.unlock(self.builder()?)
    }

    /// Asks for the passphrase where only that is missing: a sealed file with a slot for one, no other
    /// key for it, and somebody to ask.
    pub(crate) fn unlock(&self, builder: SecretsBuilder) -> Result<SecretsBuilder, Error> {
        if !io::stderr().is_terminal() {
            return Ok(builder);
        }
        // What is wrong with the choice itself is said by whoever connects.
        let Ok(connect) = builder.explain_connect() else {
            return Ok(builder);
        };
        match key_source::wants_passphrase(&connect) {
            true => {
                let typed = prompt::ask(&format!("Passphrase of {}", connect.url))?;
                Ok(builder.env(self.env.clone().with_passphrase(typed)))
            }
            false => Ok(builder),
        }
    }

    /// Connects, shows what the environment and the manifest deserve to be warned of, works, and
    /// closes.
    pub(crate) fn connected<T>(
        &self,
        work: impl AsyncFnOnce(&Connection) -> Result<T, Failure>,
    ) -> Result<T, Failure> {
        self.connected_quietly(async |connection| {
            self.screen.warnings(&connection.detection().warnings);
            work(connection).await
        })
    }

    /// As [`connected`](Self::connected), for commands that report the warnings themselves.
    pub(crate) fn connected_quietly<T>(
        &self,
        work: impl AsyncFnOnce(&Connection) -> Result<T, Failure>,
    ) -> Result<T, Failure> {
        self.connected_quietly_for(Vec::new(), work)
    }

    /// As [`connected_quietly`](Self::connected_quietly), with secrets that are declared beside the
    /// manifest's.
    pub(crate) fn connected_quietly_for<T>(
        &self,
        declared: Vec<Declared>,
        work: impl AsyncFnOnce(&Connection) -> Result<T, Failure>,
    ) -> Result<T, Failure> {
        let builder = self.unlocked()?.declare(declared);
        self.block_on(async {
            let connection = self.connect(builder).await?;
            let outcome = work(&connection).await;
            // What the command came to matters more than an error of closing.
            let _ = connection.close().await;
            outcome
        })
    }

    /// Connects; where that fails, shows what the environment and the manifest deserve to be warned of.
    pub(crate) async fn connect(&self, builder: SecretsBuilder) -> Result<Connection, Error> {
        let opening = self.opening(&builder);
        let connected = builder.clone().connect().await;
        drop(opening);
        if connected.is_err()
            && let Ok(detection) = builder.explain()
        {
            // A mistyped variable is often why there is no connection.
            self.screen.warnings(&detection.warnings);
        }
        connected
    }

    /// Examines everything that a boot depends on.
    pub(crate) fn examined(&self) -> Result<Examination, Failure> {
        let builder = self.unlocked()?;
        let _opening = self.opening(&builder);
        self.block_on(async { Ok(builder.examine().await?) })
    }

    /// Opens the sealed file that the environment, the manifest or `--provider` chooses.
    pub(crate) fn sealed_file(&self) -> Result<SealedFile, Error> {
        let builder = self.unlocked()?;
        self.screen.warnings(&builder.explain()?.warnings);
        let connect = builder.explain_connect()?;
        if connect.url.scheme() != "sealed" {
            let message = format!("{} is no sealed file, so it has no slots", connect.url);
            return Err(Error::new(ErrorKind::Config, message)
                .with_help("name the file by --provider sealed:PATH"));
        }
        let _opening = self.opening(&builder);
        SealedFile::connect(&connect)
    }

    /// Shows that a key is derived from a passphrase, where one opens the chosen file.
    pub(crate) fn opening(&self, builder: &SecretsBuilder) -> Option<Progress> {
        if !self.screen.shows_progress() {
            return None;
        }
        let connect = builder.explain_connect().ok()?;
        key_source::takes_passphrase(&connect).then(|| self.deriving())
    }

    /// Shows that a key is derived from a passphrase.
    pub(crate) fn deriving(&self) -> Progress {
        Progress::start(&self.screen, "deriving the key from the passphrase", None)
    }

    /// Runs a future on a runtime of this thread.
    pub(crate) fn block_on<T>(
        &self,
        future: impl Future<Output = Result<T, Failure>>,
    ) -> Result<T, Failure> {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(|error| {
                Error::new(ErrorKind::Transient, "can't start the runtime").with_source(error)
            })?;
        let outcome = runtime.block_on(future);
        // A read that hangs on a thread of its own must not keep the command from ending.
        runtime.shutdown_background();
        outcome
    }
}

/// Parses a secret's name from the command line.
pub(crate) fn parse_name(text: &str) -> Result<SecretName, Error> {
    if text.contains('=') {
        return Err(
            Error::new(ErrorKind::Config, "a secret's name has no `=` in it").with_help(
                "values never come from the command line: `strongroom set NAME` reads its input",
            ),
        );
    }
    SecretName::parse(text)
}

/// Adds a similar name to an error about a name that is not there: one that is declared, or else one that
/// the provider holds, if it is asked without a network.
pub(crate) async fn suggest(
    connection: &Connection,
    name: &SecretName,
    error: Error,
    context: &Context<'_>,
) -> Error {
    if error.kind() != ErrorKind::Absent || connection.declaration(name.as_str()).is_some() {
        return error;
    }
    let near = match nearest(connection, name) {
        Some(near) => Some(near.clone()),
        None => nearest_held(connection, name, context).await,
    };
    match near {
        Some(near) => {
            let help = match error.help() {
                Some(help) => format!("did you mean `{near}`? Otherwise: {help}"),
                None => format!("did you mean `{near}`?"),
            };
            error.with_help(help)
        }
        None => error,
    }
}

/// Finds the name that the provider holds and that a mistyped one was probably meant to be.
async fn nearest_held(
    connection: &Connection,
    name: &SecretName,
    context: &Context<'_>,
) -> Option<SecretName> {
    let scheme = connection.describe().scheme;
    let backend = context.backends().find(|known| known.scheme() == scheme)?;
    if backend.is_remote() {
        return None;
    }
    let held = connection.list("").await.ok()?;
    most_like(name.as_str(), held, SecretName::as_str)
}

/// Finds the declared name that a mistyped one was probably meant to be.
pub(crate) fn nearest<'a>(connection: &'a Connection, name: &SecretName) -> Option<&'a SecretName> {
    let declared = connection.declared().map(|declared| &declared.name);
    most_like(name.as_str(), declared, |known| known.as_str())
}

/// Finds what a mistyped word was probably meant to be.
pub(crate) fn most_like<T>(
    typed: &str,
    known: impl IntoIterator<Item = T>,
    text: impl Fn(&T) -> &str,
) -> Option<T> {
    let likeness = known.into_iter().map(|known| {
        let likeness = strsim::jaro_winkler(typed, text(&known));
        (likeness, known)
    });
    let (likeness, near) = likeness.max_by(|(a, _), (b, _)| a.total_cmp(b))?;
    (likeness > 0.85).then_some(near)
}
