//! Everything that is shown anywhere, collected, and what must not be found in it.

use std::fmt::Debug;
use std::io::Write;
use std::sync::{Arc, LazyLock, Mutex};

use strongroom::{Encoding, Error, Secret};
use tracing_subscriber::util::SubscriberInitExt as _;

/// The logs of this process at their finest, and what tests add to them.
static LOGS: LazyLock<Seen> = LazyLock::new(|| {
    let seen = Seen::default();
    let writer = seen.clone();
    tracing_subscriber::fmt()
        .with_max_level(tracing::Level::TRACE)
        .with_ansi(false)
        .with_writer(move || writer.clone())
        .finish()
        // Those of dependencies that write to `log`, too.
        .init();
    seen
});

/// A collection that grows, whoever holds it.
#[derive(Clone, Default)]
pub(crate) struct Seen(Arc<Mutex<Vec<u8>>>);

impl Write for Seen {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl Seen {
    /// A collection that the logs of the whole process go to as well. Its tests share it.
    pub(crate) fn with_logs() -> Self {
        LOGS.clone()
    }

    pub(crate) fn debug(&self, shown: &dyn Debug) {
        writeln!(self.clone(), "{shown:?}\n{shown:#?}").unwrap();
    }

    pub(crate) fn error(&self, error: &Error) {
        writeln!(self.clone(), "{error}\n{error:?}\n{:?}", error.report()).unwrap();
        self.json(&error.report());
        let mut cause = std::error::Error::source(error);
        while let Some(error) = cause {
            writeln!(self.clone(), "{error}\n{error:?}").unwrap();
            cause = error.source();
        }
    }

    pub(crate) fn json(&self, shown: &impl serde::Serialize) {
        writeln!(self.clone(), "{}", serde_json::to_string(shown).unwrap()).unwrap();
    }

    pub(crate) fn holds(&self, text: &str) -> bool {
        let seen = self.0.lock().unwrap();
        seen.windows(text.len()).any(|part| part == text.as_bytes())
    }

    /// Fails if a canary, an encoding of it, or a telling part of it was shown.
    #[track_caller]
    pub(crate) fn assert_clean(&self, canaries: &[&str], where_: &str) {
        let seen = String::from_utf8_lossy(&self.0.lock().unwrap()).into_owned();
        for form in canaries.iter().flat_map(|canary| forms(canary)) {
            if let Some(at) = seen.find(&form) {
                let start = seen[..at].rfind('\n').map_or(0, |newline| newline + 1);
                let line = seen[start..].lines().next().unwrap_or_default();
                panic!("{where_}: a canary was shown in: {line}");
            }
        }
    }
}

/// The ways in which somebody may write a canary.
fn forms(canary: &str) -> Vec<String> {
    let encode = |encoding: Encoding, text: &str| {
        let encoded = encoding.encode(&Secret::from_text(text));
        encoded
            .expose_str()
            .unwrap()
            .trim_end_matches('=')
            .to_owned()
    };
    let hex = encode(Encoding::Hex, canary);
    let escape = |byte: u8, plain: &[u8]| match byte {
        byte if byte.is_ascii_alphanumeric() || plain.contains(&byte) => {
            char::from(byte).to_string()
        }
        byte => format!("%{byte:02X}"),
    };
    let bytes = format!("{:?}", &canary.as_bytes()[..6]);
    let json = serde_json::to_string(canary).unwrap();
    let mut forms = vec![
        canary.to_owned(),
        canary[..10].to_owned(),
        canary[canary.len() - 10..].to_owned(),
        json.trim_matches('"').to_owned(),
        format!("{canary:?}").trim_matches('"').to_owned(),
        bytes.trim_matches(['[', ']']).to_owned(),
        hex.to_ascii_uppercase(),
        hex,
        canary.bytes().map(|byte| escape(byte, b"-_.~")).collect(),
        canary.bytes().map(|byte| escape(byte, b"-_.*/")).collect(),
    ];
    // Within a longer text, base64 begins at one of three places.
    for from in 0..3 {
        let length = (canary.len() - from) / 3 * 3;
        let part = &canary[from..from + length];
        forms.push(encode(Encoding::Base64, part));
        forms.push(encode(Encoding::Base64Url, part));
    }
    forms
}

#[test]
fn a_leak_is_found_in_any_form() {
    let canary = "cnry/7Qx+T2mLp9=ZrWv8&Yd3KfB\"6hJs N0uE";
    for leak in forms(canary) {
        let seen = Seen::default();
        seen.debug(&"before");
        writeln!(seen.clone(), "x{leak}y").unwrap();
        let searched = std::panic::catch_unwind(|| seen.assert_clean(&[canary], "planted"));
        assert!(searched.is_err(), "{leak}");
    }
    Seen::default().assert_clean(&[canary], "nothing");
}
