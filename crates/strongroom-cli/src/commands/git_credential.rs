//! `git-credential`: answers git as one of its credential helpers.

use std::io::{self, Read as _};

use strongroom::{Error, ErrorKind, Result, Secret, SecretName};
use zeroize::Zeroizing;

use crate::context::Context;
use crate::exit::{FINE, Outcome};

/// Answer git as a credential helper
///
/// For `get` git writes the protocol and the host, and is answered with the secrets
/// `git/HOST#username` and `git/HOST#password`, where both are there; a port's colon is written `_` in the
/// name. Credentials are for https alone. `store` and `erase` do nothing.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  git config credential.helper '!strongroom git-credential'
  strongroom set git/git.example.org#username
  strongroom set git/git.example.org#password
  printf 'protocol=https\\nhost=git.example.org\\n\\n' | strongroom git-credential get")]
pub(crate) struct Args {
    /// What git asks for: get, store or erase
    action: String,
}

/// What git says is a few lines.
const MOST: u64 = 64 * 1024;

pub(crate) fn run(args: &Args, context: &Context<'_>) -> Outcome {
    // What git adds in later versions is to be ignored, as git's documentation of helpers asks for.
    if args.action != "get" {
        return Ok(FINE);
    }
    let mut asked = Zeroizing::new(String::new());
    let read = io::stdin().lock().take(MOST).read_to_string(&mut asked);
    read.map_err(|_| Error::new(ErrorKind::Config, "can't read what git asks for"))?;
    let Some((username, password)) = names(&asked)? else {
        return Ok(FINE);
    };
    context.connected(async |connection| {
        let answers = connection
            .fetch(&[username.clone(), password.clone()])
            .await;
        let mut found = Vec::new();
        for answer in answers {
            match answer {
                Ok(secret) => found.push(secret),
                // Git asks its next helper.
                Err(error) if error.kind() == ErrorKind::Absent => return Ok(FINE),
                Err(error) => return Err(error.into()),
            }
        }
        let [user, secret] = found.as_slice() else {
            return Ok(FINE);
        };
        let wanted = value(&asked, "username");
        if wanted.is_some_and(|wanted| !user.verify(wanted)) {
            return Ok(FINE);
        }
        // Both or nothing: git would ask for the other on the terminal.
        let user = line("username", user).map_err(|error| error.with_name(&username))?;
        let secret = line("password", secret).map_err(|error| error.with_name(&password))?;
        // EXPOSES: to git, which asked for it
        context.screen.bytes(&user)?;
        // EXPOSES: to git, which asked for it
        context.screen.bytes(&secret)?;
        Ok(FINE)
    })
}

/// Returns the names of what is asked for; `None` if it is nothing that we answer.
fn names(asked: &str) -> Result<Option<(SecretName, SecretName)>> {
    let (Some("https"), Some(host)) = (value(asked, "protocol"), value(asked, "host")) else {
        return Ok(None);
    };
    let host = host.replace(':', "_");
    let name = |field| SecretName::parse(format!("git/{host}#{field}"));
    Ok(Some((name("username")?, name("password")?)))
}

fn value<'a>(asked: &'a str, key: &str) -> Option<&'a str> {
    let lines = asked.lines().take_while(|line| !line.is_empty());
    let mut pairs = lines.filter_map(|line| line.split_once('='));
    pairs
        .find(|(known, _)| *known == key)
        .map(|(_, value)| value)
}

/// Writes one line of the answer. A value with a newline in it would be lines of its own.
fn line(key: &str, secret: &Secret) -> Result<Zeroizing<Vec<u8>>> {
    // EXPOSES: to git, which asked for it; the buffer is wiped
    let value = secret.expose_bytes();
    if value.iter().any(|byte| matches!(byte, b'\n' | b'\r' | 0)) {
        let message = "a value for git can't hold several lines";
        return Err(Error::new(ErrorKind::Malformed, message));
    }
    Ok(Zeroizing::new(
        [key.as_bytes(), b"=", value, b"\n"].concat(),
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_host_becomes_a_name() {
        let asked = "protocol=https\nhost=git.example.org:8443\nusername=a\n\nhost=other\n";
        let (username, password) = names(asked).unwrap().unwrap();
        assert_eq!(username.as_str(), "git/git.example.org_8443#username");
        assert_eq!(password.as_str(), "git/git.example.org_8443#password");
        assert_eq!(value(asked, "username"), Some("a"));
        assert!(names("protocol=http\nhost=a\n").unwrap().is_none());
        assert!(names("\n").unwrap().is_none());
        assert!(names("protocol=https\nhost=../x\n").is_err());
    }

    #[test]
    fn no_value_adds_a_line() {
        assert_eq!(
            line("password", &Secret::from_text("a=b"))
                .unwrap()
                .as_slice(),
            b"password=a=b\n"
        );
        for text in ["a\nquit=1", "a\r", "a\0b"] {
            assert!(line("password", &Secret::from_text(text)).is_err());
        }
    }
}
