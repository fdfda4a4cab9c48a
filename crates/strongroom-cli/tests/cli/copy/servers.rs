//! Through every backend in turn, on real servers: sealed → Vault → AWS → a directory.

use strongroom::Env;

use crate::harness::{Ran, TOKEN};
use crate::project::Project;

const MANIFEST: &str = "\
[default.secrets.\"api/token\"]
kind = \"token\"
[default.secrets.\"database#password\"]
kind = \"password\"
[default.secrets.\"database#user\"]
kind = \"opaque\"
[default.secrets.\"signing/key\"]
kind = \"key\"
encoding = \"base64\"
";

/// A variable of the servers; `None` where there are none.
fn variable(name: &str) -> Option<String> {
    let env = Env::process();
    let value = env.var(name).unwrap().map(str::to_owned);
    if value.is_none() {
        assert_ne!(env.var("CI").unwrap(), Some("true"), "{name} is not set");
        println!("not run: needs `cargo xtask servers`");
    }
    value
}

#[test]
fn secrets_move_from_a_sealed_file_through_vault_and_aws_to_a_directory() {
    let (Some(bao), Some(address), Some(token), Some(aws)) = (
        variable("STRONGROOM_TEST_BAO"),
        variable("STRONGROOM_TEST_VAULT_ADDR"),
        variable("STRONGROOM_TEST_VAULT_TOKEN"),
        variable("STRONGROOM_TEST_AWS_ENDPOINT"),
    ) else {
        return;
    };
    let dir = tempfile::tempdir().unwrap();
    let own = dir.path().file_name().unwrap().to_str().unwrap();
    let own = own.replace('.', "").to_lowercase();
    let Project { room, home: _home } = Project::new();
    let project = room
        .var("VAULT_ADDR", &address)
        .var("VAULT_TOKEN", &token)
        .var("AWS_ENDPOINT_URL", &aws)
        .var("AWS_EC2_METADATA_DISABLED", "true")
        .var("AWS_ACCESS_KEY_ID", &format!("AKIA{own}"))
        .var("AWS_SECRET_ACCESS_KEY", "canary-of-the-secret-key");
    project.run(&["init"]).ends(0);
    let project = project.file("strongroom.toml", MANIFEST);
    let mount = format!("-path=kv-{own}");
    let enable = ["secrets", "enable", &mount, "-version=2", "kv"];
    Ran(project.other(&bao, &enable).output().unwrap()).ends(0);

    let sealed = "sealed:.strongroom/secrets.sealed";
    let vault = format!(
        "vault+http://{}/kv-{own}/app",
        address.strip_prefix("http://").unwrap()
    );
    let aws = format!("aws://eu-west-1/move/{own}");
    let project = project.dir_of_mode("files", 0o700);
    for (name, value) in [
        ("api/token", TOKEN.as_bytes()),
        ("database#password", b"violet-Kayak-19-thunder"),
        ("database#user", b"app"),
        (
            "signing/key",
            &core::array::from_fn::<u8, 32, _>(|at| (at * 37 % 251) as u8 ^ 0x9d),
        ),
        ("undeclared", b"multi\nline"),
    ] {
        let arguments = ["set", name, "--provider", sealed];
        project.run_with(&arguments, value).ends(0);
    }
    let mut from = sealed;
    for to in [vault.as_str(), aws.as_str(), "file:files"] {
        let ran = project.run(&["copy", from, to, "--dry-run"]).ends(0);
        assert!(
            ran.stderr().contains("would write 5"),
            "{to}: {}{}",
            ran.stdout(),
            ran.stderr()
        );
        let ran = project.run(&["copy", from, to]).ends(0);
        assert!(
            ran.stderr().contains("wrote 5, read back"),
            "{to}: {}",
            ran.stderr()
        );
        let ran = project.run(&["diff", from, to]).ends(0);
        assert!(
            ran.stderr().contains("the same: 5"),
            "{to}: {}",
            ran.stderr()
        );
        // Again there is nothing to do.
        let ran = project.run(&["copy", from, to]).ends(0);
        assert!(
            ran.stderr().contains("nothing to write; 5 there already"),
            "{}",
            ran.stderr()
        );
        from = to;
    }
    project.run(&["diff", sealed, "file:files"]).ends(0);

    // Another value is found, and overwritten at its version.
    let set = ["set", "database#password", "--provider", &vault];
    project.run_with(&set, b"yellow-Kayak-20-thunder").ends(0);
    project.run(&["diff", sealed, &vault]).ends(1);
    project.run(&["copy", sealed, &vault]).ends(7);
    project
        .run(&["copy", sealed, &vault, "--on-conflict", "overwrite"])
        .ends(0);
    project.run(&["diff", sealed, &vault]).ends(0);

    // Bytes without an encoding are nothing that Vault holds: nothing is written.
    let set = ["set", "raw", "--provider", sealed];
    project.run_with(&set, &[0xff, 0x00, 0xfe]).ends(0);
    let set = ["set", "aaa", "--provider", sealed];
    project.run_with(&set, b"a-further-value").ends(0);
    let ran = project.run(&["copy", sealed, &vault]).ends(1);
    assert!(
        ran.stderr().contains("`raw`") && ran.stderr().contains("0 written"),
        "{}",
        ran.stderr()
    );
    project.run(&["get", "aaa", "--provider", &vault]).ends(3);
}
