//! What the benches share: the cost of a piece of work, and rounds of work that contenders do in turn.

#![expect(
    clippy::exhaustive_enums,
    clippy::exhaustive_structs,
    missing_debug_implementations,
    reason = "it is for the benches beside it alone"
)]

pub mod clock;
pub mod rounds;
