//! What compression costs beside zlib itself: received and sent ticks against bare zlib-rs on the same bytes, plus what the same
//! message costs uncompressed. CPU time of one thread, on the core's halves, without a socket; the least of several rounds.
//!
//! ```sh
//! cargo bench --features deflate --bench deflate
//! ```

use std::hint::black_box;

use flate2::{Compress, Compression, Decompress, FlushCompress, FlushDecompress};
use websocket_sync::MessageRef;
use websocket_sync::protocol::handshake::ExtensionOffer;
use websocket_sync::protocol::{
    DeflateOptions, Extension, Inbound, Limits, MaskKeys, Outbound, PerMessageDeflate, Role, Step, TextPolicy,
};

const TICKS: usize = 2000;
const ROUNDS: usize = 15;
const TAIL: [u8; 4] = [0, 0, 0xFF, 0xFF];

fn main() {
    println!("receiving, ns of CPU each     |    zlib   plain    both    ours   ratio   bytes");
    each(|name, takeover, ticks| {
        let feed = Feed::new(takeover, ticks);
        let [zlib, plain, ours] = least([&mut || feed.zlib(), &mut || feed.plain(), &mut || feed.ours()]);
        row(name, takeover, [zlib, plain, ours], feed.compressed.len());
    });
    println!("sending, ns of CPU each       |    zlib   plain    both    ours   ratio");
    each(|name, takeover, ticks| {
        let mut sender = Sender::new(takeover, ticks);
        let mut zlib = Compress::new(Compression::new(1), false);
        let mut plain = outbound(None);
        let figures =
            least([&mut || bare_compress(&mut zlib, takeover, ticks), &mut || send(&mut plain, ticks), &mut || {
                send(&mut sender.0, ticks)
            }]);
        row(name, takeover, figures, 0);
    });
}

fn each(mut measure: impl FnMut(&str, bool, &[String])) {
    for takeover in [true, false] {
        for size in [120, 300, 400, 4096] {
            measure(&format!("{size} B"), takeover, &ticks(size));
        }
    }
}

fn row(name: &str, takeover: bool, [zlib, plain, ours]: [f64; 3], bytes: usize) {
    let how = if takeover { "window kept" } else { "window not kept" };
    let both = zlib + plain;
    let ratio = ours / both;
    print!("{name:>7}, {how:<20} | {zlib:7.0} {plain:7.0} {both:7.0} {ours:7.0} {ratio:7.2}");
    if bytes > 0 { println!("{:8}", bytes / TICKS) } else { println!() }
}

/// The time of each of these for one tick, taken in turn so that all see the same machine.
fn least<const N: usize>(mut works: [&mut dyn FnMut(); N]) -> [f64; N] {
    let mut figures = [f64::MAX; N];
    for _ in 0..ROUNDS {
        for (work, figure) in works.iter_mut().zip(&mut figures) {
            let began = cpu();
            work();
            *figure = figure.min((cpu() - began) / TICKS as f64);
        }
    }
    figures
}

/// The CPU time of this thread in nanoseconds, or the time where the system does not tell.
#[cfg(unix)]
fn cpu() -> f64 {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
    time.tv_sec as f64 * 1e9 + time.tv_nsec as f64
}

#[cfg(not(unix))]
fn cpu() -> f64 {
    thread_local!(static BEGAN: std::time::Instant = std::time::Instant::now());
    BEGAN.with(|began| began.elapsed().as_nanos() as f64)
}

/// Trades as exchanges send them, about `size` bytes each.
fn ticks(size: usize) -> Vec<String> {
    let mut state = 88_172_645_463_325_252_u64;
    let mut random = move |below: u64| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state % below
    };
    let symbols = ["BTCUSDT", "ETHUSDT", "SOLUSDT", "XRPUSDT"];
    let mut trade = move || {
        format!(
            r#"{{"e":"trade","s":"{}","t":{},"p":"{}.{:02}","q":"0.{:05}","T":{}}}"#,
            symbols[random(4) as usize],
            3_000_000_000 + random(1_000_000_000),
            60_000 + random(5000),
            random(100),
            random(100_000),
            1_700_000_000_000 + random(1_000_000_000),
        )
    };
    let mut tick = || {
        let mut text = trade();
        while text.len() < size {
            text.push_str(&trade());
        }
        text.truncate(size);
        text
    };
    (0..TICKS).map(|_| tick()).collect()
}

fn options(takeover: bool) -> DeflateOptions {
    let options = DeflateOptions::new().threshold(0);
    if takeover { options } else { options.server_no_context_takeover() }
}

