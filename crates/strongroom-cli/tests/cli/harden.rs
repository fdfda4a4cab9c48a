//! The program keeps its memory to itself, and those that it starts keep their own ways.

use std::process::{Command, Output};

use crate::harness::{Room, TOKEN};

fn shell(script: &str) -> Output {
    shell_with(script, "sh")
}

/// Runs a script, with what it calls `$0`.
fn shell_with(script: &str, zero: &str) -> Output {
    let mut shell = Command::new("sh");
    shell.args(["-c", script, zero]).output().unwrap()
}

/// The soft limit is given back; a program that leaves cores is its owner's to decide about.
#[test]
fn a_program_that_run_becomes_has_the_core_limit_that_it_would_have_had() {
    let room = Room::new().file("secrets/app_token", TOKEN);
    let limits = "ulimit -S -c; ulimit -H -c";
    let raise = "ulimit -S -c \"$(ulimit -H -c)\"";
    let strongroom = env!("CARGO_BIN_EXE_strongroom");
    for before in [raise, "ulimit -S -c 0"] {
        let direct = shell(&format!("{before}; sh -c '{limits}'"));
        let (dir, path) = (room.path("secrets"), room.path("."));
        let through = shell(&format!(
            "{before}; cd '{}'; STRONGROOM_ENV=development '{strongroom}' \
             --provider 'file:{}' run -- sh -c \"{limits}\"",
            path.display(),
            dir.display()
        ));
        assert!(through.status.success(), "{through:?}");
        assert_eq!(through.stdout, direct.stdout, "{through:?}");
    }
}

/// `/proc/self` belongs to root in a process that is not dumpable; its own descriptors stay readable.
#[test]
fn a_key_comes_by_descriptor_to_a_user_who_is_not_root() {
    let dir = tempfile::tempdir().unwrap();
    let program = dir.path().join("strongroom");
    std::fs::copy(env!("CARGO_BIN_EXE_strongroom"), &program).unwrap();
    let script = format!(
        "cd '{0}' && export HOME=\"$PWD\" STRONGROOM_ENV=development && \
         printf %s 'tundra-velvet-orbit-cactus-mimic-plaza-7' > words && chmod 600 words && \
         ./strongroom init --passphrase-file words && \
         cat words | STRONGROOM_PASSPHRASE_FILE=/dev/fd/0 ./strongroom list && \
         cat words | (exec 3<&0 </dev/null; STRONGROOM_PASSPHRASE_FILE=/dev/fd/3 ./strongroom list)",
        dir.path().display()
    );
    let everybody = std::os::unix::fs::PermissionsExt::from_mode(0o777);
    std::fs::set_permissions(dir.path(), everybody).unwrap();
    // The tests may run as root.
    let ran = shell_with(
        "if [ \"$(id -u)\" = 0 ]; then \
         exec setpriv --reuid=65534 --regid=65534 --clear-groups sh -c \"$0\"; \
         else exec sh -c \"$0\"; fi",
        &script,
    );
    assert!(
        ran.status.success(),
        "{}",
        String::from_utf8_lossy(&ran.stderr)
    );
}
