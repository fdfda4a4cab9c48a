//! Every key that a manifest may have: what may stand there, what stands for it where it doesn't, and what
//! it is for. The check of unknown keys and the JSON Schema are both made of these tables.

use std::ops::RangeInclusive;
use std::time::Duration;

use crate::declared::{Encoding, Kind};
use crate::manifest::{audit, layers, read};

/// One key of a table.
#[derive(Debug)]
pub(super) struct Key {
    pub(super) name: &'static str,
    pub(super) form: Form,
    /// What is in force where the key is not there, as JSON, which is TOML as well.
    pub(super) default: Option<&'static str>,
    pub(super) about: &'static str,
}

/// What may stand at a key.
#[derive(Debug)]
pub(super) enum Form {
    Text,
    Texts,
    Flag,
    /// The name of a secret.
    Name,
    /// The address of a provider.
    Address,
    Word(fn() -> Vec<&'static str>),
    Whole(RangeInclusive<u64>),
    Time(RangeInclusive<Duration>),
    Table(&'static [Key]),
    /// The name of a secret, or a table.
    NameOrTable(&'static [Key]),
    /// Addresses by the names of providers.
    Addresses {
        most: usize,
    },
    /// Tables by the names of secrets.
    Secrets {
        most: usize,
        keys: &'static [Key],
    },
}

const fn key(name: &'static str, form: Form, about: &'static str) -> Key {
    Key {
        name,
        form,
        default: None,
        about,
    }
}

impl Key {
    const fn by_default(mut self, default: &'static str) -> Self {
        self.default = Some(default);
        self
    }
}

const fn count(bounds: &RangeInclusive<u32>) -> Form {
    Form::Whole(*bounds.start() as u64..=*bounds.end() as u64)
}

/// A number of characters, bytes or the like, which any text may have.
const SIZE: Form = Form::Whole(0..=i64::MAX as u64);

/// Any length of time.
const ANY_TIME: Form = Form::Time(Duration::ZERO..=Duration::MAX);

/// The keys of a profile, without the overrides of guard rails.
pub(super) const PROFILE: &[Key] = &[
    key(
        "provider",
        Form::Address,
        "Where secrets are read from. Without it detection decides: marker variables, then what the platform brings.",
    ),
    key(
        "allow_providers",
        Form::Texts,
        "The only providers that may be chosen: schemes such as `vault`, or whole addresses. Without it any may be.",
    ),
    key(
        "providers",
        Form::Addresses {
            most: read::MAX_PROVIDERS,
        },
        "Further providers by name, for `source.provider` and for the members of a `chain:`.",
    ),
    key(
        "policy",
        Form::Table(POLICY),
        "The policy of every declared secret that has none of its own.",
    ),
    key(
        "retry",
        Form::Table(RETRY),
        "How calls to remote providers are repeated.",
    ),
    key(
        "limit",
        Form::Table(LIMIT),
        "How many calls remote providers get.",
    ),
    key(
        "cache",
        Form::Table(CACHE),
        "How long a running service holds values.",
    ),
    key(
        "snapshot",
        Form::Table(SNAPSHOT),
        "An encrypted copy that a boot may start from while the backend can't be reached. Needs `path` and `key_file`.",
    ),
    key(
        "audit",
        Form::Table(AUDIT),
        "The audit log. With a `path` it needs exactly one of `key_file` and `key_secret`.",
    ),
    key(
        "secrets",
        Form::Secrets {
            most: read::MAX_SECRETS,
            keys: SECRET,
        },
        "The declared secrets by name, `path` or `path#field`.",
    ),
];

const POLICY: &[Key] = &[
    key(
        "min_length",
        SIZE,
        "The least number of characters of tokens and passwords. It can raise what the kind asks for, never lower it.",
    ),
    key(
        "rotate_after",
        ANY_TIME,
        "The age from which a secret should have been rotated: a warning.",
    ),
];

const RETRY: &[Key] = &[
    key(
        "attempts",
        count(&layers::ATTEMPTS),
        "How often a call is tried, the first time included.",
    )
    .by_default("4"),
    key(
        "deadline",
        Form::Time(layers::DEADLINE),
        "How long a call may take with all its repetitions.",
    )
    .by_default("\"15s\""),
];

const LIMIT: &[Key] = &[
    key(
        "concurrency",
        count(&layers::CONCURRENCY),
        "How many calls run at once.",
    )
    .by_default("32"),
    key(
        "per_second",
        count(&layers::PER_SECOND),
        "How many calls begin in a second.",
    )
    .by_default("100"),
];

const CACHE: &[Key] = &[
    key(
        "ttl",
        Form::Time(layers::TTL),
        "How old a value gets before it is stale: it is read again before.",
    )
    .by_default("\"5m\""),
    key(
        "max_stale",
        Form::Time(layers::MAX_STALE),
        "How long a value is handed out that the backend doesn't confirm; at least `ttl`.",
    )
    .by_default("\"1h\""),
    key(
        "negative_ttl",
        Form::Time(layers::NEGATIVE_TTL),
        "How long an absence is believed.",
    )
    .by_default("\"5s\""),
    key(
        "overlap",
        Form::Time(layers::OVERLAP),
        "How long the former value of a rotation is still handed out as the previous one.",
    )
    .by_default("\"10m\""),
];

const SNAPSHOT: &[Key] = &[
    key("path", Form::Text, "The file of the snapshot."),
    key(
        "key_file",
        Form::Text,
        "The file of its key, in another directory than the snapshot.",
    ),
    key(
        "max_age",
        Form::Time(layers::MAX_AGE),
        "How old a snapshot may be that a boot starts from.",
    )
    .by_default("\"1day\""),
];

const AUDIT: &[Key] = &[
    key("path", Form::Text, "The file of the log."),
    key("key_file", Form::Text, "The file of the log's key."),
    key(
        "key_secret",
        Form::Name,
        "The secret that holds the log's key, instead of `key_file`.",
    ),
    key(
        "service",
        Form::Text,
        "What the service is called in its events.",
    ),
    key(
        "reads",
        Form::Word(|| vec!["first", "every"]),
        "Which hand-outs are recorded: the first of each version, or every one.",
    )
    .by_default("\"first\""),
    key(
        "fail_closed",
        Form::Flag,
        "Refuses what can't be recorded. Needs a `path`.",
    )
    .by_default("false"),
    key(
        "max_bytes",
        Form::Whole(audit::BYTES),
        "How large the file gets before it is set aside.",
    )
    .by_default("67108864"),
    key(
        "max_age",
        Form::Time(audit::AGE),
        "How old the file gets before it is set aside. Without it, age doesn't matter.",
    ),
    key(
        "keep",
        Form::Whole(audit::FILES),
        "How many files are kept that were set aside. Without it, all are.",
    ),
    key(
        "keep_for",
        Form::Time(audit::AGE),
        "How long files are kept that were set aside. Without it, for ever.",
    ),
    key(
        "head_every",
        Form::Whole(audit::EVENTS),
        "After how many events the head of the chain is logged.",
    )
    .by_default("1000"),
    key(
        "sync",
        Form::Flag,
        "Whether each write waits until the disk has it.",
    )
    .by_default("false"),
];

const SECRET: &[Key] = &[
    key(
        "kind",
        Form::Word(|| Kind::ALL.iter().map(|kind| kind.as_str()).collect()),
        "What it is, which decides how its strength is judged. A required secret must have one.",
    ),
    key(
        "description",
        Form::Text,
        "What it is for, shown to operators.",
    ),
    key(
        "env",
        Form::Text,
        "Its own environment variable, for the environment backend and for `strongroom run`.",
    ),
    key(
        "required",
        Form::Flag,
        "Whether the service can't boot without it.",
    )
    .by_default("true"),
    key(
        "default",
        Form::Text,
        "The value for development where the backend has none. Refused in staging and production.",
    ),
    key(
        "source",
        Form::NameOrTable(SOURCE),
        "Where it is read from, instead of the mapping of its name by the chosen provider.",
    ),
    key(
        "encoding",
        Form::Word(|| Encoding::ALL.iter().map(|known| known.as_str()).collect()),
        "How the backend's text stands for the value's bytes.",
    )
    .by_default("\"text\""),
    key(
        "min_length",
        SIZE,
        "The least length: characters for a token or a password, bytes for anything else. It can raise what the kind asks for, never lower it.",
    ),
    key(
        "length",
        SIZE,
        "The exact decoded length of a key in bytes; 32 where nothing is said.",
    ),
    key(
        "rotate_after",
        ANY_TIME,
        "The age from which it should have been rotated: a warning.",
    ),
];

const SOURCE: &[Key] = &[
    key(
        "provider",
        Form::Text,
        "The name of a provider in `providers`, instead of the chosen one.",
    ),
    key(
        "id",
        Form::Text,
        "The backend's own identifier, as it is. Not together with `name`.",
    ),
    key(
        "name",
        Form::Name,
        "Another name, mapped by the provider as any name. Not together with `id`.",
    ),
    key(
        "field",
        Form::Text,
        "The field of what stands at `id`; only with `id`.",
    ),
    key(
        "lease",
        Form::Flag,
        "Whether the backend lends it, and its lease is renewed; only with `id`.",
    )
    .by_default("false"),
];