/// Both ends after their handshake.
fn agreed(takeover: bool) -> (PerMessageDeflate, PerMessageDeflate) {
    let new = || PerMessageDeflate::new(options(takeover)).expect("the options are in range");
    let (mut client, mut server) = (new(), new());
    let mut extension = ExtensionOffer::new(client.name());
    if !takeover {
        extension = extension.param("server_no_context_takeover", None);
    }
    server.accept(&extension).expect("it is accepted");
    client.finalize(&extension).expect("it fits");
    (client, server)
}

fn outbound(deflate: Option<&PerMessageDeflate>) -> Outbound {
    let keys = MaskKeys::pooled(Box::new(|_| {}));
    Outbound::deflating(Role::Server, keys, deflate.and_then(PerMessageDeflate::deflater))
}

/// What is received: compressed frames, the same without their headers, and the same as plain frames.
struct Feed {
    takeover: bool,
    compressed: Vec<u8>,
    payloads: Vec<Vec<u8>>,
    plain: Vec<u8>,
}

impl Feed {
    fn new(takeover: bool, ticks: &[String]) -> Self {
        let mut zlib = Compress::new(Compression::new(6), false);
        let mut plain = outbound(None);
        let mut frames = outbound(None);
        let mut payloads = Vec::new();
        let mut compressed = Vec::new();
        for tick in ticks {
            plain.message(MessageRef::Text(tick)).expect("it may be sent");
            let payload = compress(&mut zlib, takeover, tick.as_bytes());
            frames
                .message(MessageRef::Text(std::str::from_utf8(&vec![b'x'; payload.len()]).expect("ASCII")))
                .expect("it may be sent");
            let header = frames.pending().len() - payload.len();
            compressed.push(frames.pending()[0] | 0x40);
            compressed.extend_from_slice(&frames.pending()[1..header]);
            compressed.extend_from_slice(&payload);
            frames.written(usize::MAX);
            payloads.push(payload);
        }
        let plain = plain.pending().to_vec();
        Self { takeover, compressed, payloads, plain }
    }

    fn zlib(&self) {
        let mut zlib = Decompress::new(false);
        let mut out = vec![0; 64 * 1024];
        for payload in &self.payloads {
            zlib.decompress(payload, &mut out, FlushDecompress::Sync).expect("it inflates");
            zlib.decompress(&TAIL, &mut out, FlushDecompress::Sync).expect("it inflates");
            black_box(&out);
            if !self.takeover {
                zlib.reset(false);
            }
        }
    }

    fn plain(&self) {
        receive(&mut Inbound::new(Role::Client, Limits::default()), &self.plain);
    }

    fn ours(&self) {
        let inflater = agreed(self.takeover).0.inflater();
        receive(
            &mut Inbound::inflating(Role::Client, Limits::default(), TextPolicy::Validate, inflater),
            &self.compressed,
        );
    }
}

fn receive(inbound: &mut Inbound, mut bytes: &[u8]) {
    let mut messages = 0;
    loop {
        match inbound.advance().expect("it is well-formed") {
            Step::Message => {
                black_box(inbound.message().expect("it is text"));
                messages += 1;
            }
            _ if bytes.is_empty() => break,
            _ => bytes = &bytes[inbound.push(bytes)..],
        }
    }
    assert_eq!(messages, TICKS);
}

fn compress(zlib: &mut Compress, takeover: bool, bytes: &[u8]) -> Vec<u8> {
    let mut out = vec![0; bytes.len() * 2 + 64];
    let before = zlib.total_out();
    zlib.compress(bytes, &mut out, FlushCompress::Sync).expect("it compresses");
    out.truncate((zlib.total_out() - before) as usize - TAIL.len());
    if !takeover {
        zlib.reset();
    }
    out
}

fn bare_compress(zlib: &mut Compress, takeover: bool, ticks: &[String]) {
    let mut out = vec![0; 64 * 1024];
    for tick in ticks {
        zlib.compress(tick.as_bytes(), &mut out, FlushCompress::Sync).expect("it compresses");
        black_box(&out);
        if !takeover {
            zlib.reset();
        }
    }
}

struct Sender(Outbound);

impl Sender {
    fn new(takeover: bool, ticks: &[String]) -> Self {
        let mut sender = Self(outbound(Some(&agreed(takeover).1)));
        send(&mut sender.0, ticks);
        sender
    }
}

fn send(outbound: &mut Outbound, ticks: &[String]) {
    for tick in ticks {
        let length = outbound.message(MessageRef::Text(tick)).expect("it may be sent");
        black_box(outbound.pending());
        outbound.written(length);
    }
}
