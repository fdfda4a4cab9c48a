//! What it costs to expose a secret that is held already.

use std::hint::black_box;

use strongroom::Secret;

use crate::Section;
use crate::measure::interleaved;

/// Holds a slice as a `Secret` holds its value: behind a reference to the holder.
struct Plain<'a> {
    value: &'a [u8],
}

pub fn section() -> Section {
    let value = *b"0123456789abcdef0123456789abcdef";
    let secret = Secret::from_bytes(value.to_vec());
    let (held, other) = (value.to_vec(), value.to_vec());
    let (plain, other) = (Plain { value: &held }, Plain { value: &other });

    // `black_box` around the holder: what it holds must be loaded anew each time. Around pointer and
    // length: both must really be produced, each in a register, since keeping a slice as a whole in
    // memory would measure how the compiler copies it.
    let expose = interleaved(
        || produce(black_box(&secret).expose_bytes()),
        || produce(black_box(&plain).value),
    );
    let control = interleaved(
        || produce(black_box(&other).value),
        || produce(black_box(&plain).value),
    );
    // Reading every byte, as a caller that sends or hashes the value does.
    let read = interleaved(
        || {
            black_box(sum(black_box(&secret).expose_bytes()));
        },
        || {
            black_box(sum(black_box(&plain).value));
        },
    );
    let rows = [
        ("`Secret`: produce the slice", expose),
        ("`Secret`: produce it and add up its bytes", read),
        ("another plain slice, as a control", control),
    ]
    .map(|(title, pair)| {
        let (subject, baseline, ratio) = (pair.subject, pair.baseline, pair.ratio());
        format!("| {title} | {subject:.2} ns | {baseline:.2} ns | {ratio:.2} |")
    })
    .join("\n");
    Ok(format!(
        "\
## Exposing a held secret

`Secret::expose_bytes` against a plain `&[u8]`, both of 32 bytes, both held behind a reference that \
the compiler can't see through. The time of the loop, and of keeping the compiler from removing it, is \
in both columns. The fastest of many interleaved rounds. Producing a slice takes about one cycle of the \
processor; the control shows how far a ratio can be trusted.

| | measured | plain `&[u8]` | ratio |
|---|---|---|---|
{rows}"
    ))
}

#[inline(always)]
fn produce(slice: &[u8]) {
    black_box(slice.as_ptr());
    black_box(slice.len());
}

fn sum(bytes: &[u8]) -> u32 {
    bytes.iter().map(|byte| u32::from(*byte)).sum()
}
