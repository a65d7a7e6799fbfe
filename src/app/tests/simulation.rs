//! Months in minutes: the machines that decide when to ping, when to give up and when to connect again, on a clock and with chance of
//! the tests' own, compared with what a plain model says at each step.

mod dice;
mod soak;
mod storms;
