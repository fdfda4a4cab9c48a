//! `cargo xtask dist`: what is shipped beside the crates, below target/dist: completions, the manual, and a Debian package.
//!
//! The package is made by `dpkg-deb` of a tree that is staged here. Its bytes depend on the program, the texts
//! and the time of the last commit only: `dpkg-deb` sorts names and takes times from `SOURCE_DATE_EPOCH`.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::Result;
use crate::command::{output, program};
use crate::program as strongroom;
use crate::workspace::{Workspace, root};

/// Where each shell looks for the completions of a package.
const COMPLETIONS: [(&str, &str); 3] = [
    ("bash", "usr/share/bash-completion/completions/strongroom"),
    ("zsh", "usr/share/zsh/vendor-completions/_strongroom"),
    (
        "fish",
        "usr/share/fish/vendor_completions.d/strongroom.fish",
    ),
];

/// The certificates of public authorities, for Vault and AWS. The program is linked statically and depends on nothing.
const RECOMMENDS: &str = "ca-certificates";

/// Builds all of it, by this program or by one that is built first.
pub(crate) fn run(built: Option<&str>) -> Result<()> {
    let built = match built {
        Some(path) => PathBuf::from(path),
        None => strongroom::build()?,
    };
    let dist = Workspace::load()?.target_dir.join("dist");
    if dist.exists() {
        fs::remove_dir_all(&dist).map_err(|error| cannot("empty", &dist, &error))?;
    }
    let package = package(&built, &dist.join("one"))?;
    // Staged once more, where names are longer and files are of another time.
    let again = self::package(&built, &dist.join("another-directory"))?;
    if read(&package)? != read(&again)? {
        return Err("two Debian packages of one commit differ".to_owned());
    }
    let name = package.file_name().ok_or("the package has no name")?;
    let target = dist.join(name);
    fs::rename(&package, &target).map_err(|error| cannot("move", &package, &error))?;
    fs::rename(dist.join("one/tree/usr/share"), dist.join("share"))
        .map_err(|error| cannot("move", &dist, &error))?;
    for staged in ["one", "another-directory"] {
        let staged = dist.join(staged);
        fs::remove_dir_all(&staged).map_err(|error| cannot("remove", &staged, &error))?;
    }
    println!("{}", target.display());
    Ok(())
}

/// Stages the tree of the package below `dir`, and packs it.
fn package(built: &Path, dir: &Path) -> Result<PathBuf> {
    let tree = dir.join("tree");
    let binary = tree.join("usr/bin/strongroom");
    write(&binary, &read(built)?)?;
    let executable = fs::Permissions::from_mode(0o755);
    fs::set_permissions(&binary, executable).map_err(|error| cannot("mark", &binary, &error))?;
    for (shell, path) in COMPLETIONS {
        let script = output(clean(&binary, &["completions", shell])?)?;
        write(&tree.join(path), script.as_bytes())?;
    }
    manual(&binary, &tree.join("usr/share/man/man1"))?;
    documentation(&binary, &tree)?;
    let architecture = output(program("dpkg", &["--print-architecture"]))?;
    let architecture = architecture.trim();
    write(
        &tree.join("DEBIAN/control"),
        control(architecture, &tree)?.as_bytes(),
    )?;
    let sums = sums(&tree)?;
    write(&tree.join("DEBIAN/md5sums"), sums.as_bytes())?;
    // Whatever the umask: anybody may read, and run what can be run.
    let mut modes = program("chmod", &["--recursive", "u=rwX,go=rX"]);
    modes.arg(&tree);
    output(modes)?;
    let package = dir.join(format!(
        "strongroom_{}_{architecture}.deb",
        env!("CARGO_PKG_VERSION")
    ));
    let mut pack = program(
        "dpkg-deb",
        &["--root-owner-group", "-Zxz", "--threads-max=1", "--build"],
    );
    pack.args([&tree, &package])
        .env("SOURCE_DATE_EPOCH", last_commit()?);
    output(pack)?;
    Ok(package)
}

/// Runs the program without the variables of whoever builds.
fn clean(binary: &Path, args: &[&str]) -> Result<Command> {
    let mut command = program(binary, args);
    command.env_clear().env("SOURCE_DATE_EPOCH", last_commit()?);
    Ok(command)
}

/// Writes the pages of the manual, compressed without names and times, as Debian wants them.
fn manual(binary: &Path, dir: &Path) -> Result<()> {
    let path = dir.to_string_lossy();
    output(clean(binary, &["man", "--quiet", "--dir", &*path])?)?;
    for page in entries(dir)? {
        let mut gzip = program("gzip", &["-9", "--no-name"]);
        gzip.arg(&page);
        output(gzip)?;
    }
    Ok(())
}

