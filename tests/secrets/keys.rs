//! Keys, and the passwords that they are encrypted with.

use crate::*;

#[test]
fn keys_and_their_passwords_are_not_shown() {
    listen_to_the_log();
    bounded(60, || {
        let authority = Authority::new();
        let leaf = authority.leaf("client.example", tls_peer::Validity::Now);
        let key = leaf.key.lines().nth(1).unwrap().to_owned();
        let broken = leaf.key.replace(&key, "c4n4ry/c4n4ry/c4n4ry");
        let cases: [fn(TlsOptions, &str, &str) -> TlsOptions; 5] = [
            |tls, cert, key| tls.client_cert_pem(cert, key),
            |tls, cert, key| tls.client_cert_pem(cert, key).client_key_password("c4n4ry"),
            |tls, _, key| tls.client_cert_pem("c4n4ry", key),
            |tls, _, _| tls.client_pkcs12_der("c4n4ry", "c4n4ry"),
            |tls, _, _| tls.client_pkcs12("/nonexistent", "c4n4ry"),
        ];
        for tls in backends::backends() {
            for make in cases {
                for private in [&leaf.key, &broken] {
                    let tls = make(tls.clone(), &leaf.cert, private);
                    for shown in [format!("{tls:?}"), format!("{:?}", ConnectOptions::new().tls(tls.clone()))] {
                        assert!(!has_secret(&shown) && !shown.contains(&key), "{shown}");
                    }
                    // Whether it is refused or not depends on the backend.
                    let options = ConnectOptions::new().tls(tls).open_timeout(ms(500));
                    let error = options.connect("wss://127.0.0.1:1/").unwrap_err();
                    assert_error_is_silent("an identity", &error);
                    assert!(!format!("{error:?}").contains(&key), "{error:?}");
                }
            }
        }
    });
    assert_log_is_silent();
}
