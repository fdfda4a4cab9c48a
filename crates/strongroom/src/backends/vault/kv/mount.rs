//! Which generation of the key-value engine a mount has.

use rustify::enums::RequestMethod;
use tokio::sync::Mutex;

use super::text;
use crate::backends::vault::answer::Answer;
use crate::backends::vault::raw::Raw;
use crate::backends::vault::session::Session;
use crate::backends::vault::settings::KvVersion;
use crate::error::{Error, ErrorKind, Result};

/// What is known of it. Asked for once, whoever needs it.
#[derive(Debug)]
pub(super) struct Generation {
    configured: Option<KvVersion>,
    learnt: Mutex<Option<KvVersion>>,
}

impl Generation {
    pub(super) fn new(configured: Option<KvVersion>) -> Self {
        Self {
            configured,
            learnt: Mutex::new(None),
        }
    }

    pub(super) async fn get(&self, session: &Session, mount: &str) -> Result<KvVersion> {
        if let Some(configured) = self.configured {
            return Ok(configured);
        }
        let mut learnt = self.learnt.lock().await;
        match *learnt {
            Some(known) => Ok(known),
            None => Ok(*learnt.insert(ask(session, mount).await?)),
        }
    }

    pub(super) async fn forget(&self) {
        *self.learnt.lock().await = None;
    }
}

/// Asks the server, by the request that its own tools use for it.
async fn ask(session: &Session, mount: &str) -> Result<KvVersion> {
    let doing = "look at the mount";
    let request = Raw::new(
        RequestMethod::GET,
        format!("sys/internal/ui/mounts/{mount}"),
    );
    let answer = session.call(doing, &request).await;
    let answer = answer.map_err(|error| match error.kind() {
        ErrorKind::Denied => Error::new(
            ErrorKind::Denied,
            format!("there is no mount `{mount}`, or we may read nothing in it (403)"),
        )
        .with_help(
            "check the mount's name and our policy; `?kv=2` in the address says the engine's \
             version where only this question is refused",
        ),
        _ => error,
    })?;
    told(answer, mount)
}

/// Reads what the server tells about a mount.
pub(in crate::backends::vault) fn told(mut answer: Answer, mount: &str) -> Result<KvVersion> {
    if answer.status == 404 && answer.is_vaults_refusal() {
        return Err(answer.no_place());
    }
    if answer.status != 200 {
        return Err(answer.refusal("look at the mount"));
    }
    let tree = answer.tree()?;
    let at = |way: &[&str]| text(&tree, way);
    let found = at(&["data", "path"]).unwrap_or_default();
    let wrong = |what: String| Error::new(ErrorKind::Config, what);
    // A namespace may stand before it.
    let found = found.trim_end_matches('/');
    if found != mount && !found.ends_with(&format!("/{mount}")) {
        let found = found.escape_debug();
        return Err(wrong(format!("`{mount}` is no mount; `{found}` is"))
            .with_help("write the rest of the path as the `prefix`"));
    }
    match at(&["data", "type"]).as_deref() {
        Some("kv" | "generic") => {}
        other => {
            let kind = other.unwrap_or("unknown").escape_debug();
            let what = format!("the mount `{mount}` is of type {kind}, not a key-value store");
            return Err(wrong(what).with_help(
                "secrets that an engine makes are read with `source = { id = \"…\", lease = true }`",
            ));
        }
    }
    match at(&["data", "options", "version"]).as_deref() {
        Some("2") => Ok(KvVersion::V2),
        Some("1") | None => Ok(KvVersion::V1),
        Some(other) => Err(wrong(format!(
            "the mount `{mount}` is of version {}, which this build doesn't know",
            other.escape_debug()
        ))),
    }
}
