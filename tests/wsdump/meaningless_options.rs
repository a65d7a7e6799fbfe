//! An option that would do nothing with the others is an error that says so.

use crate::shell::wsdump;

/// Arguments, and what they are refused with: the option that does nothing, and the one with which it does not.
#[track_caller]
fn refused(arguments: &str, option: &str, with: &str) {
    let arguments: Vec<&str> = arguments.split(' ').collect();
    let said = wsdump(&arguments);
    assert_eq!((said.code, said.out.as_str()), (2, ""), "{arguments:?}: {said:?}");
    let first = said.err.lines().next().unwrap_or_default();
    assert!(first.starts_with("error: ") && first.contains(option) && first.contains(with), "{arguments:?}: {first}");
}

#[test]
fn a_server_takes_no_options_of_a_client() {
    for option in [
        "--unix-socket /s",
        "--ping-interval 1",
        "--header A:1",
        "--headers A:1",
        "--ca F",
        "--cookie a=1",
        "--cookie-jar F",
        "--proxy http://p:1",
        "--reconnect",
        "--user a:b",
        "--history F",
        "--text x",
        "--origin o",
        "--nocert",
        "--server-name n",
        "--tls-min 1.2",
        "--max-redirects 1",
        "--eof-wait 1",
        "--eof-silence 1",
        "--no-input",
    ] {
        let flag = option.split(' ').next().unwrap();
        refused(&format!("--listen 127.0.0.1:0 {option}"), flag, "--listen");
    }
    refused("--listen 127.0.0.1:0 --tls-library rustls", "--tls-library", "--cert");
    refused("--listen 127.0.0.1:0 --broadcast --replay F", "--broadcast", "--replay");
    refused("--listen 127.0.0.1:0 --broadcast --proxy-to ws://h", "--broadcast", "--proxy-to");
    refused("--listen 127.0.0.1:0 --replay F --proxy-to ws://h", "--replay", "--proxy-to");
    refused("--listen 127.0.0.1:0 --output F --proxy-to ws://h", "--output", "--proxy-to");
    refused("--listen 127.0.0.1:0 --binary --proxy-to ws://h", "--binary", "--proxy-to");
    refused("--listen 127.0.0.1:0 --text x --proxy-to ws://h", "--text", "--listen");
    for option in ["--timings", "--hex"] {
        refused(&format!("--listen 127.0.0.1:0 {option}"), option, "--verbose");
    }
}

#[test]
fn a_bench_neither_records_nor_replays_nor_reads_input() {
    for option in [
        "--record F",
        "--replay F",
        "--text x",
        "--eof-wait 1",
        "--no-input",
        "--binary",
        "--history F",
        "--timings",
        "--hex",
        "--max-messages 1",
        "--reconnect",
        "--ping-interval 1",
        "--raw",
    ] {
        refused(&format!("--bench {option} ws://127.0.0.1:1/"), option.split(' ').next().unwrap(), "--bench");
    }
}

#[test]
fn what_is_for_a_bench_or_a_server_is_for_nothing_else() {
    refused("--bench-messages 5 ws://127.0.0.1:1/", "--bench-messages", "--bench");
    refused("--bench-size 5 ws://127.0.0.1:1/", "--bench-size", "--bench");
}

#[test]
fn ways_to_show_exclude_each_other() {
    refused("--json --output F ws://127.0.0.1:1/", "--json", "--output");
    refused("--hex --output F ws://127.0.0.1:1/", "--hex", "--output");
    refused("--timings --output F ws://127.0.0.1:1/", "--timings", "--output");
    refused("--raw --json ws://127.0.0.1:1/", "--raw", "--json");
}

#[test]
fn input_that_is_not_read_and_ways_that_are_not_gone_take_no_options() {
    refused("--no-input --history F ws://127.0.0.1:1/", "--history", "--no-input");
    refused("--replay R --history F ws://127.0.0.1:1/", "--history", "--replay");
    refused("--unix-socket /s --proxy http://p:1 ws://h/", "--proxy", "--unix-socket");
    refused("--nocert --ca F wss://127.0.0.1:1/", "--ca", "--nocert");
}

/// The prompt is for terminals.
#[test]
fn a_history_needs_a_prompt() {
    let said = wsdump(&["--history", "F", "ws://127.0.0.1:1/"]);
    assert_eq!(said.code, 2, "{said:?}");
    assert!(said.err.contains("--history") && said.err.contains("terminal"), "{}", said.err);
}
