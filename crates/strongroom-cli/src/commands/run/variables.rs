//! Which variable each declared secret becomes, and which ones none may become.

use std::collections::BTreeMap;

use strongroom::{Declared, Error, ErrorKind, Result, Secret};

/// Beginnings of variables that change how programs load or run, or that are ours.
const REFUSED_PREFIXES: &[&str] = &[
    "BASH_FUNC_",
    "CORECLR_",
    "COR_",
    "DYLD_",
    "GIT_CONFIG",
    "LD_",
    "NPM_CONFIG_",
    "STRONGROOM_",
];

/// Variables that change how programs load or run: loaders, shells, interpreters, tools that start
/// other tools.
const REFUSED: &[&str] = &[
    "BASHOPTS",
    "BASH_ENV",
    "BASH_LOADABLES_PATH",
    "CDPATH",
    "CLASSPATH",
    "DOTNET_STARTUP_HOOKS",
    "EDITOR",
    "ENV",
    "ERL_AFLAGS",
    "ERL_FLAGS",
    "ERL_ZFLAGS",
    "GCONV_PATH",
    "GEM_HOME",
    "GEM_PATH",
    "GIT_ASKPASS",
    "GIT_EDITOR",
    "GIT_EXEC_PATH",
    "GIT_EXTERNAL_DIFF",
    "GIT_PAGER",
    "GIT_PROXY_COMMAND",
    "GIT_SSH",
    "GIT_SSH_COMMAND",
    "GIT_TEMPLATE_DIR",
    "GLIBC_TUNABLES",
    "HOME",
    "IFS",
    "JAVA_TOOL_OPTIONS",
    "JDK_JAVA_OPTIONS",
    "LESSCLOSE",
    "LESSOPEN",
    "LOCPATH",
    "LUA_CPATH",
    "LUA_INIT",
    "LUA_PATH",
    "MAVEN_OPTS",
    "NODE_OPTIONS",
    "NODE_PATH",
    "OPENSSL_CONF",
    "OPENSSL_ENGINES",
    "OPENSSL_MODULES",
    "PAGER",
    "PATH",
    "PERL5DB",
    "PERL5LIB",
    "PERL5OPT",
    "PERLLIB",
    "PHPRC",
    "PHP_INI_SCAN_DIR",
    "PROMPT_COMMAND",
    "PS4",
    "PYTHONEXECUTABLE",
    "PYTHONHOME",
    "PYTHONINSPECT",
    "PYTHONPATH",
    "PYTHONSTARTUP",
    "PYTHONUSERBASE",
    "RUBYLIB",
    "RUBYOPT",
    "RUSTC_WRAPPER",
    "SHELL",
    "SHELLOPTS",
    "SSH_ASKPASS",
    "SSLKEYLOGFILE",
    "SUDO_ASKPASS",
    "TMPDIR",
    "VISUAL",
    "ZDOTDIR",
    "_JAVA_OPTIONS",
];

/// A declared secret and the variable it becomes.
#[derive(Debug)]
pub(crate) struct Variable<'a> {
    pub(crate) declared: &'a Declared,
    pub(crate) variable: String,
}

/// Pairs each declared secret with its variable.
///
/// # Errors
/// [`ErrorKind::Config`] for a text that can't name a variable, a variable that no secret may
/// become, and two secrets on one variable.
pub(crate) fn of<'a>(declared: impl Iterator<Item = &'a Declared>) -> Result<Vec<Variable<'a>>> {
    let mut taken = BTreeMap::new();
    let mut variables = Vec::new();
    for declared in declared {
        let variable = declared
            .variable
            .clone()
            .unwrap_or_else(|| declared.name.to_variable());
        let problem = if !is_name(&variable) {
            Some("it would become a variable whose name is not of letters, digits and _".to_owned())
        } else if is_refused(&variable) {
            Some(format!(
                "it would become {variable}, which changes how programs load or run"
            ))
        } else {
            let other = taken.insert(variable.clone(), &declared.name);
            other.map(|other| format!("it would become {variable}, and so would `{other}`"))
        };
        if let Some(problem) = problem {
            return Err(Error::new(ErrorKind::Config, problem)
                .with_name(&declared.name)
                .with_help("give it another variable by `env` in the manifest"));
        }
        variables.push(Variable { declared, variable });
    }
    Ok(variables)
}

