//! What `#[derive(FromSecrets)]` declares and builds, and how it says what is wrong.

use std::convert::Infallible;
use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;
use std::time::Duration;

use secrecy::{ExposeSecret as _, SecretString};
use strongroom::{
    Declared, Encoding, Env, Error, ErrorKind, FromSecrets, Kind, LiveSecret, Loaded, Memory,
    Report, Result, Secret, SecretName, SecretsBuilder, SecretsFactory, blocking, declaration,
};

use crate::canary::seen::Seen;

const TOKEN: &str = "pX4v-Tz0qL9e_W2mR7kB1nY6cH3sJ8dF";
const OTHER: &str = "Zk8w_uQ1xN5t-B7rM2vC9gL4jD6hS0aP";
const CANARY: &str = "cnry7Qx-T2mLp9ZrWv8Yd3KfB6hJs_N0uE";

#[derive(Debug, FromSecrets)]
#[secret(prefix = "payments", rename_all = "kebab-case")]
struct App {
    /// The application role.
    ///
    /// Not a superuser.
    #[secret(name = "database#password", kind = "password", env = "PGPASSWORD")]
    database_password: Secret,
    #[secret(
        kind = "key",
        encoding = "base64url",
        length = 32,
        rotate_after = "90days",
        min_length = 32
    )]
    signing_key: LiveSecret,
    #[secret(kind = "token", description = "the partner's API")]
    r#type: Option<SecretString>,
    #[secret(parse, kind = "opaque")]
    allowed_from: Option<IpAddr>,
    #[secret(nested)]
    mail: Mail,
    #[secret(nested, prefix = "chat/bot")]
    chat: Option<Mail>,
}

#[derive(Debug, FromSecrets)]
struct Mail {
    #[secret(parse, kind = "opaque")]
    port: u16,
    #[secret(kind = "token")]
    token: Secret,
}

fn builder(memory: Memory) -> SecretsBuilder {
    let env = Env::empty()
        .with_var("STRONGROOM_ENV", "production")
        .with_working_dir("/nonexistent");
    SecretsFactory::builder().env(env).provider(memory)
}

fn full() -> Memory {
    Memory::new()
        .with("payments/database#password", "violet-Kayak-19-thunder")
        .with(
            "payments/signing-key",
            "q0Fz3lXc8NnRk2Yw7VbTj5GdH9mPsE4uLaOiKxZvC1A",
        )
        .with("payments/mail/port", "587")
        .with("payments/mail/token", TOKEN)
}

fn findings(error: &Error) -> Vec<(String, &'static str, String)> {
    let report: &Report = error.report().unwrap();
    let told = report.violations().map(|finding| {
        let name = finding.name.as_ref().unwrap().to_string();
        (name, finding.rule, finding.needed_by.clone().unwrap())
    });
    told.collect()
}

fn told(name: &str, rule: &'static str, field: &str) -> (String, &'static str, String) {
    (name.to_owned(), rule, field.to_owned())
}

#[test]
fn it_declares_what_the_attributes_and_types_say() {
    let declared = App::declared();
    let find = |name: &str| {
        let found = declared
            .iter()
            .find(|declared| declared.name.as_str() == name);
        found.unwrap_or_else(|| panic!("{name} in {declared:?}"))
    };
    assert_eq!(declared.len(), 8);
    let password = find("payments/database#password");
    assert_eq!(password.kind, Kind::Password);
    assert_eq!(
        password.description.as_deref(),
        Some("The application role")
    );
    assert_eq!(password.variable.as_deref(), Some("PGPASSWORD"));
    assert_eq!(password.needed_by.as_deref(), Some("App.database_password"));
    assert!(password.required && password.default.is_none());
    let key = find("payments/signing-key");
    assert_eq!((key.kind, key.encoding), (Kind::Key, Encoding::Base64Url));
    assert_eq!((key.length, key.min_length), (Some(32), Some(32)));
    assert_eq!(key.rotate_after, Some(Duration::from_secs(90 * 86_400)));
    let token = find("payments/type");
    assert!(!token.required);
    assert_eq!(token.description.as_deref(), Some("the partner's API"));
    assert_eq!(token.needed_by.as_deref(), Some("App.type"));
    assert!(!find("payments/allowed-from").required);
    let port = find("payments/mail/port");
    assert!(port.required);
    assert_eq!(port.needed_by.as_deref(), Some("App.mail.port"));
    let bot = find("payments/chat/bot/token");
    assert!(!bot.required);
    assert_eq!(bot.needed_by.as_deref(), Some("App.chat.token"));
}

