//! `doctor --fix`: what it repairs, and what it leaves alone.

use std::fs::{self, File, Permissions};
use std::os::unix::fs::{PermissionsExt as _, chown, symlink};
use std::path::Path;
use std::time::{Duration, SystemTime};

use crate::harness::{Ran, TOKEN};
use crate::project::{FILE, Project};

fn mode(path: &Path) -> u32 {
    path.metadata().unwrap().permissions().mode() & 0o7777
}

fn set_mode(path: &Path, mode: u32) {
    fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
}

fn fix(project: &Project) -> Ran {
    project.run(&["doctor", "--fix"])
}

/// A second run has nothing to do.
fn all_is_well(project: &Project) {
    let ran = fix(project).ends(0);
    assert_eq!(ran.stdout(), "");
    assert_eq!(ran.stderr(), "there is nothing to fix\n");
}

#[test]
fn permissions_are_narrowed_and_each_is_named() {
    let project = Project::begun();
    let key = project.key_file();
    set_mode(&key, 0o644);
    set_mode(key.parent().unwrap(), 0o755);
    set_mode(&project.room.path(FILE), 0o666);
    project.write(".env", "A=1\n");
    set_mode(&project.room.path(".env"), 0o644);

    let ran = project.run(&["doctor", "--fix", "--dry-run"]).ends(0);
    assert!(ran.stdout().contains("would fix"), "{}", ran.stdout());
    assert_eq!(mode(&key), 0o644, "a dry run changes nothing");

    let ran = fix(&project).ends(0);
    for said in [
        "mode 0644 becomes 0600",
        "mode 0755 becomes 0700",
        "mode 0666 becomes 0644",
    ] {
        assert!(ran.stdout().contains(said), "{}", ran.stdout());
    }
    assert_eq!(mode(&key), 0o600);
    assert_eq!(mode(key.parent().unwrap()), 0o700);
    assert_eq!(mode(&project.room.path(FILE)), 0o644);
    assert_eq!(mode(&project.room.path(".env")), 0o600);
    all_is_well(&project);
}

