//! placeholder
/// placeholder
#[derive(Debug, thiserror::Error)]
#[error("placeholder")]
#[non_exhaustive]
pub struct UrlError;
