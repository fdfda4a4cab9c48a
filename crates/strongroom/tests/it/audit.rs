//! The audit log of a service: what is recorded, what happens where it can't be, and many processes.

mod processes;
mod service;
