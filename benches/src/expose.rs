//! What it costs to expose a secret that is held already.

use std::hint::black_box;

use strongroom::Secret;

use crate::Section;
use crate::measure::interleaved;

pub fn section() -> Section {
    let value = *b"0123456789abcdef0123456789abcdef";
    let secret = Secret::from_bytes(value.to_vec());
    let (plain, other): (&[u8], &[u8]) = (&value.to_vec(), &value.to_vec());

    // `black_box` around the holder: what it holds must be loaded anew each time. Around pointer and
    // length: both must really be produced, each in a register, since keeping a slice as a whole in
    // memory would measure how the compiler copies it.
    let expose = interleaved(
        || produce(black_box(&secret).expose_bytes()),
        || produce(black_box(&plain)),
    );
    let control = interleaved(|| produce(black_box(&other)), || produce(black_box(&plain)));
    // Reading every byte, as a caller that sends or hashes the value does.
    let read = interleaved(
        || {
            black_box(sum(black_box(&secret).expose_bytes()));
        },
        || {
            black_box(sum(black_box(&plain)));
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
in both columns. Median of interleaved rounds. Producing a slice takes about one cycle of the \
processor, so a ratio below one says how the loops happened to be laid out, not that a secret is \
faster than a slice.

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
