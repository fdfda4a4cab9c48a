//! Questions on the terminal whose answers are not shown.

use std::fs::{File, OpenOptions};
use std::io::{self, Read as _, Write as _};

use rustix::termios::{
    LocalModes, OptionalActions, SpecialCodeIndex, Termios, tcgetattr, tcsetattr,
};
use strongroom::{Error, ErrorKind, MAX_VALUE_BYTES, Result, Secret};
use zeroize::{Zeroize as _, Zeroizing};

use crate::report::printable;

/// Asks for something without showing it.
///
/// # Errors
/// [`ErrorKind::Config`] if there is no terminal to ask on, or no answer was given.
pub(crate) fn ask(what: &str) -> Result<Secret> {
    Terminal::open()?.ask(what)
}

/// Asks for something twice, without showing it.
///
/// # Errors
/// As [`ask`], and [`ErrorKind::Config`] if the answers differ.
pub(crate) fn ask_twice(what: &str) -> Result<Secret> {
    let mut terminal = Terminal::open()?;
    let typed = terminal.ask(what)?;
    // EXPOSES: to the comparison with what was typed before, in constant time
    match typed.verify(terminal.ask("The same again")?.expose_bytes()) {
        true => Ok(typed),
        false => Err(no_answer("the two that were typed differ")),
    }
}

/// The terminal of this process, which shows nothing of what is typed until it is dropped.
struct Terminal {
    file: File,
    before: Termios,
}

impl Terminal {
    fn open() -> Result<Self> {
        Self::silence().map_err(|error| {
            Error::new(ErrorKind::Config, "there is no terminal to ask on")
                .with_help(
                    "pipe the value into `set`; give a passphrase by --passphrase-file or \
                     --passphrase-fd where it is set, and by STRONGROOM_PASSPHRASE_FILE elsewhere",
                )
                .with_source(error)
        })
    }

    fn silence() -> io::Result<Self> {
        let file = OpenOptions::new().read(true).write(true).open("/dev/tty")?;
        let before = tcgetattr(&file)?;
        let mut silent = before.clone();
        // Without lines of the terminal's own, no answer is cut at its limit for them. Without its
        // signals, no Ctrl-C ends the process while nothing is shown.
        let shown = LocalModes::ECHO | LocalModes::ECHONL;
        silent
            .local_modes
            .remove(shown | LocalModes::ICANON | LocalModes::ISIG);
        silent.special_codes[SpecialCodeIndex::VMIN] = 1;
        silent.special_codes[SpecialCodeIndex::VTIME] = 0;
        // Before the question: what is typed the moment it appears is not shown either. What was
        // typed earlier was, and is dropped.
        tcsetattr(&file, OptionalActions::Flush, &silent)?;
        Ok(Self { file, before })
    }

    fn ask(&mut self, what: &str) -> Result<Secret> {
        let failed = |error| {
            Error::new(ErrorKind::Config, "the terminal can't be asked on").with_source(error)
        };
        write!(self.file, "{} (not shown): ", printable(what)).map_err(failed)?;
        let typed = self.line();
        let _ = writeln!(self.file);
        let typed = typed.map_err(failed)??;
        match typed.is_empty() {
            true => Err(no_answer("nothing was typed")),
            false => Ok(Secret::from_utf8_or_bytes(typed)),
        }
    }

    /// Reads one line, with the usual keys to correct it.
    fn line(&mut self) -> io::Result<Result<Zeroizing<Vec<u8>>>> {
        // Never a reallocation that leaves a copy behind.
        let mut line = Zeroizing::new(Vec::with_capacity(MAX_VALUE_BYTES));
        let mut byte = Zeroizing::new([0; 1]);
        loop {
            self.file.read_exact(&mut *byte)?;
            let [typed] = *byte;
            match typed {
                b'\n' | b'\r' => return Ok(Ok(line)),
                CTRL_C => return Ok(Err(no_answer("it was interrupted at the question"))),
                CTRL_D => {
                    return Ok(Err(no_answer("the input ended at the question")));
                }
                BACKSPACE | DELETE => erase_character(&mut line),
                CTRL_U => line.zeroize(),
                CTRL_W => erase_word(&mut line),
                // An arrow, a tab: dropped silently, it would make another answer than was meant.
                0..=0x1f => return Ok(Err(no_answer("a key was typed that is no character"))),
                _ if line.len() == MAX_VALUE_BYTES => {
                    return Ok(Err(no_answer(&format!(
                        "more than {MAX_VALUE_BYTES} bytes were typed, which are the most"
                    ))));
                }
                typed => line.push(typed),
            }
        }
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        // Lines too many of a pasted secret must not reach the shell, which would show them.
        let _ = tcsetattr(&self.file, OptionalActions::Flush, &self.before);
    }
}

const CTRL_C: u8 = 0x03;
const CTRL_D: u8 = 0x04;
const BACKSPACE: u8 = 0x08;
const CTRL_U: u8 = 0x15;
const CTRL_W: u8 = 0x17;
const DELETE: u8 = 0x7f;

fn erase_character(line: &mut Vec<u8>) {
    // The bytes of UTF-8 that begin no character.
    while line.pop().is_some_and(|byte| byte & 0xc0 == 0x80) {}
}

fn erase_word(line: &mut Vec<u8>) {
    while line.pop_if(|byte| *byte == b' ').is_some() {}
    while line.pop_if(|byte| *byte != b' ').is_some() {}
}

fn no_answer(what: &str) -> Error {
    Error::new(ErrorKind::Config, what).with_help("nothing was done; try again")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_usual_keys_correct_a_line() {
        let mut line = "one two  ü".as_bytes().to_vec();
        erase_character(&mut line);
        assert_eq!(line, b"one two  ");
        erase_word(&mut line);
        assert_eq!(line, b"one ");
        erase_word(&mut line);
        erase_word(&mut line);
        erase_character(&mut line);
        assert_eq!(line, b"");
    }
}
