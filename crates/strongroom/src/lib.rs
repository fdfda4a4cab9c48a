//! The secrets layer that a Rust service boots with.

#[cfg(any(test, feature = "conformance"))]
pub mod conformance;
pub mod provider;

mod backends;
mod declared;
mod env;
mod error;
mod name;
mod provider_url;
mod rails;
mod report;
mod secret;

pub use backends::{Backend, Class, Connect, Fault, Memory, Opening, Operation, Probe};
pub use declared::{Declared, DeclaredSource, Encoding, Kind};
pub use env::{Deployment, DeploymentChoice, Env};
pub use error::{Error, ErrorKind, Result};
pub use name::{MAX_NAME_BYTES, SecretName};
pub use provider::SecretProvider;
pub use provider_url::ProviderUrl;
pub use rails::{GuardRails, Rail};
pub use report::{Finding, Report, Severity};
pub use secret::{Fingerprint, MAX_VALUE_BYTES, Metadata, Provenance, Secret, Source, Version};