#[tokio::test]
async fn one_call_declares_proves_and_loads() {
    let (app, secrets) = builder(full()).detect_for::<App>().await.unwrap();
    assert!(app.database_password.verify("violet-Kayak-19-thunder"));
    assert_eq!(app.signing_key.with(Secret::len).unwrap(), 32);
    assert_eq!(app.mail.port, 587);
    assert!(app.mail.token.verify(TOKEN));
    assert!(app.r#type.is_none() && app.allowed_from.is_none() && app.chat.is_none());

    let more = full()
        .with("payments/type", OTHER)
        .with("payments/allowed-from", "10.0.0.1")
        .with("payments/chat/bot/port", "1")
        .with(
            "payments/chat/bot/token",
            "Hn7c-Qy2wK5r_D8uM1xV4tG9bF6jL3zS",
        );
    let (app, _) = builder(more).detect_for::<App>().await.unwrap();
    assert_eq!(app.r#type.unwrap().expose_secret(), OTHER);
    assert_eq!(app.allowed_from, Some(IpAddr::from([10, 0, 0, 1])));
    assert_eq!(app.chat.unwrap().port, 1);
    secrets.shutdown().await.unwrap();
}

#[test]
fn programs_without_async_code_have_the_same() {
    let (app, secrets) = blocking::detect_for::<App>(builder(full())).unwrap();
    assert_eq!(app.mail.port, 587);
    assert!(secrets.get("payments/mail/token").unwrap().verify(TOKEN));
    let error = blocking::detect_for::<App>(builder(Memory::new())).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Policy);
}

#[tokio::test]
async fn a_live_type_is_built_again() {
    let memory = full();
    let (_, secrets) = builder(memory.clone()).detect_for::<App>().await.unwrap();
    let live = secrets.watch_as::<App>().await.unwrap();
    memory.set("payments/mail/port", Secret::from_text("25"));
    secrets.refresh().await.unwrap();
    assert_eq!(live.with(|app| app.mail.port).unwrap(), 25);
}

#[tokio::test]
async fn a_boot_names_each_field_whose_secret_is_missing_or_weak() {
    let memory = full().with("payments/mail/token", "changeme-changeme-changeme-changeme");
    memory.remove("payments/database#password");
    let error = builder(memory).detect_for::<App>().await.unwrap_err();
    let found = findings(&error);
    assert!(
        found.contains(&told(
            "payments/database#password",
            "absent",
            "App.database_password"
        )),
        "{found:?}"
    );
    assert!(
        found.contains(&told(
            "payments/mail/token",
            "placeholder",
            "App.mail.token"
        )),
        "{found:?}"
    );
    assert!(format!("{error:?}").contains("needed by `App.mail.token`"));
}

#[derive(Debug)]
struct Chatty(#[allow(dead_code, reason = "Debug reads it")] String);

/// An error that says everything, as those of parsers do.
#[derive(Debug)]
struct Told(String);

impl fmt::Display for Told {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "can't parse {}", self.0)
    }
}

impl FromStr for Chatty {
    type Err = Told;

    fn from_str(text: &str) -> Result<Self, Told> {
        Err(Told(text.to_owned()))
    }
}

#[derive(Debug, FromSecrets)]
#[allow(dead_code, reason = "it is never built")]
struct Broken {
    #[secret(parse, kind = "opaque")]
    chatty: Chatty,
    #[secret(parse, kind = "opaque")]
    number: Option<std::num::NonZero<u32>>,
    #[secret(kind = "opaque")]
    text: SecretString,
    #[secret(nested)]
    inner: Inner,
    #[secret(nested)]
    some: Option<Mail>,
    #[secret(kind = "opaque")]
    fine: Secret,
}

