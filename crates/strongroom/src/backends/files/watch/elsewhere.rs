//! Systems without inotify: there are no notices, and everything is polled.

use std::convert::Infallible;
use std::io::PipeWriter;
use std::time::Duration;

use super::places::Places;
use super::settling::Settling;

/// There are none.
#[derive(Debug)]
pub(super) struct Notices(Infallible);

impl Notices {
    pub(super) fn open() -> Result<(Self, PipeWriter), &'static str> {
        Err("this system has no inotify")
    }

    pub(super) fn is_partial(&self) -> bool {
        match self.0 {}
    }

    pub(super) fn pause(&mut self, _: Duration) {
        match self.0 {}
    }

    pub(super) fn watch(&mut self, _: &Places) -> Result<bool, Infallible> {
        match self.0 {}
    }

    pub(super) fn wait(&mut self, _: Duration, _: &mut Settling) -> Result<bool, Infallible> {
        match self.0 {}
    }
}
