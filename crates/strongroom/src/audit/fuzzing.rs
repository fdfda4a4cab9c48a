//! What the fuzz target of the audit log runs.

use super::head::Head;
use super::line::{Line, extras};

/// A line of the log, and the head of one: each has one spelling.
///
/// # Panics
/// If one is read that is written in another way.
pub fn audit_line(data: &[u8]) {
    let line = data.strip_suffix(b"\n").unwrap_or(data);
    if let Some(parsed) = Line::parse(line) {
        let mac = parsed.head.mac_text();
        let again = [
            parsed.authenticated,
            b",\"mac\":\"",
            mac.as_bytes(),
            b"\"}}",
        ]
        .concat();
        assert_eq!(again, line);
        assert!(
            parsed
                .authenticated
                .ends_with(parsed.head.seq.to_string().as_bytes())
        );
        if parsed.head.seq > 0 {
            assert_eq!(parsed.head.to_string().parse().ok(), Some(parsed.head));
        }
    }
    if let Some(extras) = extras(line) {
        let _ = format!("{extras:?}");
    }
    let head = std::str::from_utf8(data)
        .ok()
        .and_then(|text| Some((text, text.parse::<Head>().ok()?)));
    if let Some((text, head)) = head {
        assert_eq!(head.to_string(), text);
    }
}
