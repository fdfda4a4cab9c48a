use strongroom::Secret;

use crate::program::{example, run};

#[path = "../../axum_figment/database.rs"]
mod database;

#[test]
fn what_separates_the_parts_of_an_address_is_escaped_in_them() {
    let database: database::Database = toml::from_str(
        "host = 'db'\nport = 5432\nname = 'payments'\nuser = 'a:b'\npassword = 'secret:a'",
    )
    .unwrap();
    assert_eq!(database.password.name().as_str(), "a");
    let url = database.url(&Secret::from_text("p@ss/w:rd%?#é")).unwrap();
    assert_eq!(
        url.expose_str().unwrap(),
        "postgres://a%3Ab:p%40ss%2Fw%3Ard%25%3F%23%C3%A9@db:5432/payments"
    );
}

#[test]
fn configuration_follows_the_profile_and_holds_no_secret() {
    let dir = tempfile::tempdir().unwrap();
    for (deployment, greeting, host, partner) in [
        (
            "development",
            "Hello, developer",
            "localhost",
            "http://localhost:9000/v1",
        ),
        (
            "staging",
            "Good day",
            "db.staging.internal",
            "https://sandbox.partner.example/v1",
        ),
        (
            "production",
            "Good day",
            "db.internal",
            "https://partner.example/v1",
        ),
    ] {
        let (ok, printed) =
            run(example("axum_figment", dir.path()).env("STRONGROOM_ENV", deployment));
        assert!(ok, "{printed}");
        for said in [
            format!("GET /: {greeting}\n"),
            format!("GET /database: would connect to postgres://[REDACTED]@{host}:5432/payments\n"),
            format!("GET /partner: would call {partner} with token "),
            "password: secret:database/password".to_owned(),
            "token: secret:partner/token".to_owned(),
        ] {
            assert!(printed.contains(&said), "{deployment}, {said}: {printed}");
        }
    }
    // Without a profile of its own the defaults hold.
    let (ok, printed) = run(&mut example("axum_figment", dir.path()));
    assert!(ok && printed.contains("GET /: Good day\n"), "{printed}");
}

#[test]
fn a_password_in_the_configuration_is_refused_and_not_repeated() {
    let dir = tempfile::tempdir().unwrap();
    let canary = "Canary-7f3a9d-canary";
    let file = dir.path().join("config.toml");
    for password in [
        format!("\"{canary}\""),
        format!("\"secret:{canary} {canary}\""),
        format!("{{ value = \"{canary}\" }}"),
        format!("[\"{canary}\"]"),
    ] {
        let config = include_str!("../../axum_figment/config.toml")
            .replace("\"secret:database/password\"", &password);
        std::fs::write(&file, config).unwrap();
        let (ok, printed) = run(example("axum_figment", dir.path()).env("APP_CONFIG", &file));
        assert!(!ok, "{printed}");
        assert!(printed.contains("secret:database/password"), "{printed}");
        assert!(printed.contains("database.password"), "{printed}");
        assert!(!printed.contains(canary), "{printed}");
    }
}
