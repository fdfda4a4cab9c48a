//! What it costs to read a live handle.

use std::hint::black_box;
use std::sync::Arc;

use allocation_counter::measure as count;
use arc_swap::ArcSwap;
use strongroom::{Env, Memory, Secret, SecretsFactory};

use crate::Section;
use crate::measure::{on_one_and_two_threads, repeated};

/// What every library holds under [`NAME`].
pub const VALUE: &str = "1wgwsQ7AJwZGFOrm7W8yv6HK9OD4wCJ0YBk6MOqty0o70Ui1y7DaUtmG0rnZKkXa";
pub const NAME: &str = "payments/api-token";

pub fn section() -> Section {
    // Its thread is another one than those that read, as in a service.
    let mut runtime = tokio::runtime::Builder::new_multi_thread();
    let runtime = runtime.worker_threads(1).enable_all().build()?;
    let builder = SecretsFactory::builder()
        .env(Env::empty().with_var("STRONGROOM_ENV", "development"))
        .provider(Memory::new().with(NAME, VALUE));
    let secrets = runtime.block_on(builder.detect())?;
    let live = runtime.block_on(secrets.watch(NAME))?;
    let bare = ArcSwap::from_pointee(live.with(Secret::clone)?);

    let length = live.with(Secret::len)?;
    let read = || {
        let found = black_box(&live).with(|secret| black_box(secret).len());
        assert!(found.is_ok_and(|found| found == length));
    };
    let load = || {
        let secret: &Arc<Secret> = &black_box(&bare).load();
        assert_eq!(black_box(secret).len(), length);
    };
    let allocations = count(read).count_total;
    let measured = on_one_and_two_threads(&[repeated(read), repeated(load)]);
    let [with, load] = measured[..] else {
        return Err("two actions were measured".into());
    };
    let rows = [
        ("one thread", with.one, load.one),
        ("each of two threads", with.two, load.two),
    ]
    .map(|(title, with, load)| {
        let ratio = with / load;
        format!("| {title} | {with:.1} ns | {load:.1} ns | {ratio:.2} |")
    })
    .join("\n");
    Ok(format!(
        "\
## Reading a live handle

`LiveSecret::with` of a secret that is refreshed and that has a last moment, against `ArcSwap::load` of the \
crate arc-swap, of the same type. The difference is what looking at the clock costs. Each reading \
allocates {allocations} times. The fastest of many interleaved rounds; of two threads that read one \
handle at the same time, the slower one.

| | `with` | `ArcSwap::load` | ratio |
|---|---|---|---|
{rows}"
    ))
}
