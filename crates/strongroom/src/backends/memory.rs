//! Memory, for tests.
use super::{Backend, not_in_this_build};
pub(super) const BACKEND: Backend = Backend::new("memory", "memory, for tests", |connect| {
    not_in_this_build(&connect, "x", "x")
});
