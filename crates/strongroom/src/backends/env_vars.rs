//! The environment.
use super::{Backend, not_in_this_build};
pub(super) const BACKEND: Backend = Backend::new("env", "environment", |connect| {
    not_in_this_build(&connect, "x", "x")
})
.with_url_keys(&["prefix"]);
