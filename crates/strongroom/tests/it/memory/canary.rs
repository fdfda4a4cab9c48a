//! A value that stands nowhere else, and every form in which it could stand in memory.

use base64ct::{Base64, Base64Url, Encoding as _};
use strongroom::{Declared, Kind, Secret, SecretName, generate};

pub(super) const NAME: SecretName = SecretName::from_static("app/token");

/// How many characters of the value make one piece. What was freed may have lost its beginning to the
/// allocator's own notes, so that every piece is looked for.
const PIECE: usize = 12;

/// How many pieces the value has.
pub(super) const PIECES: usize = 6;

pub(super) struct Canary {
    value: Secret,
    pub(super) forms: Vec<Form>,
}

/// The value in one form, in pieces of which each tells where the whole would begin.
pub(super) struct Form {
    pub(super) name: &'static str,
    pub(super) pieces: Vec<Piece>,
}

pub(super) struct Piece {
    pub(super) offset: usize,
    pub(super) bytes: Vec<u8>,
}

impl Canary {
    /// Draws one that passes the policy of a token.
    pub(super) fn draw() -> Self {
        let mut declared = Declared::new(NAME, Kind::Token);
        declared.min_length = Some(PIECE * PIECES);
        let value = generate(&declared).unwrap();
        let text = value.expose_str().unwrap();
        assert_eq!(text.len(), PIECE * PIECES);
        let characters = text.chars().flat_map(|c| u32::from(c).to_ne_bytes());
        let forms = vec![
            Form::new("as it is", text.as_bytes(), PIECE),
            Form::new("in small letters", text.to_lowercase().as_bytes(), PIECE),
            Form::new("in capitals", text.to_uppercase().as_bytes(), PIECE),
            Form::new("as characters", &characters.collect::<Vec<_>>(), 4 * PIECE),
            Form::new("as hexadecimal digits", hex(text).as_bytes(), 2 * PIECE),
            Form::new(
                "in base64",
                Base64::encode_string(text.as_bytes()).as_bytes(),
                PIECE,
            ),
            // In a larger text it begins at any of three places of a group.
            Form::new(
                "in base64, one on",
                inner(&format!("-{text}")).as_bytes(),
                PIECE,
            ),
            Form::new(
                "in base64, two on",
                inner(&format!("--{text}")).as_bytes(),
                PIECE,
            ),
        ];
        Self { value, forms }
    }

    pub(super) fn secret(&self) -> &Secret {
        &self.value
    }

    pub(super) fn text(&self) -> &str {
        self.value.expose_str().unwrap()
    }
}

impl Form {
    fn new(name: &'static str, whole: &[u8], piece: usize) -> Self {
        let pieces = whole.chunks_exact(piece).enumerate();
        let pieces = pieces.map(|(number, bytes)| Piece {
            offset: number * piece,
            bytes: bytes.to_vec(),
        });
        Self {
            name,
            pieces: pieces.collect(),
        }
    }
}

fn hex(text: &str) -> String {
    text.bytes().map(|byte| format!("{byte:02x}")).collect()
}

/// The base64 of a text, without the first group, which tells of what stands before.
fn inner(text: &str) -> String {
    Base64Url::encode_string(text.as_bytes()).split_off(4)
}
