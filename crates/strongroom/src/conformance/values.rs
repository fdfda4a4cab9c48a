//! Values come back as they were put, and those that can't be are refused.

use std::sync::Arc;

use super::check::{
    A, B, Stop, Verdict, ask, empty_writable, ensure, fail, holds, is_absent, put, read, refused,
    same, text, two,
};
use super::{Case, Harness};
use crate::error::{Error, ErrorKind};
use crate::provider::{Expect, SecretProvider};
use crate::secret::{MAX_VALUE_BYTES, Secret};

pub(super) const CASES: &[Case] = &[
    Case::new("text is read as it is, byte for byte", |h| {
        Box::pin(text_is_read(h))
    }),
    Case::new("text is written as it is, byte for byte", |h| {
        Box::pin(text_is_written(h))
    }),
    Case::new(
        "a final newline is kept, or exactly one is taken off",
        |h| Box::pin(newlines(h)),
    ),
    Case::new("bytes that are no text are kept or refused", |h| {
        Box::pin(bytes(h))
    }),
    Case::new("an empty value is a value or is refused", |h| {
        Box::pin(empty(h))
    }),
    Case::new("a value of 64 KiB is whole", |h| Box::pin(largest(h))),
    Case::new("a value of more than 64 KiB is refused", |h| {
        Box::pin(too_large(h))
    }),
];

const TEXTS: [&str; 7] = [
    "plain",
    "  blanks around  ",
    "\ttab and\nnewline inside",
    "ünïcödé 密码 🔑",
    r#""quoted" 'single' \back\slash \n"#,
    "$HOME ${HOME} %41 #not-a-comment = : ; &",
    "{\"json\": [1, null]}",
];

const CANT_HOLD: [ErrorKind; 2] = [ErrorKind::Malformed, ErrorKind::Unsupported];

async fn text_is_read(harness: &dyn Harness) -> Verdict {
    for value in TEXTS {
        let provider = harness.open(&[(A, text(value))]).await?;
        holds(&*provider, &A, value.as_bytes(), &format!("{value:?}")).await?;
    }
    Ok(())
}

async fn text_is_written(harness: &dyn Harness) -> Verdict {
    let provider = empty_writable(harness).await?;
    for value in TEXTS {
        put(&*provider, &A, &text(value), Expect::Any).await?;
        holds(&*provider, &A, value.as_bytes(), &format!("{value:?}")).await?;
    }
    Ok(())
}

async fn newlines(harness: &dyn Harness) -> Verdict {
    for value in ["\nvalue\n", "value\n\n", "value \n", "\n"] {
        let provider = harness.open(&[(A, text(value))]).await?;
        let secret = read(&*provider, A).await?;
        let stripped = value.strip_suffix('\n').unwrap_or(value);
        let lost_one = same(secret.expose_bytes(), stripped.as_bytes(), "").is_ok();
        if !(lost_one && harness.strips_final_newline()) {
            same(
                secret.expose_bytes(),
                value.as_bytes(),
                &format!("{value:?}"),
            )?;
        }
    }
    Ok(())
}

async fn bytes(harness: &dyn Harness) -> Verdict {
    let value = [0, 0xff, b'\n', 0x80, b' ', 0xc3, b'\n', 0];
    let secret = Secret::from_bytes(value.to_vec());
    let provider = match harness.open(&[(A, secret.clone())]).await {
        Ok(provider) => provider,
        Err(error) => return may_refuse_bytes(harness, error),
    };
    match ask(&*provider, A).await? {
        Err(error) => may_refuse_bytes(harness, error)?,
        Ok(_) => holds(&*provider, &A, &value, "bytes that are no text").await?,
    }
    if !provider.describe().writable {
        return Ok(());
    }
    match put(&*provider, &B, &secret, Expect::Any).await {
        Ok(_) => holds(&*provider, &B, &value, "bytes that put took").await,
        Err(error) => {
            may_refuse_bytes(harness, error)?;
            is_absent(&*provider, &B, "a value that put refused").await
        }
    }
}

fn may_refuse_bytes(harness: &dyn Harness, error: Error) -> Verdict {
    ensure(
        !harness.holds_bytes(),
        format!("the harness says that it holds bytes: {}", error.kind()),
    )?;
    refused::<()>(Err(error), &CANT_HOLD, "bytes that it can't hold").map(|_| ())
}

async fn empty(harness: &dyn Harness) -> Verdict {
    let kinds = [
        ErrorKind::Malformed,
        ErrorKind::Unsupported,
        ErrorKind::Policy,
    ];
    match harness.open(&[(A, text(""))]).await {
        Ok(provider) => match ask(&*provider, A).await? {
            Ok(_) => holds(&*provider, &A, b"", "an empty value").await?,
            Err(error) => refused::<()>(Err(error), &kinds, "an empty value").map(|_| ())?,
        },
        Err(error) => refused::<()>(Err(error), &kinds, "an empty value").map(|_| ())?,
    }
    let provider = two(harness).await?;
    if !provider.describe().writable {
        return Ok(());
    }
    match put(&*provider, &A, &text(""), Expect::Any).await {
        Ok(_) => holds(&*provider, &A, b"", "an empty value").await,
        Err(error) => {
            refused::<()>(Err(error), &kinds, "an empty value")?;
            holds(&*provider, &A, b"value of a", "what was there before").await
        }
    }
}

async fn largest(harness: &dyn Harness) -> Verdict {
    let value = pattern(MAX_VALUE_BYTES);
    let provider = harness.open(&[(A, text(&value))]).await?;
    holds(&*provider, &A, value.as_bytes(), "64 KiB").await?;
    if !provider.describe().writable {
        return Ok(());
    }
    put(&*provider, &B, &text(&value), Expect::Any).await?;
    holds(&*provider, &B, value.as_bytes(), "64 KiB").await
}

async fn too_large(harness: &dyn Harness) -> Verdict {
    let value = text(&pattern(MAX_VALUE_BYTES.saturating_add(1)));
    match held_behind_its_back(harness, &value).await? {
        Some(provider) => {
            let answer = ask(&*provider, A).await?;
            refused(answer, &CANT_HOLD, "reading a value that is too large")?;
        }
        None => {
            let provider = two(harness).await?;
            let written = put(&*provider, &A, &value, Expect::Any).await;
            refused(
                written,
                &[ErrorKind::Malformed],
                "writing a value that is too large",
            )?;
            holds(&*provider, &A, b"value of a", "what was there before").await?;
        }
    }
    Ok(())
}

/// Opens a read-only provider on a value; `None` where the backend can be written, or can't hold it.
async fn held_behind_its_back(
    harness: &dyn Harness,
    value: &Secret,
) -> Result<Option<Arc<dyn SecretProvider>>, Stop> {
    if two(harness).await?.describe().writable {
        return Ok(None);
    }
    match harness.open(&[(A, value.clone())]).await {
        Ok(provider) => Ok(Some(provider)),
        Err(error) if CANT_HOLD.contains(&error.kind()) => {
            super::check::skip("the store can't be given such a value")
        }
        Err(error) => fail(format!("opening: {}", error.kind())),
    }
}

/// Text without a repetition that a lost or doubled block could hide in.
fn pattern(len: usize) -> String {
    let mut text: String = (0..).take(len).map(|n: usize| format!("{n:x}.")).collect();
    text.truncate(len);
    text
}
