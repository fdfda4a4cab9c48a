//! Who is recorded: this process, its user, its machine, and which program writes the event.

use serde_json::value::RawValue;

use super::event::bounded;

/// The version of the schema that events are of.
const SCHEMA: &str = "1.3.0";

/// What is the same in all events of a process, written as JSON once.
#[derive(Debug, Clone)]
pub(super) struct Identity {
    actor: Box<RawValue>,
    metadata: Box<RawValue>,
    endpoint: Box<RawValue>,
}

impl Identity {
    /// Describes this process, as the service of this name or of its program's.
    pub(super) fn of_process(service: Option<&str>) -> Self {
        let program = std::env::current_exe().ok();
        let program = program
            .as_deref()
            .and_then(|path| path.file_name()?.to_str());
        let program = program.unwrap_or("unknown");
        let user = serde_json::json!({ "uid": rustix::process::getuid().as_raw().to_string() });
        let node = rustix::system::uname();
        Self {
            actor: raw(&serde_json::json!({
                "app_name": bounded(service.unwrap_or(program)),
                "process": { "name": program, "pid": std::process::id() },
                "user": user,
            })),
            metadata: raw(&serde_json::json!({
                "product": {
                    "name": "strongroom",
                    "vendor_name": "strongroom",
                    "version": env!("CARGO_PKG_VERSION"),
                },
                "version": SCHEMA,
            })),
            endpoint: raw(&serde_json::json!({
                "hostname": node.nodename().to_string_lossy(),
            })),
        }
    }

    pub(super) fn actor(&self) -> &RawValue {
        &self.actor
    }

    pub(super) fn metadata(&self) -> &RawValue {
        &self.metadata
    }

    pub(super) fn endpoint(&self) -> &RawValue {
        &self.endpoint
    }
}

fn raw(value: &serde_json::Value) -> Box<RawValue> {
    // A value of JSON is JSON.
    serde_json::value::to_raw_value(value).unwrap_or_else(|_| RawValue::NULL.to_owned())
}
