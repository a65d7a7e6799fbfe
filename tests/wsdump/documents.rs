//! `--help`, the man page and the completions know every flag.

use crate::shell::wsdump;

/// The long flags that `--help` lists.
fn flags() -> Vec<String> {
    let help = wsdump(&["--help"]).out;
    let flags: Vec<String> = help
        .lines()
        .filter(|line| line.starts_with("      --") || (line.starts_with("  -") && line.contains(", --")))
        .map(|line| {
            let start = line.find("--").unwrap() + 2;
            line[start..].split(|c: char| !(c.is_ascii_alphanumeric() || c == '-')).next().unwrap().to_owned()
        })
        .collect();
    assert!(flags.len() > 40, "{flags:?}");
    flags
}

/// The fields of the struct that the flags come from, as flags.
fn declared() -> Vec<String> {
    let source = include_str!("../../src/bin/wsdump/arguments.rs");
    let body = source.split("pub(crate) struct Arguments {").nth(1).unwrap().split("\n}").next().unwrap();
    let names = body.lines().filter_map(|line| line.trim().strip_prefix("pub(crate) ")?.split(':').next());
    names.filter(|name| *name != "url").map(|name| name.replace('_', "-")).collect()
}

#[test]
fn help_man_page_and_completions_mention_every_flag() {
    let flags = flags();
    for flag in declared() {
        assert!(flags.contains(&flag), "--help lacks --{flag}");
    }
    let page = wsdump(&["--man"]);
    assert_eq!((page.code, page.err.as_str()), (0, ""));
    let page = page.out.replace("\\-", "-");
    for flag in &flags {
        assert!(page.contains(&format!("--{flag}")), "the man page lacks --{flag}");
    }
    for shell in ["bash", "zsh", "fish", "powershell", "elvish"] {
        let script = wsdump(&["--completions", shell]);
        assert_eq!((script.code, script.err.as_str()), (0, ""));
        let prefix = if shell == "fish" { "-l " } else { "--" };
        for flag in &flags {
            assert!(script.out.contains(&format!("{prefix}{flag}")), "{shell} lacks --{flag}");
        }
    }
}

#[test]
fn help_teaches_by_example_and_lists_exit_codes() {
    let help = wsdump(&["--help"]).out;
    for expected in
        ["Examples:", "wsdump wss://echo.example/", "At the prompt:", "/close [CODE [WHY]]", "Exit codes:", "  10  "]
    {
        assert!(help.contains(expected), "{expected:?} in {help}");
    }
    let page = wsdump(&["--man"]).out;
    for section in [".SH \"EXAMPLES\"", ".SH \"PROMPT\"", ".SH \"EXIT STATUS\"", ".SH OPTIONS"] {
        assert!(page.contains(section), "{section} in {page}");
    }
    assert!(!page.contains("EXTRA"));
    let short = wsdump(&["-h"]).out;
    assert!(short.lines().count() < help.lines().count() && short.contains("Exit codes:"));
}

#[test]
fn what_cannot_be_meant_is_refused_with_code_two() {
    for arguments in [
        ["--nonsense"].as_slice(),
        &["ws://h/", "ws://h/"],
        &["--key", "k", "ws://h/"],
        &["--broadcast"],
        &["--listen", "127.0.0.1:0", "ws://h/"],
        &["--json", "--hex", "ws://h/"],
        &["--connect-timeout", "0", "ws://h/"],
        &["--tls-min", "1.1", "ws://h/"],
    ] {
        let said = wsdump(arguments);
        assert_eq!(said.code, 2, "{arguments:?}: {said:?}");
        assert!(said.err.starts_with("error: "), "{}", said.err);
    }
}

#[test]
fn it_says_its_version() {
    for flag in ["-V", "--version"] {
        assert_eq!(wsdump(&[flag]).out, format!("wsdump {}\n", env!("CARGO_PKG_VERSION")));
    }
}

/// Every flag stands in a test of its own somewhere in this directory.
#[test]
fn every_flag_is_tested() {
    let tests = concat!(
        include_str!("answers.rs"),
        include_str!("endings.rs"),
        include_str!("familiar_flags.rs"),
        include_str!("flags_of_python.rs"),
        include_str!("listening.rs"),
        include_str!("more_flags.rs"),
        include_str!("prompt.rs"),
        include_str!("proxying.rs"),
        include_str!("reconnecting.rs"),
        include_str!("recordings.rs"),
        include_str!("tls.rs"),
        "--help --version --man --completions ",
    );
    for flag in flags() {
        assert!(
            tests.contains(&format!("\"--{flag}")) || tests.contains(&format!("--{flag} ")),
            "--{flag} has no test"
        );
    }
}

/// `-h` is for a screen of 24 lines with 80 columns, and no line of an example is wrapped.
#[test]
fn help_fits_the_screen_and_leaves_examples_whole() {
    let short = wsdump(&["-h"]).out;
    assert!(short.lines().count() <= 24, "{}", short.lines().count());
    assert!(short.lines().all(|line| line.len() <= 80), "{short}");
    let long = wsdump(&["--help"]).out;
    let (examples, options) = (long.find("Examples:").unwrap(), long.find("Connecting:").unwrap());
    assert!(examples < options, "{long}");
    let ours = long[examples..].lines().skip(1).take_while(|line| !line.is_empty());
    for line in ours.filter(|line| line.starts_with("      ")) {
        assert!(line.len() <= 80, "{line}");
        let command = line.trim_start();
        assert!(command.contains("wsdump"), "{command:?} is a piece of an example");
    }
    for stilted in ["WHO", "HOW", "cannot be meant", "nobody asked for", "answer is none"] {
        assert!(!long.contains(stilted), "{stilted:?}");
    }
}
