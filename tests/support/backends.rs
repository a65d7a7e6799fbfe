//! Tests that run with each TLS backend. Whoever uses them has `TlsBackend` and `TlsOptions` at the root of the crate.

#![allow(dead_code, unused_macros, reason = "each file of tests needs a part of it")]

/// Makes a test for each backend of each function, which is handed options with that backend.
macro_rules! on_each_backend {
    ($($test:ident)*) => {
        #[cfg(feature = "native-tls")]
        mod on_native_tls {
            $(#[test] fn $test() { super::$test(crate::TlsOptions::new().backend(crate::TlsBackend::NativeTls)); })*
        }

        #[cfg(feature = "rustls")]
        mod on_rustls {
            $(#[test] fn $test() { super::$test(crate::TlsOptions::new().backend(crate::TlsBackend::Rustls)); })*
        }
    };
}

/// Options for each backend.
pub(crate) fn backends() -> Vec<crate::TlsOptions> {
    vec![
        #[cfg(feature = "native-tls")]
        crate::TlsOptions::new().backend(crate::TlsBackend::NativeTls),
        #[cfg(feature = "rustls")]
        crate::TlsOptions::new().backend(crate::TlsBackend::Rustls),
    ]
}
