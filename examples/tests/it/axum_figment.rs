use crate::program::{example, run};

#[test]
fn configuration_follows_the_profile_and_holds_no_secret() {
    let dir = tempfile::tempdir().unwrap();
    let (ok, printed) =
        run(example("axum_figment", dir.path()).env("STRONGROOM_ENV", "development"));
    assert!(ok, "{printed}");
    assert!(printed.contains("GET /: Hello, developer\n"), "{printed}");
    assert!(
        printed.contains("http://localhost:9000/v1 with token "),
        "{printed}"
    );
    assert!(
        printed.contains("token: \"partner/token\""),
        "the configuration names it: {printed}"
    );

    let (ok, printed) =
        run(example("axum_figment", dir.path()).env("STRONGROOM_ENV", "production"));
    assert!(ok, "{printed}");
    assert!(printed.contains("GET /: Good day\n"), "{printed}");
}