#[derive(Debug, FromSecrets)]
#[allow(dead_code, reason = "it is never built")]
struct Inner {
    #[secret(nested, prefix = "")]
    own: Own,
    #[secret(parse, kind = "opaque")]
    chatty: Chatty,
}

/// Written by hand.
#[derive(Debug)]
struct Own;

impl FromSecrets for Own {
    fn declared() -> Vec<Declared> {
        vec![Declared::new(SecretName::from_static("own"), Kind::Opaque)]
    }

    fn from_secrets(found: &Loaded<'_>) -> Result<Self> {
        found.get("own")?;
        Err(Error::new(
            ErrorKind::Malformed,
            "not in the form of our own",
        ))
    }
}

#[tokio::test]
async fn everything_that_can_not_be_built_is_told_at_once_and_no_value_is() {
    let seen = Seen::with_logs();
    let binary = [CANARY.as_bytes(), &[0xff]].concat();
    let memory = Memory::new()
        .with("chatty", CANARY)
        .with("number", &*format!("{CANARY}1"))
        .with("inner/own", &*format!("{CANARY}2"))
        .with("inner/chatty", &*format!("{CANARY}3"))
        .with("some/port", "1")
        .with("fine", &*format!("{CANARY}4"));
    memory.set("text", Secret::from_bytes(binary));
    let error = builder(memory).detect_for::<Broken>().await.unwrap_err();
    seen.error(&error);
    assert_eq!(error.kind(), ErrorKind::Malformed);
    assert_eq!(
        error.to_string(),
        "`Broken` can't be built from its secrets"
    );
    let report = error.report().unwrap();
    let found: Vec<_> = report
        .violations()
        .map(|finding| {
            let field = finding.needed_by.as_deref().unwrap();
            (field, finding.message.as_str())
        })
        .collect();
    assert_eq!(
        found,
        [
            ("Broken.inner.own", "not in the form of our own"),
            ("Broken.chatty", "the value is no `Chatty`"),
            ("Broken.inner.chatty", "the value is no `Chatty`"),
            ("Broken.number", "the value is no `std::num::NonZero<u32>`"),
            (
                "Broken.some.token",
                "not there, or not declared by this type"
            ),
            ("Broken.text", "the value is not UTF-8 text"),
        ]
    );
    seen.assert_clean(&[CANARY], "the errors of a derived type");
}

#[tokio::test]
async fn a_type_that_the_boot_did_not_know_tells_everything_that_is_missing_too() {
    let env = Env::empty()
        .with_var("STRONGROOM_ENV", "test")
        .with_working_dir("/nonexistent");
    let boot = SecretsFactory::builder().env(env).provider(Memory::new());
    let secrets = boot.detect().await.unwrap();
    let error = secrets.load::<Mail>().await.unwrap_err();
    assert_eq!(
        findings(&error),
        [
            told("port", "absent", "Mail.port"),
            told("token", "absent", "Mail.token")
        ]
    );
}

#[tokio::test]
async fn a_name_that_nesting_makes_too_long_is_an_error() {
    const LONG: &str = "a-folder-of-a-name-that-is-so-long-that-no-name-of-a-secret-fits-below-it-any-more/\
        and-another-folder-of-a-name-that-is-so-long-that-no-name-of-a-secret-fits-below-it-any-more/\
        and-one-more-folder-of-a-name-that-is-so-long-that-no-name-of-it";
    #[derive(Debug, FromSecrets)]
    struct Outer {
        #[secret(
            nested,
            prefix = "a-folder-of-a-name-that-is-so-long-that-no-name-of-a-secret-fits-below-it-any-more/and-another-folder-of-a-name-that-is-so-long-that-no-name-of-a-secret-fits-below-it-any-more/and-one-more-folder-of-a-name-that-is-so-long-that-no-name-of-it"
        )]
        #[allow(dead_code, reason = "it is never built")]
        middle: Option<Middle>,
    }
    #[derive(Debug, FromSecrets)]
    struct Middle {
        #[secret(kind = "opaque")]
        #[allow(dead_code, reason = "it is never built")]
        a_name_of_some_length: Secret,
    }
    assert!(LONG.len() < 256 && LONG.len() + "/a_name_of_some_length".len() > 256);
    let error = builder(Memory::new())
        .detect_for::<Outer>()
        .await
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Config, "{error:?}");
    assert!(
        format!("{error:?}").contains("at most 256 bytes"),
        "{error:?}"
    );
}

