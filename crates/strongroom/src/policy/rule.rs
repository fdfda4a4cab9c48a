//! The stable identifiers of the rules. The table in [`policy`](super) says what each one asks.

pub(super) const EMPTY: &str = "empty";
pub(super) const TOO_LONG: &str = "too-long";
pub(super) const NOT_TEXT: &str = "not-text";
pub(super) const TRAILING_NEWLINE: &str = "trailing-newline";
pub(super) const SURROUNDING_BLANKS: &str = "surrounding-blanks";
pub(super) const SURROUNDING_QUOTES: &str = "surrounding-quotes";
pub(super) const CONTROL_CHARACTER: &str = "control-character";
pub(super) const PLACEHOLDER: &str = "placeholder";
pub(super) const DUPLICATE_VALUE: &str = "duplicate-value";
pub(super) const TOO_SHORT: &str = "too-short";
pub(super) const FEW_CHARACTERS: &str = "few-characters";
pub(super) const REPETITION: &str = "repetition";
pub(super) const SEQUENCE: &str = "sequence";
pub(super) const COMMON_WORDS: &str = "common-words";
pub(super) const COMMON_PASSWORD: &str = "common-password";
#[cfg(feature = "zxcvbn")]
pub(super) const GUESSABLE_PASSWORD: &str = "guessable-password";
pub(super) const KEY_LENGTH: &str = "key-length";
pub(super) const TEXT_AS_KEY: &str = "text-as-key";
pub(super) const URL_MALFORMED: &str = "url-malformed";
pub(super) const URL_WITHOUT_PASSWORD: &str = "url-without-password";
pub(super) const PEM_MALFORMED: &str = "pem-malformed";
pub(super) const PEM_ENCRYPTED: &str = "pem-encrypted";
pub(super) const JWT_MALFORMED: &str = "jwt-malformed";
pub(super) const JWT_UNSIGNED: &str = "jwt-unsigned";
pub(super) const JWT_EXPIRED: &str = "jwt-expired";
pub(super) const JWT_EXPIRES_SOON: &str = "jwt-expires-soon";
pub(super) const JSON_MALFORMED: &str = "json-malformed";
pub(super) const JSON_EMPTY: &str = "json-empty";
pub(super) const ROTATION_DUE: &str = "rotation-due";
pub(super) const DEFAULT_IN_PRODUCTION: &str = "default-in-production";
pub(super) const DEVELOPMENT_DEFAULT: &str = "development-default";

/// The rules that a default is free of in development and test: how hard it is to guess, which a
/// value that stands in the manifest can't be.
pub(super) const OF_STRENGTH: &[&str] = &[
    TOO_SHORT,
    FEW_CHARACTERS,
    REPETITION,
    SEQUENCE,
    COMMON_WORDS,
    COMMON_PASSWORD,
    #[cfg(feature = "zxcvbn")]
    GUESSABLE_PASSWORD,
    TEXT_AS_KEY,
];
