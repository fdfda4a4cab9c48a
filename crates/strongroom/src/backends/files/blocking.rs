//! Work on files from async code.

use tokio::runtime::Handle;

use crate::error::{Error, ErrorKind, Result};

/// Runs file work: off the async threads, or in place where the boot says that nothing else waits.
pub(in crate::backends) async fn blocking<T: Send + 'static>(
    in_place: bool,
    work: impl FnOnce() -> Result<T> + Send + 'static,
) -> Result<T> {
    if in_place {
        return work();
    }
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