#[tokio::test]
async fn the_manifest_tightens_and_says_where_it_is() {
    let memory = || {
        let memory = full().with("elsewhere", OTHER);
        memory.remove("payments/mail/token");
        memory
    };
    let manifest = "[default.policy]\nmin_length = 40\n\
        [default.secrets.\"payments/mail/token\"]\nkind = \"token\"\nsource = \"elsewhere\"\n";
    let error = builder(memory())
        .manifest_text(manifest)
        .detect_for::<App>()
        .await
        .unwrap_err();
    assert_eq!(
        findings(&error),
        [
            told(
                "payments/database#password",
                "too-short",
                "App.database_password"
            ),
            told("payments/mail/token", "too-short", "App.mail.token")
        ]
    );
    let manifest = manifest.replace("40", "20");
    let booted = builder(memory())
        .manifest_text(manifest)
        .detect_for::<App>();
    assert!(booted.await.unwrap().0.mail.token.verify(OTHER));
}

#[tokio::test]
async fn a_contradiction_of_kinds_names_both_places() {
    let manifest = "[default.secrets]\n\"payments/mail/token\" = { kind = \"password\" }\n\
        \"payments/signing-key\" = { kind = \"key\", length = 64 }\n";
    let error = builder(full())
        .manifest_text(manifest)
        .detect_for::<App>()
        .await
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Config);
    let report = error.report().unwrap();
    let said: Vec<_> = report
        .violations()
        .map(|found| found.message.as_str())
        .collect();
    assert_eq!(
        said,
        [
            "its `kind` is password in the compiled-in manifest:2 [default] and token in `App.mail.token`",
            "its `length` is 64 in the compiled-in manifest:3 [default] and 32 in `App.signing_key`",
        ]
    );
}

#[test]
fn the_declaration_is_written_and_read_back() {
    let json = declaration::of::<App>();
    let back = declaration::parse("app.json", &json).unwrap();
    assert_eq!(format!("{back:?}"), format!("{:?}", App::declared()));
    assert!(
        json.starts_with("{\n  \"version\": 1,\n  \"secrets\": [\n"),
        "{json}"
    );
    assert!(json.ends_with("}\n"));
}

/// The library under another name, as a crate that exports it again has it.
mod facade {
    pub(crate) use strongroom as inner;
}

#[derive(FromSecrets)]
#[secret(crate = "crate::derive::facade::inner", rename_all = "path")]
struct Renamed {
    #[secret(kind = "opaque")]
    #[allow(dead_code, reason = "only its declaration matters")]
    database_password: Secret,
}

#[test]
fn the_crate_may_have_another_path() {
    assert_eq!(Renamed::declared()[0].name.as_str(), "database/password");
}

#[test]
fn a_parser_that_can_not_fail_is_one_too() {
    #[derive(Debug)]
    struct Anything;
    impl FromStr for Anything {
        type Err = Infallible;
        fn from_str(_: &str) -> Result<Self, Infallible> {
            Ok(Self)
        }
    }
    #[derive(Debug, FromSecrets)]
    struct Holder {
        #[secret(parse, kind = "opaque")]
        #[allow(dead_code, reason = "Debug reads it")]
        any: Anything,
    }
    let (held, _) =
        blocking::detect_for::<Holder>(builder(Memory::new().with("any", OTHER))).unwrap();
    assert!(!format!("{held:?}").contains(OTHER));
}