#[test]
fn the_files_of_a_directory_of_secrets_are_narrowed_and_no_others() {
    let mut project = Project::new();
    project.room = project
        .room
        .file("secrets/api/token", TOKEN)
        .file("src/main.rs", "")
        .var("STRONGROOM_ENV", "development")
        .var("STRONGROOM_PROVIDER", "file:secrets");
    for path in ["secrets/api/token", "src/main.rs"] {
        set_mode(&project.room.path(path), 0o664);
    }
    let json = project
        .run(&["doctor", "--fix", "--format", "json"])
        .ends(0)
        .stdout();
    assert!(
        json.starts_with(r#"{"schema":1,"dry_run":false,"fixes":[{"path":""#),
        "{json}"
    );
    assert!(json.contains(r#""outcome":"fixed""#), "{json}");
    assert_eq!(mode(&project.room.path("secrets/api/token")), 0o600);
    assert_eq!(mode(&project.room.path("src/main.rs")), 0o664);
    all_is_well(&project);
    // The whole project is no directory of secrets, whatever an address says.
    project.room = project
        .room
        .without("STRONGROOM_PROVIDER")
        .var("STRONGROOM_PROVIDER", "file:.");
    all_is_well(&project);
    assert_eq!(mode(&project.room.path("src/main.rs")), 0o664);
}

#[test]
fn no_link_is_followed_and_nothing_of_others_is_changed() {
    let mut project = Project::new();
    let victim = project.home("victim");
    fs::write(&victim, "not a secret").unwrap();
    set_mode(&victim, 0o644);
    symlink(&victim, project.room.path(".env")).unwrap();
    let ran = fix(&project).ends(1);
    assert!(ran.stdout().contains("left"), "{}", ran.stdout());
    assert!(ran.stdout().contains("symbolic link"), "{}", ran.stdout());
    assert_eq!(mode(&victim), 0o644);

    fs::remove_file(project.room.path(".env")).unwrap();
    fs::hard_link(&victim, project.room.path(".env")).unwrap();
    let ran = fix(&project).ends(1);
    assert!(ran.stdout().contains("several names"), "{}", ran.stdout());
    assert_eq!(mode(&victim), 0o644);

    fs::remove_file(project.room.path(".env")).unwrap();
    assert!(
        std::process::Command::new("mkfifo")
            .arg(project.room.path(".env"))
            .status()
            .unwrap()
            .success()
    );
    project.room = project.room.var("STRONGROOM_ENV", "development");
    fix(&project).ends(0);

    fs::remove_file(project.room.path(".env")).unwrap();
    project.write(".env", "A=1\n");
    set_mode(&project.room.path(".env"), 0o644);
    if chown(project.room.path(".env"), Some(54_321), None).is_ok() {
        let ran = fix(&project).ends(1);
        assert!(
            ran.stdout().contains("belongs to another user"),
            "{}",
            ran.stdout()
        );
        assert_eq!(mode(&project.room.path(".env")), 0o644);
        // A file that was given to a group is meant for it.
        chown(project.room.path(".env"), Some(0), Some(54_321)).unwrap();
        fix(&project).ends(0);
        assert_eq!(mode(&project.room.path(".env")), 0o640);
        all_is_well(&project);
    }
}

#[test]
fn what_a_crash_left_is_removed_once_nobody_can_be_writing_it() {
    let project = Project::begun();
    let old = SystemTime::now() - Duration::from_secs(2 * 60 * 60);
    let left = |name: &str, modified: Option<SystemTime>| {
        let path = project.room.path(&format!(".strongroom/{name}"));
        let file = File::create(&path).unwrap();
        if let Some(modified) = modified {
            file.set_modified(modified).unwrap();
        }
        path
    };
    let abandoned = left(".strongroom-0123456789abcdef.tmp", Some(old));
    let merged = left("secrets.sealed.merged", Some(old));
    let being_written = left(".strongroom-fedcba9876543210.tmp", None);
    let others = left("notes.tmp", Some(old));
    let named_alike = left(".strongroom-plans.tmp", Some(old));
    let victim = project.home("victim");
    fs::write(&victim, "").unwrap();
    let link = project
        .room
        .path(".strongroom/.strongroom-00000000000000aa.tmp");
    symlink(&victim, &link).unwrap();
    fix(&project).ends(0);
    assert!(!abandoned.exists() && !merged.exists());
    for kept in [being_written, others, named_alike, victim, link] {
        assert!(kept.exists(), "{}", kept.display());
    }
    all_is_well(&project);
}

#[test]
fn git_ignores_plain_secrets_and_merges_sealed_files() {
    let mut project = Project::begun();
    let git = |project: &Project, script: &str| project.room.shell(script).ends(0).stdout();
    git(
        &project,
        "git init -q . && git config user.email a@b.c && git config user.name a",
    );
    project.write(".env", "A=1\n");
    set_mode(&project.room.path(".env"), 0o600);
    project.write(
        ".gitattributes",
        "*.sealed -text merge=strongroom diff=strongroom\n",
    );
    let ran = project.run(&["doctor", "--fix", "--dry-run"]).ends(0);
    assert!(
        ran.stdout().contains("/.env in .gitignore"),
        "{}",
        ran.stdout()
    );
    assert!(!project.room.path(".gitignore").exists());
    fix(&project).ends(0);
    assert_eq!(project.read(".gitignore"), "/.env\n");
    let driver = git(&project, "git config merge.strongroom.driver");
    assert_eq!(driver, "strongroom git-merge %O %A %B %P\n");
    all_is_well(&project);

    // What somebody chose stays, and what git has already isn't hidden by a line.
    git(
        &project,
        "git config merge.strongroom.driver mine && git add -f .env && git commit -qm x",
    );
    project.write(".gitignore", "");
    let ran = fix(&project).ends(1);
    for said in ["somebody set it to something else", "git has it already"] {
        assert!(ran.stdout().contains(said), "{}", ran.stdout());
    }
    assert_eq!(project.read(".gitignore"), "");
    assert_eq!(
        git(&project, "git config merge.strongroom.driver"),
        "mine\n"
    );

    // A name that is a pattern is not written as one.
    git(&project, "git config --unset merge.strongroom.driver");
    project.room = project
        .room
        .file("*.txt", "A=1\n")
        .var("STRONGROOM_ENV", "development")
        .var("STRONGROOM_PROVIDER", "file:*.txt?format=dotenv");
    set_mode(&project.room.path("*.txt"), 0o600);
    let ran = fix(&project).ends(1);
    assert!(
        ran.stdout().contains("write the line yourself"),
        "{}",
        ran.stdout()
    );
    assert_eq!(project.read(".gitignore"), "");
}

#[test]
fn no_value_is_read_or_shown() {
    let project = Project::new();
    project.write(".env", &format!("A={TOKEN}\n"));
    set_mode(&project.room.path(".env"), 0o644);
    let ran = fix(&project).ends(0);
    assert!(!(ran.stdout() + &ran.stderr()).contains(TOKEN));
    assert_eq!(project.read(".env"), format!("A={TOKEN}\n"));
    project.run(&["doctor", "--dry-run"]).ends(2);
    project.run(&["doctor", "--fix", "--policy"]).ends(2);
}

/// While somebody swaps a file of ours for a link, nothing that the link leads to is ever changed.
#[test]
fn who_swaps_the_file_for_a_link_changes_nothing_elsewhere() {
    let project = Project::new();
    let victim = project.home("victim");
    fs::write(&victim, "not a secret").unwrap();
    set_mode(&victim, 0o644);
    let env = project.room.path(".env");
    let staged = project.room.path("staged");
    let stop = std::sync::atomic::AtomicBool::new(false);
    std::thread::scope(|scope| {
        let swap = scope.spawn(|| {
            while !stop.load(std::sync::atomic::Ordering::Relaxed) {
                let _ = symlink(&victim, &staged);
                let _ = fs::rename(&staged, &env);
                let _ = fs::write(&staged, "A=1\n");
                set_mode(&staged, 0o644);
                let _ = fs::rename(&staged, &env);
            }
        });
        for _ in 0..20 {
            let code = fix(&project).code();
            assert!(code == 0 || code == 1, "{code}");
            assert_eq!(mode(&victim), 0o644);
        }
        stop.store(true, std::sync::atomic::Ordering::Relaxed);
        swap.join().unwrap();
    });
}
