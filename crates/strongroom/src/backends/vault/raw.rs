//! Requests whose body is a secret: the client library's own would leave copies that nobody wipes.

use std::fmt;

use rustify::Endpoint;
use rustify::enums::{RequestMethod, RequestType, ResponseType};
use rustify::errors::ClientError;
use zeroize::Zeroizing;

use crate::backends::files::json;

/// One request: how, where to, and a body that is wiped.
pub(super) struct Raw {
    method: RequestMethod,
    path: String,
    body: Option<Zeroizing<Vec<u8>>>,
}

impl Raw {
    /// A request without a body. `path` is what follows `/v1/`.
    pub(super) fn new(method: RequestMethod, path: impl Into<String>) -> Self {
        let (path, body) = (path.into(), None);
        Self { method, path, body }
    }

    /// Sets the body.
    #[must_use]
    pub(super) fn with_body(mut self, body: Zeroizing<Vec<u8>>) -> Self {
        self.body = Some(body);
        self
    }
}

/// Writes a JSON object of texts.
pub(super) fn object(fields: &[(&str, &str)]) -> Zeroizing<Vec<u8>> {
    written(fields, ["", ""])
}

/// Writes a JSON object of lists, each of one text.
#[cfg(feature = "aws")]
pub(super) fn object_of_lists(fields: &[(&str, &str)]) -> Zeroizing<Vec<u8>> {
    written(fields, ["[", "]"])
}

fn written(fields: &[(&str, &str)], [before, behind]: [&str; 2]) -> Zeroizing<Vec<u8>> {
    let around = before.len().saturating_add(behind.len());
    // No character takes more than six bytes, so the buffer never grows and leaves nothing behind.
    let room = fields.iter().fold(2_usize, |room, (key, value)| {
        let texts = key.len().saturating_add(value.len()).saturating_mul(6);
        let signs = around.saturating_add(6);
        room.saturating_add(texts).saturating_add(signs)
    });
    let mut out = Zeroizing::new(Vec::with_capacity(room));
    let mut separator = b'{';
    for (key, value) in fields {
        out.push(separator);
        json::encode(key, &mut out);
        out.push(b':');
        out.extend_from_slice(before.as_bytes());
        json::encode(value, &mut out);
        out.extend_from_slice(behind.as_bytes());
        separator = b',';
    }
    if fields.is_empty() {
        out.push(b'{');
    }
    out.push(b'}');
    out
}

impl fmt::Debug for Raw {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Raw")
            .field("method", &self.method)
            .field("path", &self.path)
            .finish_non_exhaustive()
    }
}

impl Endpoint for Raw {
    type Response = ();

    const REQUEST_BODY_TYPE: RequestType = RequestType::JSON;
    const RESPONSE_BODY_TYPE: ResponseType = ResponseType::JSON;

    fn path(&self) -> String {
        self.path.clone()
    }

    fn method(&self) -> RequestMethod {
        self.method.clone()
    }

    /// A copy of exact size. The transport wipes it.
    fn body(&self) -> Result<Option<Vec<u8>>, ClientError> {
        Ok(self.body.as_ref().map(|body| body.to_vec()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_body_is_an_object_of_texts_that_shows_nowhere() {
        let body = object(&[("role_id", "r"), ("secret_id", "canary\"\\\u{1}ä\n")]);
        let read: serde_json::Value = serde_json::from_slice(&body).unwrap();
        assert_eq!(read["secret_id"], "canary\"\\\u{1}ä\n");
        assert_eq!(object(&[]).as_slice(), b"{}");
        let raw = Raw::new(RequestMethod::POST, "auth/approle/login").with_body(body.clone());
        assert_eq!(raw.body().unwrap().unwrap(), *body);
        assert!(!format!("{raw:?}").contains("canary"));
    }

    #[test]
    fn the_buffer_of_a_body_never_grows() {
        let worst = "\u{1}".repeat(1000);
        let body = object(&[(&worst, &worst), ("", "")]);
        assert!(body.len() <= body.capacity());
        assert_eq!(body.capacity(), 2 + 12000 + 6 + 6);
    }
}
