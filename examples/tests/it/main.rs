//! The examples, run as a user runs them.

mod axum_figment;
mod bearer;
mod boot;
mod custom_provider;
mod database_pool;
mod program;
