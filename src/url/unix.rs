//! URLs of Unix sockets, in the form of npm ws: `ws+unix:///absolute/path.sock:/resource?query`.

use std::path::PathBuf;

use super::encoding::percent_decode;
use super::error::UrlError;
use super::split_before;

/// What in a socket's path is percent-encoded: what would end it, and the percent sign itself.
pub(super) const UNSAFE: &[u8] = b"%:?#\\\"<>`{}^|";

/// The path of the socket, which ends at the first colon, and what is asked for behind it.
pub(super) fn split_socket_path(rest: &str) -> Result<(PathBuf, &str), UrlError> {
    let (path, rest) = split_before(rest, [':', '?', '#']);
    let resource = rest.strip_prefix(':').unwrap_or(rest);
    let path = String::from_utf8(percent_decode(path)).map_err(|_| UrlError::UnixSocket)?;
    let is_absolute = path.starts_with('/') && path.len() > 1 && !path.contains('\0');
    let is_resource = resource.is_empty() || resource.starts_with(['/', '?', '#']);
    if !is_absolute || !is_resource {
        return Err(UrlError::UnixSocket);
    }
    Ok((PathBuf::from(path), resource))
}
