//! `completions`: a completion script for a shell.

use clap_complete::Shell;

use super::complete;
use crate::args;
use crate::context::Context;
use crate::exit::{FINE, Outcome};

/// Print a completion script for a shell
///
/// In bash, zsh and fish it completes the names of declared secrets, of profiles and of providers, too: it
/// asks `strongroom` in the PATH, which looks at the manifest only. It never contacts a provider.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  strongroom completions bash > ~/.local/share/bash-completion/completions/strongroom
  strongroom completions zsh > ~/.zfunc/_strongroom
  strongroom completions fish > ~/.config/fish/completions/strongroom.fish")]
pub(crate) struct Args {
    /// The shell
    #[arg(value_enum)]
    shell: Shell,
}

pub(crate) fn run(args: &Args, context: &Context<'_>) -> Outcome {
    context.screen.bytes(script(args.shell).as_bytes())?;
    Ok(FINE)
}

fn script(shell: Shell) -> String {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut args::typed(), "strongroom", &mut script);
    let script = String::from_utf8_lossy(&script);
    match shell {
        Shell::Bash => script.replacen(FUNCTION, &format!("{FUNCTION}{BASH}"), 1),
        Shell::Zsh => script.replacen(FUNCTION, &format!("{FUNCTION}{ZSH}"), 1),
        Shell::Fish => format!("{script}{FISH}{}", fish_options()),
        _ => script.into_owned(),
    }
}

/// In fish only what is said of an option completes its value.
fn fish_options() -> String {
    let options = complete::options(&args::typed());
    let lines = options.iter().map(|option| {
        format!("complete -c strongroom -l {option} -n __fish_strongroom_found -x -a '$__fish_strongroom_names'\n")
    });
    lines.collect()
}

/// Where the generated function begins, in bash and zsh: names come first, and what it knows where there are none.
const FUNCTION: &str = "_strongroom() {\n";

const BASH: &str = r#"    local found
    COMPREPLY=()
    while IFS= read -r found; do
        COMPREPLY+=("$found")
    done < <(printf '%s\0' "${COMP_WORDS[@]:1:COMP_CWORD}" | command strongroom __complete 2>/dev/null)
    if [[ ${#COMPREPLY[@]} -gt 0 ]]; then
        return 0
    fi

"#;

const ZSH: &str = r#"    local -a found
    found=("${(@f)$(printf '%s\0' "${(@Q)words[2,CURRENT]}" | command strongroom __complete 2>/dev/null)}")
    found=("${(@)found:#}")
    if (( $#found )); then
        compadd -a found
        return 0
    fi

"#;

const FISH: &str = r#"
function __fish_strongroom_found
    set -g __fish_strongroom_names (printf '%s\0' (commandline -opc)[2..] (commandline -ct) | command strongroom __complete 2>/dev/null)
    test (count $__fish_strongroom_names) -gt 0
end
complete -c strongroom -n __fish_strongroom_found -f -a '$__fish_strongroom_names'
"#;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_asked_for_in_these_shells() {
        for shell in [Shell::Bash, Shell::Zsh, Shell::Fish] {
            assert_eq!(script(shell).matches("__complete").count(), 1, "{shell}");
        }
    }
}
