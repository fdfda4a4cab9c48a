use strongroom::{FromSecrets, Secret};

#[derive(FromSecrets)]
struct Tuple(Secret);

#[derive(FromSecrets)]
struct Unit;

#[derive(FromSecrets)]
enum Either {
    One { secret: Secret },
}

#[derive(FromSecrets)]
union Bits {
    number: u64,
}

#[derive(FromSecrets)]
struct Generic<T> {
    #[secret(nested)]
    inner: T,
}

#[derive(FromSecrets)]
struct Borrowing<'a> {
    #[secret(parse, kind = "opaque")]
    inner: &'a str,
}

#[derive(FromSecrets)]
#[secret(prefix = "payments/")]
struct TrailingSlash {
    #[secret(kind = "token")]
    token: Secret,
}

#[derive(FromSecrets)]
#[secret(prefix = "database#password")]
struct PrefixWithField {
    #[secret(kind = "token")]
    token: Secret,
}

#[derive(FromSecrets)]
#[secret(rename_all = "Kebab-Case")]
struct Convention {
    #[secret(kind = "token")]
    token: Secret,
}

#[derive(FromSecrets)]
#[secret(rename = "payments")]
struct UnknownSetting {
    #[secret(kind = "token")]
    token: Secret,
}

#[derive(FromSecrets)]
#[secret(crate = "not a path")]
struct OtherCrate {
    #[secret(kind = "token")]
    token: Secret,
}

fn main() {}
