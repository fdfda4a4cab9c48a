//! Key slots: each wraps the data key for one holder of a key or a passphrase.

use std::time::SystemTime;

use ctutils::CtEq as _;

use super::cost::Argon2Cost;
use super::crypto::{self, FORMAT, Key, Prk};
use super::fields::{self, FileId, to_base64};
use super::key::{Form, SlotKey};
use crate::error::{Error, ErrorKind, Result};
use crate::random;

/// The most slots that a file may have.
pub(super) const MAX_SLOTS: usize = 8;
/// The most bytes that the line of a slot may have.
const MAX_LINE: usize = 4096;

/// One slot, and the line that it is.
#[derive(Clone)]
pub(super) struct Slot {
    pub(super) line: String,
    pub(super) id: String,
    pub(super) label: String,
    pub(super) created: u64,
    pub(super) kind: String,
    body: Body,
}

/// The registry of slot types.
#[derive(Clone)]
enum Body {
    Raw(Wrapped),
    Passphrase(Argon2Cost, Wrapped),
    /// Of a later version. It is kept as it is, and opens for nobody here.
    Unknown,
}

#[derive(Clone)]
struct Wrapped {
    salt: [u8; 16],
    commitment: [u8; 32],
    nonce: [u8; 12],
    key: [u8; 48],
}

impl Slot {
    /// Parses a line that begins with `slot `. The error says what is wrong with it.
    pub(super) fn parse(line: &str) -> Result<Self> {
        let wrong = || malformed("this is not a slot");
        let plain = line.bytes().all(|byte| (b' '..=b'~').contains(&byte));
        if !plain || line.len() > MAX_LINE {
            return Err(wrong());
        }
        let mut fields = line.split(' ');
        let mut next = || fields.next().filter(|field| !field.is_empty());
        let (Some("slot"), Some(id), Some(label), Some(created), Some(kind)) =
            (next(), next(), next(), next(), next())
        else {
            return Err(wrong());
        };
        let is_kind = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
        let known = fields::hex::<8>(id).is_some() && fields::is_label(label);
        let created = fields::number(created)
            .filter(|_| known)
            .ok_or_else(wrong)?;
        let rest: Vec<&str> = fields.collect();
        let body = match (kind, rest.as_slice()) {
            ("raw", [salt, commitment, nonce, key]) => {
                Body::Raw(Wrapped::parse([salt, commitment, nonce, key]).ok_or_else(wrong)?)
            }
            ("passphrase", [m, t, p, salt, commitment, nonce, key]) => {
                let cost = Argon2Cost::from_fields([m, t, p]).ok_or_else(wrong)??;
                let wrapped = Wrapped::parse([salt, commitment, nonce, key]);
                Body::Passphrase(cost, wrapped.ok_or_else(wrong)?)
            }
            ("raw" | "passphrase", _) => return Err(wrong()),
            (kind, rest) => {
                let named = kind.len() <= 32 && kind.bytes().all(is_kind);
                if !named || rest.iter().any(|field| field.is_empty()) {
                    return Err(wrong());
                }
                Body::Unknown
            }
        };
        Ok(Self {
            line: line.to_owned(),
            id: id.to_owned(),
            label: label.to_owned(),
            created,
            kind: kind.to_owned(),
            body,
        })
    }

    /// Makes a slot for a new holder.
    pub(super) fn make(
        file: FileId,
        data_key: &Key,
        label: &str,
        key: &SlotKey,
        cost: Argon2Cost,
    ) -> Result<Self> {
        if !fields::is_label(label) {
            let message = "the label of a slot is one to 64 of A-Z a-z 0-9 . _ -";
            return Err(Error::new(ErrorKind::Config, message));
        }
        key.check_strength()?;
        let id = base16ct::lower::encode_string(&random::array::<8>()?);
        let created = fields::seconds(SystemTime::now());
        let leading = format!("slot {id} {label} {created}");
        Self::wrap(file, data_key, &leading, key, cost)
    }

    /// Makes the same slot around another data key, for a holder whose key opens this one.
    pub(super) fn wrap_again(&self, file: FileId, data_key: &Key, key: &SlotKey) -> Result<Self> {
        let (id, label, created) = (&self.id, &self.label, self.created);
        let cost = match &self.body {
            Body::Passphrase(cost, _) => *cost,
            Body::Raw(_) | Body::Unknown => Argon2Cost::default(),
        };
        let leading = format!("slot {id} {label} {created}");
        Self::wrap(file, data_key, &leading, key, cost)
    }

    fn wrap(
        file: FileId,
        data_key: &Key,
        leading: &str,
        key: &SlotKey,
        cost: Argon2Cost,
    ) -> Result<Self> {
        let (salt, nonce) = (random::array::<16>()?, random::array::<12>()?);
        // EXPOSES: the raw key to the derivation of what wraps the data key
        let (leading, prk) = match key.form() {
            Form::Raw(raw) => (
                format!("{leading} raw"),
                extract(&salt, raw.expose_bytes())?,
            ),
            Form::Passphrase(passphrase) => {
                let stretched = cost.stretch(passphrase, &salt)?;
                let prk = Prk::extract(&salt, &stretched);
                key.remember(cost, salt, stretched);
                (format!("{leading} passphrase {cost}"), prk)
            }
        };
        let commitment = prk.expand(COMMITMENT)?;
        let mut wrapped = Vec::with_capacity(48);
        wrapped.extend_from_slice(data_key.as_slice());
        let aad = crypto::aad(file, &leading);
        crypto::encrypt(&prk.expand(WRAP)?, &nonce, &aad, &mut wrapped)?;
        let fields = [&salt[..], &commitment[..], &nonce[..], &wrapped].map(to_base64);
        Self::parse(&format!("{leading} {}", fields.join(" ")))
    }

