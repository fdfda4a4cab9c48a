//! Work on files from async code.

use tokio::runtime::Handle;

use crate::error::{Error, ErrorKind, Result};

/// Runs file work off the async threads.
pub(in crate::backends) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T> + Send + 'static,
) -> Result<T> {
    let runtime = Handle::try_current().map_err(|_| {
        Error::new(
            ErrorKind::Config,
            "reading files needs a running tokio runtime",
        )
        .with_help("call it from async code, or use `strongroom::blocking`")
    })?;
    match runtime.spawn_blocking(work).await {
        Ok(outcome) => outcome,
        Err(_) => Err(Error::new(
            ErrorKind::Closed,
            "the runtime shut down before the file was read or written",
        )),
    }
}