/// Turns a value into its variable's text: in the declared encoding, as the environment backend of a
/// program that declares the same would decode it.
///
/// # Errors
/// [`ErrorKind::Malformed`] for what no variable can hold: bytes that are not UTF-8, and a zero byte.
pub(super) fn value(declared: &Declared, secret: &Secret) -> Result<Secret> {
    let encoded = declared.encoding.encode(secret);
    // EXPOSES: only whether a variable can hold it is looked at
    let problem = match encoded.expose_str() {
        Err(_) => "its value is not UTF-8 text, which a variable must be",
        Ok(text) if text.contains('\0') => "its value holds a zero byte, which no variable can",
        Ok(_) => return Ok(encoded),
    };
    Err(Error::new(ErrorKind::Malformed, problem)
        .with_name(&declared.name)
        .with_help("give it an `encoding` in the manifest, or let the program read it by itself"))
}

fn is_name(variable: &str) -> bool {
    let plain = |c: char| c.is_ascii_alphanumeric() || c == '_';
    !variable.is_empty()
        && !variable.starts_with(|c: char| c.is_ascii_digit())
        && variable.chars().all(plain)
}

fn is_refused(variable: &str) -> bool {
    // Some platforms ignore the case of variables.
    let variable = variable.to_ascii_uppercase();
    REFUSED.contains(&variable.as_str())
        || REFUSED_PREFIXES
            .iter()
            .any(|prefix| variable.starts_with(prefix))
}

#[cfg(test)]
mod tests {
    use super::*;
    use strongroom::{Encoding, Kind, SecretName};

    fn declared(name: &'static str) -> Declared {
        Declared::new(SecretName::from_static(name), Kind::Opaque)
    }

    fn problem(all: &[Declared]) -> String {
        let error = of(all.iter()).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Config);
        error.to_string()
    }

    #[test]
    fn a_name_in_capitals_or_the_manifests_own() {
        let all = [
            declared("db/pass-word"),
            declared("b").with_variable("PGPASSWORD"),
        ];
        let variables: Vec<_> = of(all.iter())
            .unwrap()
            .into_iter()
            .map(|v| v.variable)
            .collect();
        assert_eq!(variables, ["DB_PASS_WORD", "PGPASSWORD"]);
    }

    #[test]
    fn what_changes_how_programs_load_is_refused() {
        for variable in [
            "PATH",
            "Path",
            "LD_PRELOAD",
            "LD_AUDIT",
            "DYLD_INSERT_LIBRARIES",
            "BASH_ENV",
            "ENV",
            "NODE_OPTIONS",
            "PYTHONPATH",
            "PERL5LIB",
            "RUBYOPT",
            "JAVA_TOOL_OPTIONS",
            "GIT_SSH_COMMAND",
            "GIT_CONFIG_COUNT",
            "IFS",
            "SHELLOPTS",
            "PS4",
            "STRONGROOM_ENV",
            "BASH_FUNC_ls",
            "BASH_LOADABLES_PATH",
            "ERL_AFLAGS",
            "ERL_FLAGS",
            "ERL_ZFLAGS",
            "MAVEN_OPTS",
            "ZDOTDIR",
        ] {
            let said = problem(&[declared("a").with_variable(variable)]);
            assert!(said.contains(variable), "{said}");
        }
        assert!(problem(&[declared("ld/preload")]).contains("LD_PRELOAD"));
    }

    #[test]
    fn what_is_no_variable_is_refused_without_repeating_it() {
        for variable in ["", "A=B", "A B", "9A", "Ä", "BASH_FUNC_a%%"] {
            problem(&[declared("a").with_variable(variable)]);
        }
    }

    #[test]
    fn two_secrets_on_one_variable_are_refused() {
        let said = problem(&[declared("a/b"), declared("a#b")]);
        assert!(
            said.contains("A_B") && said.contains("a/b") && said.contains("a#b"),
            "{said}"
        );
    }

    #[test]
    fn only_text_fits_a_variable() {
        let about = declared("a/b");
        let text = value(&about, &Secret::from_text("täxt")).unwrap();
        assert_eq!(text.expose_str().unwrap(), "täxt");
        for bytes in [vec![0xff], b"a\0b".to_vec()] {
            let error = value(&about, &Secret::from_bytes(bytes.clone())).unwrap_err();
            assert_eq!(error.name(), Some(&about.name));
            let encoded = declared("a/b").with_encoding(Encoding::Hex);
            assert!(
                value(&encoded, &Secret::from_bytes(bytes))
                    .unwrap()
                    .is_text()
            );
        }
    }
}
