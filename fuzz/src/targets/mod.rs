//! One file for each target.

mod app_loop;
mod challenges;
mod cookies;
mod driver;
mod extensions;
mod inbound_chunks;
mod inbound_vs_decoder;
mod inflate;
mod proxy_answers;
mod proxy_urls;
mod recordings;
mod request_head;
mod response_head;
mod roundtrip;
mod tls_records;
mod trace_taps;
mod urls;

pub use self::app_loop::app_loop;
pub use self::challenges::challenges;
pub use self::cookies::cookies;
pub use self::driver::driver;
pub use self::extensions::extensions;
pub use self::inbound_chunks::inbound_chunks;
pub use self::inbound_vs_decoder::inbound_vs_decoder;
pub use self::inflate::inflate;
pub use self::proxy_answers::proxy_answers;
pub use self::proxy_urls::proxy_urls;
pub use self::recordings::recordings;
pub use self::request_head::request_head;
pub use self::response_head::response_head;
pub use self::roundtrip::roundtrip;
pub use self::tls_records::tls_records;
pub use self::trace_taps::trace_taps;
pub use self::urls::urls;
