//! placeholder

/// placeholder
#[derive(Debug, thiserror::Error)]
#[error("placeholder")]
#[non_exhaustive]
pub struct HandshakeError;
impl HandshakeError {
    /// placeholder
    pub fn is_retryable(&self) -> bool {
        false
    }
}
/// placeholder
#[derive(Debug, thiserror::Error)]
#[error("{status}")]
#[non_exhaustive]
pub struct Refusal {
    /// placeholder
    pub status: u16,
}
/// placeholder
#[derive(Debug)]
#[non_exhaustive]
pub struct ExtensionOffer;