    /// Opens the slot: `None` where the key is another one.
    ///
    /// The commitment is compared before the unwrapping, since a GCM ciphertext can be made to open
    /// with several keys.
    ///
    /// # Errors
    /// [`ErrorKind::Integrity`] if the key is right and the slot was changed.
    pub(super) fn open(&self, file: FileId, key: &SlotKey) -> Result<Option<Key>> {
        // EXPOSES: the raw key to the derivation of what unwraps the data key
        let (wrapped, prk) = match (&self.body, key.form()) {
            (Body::Raw(wrapped), Form::Raw(raw)) => {
                (wrapped, extract(&wrapped.salt, raw.expose_bytes())?)
            }
            (Body::Passphrase(cost, wrapped), Form::Passphrase(passphrase)) => {
                let stretched = match key.remembered(*cost, &wrapped.salt) {
                    Some(stretched) => stretched,
                    None => cost.stretch(passphrase, &wrapped.salt)?,
                };
                let prk = Prk::extract(&wrapped.salt, &stretched);
                if wrapped.is_for(&prk)? {
                    key.remember(*cost, wrapped.salt, stretched);
                }
                (wrapped, prk)
            }
            _ => return Ok(None),
        };
        if !wrapped.is_for(&prk)? {
            return Ok(None);
        }
        // What the line says before its salt is bound to the wrapped key.
        let leading = self.line.rsplitn(5, ' ').nth(4);
        let aad = crypto::aad(file, leading.unwrap_or_default());
        let mut text = zeroize::Zeroizing::new(wrapped.key.to_vec());
        let opened = crypto::decrypt(&prk.expand(WRAP)?, &wrapped.nonce, &aad, &mut text);
        let mut data_key = Key::default();
        match (opened, text.len() == data_key.len()) {
            (Some(()), true) => data_key.copy_from_slice(&text),
            _ => {
                let message = format!("the slot `{}` was changed by somebody else", self.label);
                return Err(Error::new(ErrorKind::Integrity, message)
                    .with_help("restore the file from a copy that you trust"));
            }
        }
        Ok(Some(data_key))
    }

    /// Reports whether a key of this form could open the slot at all.
    pub(super) fn takes(&self, key: &SlotKey) -> bool {
        match self.body {
            Body::Raw(_) => !key.is_passphrase(),
            Body::Passphrase(..) => key.is_passphrase(),
            Body::Unknown => false,
        }
    }

    /// Reports whether this version knows the slot's type.
    pub(super) fn is_known(&self) -> bool {
        !matches!(self.body, Body::Unknown)
    }
}

impl Wrapped {
    fn parse([salt, commitment, nonce, key]: [&&str; 4]) -> Option<Self> {
        Some(Self {
            salt: fields::base64(salt)?,
            commitment: fields::base64(commitment)?,
            nonce: fields::base64(nonce)?,
            key: fields::base64(key)?,
        })
    }

    fn is_for(&self, prk: &Prk) -> Result<bool> {
        let commitment = prk.expand(COMMITMENT)?;
        Ok(commitment.ct_eq(&self.commitment).to_bool())
    }
}

const COMMITMENT: &[&[u8]] = &[b"slot", b"commitment"];
const WRAP: &[&[u8]] = &[b"slot", b"wrap"];

fn extract(salt: &[u8; 16], raw: &[u8]) -> Result<Prk> {
    let raw: &[u8; 32] = raw
        .try_into()
        .map_err(|_| malformed("a key has 32 bytes"))?;
    Ok(Prk::extract(salt, raw))
}

fn malformed(what: &str) -> Error {
    Error::new(ErrorKind::Malformed, what)
}

/// Finds the slot that a key opens, and unwraps the data key.
///
/// # Errors
/// [`ErrorKind::Denied`] if there is none; [`ErrorKind::Unsupported`] if every slot that the key
/// might be for is of a type that this version does not know.
pub(super) fn open(file: FileId, slots: &[Slot], key: &SlotKey) -> Result<Key> {
    for slot in slots {
        if let Some(data_key) = slot.open(file, key)? {
            return Ok(data_key);
        }
    }
    let of_form = slots.iter().any(|slot| slot.takes(key));
    if let Some(unknown) = slots.iter().find(|slot| !slot.is_known() && !of_form) {
        let message = format!("slots of type `{}` need a later version", unknown.kind);
        return Err(
            Error::new(ErrorKind::Unsupported, message).with_help(format!(
                "this version of strongroom knows `{FORMAT}` with raw keys and passphrases"
            )),
        );
    }
    let (what, help) = match (key.is_passphrase(), of_form) {
        (false, true) => (
            "this key",
            "give the key of this file, or a passphrase of it",
        ),
        (true, true) => (
            "this passphrase",
            "check its spelling, or give a key of this file",
        ),
        (false, false) => (
            "a raw key",
            "the file has passphrase slots only: give the passphrase",
        ),
        (true, false) => (
            "a passphrase",
            "the file has raw-key slots only: give the key file",
        ),
    };
    Err(Error::new(ErrorKind::Denied, format!("no slot opens with {what}")).with_help(help))
}
