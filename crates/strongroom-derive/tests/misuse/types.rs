use strongroom::{FromSecrets, Secret};

type Maybe = Option<Secret>;

struct NoParser;

#[derive(FromSecrets)]
struct Text {
    #[secret(kind = "password")]
    password: String,
}

#[derive(FromSecrets)]
struct Alias {
    #[secret(kind = "password")]
    password: Maybe,
}

#[derive(FromSecrets)]
struct Parsed {
    #[secret(parse, kind = "opaque")]
    parsed: NoParser,
}

#[derive(FromSecrets)]
struct Nested {
    #[secret(nested)]
    nested: NoParser,
}

fn main() {}
