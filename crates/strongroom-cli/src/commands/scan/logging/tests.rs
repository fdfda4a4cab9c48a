use std::path::Path;

use proptest::prelude::*;

use super::Logging;

/// A `·` in each text that has to be found keeps it from being found in this file.
fn found(file: &str, text: &str) -> Vec<String> {
    let text = text.replace('·', "");
    let found = Logging::new()
        .unwrap()
        .find(Path::new(file), text.as_bytes());
    found
        .into_iter()
        .map(|range| text[range].to_owned())
        .collect()
}

#[test]
fn finds_secret_variables_that_are_logged() {
    for (file, text, name) in [
        ("a.rs", r#"println·!("{password}")"#, "password"),
        (
            "a.rs",
            r#"println·!("{}: {:?}", user, config.api_token)"#,
            "config.api_token",
        ),
        (
            "a.rs",
            r#"info·!(token = %api_token, "logged in")"#,
            "api_token",
        ),
        ("a.rs", r#"info·!(password, "logged in")"#, "password"),
        (
            "a.rs",
            r#"tracing::debug·!("{}", secret.expose_secret())"#,
            "secret.expose_secret()",
        ),
        ("a.rs", r#"dbg·!(&db_password)"#, "db_password"),
        (
            "a.rs",
            "println·!(\n    \"{}\",\n    key.expose_str().unwrap()\n)",
            "key.expose_str().unwrap()",
        ),
        (
            "a.rs",
            r#"log::warn·!("{0:?}", Some(token.clone()))"#,
            "token.clone()",
        ),
        ("a.ts", "console.lo·g(`token is ${token}`)", "token"),
        (
            "a.ts",
            r#"console.erro·r("failed", { user, password })"#,
            "password",
        ),
        (
            "a.js",
            "logger.inf·o('x', JSON.stringify(secret))",
            "secret",
        ),
        (
            "a.tsx",
            "console.lo·g(process.env.API_KEY)",
            "process.env.API_KEY",
        ),
        ("a.py", "print·(·f'{user}: {password}')", "password"),
        (
            "a.py",
            "logging.inf·o('%s', settings.secret_key)",
            "settings.secret_key",
        ),
        ("a.py", "logger.debu·g(str(token))", "token"),
        (
            "a.go",
            r#"fmt.Print·f("%s\n", cfg.Password)"#,
            "cfg.Password",
        ),
        ("a.go", r#"log.Print·f("%s", string(token))"#, "token"),
        ("a.go", r#"slog.Inf·o("in", "token", apiToken)"#, "apiToken"),
        (
            "A.java",
            r#"System.out.printl·n("p: " + password);"#,
            "password",
        ),
        (
            "A.java",
            r#"log.inf·o("{}", user.password);"#,
            "user.password",
        ),
        ("A.java", r#"LOGGER.debu·g("{}", apiKey)"#, "apiKey"),
    ] {
        assert_eq!(found(file, text), [name], "{text}");
    }
}

#[test]
fn passes_over_what_only_speaks_of_them() {
    for (file, text) in [
        ("a.rs", r#"println·!("the password is wrong")"#),
        ("a.rs", r#"println·!("{}", password.len())"#),
        ("a.rs", r#"info·!(token = %fingerprint(&token), "x")"#),
        ("a.rs", r#"info·!(password = "***", "x")"#),
        ("a.rs", r#"println·!("{{password}}")"#),
        ("a.rs", r#"println·!("{secret_name}: {}", secret.name())"#),
        ("a.rs", r#"// println·!("{password}")"#),
        ("a.rs", r#"let text = format!("{password}");"#),
        ("a.rs", r#"warn·!("{}", redact_url(&token))"#),
        ("a.rs", "println·!(\"x\");\nlet password = 1;"),
        ("a.rs", "println·!(\"x\", // password\n 1)"),
        ("a.ts", "console.lo·g('token', token.length)"),
        ("a.ts", "console.lo·g({ password: mask(password) })"),
        ("a.ts", r#"console.lo·g("${password}")"#),
        ("a.py", "print·('{password}')"),
        ("a.py", "print·(len(password))"),
        ("a.py", "# print·(password)"),
        ("a.go", r#"log.Print·f("token of %d bytes", len(token))"#),
        ("A.java", r#"log.inf·o("password changed for {}", user);"#),
        ("a.md", r#"println·!("{password}")"#),
    ] {
        assert_eq!(found(file, text), [""; 0], "{text}");
    }
}

proptest! {
    #[test]
    fn no_text_makes_it_panic(text in r#"(println!\(|print\(f|console.log\(|[a-z."'`{}$()\\ \n:=]|password|ä){0,60}"#) {
        let logging = Logging::new().unwrap();
        for file in ["a.rs", "a.ts", "a.py", "a.go", "a.java"] {
            logging.find(Path::new(file), text.as_bytes());
        }
    }
}
