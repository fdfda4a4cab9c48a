use strongroom::{FromSecrets, Secret};

#[derive(FromSecrets)]
struct Kinds {
    without: Secret,
    #[secret(kind = "pasword")]
    mistyped: Secret,
    #[secret(kind = 3)]
    number: Secret,
    #[secret(kind)]
    alone: Secret,
}

#[derive(FromSecrets)]
struct Settings {
    #[secret(kind = "token", default = "hunter2")]
    default: Secret,
    #[secret(kind = "token", min_len = 3)]
    unknown: Secret,
    #[secret(kind = "token", kind = "key")]
    twice: Secret,
    #[secret(kind = "token", min_length = 0)]
    zero: Secret,
    #[secret(kind = "token", length = 32)]
    length: Secret,
    #[secret(kind = "key", encoding = "base32")]
    encoding: Secret,
    #[secret(kind = "key", rotate_after = "soon")]
    rotate_after: Secret,
    #[secret(kind = "key", env = "2-KEYS")]
    env: Secret,
    #[secret = "token"]
    no_list: Secret,
}

#[derive(FromSecrets)]
struct Contradictions {
    #[secret(kind = "token", required)]
    required: Option<Secret>,
    #[secret(kind = "token", optional)]
    optional: Secret,
    #[secret(kind = "token")]
    doubly_optional: Option<Option<Secret>>,
    #[secret(nested, kind = "token")]
    nested_kind: Secret,
    #[secret(nested, name = "a/b")]
    nested_name: Secret,
    #[secret(nested, parse)]
    nested_parse: Secret,
    #[secret(nested, prefix = "a b")]
    nested_prefix: Secret,
    #[secret(kind = "token", prefix = "a")]
    prefix: Secret,
    #[secret(parse = true, kind = "opaque")]
    parse: u16,
}

#[derive(FromSecrets)]
struct Names {
    #[secret(name = "data base", kind = "token")]
    blank: Secret,
    #[secret(name = "", kind = "token")]
    empty: Secret,
    #[secret(name = "a//b", kind = "token")]
    segment: Secret,
    #[secret(name = "../a", kind = "token")]
    dot: Secret,
    #[secret(name = "a#b/c", kind = "token")]
    field: Secret,
    #[secret(kind = "token")]
    größe: Secret,
}

#[derive(FromSecrets)]
struct Same {
    #[secret(name = "api/token", kind = "token")]
    one: Secret,
    #[secret(name = "api/token", kind = "token")]
    other: Secret,
}

fn main() {}
