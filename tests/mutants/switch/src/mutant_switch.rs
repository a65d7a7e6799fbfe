//! Which mutant runs: the number in the environment variable `MUTANT`, none without it.

use std::env;
use std::sync::LazyLock;

static ACTIVE: LazyLock<Option<u32>> = LazyLock::new(|| env::var("MUTANT").ok()?.parse().ok());

pub(crate) fn active(id: u32) -> bool {
    *ACTIVE == Some(id)
}
