//! `scan`: what it finds, what it says of it, and what it never shows.

mod history;
mod hostile;
mod sarif;
mod tree;

use base64ct::{Base64, Encoding as _};
use serde_json::Value;

use crate::harness::{Ran, Room, TOKEN};

/// A literal that a rule knows, in two parts so that no scanner takes this file for a leak.
pub(crate) fn literal() -> String {
    ["gh", "p_kQ7vZp2XbR9tLmW4sYc8NfHd3GjK6uEa1VoT"].concat()
}

/// A folder whose manifest declares one secret, which the environment provides.
pub(crate) fn declared() -> Room {
    Room::new()
        .var("STRONGROOM_PROVIDER", "env:")
        .var("API_TOKEN", TOKEN)
        .file(
            "strongroom.toml",
            "[default.secrets]\n\"api/token\" = { kind = \"token\" }\n",
        )
}

/// Runs a scan and reads its JSON.
pub(crate) fn json(room: &Room, arguments: &[&str], code: i32) -> Value {
    let ran = room.run(&[&["scan", "--format", "json"], arguments].concat());
    silent(&ran);
    let ran = ran.ends(code);
    serde_json::from_str(&ran.stdout())
        .unwrap_or_else(|_| panic!("{}{}", ran.stdout(), ran.stderr()))
}

/// Returns each finding's rule and path, in order.
pub(crate) fn found(json: &Value) -> Vec<(String, String)> {
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let findings = json["findings"]
        .as_array()
        .unwrap_or_else(|| panic!("{json}"));
    findings
        .iter()
        .map(|finding| (text(&finding["rule"]), text(&finding["path"])))
        .collect()
}

/// Demands that neither value is in anything that was printed, nor a part of it.
pub(crate) fn silent(ran: &Ran) {
    for text in [ran.stdout(), ran.stderr()] {
        for value in [TOKEN.to_owned(), literal()] {
            let base64 = Base64::encode_string(value.as_bytes());
            for part in [&value[4..16], &value[16..28], &base64[..20]] {
                assert!(!text.contains(part), "{text}");
            }
        }
    }
}
