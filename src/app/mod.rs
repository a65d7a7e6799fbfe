//! An app: callbacks, keepalive and reconnecting around a connection, to be left alone for months.
//!
//! | | |
//! |---|---|
//! | `builder`, `callbacks`, `settings`, `running` | `WebSocketApp`: what it is made of, its callbacks, its connections, and how it is run |
//! | `handle`, `facts` | what the user is given |
//! | `lifecycle`, `keepalive`, `reconnect` | state machines of a run, of the pings and of the delays: without I/O, clocks and randomness, which are arguments |
//! | `session` | one run: what has happened goes in, events and the next step come out |
//! | `calling`, `queue` | sinks of these events: callbacks on this thread, or a queue to the thread that calls them |
//! | `blocking`, `ping_thread` | the driver with threads that wait |
//! | `task`, `many_apps` | the driver that does not wait, for a loop of the user's, and a loop for many apps |
//! | `shared` | what the threads share, the outbox included |

// In the order in which the documentation of `WebSocketApp` shows what they add to it.
mod builder;

mod callbacks;

mod settings;

mod running;

mod task;

mod blocking;
mod calling;
mod facts;
#[cfg(fuzzing)]
pub(crate) mod fuzzing;
mod handle;
mod keepalive;
mod lifecycle;
#[cfg(feature = "mio")]
mod many_apps;
mod ping_thread;
mod queue;
mod reconnect;
mod session;
mod shared;
#[cfg(test)]
mod tests;
mod timers;

pub use self::builder::WebSocketApp;
pub use self::callbacks::{Handler, Outcome};
pub use self::calling::CallbackPolicy;
pub use self::facts::{AppError, Attempt, Closed, Latency, Statistics};
pub use self::handle::Handle;
#[cfg(feature = "mio")]
pub use self::many_apps::{AppAdder, ManyApps};
pub use self::queue::Overflow;
pub use self::reconnect::{Reconnect, set_reconnect};
pub use self::running::AppThread;
pub use self::task::{AppStep, AppTask, Connected, Connecting};
