//! Fuzz targets of websocket-sync: each is a function of bytes that panics where the crate does not keep a promise.
//!
//! The programs in `fuzz_targets` hand them to libFuzzer; `tests/replay.rs` runs them on stable Rust over the corpus and mutations of it.

#[cfg(not(fuzzing))]
compile_error!("the targets reach private parsers: build with RUSTFLAGS='--cfg fuzzing' (cargo fuzz sets it)");

mod decoder;
mod input;
mod recording;
pub mod seeds;
mod targets;
mod wire;

pub use self::input::Chance;
pub use self::targets::*;

/// A target: it panics at a fault.
pub type Target = fn(&[u8]);

/// Names the targets once: the names of their functions are those of their programs and of the directories of their corpora.
macro_rules! targets {
    ($($name:ident),* $(,)?) => {
        /// All targets by name.
        pub const TARGETS: &[(&str, Target)] = &[$((stringify!($name), $name as Target)),*];
    };
}

targets![
    inbound_chunks,
    inbound_vs_decoder,
    roundtrip,
    inflate,
    response_head,
    request_head,
    extensions,
    urls,
    cookies,
    challenges,
    proxy_answers,
    proxy_urls,
    app_loop,
    driver,
    tls_records,
    trace_taps,
    recordings,
];
