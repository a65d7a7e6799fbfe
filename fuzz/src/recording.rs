//! The lines of a recording, from the source of `wsdump`: a program has no library to take them from.

#[path = "../../src/bin/wsdump/recording/entry.rs"]
mod entry;

pub(crate) use self::entry::{Entry, line};
