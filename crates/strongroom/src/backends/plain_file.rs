//! Plain files.
use super::{Backend, not_in_this_build};
pub(super) const BACKEND: Backend = Backend::new("file", "plain file", |connect| {
    not_in_this_build(&connect, "x", "x")
});
