//! What is measured, and what must come out.

use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;

use strongroom::auth::{BearerVerifier, ClientKey, FailureLimit};
use strongroom::{Live, Secret};

use crate::measure::Random;

/// The largest value there can be, so that a comparison that stops early is unmistakable.
const LARGEST: usize = 64 * 1024;

/// The longest bearer token.
const TOKEN: usize = 8 * 1024;

/// The length of an ordinary token, compared many times in a row.
const ORDINARY: usize = 48;

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

pub enum Expected {
    /// It stops at the first difference, and the test has to see it.
    Leak,
    /// Its time must tell nothing.
    Quiet,
}

/// Judges a candidate, as what is measured does.
pub type Check = Box<dyn FnMut(&[u8]) -> bool>;

pub struct Subject {
    pub name: &'static str,
    pub expected: Expected,
    /// Two candidates of the secret's length.
    pub classes: [Vec<u8>; 2],
    pub check: Check,
    /// How many calls one measurement takes together.
    pub repeats: u32,
    pub measurements: usize,
}

impl Subject {
    fn new(
        name: &'static str,
        expected: Expected,
        classes: [Vec<u8>; 2],
        check: impl FnMut(&[u8]) -> bool + 'static,
    ) -> Self {
        Self {
            name,
            expected,
            classes,
            check: Box::new(check),
            repeats: 1,
            measurements: 40_000,
        }
    }

    /// Measures more often what takes long beside the comparison.
    fn oftener(mut self) -> Self {
        self.measurements *= 4;
        self
    }

    fn repeated(mut self, repeats: u32) -> Self {
        self.repeats = repeats;
        self
    }
}

pub fn all() -> Vec<Subject> {
    let mut all = vec![planted_comparison(), planted_verifier(), nothing()];
    all.extend([
        secret_by_place(),
        secret_by_result(),
        secret_of_ordinary_length(),
    ]);
    all.extend([live_current(), live_previous()]);
    all.extend([verifier_by_place(), verifier_by_guess()]);
    all
}

fn planted_comparison() -> Subject {
    let value = random_text(LARGEST);
    let classes = first_and_last(&value);
    let name = "a planted ==: first or last byte of 64 KiB";
    Subject::new(name, Expected::Leak, classes, move |candidate| {
        value == candidate
    })
}

/// What a verifier would be that compares as one compares anything else.
fn planted_verifier() -> Subject {
    let token = random_text(TOKEN);
    let classes = first_and_last(&token).map(|token| header(&token));
    let name = "a planted == behind `Bearer `: first or last byte of 8 KiB";
    Subject::new(name, Expected::Leak, classes, move |header| {
        let presented = strongroom::auth::parse_bearer(header);
        presented.is_ok_and(|presented| presented.expose_bytes() == token)
    })
    .oftener()
}

/// What is found here comes from the machine.
fn nothing() -> Subject {
    let value = random_text(LARGEST);
    let secret = Secret::from_bytes(value.clone());
    let name = "nothing: the same candidate in both classes";
    Subject::new(
        name,
        Expected::Quiet,
        [value.clone(), value],
        move |candidate| secret.verify(candidate),
    )
}

fn secret_by_place() -> Subject {
    let value = random_text(LARGEST);
    let classes = first_and_last(&value);
    let secret = Secret::from_bytes(value);
    let name = "Secret::verify: first or last byte of 64 KiB";
    Subject::new(name, Expected::Quiet, classes, move |candidate| {
        secret.verify(candidate)
    })
}

fn secret_by_result() -> Subject {
    let value = random_text(LARGEST);
    let classes = [value.clone(), random_text(LARGEST)];
    let secret = Secret::from_bytes(value);
    let name = "Secret::verify: the value or a random one, 64 KiB";
    Subject::new(name, Expected::Quiet, classes, move |candidate| {
        secret.verify(candidate)
    })
}

fn secret_of_ordinary_length() -> Subject {
    let value = random_text(ORDINARY);
    let classes = first_and_last(&value);
    let secret = Secret::from_bytes(value);
    let name = "Secret::verify: first or last byte of 48, 200 times";
    let check = move |candidate: &[u8]| secret.verify(candidate);
    Subject::new(name, Expected::Quiet, classes, check).repeated(200)
}

fn live_current() -> Subject {
    let value = random_text(LARGEST);
    let classes = first_and_last(&value);
    let live = Live::fixed(Secret::from_bytes(value));
    let name = "LiveSecret::verify: first or last byte of 64 KiB";
    Subject::new(name, Expected::Quiet, classes, move |candidate| {
        live.verify(candidate)
    })
}

/// During an overlap: which of the two values it was must not show.
fn live_previous() -> Subject {
    let (former, current) = (random_text(LARGEST), random_text(LARGEST));
    let classes = [former.clone(), current.clone()];
    let (publisher, live) = Live::channel(Secret::from_bytes(former));
    publisher.publish_with_overlap(Secret::from_bytes(current), DAY);
    let name = "LiveSecret::verify: the former or the current value, 64 KiB";
    Subject::new(name, Expected::Quiet, classes, move |candidate| {
        live.verify(candidate)
    })
}

fn verifier_by_place() -> Subject {
    let token = random_text(TOKEN);
    let classes = first_and_last(&token).map(|token| header(&token));
    let name = "BearerVerifier: first or last byte of 8 KiB";
    Subject::new(name, Expected::Quiet, classes, verifying(token)).oftener()
}

fn verifier_by_guess() -> Subject {
    let token = random_text(TOKEN);
    let mut near = token.clone();
    flip(near.last_mut());
    let classes = [near, random_text(TOKEN)].map(|token| header(&token));
    let name = "BearerVerifier: all but the last byte right, or a random token";
    Subject::new(name, Expected::Quiet, classes, verifying(token)).oftener()
}

/// Each request comes from another address, so that no failure is limited.
fn verifying(token: Vec<u8>) -> impl FnMut(&[u8]) -> bool {
    let limit = FailureLimit::new(1, DAY).map(|limit| limit.with_clients(1_000));
    let live = Live::fixed(Secret::from_bytes(token));
    let verifier = limit.and_then(|limit| BearerVerifier::with_limit([live], limit));
    let verifier = verifier.expect("a token of letters, and a limit within its range");
    let mut number = 0_u32;
    move |header| {
        number = number.wrapping_add(1);
        let client = ClientKey::from(IpAddr::from(Ipv4Addr::from_bits(number)));
        verifier.verify(client, [header]).is_ok()
    }
}

/// Two candidates of the value's length that differ from it in one byte.
fn first_and_last(value: &[u8]) -> [Vec<u8>; 2] {
    let (mut first, mut last) = (value.to_vec(), value.to_vec());
    flip(first.first_mut());
    flip(last.last_mut());
    [first, last]
}

fn flip(byte: Option<&mut u8>) {
    if let Some(byte) = byte {
        *byte = if *byte == b'a' { b'b' } else { b'a' };
    }
}

fn header(token: &[u8]) -> Vec<u8> {
    [b"Bearer ", token].concat()
}

/// Letters that a bearer token may have.
fn random_text(length: usize) -> Vec<u8> {
    let mut random = Random::new();
    let letter = |_| b'a' + (random.next() >> 33).to_le_bytes()[0] % 26;
    (0..length).map(letter).collect()
}
