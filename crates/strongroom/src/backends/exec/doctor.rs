//! What `strongroom doctor` looks at: the file, what the program says that it is, and how it is.

use std::os::unix::fs::MetadataExt as _;

use super::caller::Caller;
use super::provider::Provider;
use super::settings::Settings;
use crate::backends::Connect;
use crate::error::{ErrorKind, Result};
use crate::examination::{Check, Diagnosis, Examining};
use crate::provider::SecretProvider as _;

/// Looks at one program. Reads no secret. Each call has the time that the address gives it, and there are two.
pub(super) fn examine(connect: Connect) -> Examining {
    Box::pin(async move {
        let mut diagnosis = Diagnosis::new();
        if let Err((subject, error)) = look(&connect, &mut diagnosis).await {
            diagnosis.push(Check::error(subject, &error));
        }
        diagnosis
    })
}

async fn look(
    connect: &Connect,
    diagnosis: &mut Diagnosis,
) -> Result<(), (&'static str, crate::error::Error)> {
    let mut settings = Settings::read(connect).map_err(|error| ("settings", error))?;
    settings.timeout = settings.timeout.min(super::settings::DOCTOR_TIMEOUT);
    let metadata = settings.program.check(ErrorKind::Config);
    let metadata = metadata.map_err(|error| ("program", error))?;
    let owner = match metadata.uid() {
        0 => "root".to_owned(),
        uid => format!("us (user {uid})"),
    };
    let detail = format!(
        "{} belongs to {owner}, mode {:04o}; nobody else can replace it",
        settings.program.path().display(),
        metadata.mode() & 0o7777
    );
    diagnosis.push(Check::ok("program", detail));

    let caller = Caller::new(settings);
    let introduction = caller.introduce().await;
    let introduction = introduction.map_err(|error| ("protocol", error))?;
    let detail = format!(
        "{} {} speaks protocol 1: {}",
        introduction.name,
        introduction.version,
        introduction.operations()
    );
    diagnosis.push(Check::ok("protocol", detail));

    let health = Provider::new(caller, introduction).health().await;
    let health = health.map_err(|error| ("health", error))?;
    diagnosis.push(match health.degraded.is_empty() {
        true => Check::ok("health", "the program says that it works"),
        false => Check::warning(
            "health",
            "the program says that it works, but not as it should",
        )
        .with_help("ask the program itself, or its own log"),
    });
    Ok(())
}
