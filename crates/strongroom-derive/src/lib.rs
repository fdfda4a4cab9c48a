//! The derive of `strongroom::FromSecrets`. Use it through the feature `derive` of `strongroom`.

#![forbid(unsafe_code)]

use proc_macro::TokenStream;
use syn::{DeriveInput, parse_macro_input};

mod attribute;
mod container;
mod expand;
mod field;
mod name;
mod plain;

/// Derives `FromSecrets` for a struct with named fields, each of which is one secret.
///
/// ```
/// use std::net::IpAddr;
///
/// use strongroom::{FromSecrets, LiveSecret, Secret};
///
/// #[derive(FromSecrets)]
/// #[secret(prefix = "payments")]
/// struct App {
///     /// The application role.
///     #[secret(name = "database/password", kind = "password", env = "PGPASSWORD")]
///     database_password: Secret,
///     #[secret(kind = "key", encoding = "base64", rotate_after = "90days")]
///     signing_key: LiveSecret,
///     #[secret(kind = "token", min_length = 40)]
///     partner: Option<Secret>,
///     #[secret(parse, kind = "opaque")]
///     allowed_from: IpAddr,
///     #[secret(nested)]
///     mail: Mail,
/// }
///
/// #[derive(FromSecrets)]
/// struct Mail {
///     #[secret(kind = "password")]
///     password: Secret,
/// }
///
/// let names: Vec<_> = App::declared().iter().map(|secret| secret.name.to_string()).collect();
/// assert_eq!(names, [
///     "payments/database/password",
///     "payments/signing_key",
///     "payments/partner",
///     "payments/allowed_from",
///     "payments/mail/password",
/// ]);
/// ```
///
/// `SecretsFactory::detect_for::<App>()` then proves at boot that each is there and strong enough, and
/// loads them. Everything that is wrong comes back in one error, which names each secret and its field
/// (`App.mail.password`), and never a value.
///
/// # Types of fields
/// `Secret`, `LiveSecret` and `secrecy::SecretString` hold one secret. With `#[secret(parse)]` it is any type
/// with `FromStr`, whose own error is never shown, because it may hold the text; plain text, such as a
/// `String`, is refused, because it is printed by `Debug` and not wiped from memory. With
/// `#[secret(nested)]` it is another type that derives `FromSecrets`. An `Option` of these, written as
/// `Option<…>`, says that the service can boot without it; a nested one is `None` if none of its secrets
/// is there, and an error if only some of what it requires are.
///
/// # Names
/// A field `signing_key` is the secret `signing_key`: what stands in the code is what is found by a search
/// in the manifest, in the backend and in a message. `rename_all` follows another convention, and
/// `name` overrules both. A nested type is a folder of the name of its field; `prefix` gives that another
/// name, or none by `""`. The prefix of a struct stands before all of them. The variable of the
/// environment is the same by every convention, `SIGNING_KEY`.
///
/// # Attributes of a struct
/// - `prefix = "payments"`: a path that stands before every name;
/// - `rename_all = "…"`: `snake_case` (as it stands), `kebab-case`, `camelCase`, `PascalCase`,
///   `SCREAMING_SNAKE_CASE`, or `path`, by which `database_password` is `database/password`;
/// - `crate = "…"`: the path of the crate `strongroom`, where it is re-exported.
///
/// # Attributes of a field
/// - `kind = "…"`, which every field needs that is not nested: `token`, `password`, `key`, `url`, `pem`, `jwt`,
///   `json` or `opaque`. It decides how the strength is judged, so there is no default;
/// - `name = "database/password"`, `description = "…"` (else the documentation of the field), `env = "PGPASSWORD"`,
///   `encoding = "base64"`, `min_length = 40`, `length = 32`, `rotate_after = "90days"`: as in the manifest, which
///   may tighten them and says where the secret is;
/// - `parse`, and `nested` with or without `prefix = "…"`, for the types above.
///
/// Names, words, numbers and lengths of time are checked when it is compiled.
#[proc_macro_derive(FromSecrets, attributes(secret))]
pub fn derive_from_secrets(input: TokenStream) -> TokenStream {
    let input = parse_macro_input!(input as DeriveInput);
    expand::expand(&input)
        .unwrap_or_else(|error| error.into_compile_error())
        .into()
}
