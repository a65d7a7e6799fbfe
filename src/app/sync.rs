//! What the threads of an app share things with.

pub(super) use std::sync::atomic::Ordering;
pub(super) use std::sync::{Arc, PoisonError};

pub(super) use crate::sync::{AtomicBool, AtomicU64, Condvar, Mutex, MutexGuard, now};
