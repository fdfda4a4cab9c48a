//! What a program outside the crate can do, through the public API only.

mod conformance;
