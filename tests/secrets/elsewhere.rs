//! What is sent to a server only when it asks, and never to another one.

use crate::support::site::{Site, fields, found, path, status};
use crate::*;

#[test]
fn a_challenge_is_answered_and_nobody_else_hears_of_it() {
    listen_to_the_log();
    bounded(30, || {
        let challenges = [
            "Basic realm=\"r\"",
            "Digest realm=\"r\", nonce=\"n\", qop=\"auth\", algorithm=MD5",
            "Digest realm=\"r\", nonce=\"n\", qop=\"auth\", algorithm=SHA-256",
            "Bearer realm=\"r\"",
        ];
        for challenge in challenges {
            let site = Site::new(move |_| status("401 Who", &format!("WWW-Authenticate: {challenge}\r\n")));
            let options = at(&site.url("/"), ConnectOptions::new().credentials("c4n4ry-user", "c4n4ry-password"));
            assert_silent(challenge, &options);
            let error = options.connect("ws://host.example/").unwrap_err();
            assert_error_is_silent(challenge, &error);
            let heads = site.heads();
            assert_eq!(heads.len(), if challenge.starts_with("Bearer") { 1 } else { 2 });
            assert!(!has_secret(&heads[0]), "unasked: {}", heads[0]);
            let answer = fields(heads.last().unwrap(), "Authorization").join("");
            assert!(!answer.contains("c4n4ry-password"), "{answer}");
            assert_eq!(has_secret(&answer), challenge.contains("realm=\"r\"") && heads.len() == 2, "{answer}");
        }
    });
    assert_log_is_silent();
}

#[test]
fn no_other_origin_hears_a_secret_of_a_redirect() {
    listen_to_the_log();
    bounded(30, || {
        for change in [
            |options: ConnectOptions| options,
            |options: ConnectOptions| options.host("c4n4ry.example").origin("http://c4n4ry.example"),
            |options: ConnectOptions| options.credentials("c4n4ry-user", "c4n4ry-password"),
            |options: ConnectOptions| options.header("Cookie", "a=c4n4ry").header("Proxy-Authorization", "c4n4ry"),
        ] {
            // Asks who is there, in vain, and sends back home.
            let other = Site::new(|head| match path(head) {
                "/asks" => status("401 Who", "WWW-Authenticate: Basic realm=\"r\"\r\n"),
                _ => found("/asks"),
            });
            let address = other.address;
            let home = Site::new(move |_| found(&format!("http://{address}/")));
            let error =
                change(all()).connect(&home.url("/").replace("ws://", &format!("ws://{USERINFO}@"))).unwrap_err();
            assert!(matches!(&error, Error::Refused(refusal) if refusal.status == 401), "{error:?}");
            assert_error_is_silent("redirect", &error);
            assert!(home.heads().iter().all(|head| head.contains(CANARY)), "{:?}", home.heads());
            assert_eq!(other.heads().len(), 2);
            assert!(!other.heads().iter().any(|head| has_secret(head)), "{:?}", other.heads());
        }
    });
    assert_log_is_silent();
}
