//! The two ends of a connection.

/// Which endpoint of a connection this is (RFC 6455, section 5.1): it decides who masks.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[doc(alias = "ConnectionType")]
#[expect(clippy::exhaustive_enums, reason = "a connection has two ends")]
pub enum Role {
    /// Masks what it sends; what it receives is not masked.
    Client,
    /// Receives masked frames and sends unmasked ones.
    Server,
}