fn documentation(binary: &Path, tree: &Path) -> Result<()> {
    let docs = tree.join("usr/share/doc/strongroom");
    write(&docs.join("copyright"), copyright()?.as_bytes())?;
    for name in ["README.md", "CHANGELOG.md", "SECURITY.md"] {
        write(&docs.join(name), &read(&root().join(name))?)?;
    }
    let listed = output(program("git", &["ls-files", "docs"]))?;
    for path in listed.lines() {
        write(&docs.join(path), &read(&root().join(path))?)?;
    }
    for (args, name) in [
        (&["schema"][..], "strongroom.schema.json"),
        (&["schema", "output"], "strongroom-output.schema.json"),
    ] {
        let schema = output(clean(binary, args)?)?;
        write(
            &tree.join("usr/share/strongroom").join(name),
            schema.as_bytes(),
        )?;
    }
    Ok(())
}

fn control(architecture: &str, tree: &Path) -> Result<String> {
    let bytes: u64 = files(&tree.join("usr"))?
        .iter()
        .filter_map(|path| fs::metadata(path).ok())
        .map(|metadata| metadata.len())
        .sum();
    let version = env!("CARGO_PKG_VERSION");
    Ok(format!(
        "Package: strongroom\n\
         Version: {version}\n\
         Architecture: {architecture}\n\
         Maintainer: Strongroom maintainers <maintainers@strongroom.invalid>\n\
         Installed-Size: {}\n\
         Recommends: {RECOMMENDS}\n\
         Section: admin\n\
         Priority: optional\n\
         Homepage: https://github.com/strongroom/strongroom\n\
         Description: shows, checks and changes the secrets of a service\n \
         Strongroom is the secrets layer that a Rust service boots with. This is its\n \
         command line: it explains where a service would take its secrets from, checks\n \
         that each is there and strong, changes and rotates them, and runs programs\n \
         with them. It reads an encrypted file, mounted files, variables, Vault,\n \
         OpenBao and AWS Secrets Manager.\n",
        bytes.div_ceil(1024)
    ))
}

/// The licences, in Debian's own form. The crates that are linked in are under licences of the kinds that deny.toml allows.
fn copyright() -> Result<String> {
    let mut text = String::from(
        "Format: https://www.debian.org/doc/packaging-manuals/copyright-format/1.0/\n\
         Upstream-Name: strongroom\n\
         Source: https://github.com/strongroom/strongroom\n\
         \n\
         Files: *\n\
         Copyright: the Strongroom authors\n\
         License: MIT or Apache-2.0\n \
         The Apache License 2.0 is in /usr/share/common-licenses/Apache-2.0. The MIT\n \
         licence:\n .\n",
    );
    let mit = fs::read_to_string(root().join("LICENSE-MIT"))
        .map_err(|error| cannot("read", &root().join("LICENSE-MIT"), &error))?;
    for line in mit.lines() {
        let line = if line.is_empty() { "." } else { line };
        text.push_str(&format!(" {line}\n"));
    }
    Ok(text)
}

fn sums(tree: &Path) -> Result<String> {
    let mut sums = program("md5sum", &[]);
    sums.current_dir(tree);
    for path in files(&tree.join("usr"))? {
        let path = path
            .strip_prefix(tree)
            .map_err(|_| "a file is outside of the tree")?;
        sums.arg(path);
    }
    output(sums)
}

/// Returns every file beneath a directory, sorted.
fn files(dir: &Path) -> Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for path in entries(dir)? {
        match path.is_dir() {
            true => found.append(&mut files(&path)?),
            false => found.push(path),
        }
    }
    Ok(found)
}

fn entries(dir: &Path) -> Result<Vec<PathBuf>> {
    let entries = fs::read_dir(dir).map_err(|error| cannot("list", dir, &error))?;
    let mut paths = entries
        .map(|entry| entry.map(|entry| entry.path()))
        .collect::<Result<Vec<_>, _>>()
        .map_err(|error| cannot("list", dir, &error))?;
    paths.sort();
    Ok(paths)
}

fn last_commit() -> Result<String> {
    let time = output(program("git", &["log", "-1", "--format=%ct"]))?;
    Ok(time.trim().to_owned())
}

fn read(path: &Path) -> Result<Vec<u8>> {
    fs::read(path).map_err(|error| cannot("read", path, &error))
}

/// Writes a file, in directories that are made where they are missing.
fn write(path: &Path, bytes: &[u8]) -> Result<()> {
    let dir = path.parent().unwrap_or(path);
    fs::create_dir_all(dir).map_err(|error| cannot("make", dir, &error))?;
    fs::write(path, bytes).map_err(|error| cannot("write", path, &error))
}

fn cannot(what: &str, path: &Path, error: &std::io::Error) -> String {
    format!("can't {what} {}: {error}", path.display())
}
