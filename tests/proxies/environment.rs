//! The environment of a process, which only another process can have: the tests run themselves.

use std::env;
use std::process::Command;

use super::support::{bounded, join};
use super::*;

/// Run by the test below, with an environment of its own; says where it got by how it ends.
#[test]
#[ignore = "it is run by the other one"]
fn connects_as_its_environment_says() {
    let mut ws = ConnectOptions::new().connect(&env::var("TEST_URL").unwrap()).unwrap();
    say_back(&mut ws);
}

/// Whether that works out.
fn connect(url: &str, variables: &[(&str, &str)]) -> bool {
    let mut command = Command::new(env::current_exe().unwrap());
    command.args(["--exact", "environment::connects_as_its_environment_says", "--ignored"]);
    for name in ["ws", "wss", "http", "https", "all", "no"].map(|name| format!("{name}_proxy")) {
        command.env_remove(name.to_uppercase()).env_remove(name);
    }
    command.env_remove("REQUEST_METHOD").env("TEST_URL", url).envs(variables.iter().copied());
    command.output().unwrap().status.success()
}

#[test]
fn a_process_goes_through_the_proxy_of_its_environment() {
    bounded(60, || {
        for name in ["ws_proxy", "HTTP_PROXY", "all_proxy"] {
            let (port, proxy) = proxy(|listener| {
                let mut peer = next(listener);
                let asked = peer.head();
                peer.say(ESTABLISHED);
                serve_hello(&mut peer);
                asked
            });
            let via = format!("http://user:pass@127.0.0.1:{port}");
            assert!(connect("ws://server.invalid/", &[(name, &via), ("no_proxy", "other.invalid,::1/128")]));
            assert!(join(proxy).starts_with("CONNECT server.invalid:80 HTTP/1.1\r\n"));
        }
        let (port, server) = proxy(|listener| serve_hello(&mut next(listener)));
        let url = format!("ws://127.0.0.1:{port}/");
        assert!(connect(&url, &[("ws_proxy", "http://127.0.0.1:9"), ("NO_PROXY", "127.0.0.0/8")]));
        assert!(join(server).starts_with("GET / HTTP/1.1\r\n"));
        assert!(!connect(&url, &[("ws_proxy", "ftp://127.0.0.1:9")]));
    });
}
