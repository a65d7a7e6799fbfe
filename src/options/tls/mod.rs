//! How TLS is spoken.

// In the order in which the documentation of `TlsOptions` shows what they add to it.
mod options;

mod trust;

mod identity;

mod negotiation;

mod library;

pub(crate) use self::identity::{Identity, PemSource};
pub use self::library::TlsBackend;
pub(crate) use self::library::{Connector, Ready};
pub use self::negotiation::TlsVersion;
pub use self::options::TlsOptions;
pub use self::trust::SystemRoots;
pub(crate) use self::trust::{Authorities, Danger};
