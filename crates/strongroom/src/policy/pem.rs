//! PEM: certificates and private keys, as RFC 7468 writes them, and OpenPGP's armour.

use zeroize::Zeroizing;

use super::{Findings, rule};
use crate::declared::Encoding;

pub(super) fn check(value: &[u8], found: &mut Findings<'_>) {
    let text = std::str::from_utf8(value).unwrap_or_default();
    match parse(text) {
        Err(problem) => {
            let help = "store the whole file as it is, with its line breaks; in a variable they \
                        must be real ones, not the two characters `\\n`";
            found.violation(rule::PEM_MALFORMED, problem, help);
        }
        Ok(true) => {
            let message = "the private key is encrypted, and its passphrase is a second secret";
            let help = "declare the passphrase too; or store the key unencrypted, since the \
                        backend protects it";
            found.warning(rule::PEM_ENCRYPTED, message, help);
        }
        Ok(false) => {}
    }
}

/// Parses every block, and returns whether one is an encrypted private key.
fn parse(text: &str) -> Result<bool, String> {
    let mut open: Option<Block<'_>> = None;
    let (mut any_block, mut any_encrypted) = (false, false);
    for (at, line) in text.lines().enumerate() {
        let line = line.trim();
        let at_line = |what: &str| format!("line {}: {what}", at.saturating_add(1));
        match open.take() {
            // RFC 7468 allows explanations around the blocks.
            None if !line.contains("-----") => {}
            None => {
                let label = boundary(line, "-----BEGIN ");
                let label = label.ok_or_else(|| at_line("not a `-----BEGIN …-----` line"))?;
                open = Some(Block::new(label, text.len()));
            }
            Some(mut block) if !line.contains("-----") => {
                block.read(line);
                open = Some(block);
            }
            Some(block) => {
                if boundary(line, "-----END ") != Some(block.label) {
                    return Err(at_line(
                        "not the `-----END …-----` line of the block before it",
                    ));
                }
                any_encrypted |= block.close().map_err(at_line)?;
                any_block = true;
            }
        }
    }
    match open {
        Some(_) => Err("the last block has no `-----END …-----` line".to_owned()),
        None if !any_block => Err("no `-----BEGIN …-----` line begins a block".to_owned()),
        None => Ok(any_encrypted),
    }
}

fn boundary<'l>(line: &'l str, start: &str) -> Option<&'l str> {
    let label = line.strip_prefix(start)?.strip_suffix("-----")?;
    (!label.is_empty() && !label.contains("-----")).then_some(label)
}

struct Block<'t> {
    label: &'t str,
    encrypted: bool,
    body: Zeroizing<Vec<u8>>,
}

impl<'t> Block<'t> {
    fn new(label: &'t str, most: usize) -> Self {
        Self {
            label,
            encrypted: label == "ENCRYPTED PRIVATE KEY",
            // Never grows, so that no copy is left behind.
            body: Zeroizing::new(Vec::with_capacity(most)),
        }
    }

    fn read(&mut self, line: &'t str) {
        // `Proc-Type: 4,ENCRYPTED` and OpenPGP's `Version: …` come before the body.
        let is_header = self.body.is_empty() && line.contains(':');
        let is_checksum = self.is_openpgp() && line.starts_with('=');
        if is_header {
            self.encrypted |= line.starts_with("Proc-Type:") && line.ends_with("ENCRYPTED");
        } else if !is_checksum {
            self.body.extend_from_slice(line.as_bytes());
        }
    }

    fn close(&self) -> Result<bool, &'static str> {
        if self.body.is_empty() {
            return Err("the block before it is empty");
        }
        let Some(body) = Encoding::Base64.decode_bytes(&self.body) else {
            return Err("the block before it is not base64");
        };
        // OpenSSH and OpenPGP have formats of their own; an encrypted legacy block has any bytes.
        let has_own_format = self.is_openpgp() || self.label.starts_with("OPENSSH");
        let is_der = has_own_format || self.label.starts_with("SSH2") || is_whole_der(&body);
        let is_legacy = self.encrypted && self.label != "ENCRYPTED PRIVATE KEY";
        if is_der || is_legacy {
            Ok(self.encrypted)
        } else {
            Err("the block before it is cut off, or is not DER")
        }
    }

    fn is_openpgp(&self) -> bool {
        self.label.starts_with("PGP ")
    }
}

/// Reports whether `bytes` are one DER value whose length is the rest of them.
fn is_whole_der(bytes: &[u8]) -> bool {
    let [_tag, length, rest @ ..] = bytes else {
        return false;
    };
    let (long, count) = (length & 0x80 != 0, usize::from(length & 0x7f));
    if !long {
        return rest.len() == count;
    }
    let Some((length, content)) = rest.split_at_checked(count).filter(|_| count <= 4) else {
        return false;
    };
    let length = length.iter().try_fold(0_usize, |length, byte| {
        length.checked_mul(256)?.checked_add(usize::from(*byte))
    });
    count > 0 && length == Some(content.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    const BODY: &str = "MAMCAQU=";

    fn block(label: &str) -> String {
        format!("-----BEGIN {label}-----\n{BODY}\n-----END {label}-----\n")
    }

    #[test]
    fn accepts_well_formed_blocks() {
        for (text, encrypted) in [
            (block("PRIVATE KEY"), false),
            (
                block("CERTIFICATE") + "\n# chain\n" + &block("CERTIFICATE"),
                false,
            ),
            (block("CERTIFICATE").replace('\n', "\r\n"), false),
            (block("CERTIFICATE").replace("MAMC", "MA\nMC"), false),
            (block("ENCRYPTED PRIVATE KEY"), true),
            (
                block("RSA PRIVATE KEY")
                    .replace(BODY, "Proc-Type: 4,ENCRYPTED\nDEK-Info: X,0\n\nAAAA"),
                true,
            ),
            (
                block("OPENSSH PRIVATE KEY").replace(BODY, "b3BlbnNzaC1rZXk="),
                false,
            ),
            (
                block("PGP MESSAGE").replace(BODY, "Version: 1\n\nAAAA\n=AAAA"),
                false,
            ),
        ] {
            assert_eq!(parse(&text), Ok(encrypted), "{text}");
        }
    }

    #[test]
    fn refuses_broken_ones() {
        let good = block("PRIVATE KEY");
        for text in [
            String::new(),
            "no block".to_owned(),
            good.replace("END PRIVATE", "END PUBLIC"),
            good.replace(BODY, "MAMC!QU="),
            good.replace(BODY, ""),
            good.replace(BODY, "MAMCAQ=="),
            good.replace(BODY, "MIIEvQIBADANBg...etc"),
            good.replace("-----END PRIVATE KEY-----", ""),
            good.replace('\n', "\\n"),
            good.replace('\n', " "),
            good.replace("-----BEGIN PRIVATE KEY-----\n", ""),
            good.clone() + "-----BEGIN PRIVATE KEY-----\n",
        ] {
            assert!(parse(&text).is_err(), "{text}");
        }
    }

    #[test]
    fn reads_der_lengths() {
        assert!(is_whole_der(&[0x30, 0]));
        assert!(is_whole_der(
            &[&[0x30, 0x81, 0x80][..], &[0; 0x80]].concat()
        ));
        assert!(!is_whole_der(&[0x30, 0x80]));
        assert!(!is_whole_der(&[0x30, 0x81]));
        assert!(!is_whole_der(&[0x30, 1]));
        assert!(!is_whole_der(&[0x30, 0, 0]));
        assert!(!is_whole_der(&[0x30, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff]));
    }
}
