//! What the Tab key completes, asked of the shells themselves: bash and zsh on a pseudo-terminal, fish by its builtin `complete`.

use std::fs;
use std::io::Write;
use std::path::PathBuf;
use std::process::Command;

use crate::shell::wsdump;
use crate::terminal::Terminal;

/// Stands for the program, and shows how it was called.
const SHOW_ARGUMENTS: &str = "wsdump() { printf 'called:'; printf ' <%s>' \"$@\"; echo ' end'; }\n";

/// A directory with the script of a shell, and with files to be completed.
struct Directory(PathBuf);

impl Directory {
    fn new(shell: &str) -> Self {
        let path = std::env::temp_dir().join(format!("wsdump-completions-{shell}-{}", std::process::id()));
        fs::create_dir_all(path.join("folder")).unwrap();
        for file in ["authority.pem", "folder/inside.pem", "two words.pem"] {
            fs::write(path.join(file), "").unwrap();
        }
        let script = wsdump(&["--completions", shell]);
        assert_eq!(script.code, 0, "{script:?}");
        fs::write(path.join("script"), script.out).unwrap();
        Self(path)
    }

    fn write(&self, name: &str, text: &str) -> String {
        let path = self.0.join(name);
        fs::write(&path, text).unwrap();
        path.to_str().unwrap().to_owned()
    }

    /// A shell in the directory, and with nothing of the user's.
    fn command(&self, program: &str, arguments: &[&str]) -> Command {
        let mut command = Command::new(program);
        command.args(arguments).current_dir(&self.0).env("HOME", &self.0).env("ZDOTDIR", &self.0).env("TERM", "xterm");
        command
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// Whether the shell is there. Where it is not, that is said past the capture of the test harness.
fn is_installed(shell: &str) -> bool {
    let is_installed = Command::new(shell).arg("--version").output().is_ok();
    if !is_installed {
        let _ = writeln!(std::io::stderr(), "SKIPPED: the completions for {shell}, which is not installed");
    }
    is_installed
}

/// Types each line at the prompt of a shell, and looks at what the program would be called with.
#[track_caller]
fn assert_completed(mut shell: Terminal, table: &[(&str, &str)]) {
    for (typed, arguments) in table {
        shell.type_in(&format!("wsdump {typed}\r"));
        shell.see("called: ");
        assert_eq!(shell.see(" end"), *arguments, "{typed:?}");
    }
    shell.type_in("exit\r");
    shell.child.wait().unwrap();
}

#[test]
fn bash_completes_flags_values_and_files() {
    if !is_installed("bash") {
        return;
    }
    let directory = Directory::new("bash");
    let rc = directory.write("rc", &format!("{SHOW_ARGUMENTS}bind 'set enable-bracketed-paste on'\nsource ./script\n"));
    let shell = Terminal::running(directory.command("bash", &["--noprofile", "--rcfile", &rc, "-i"]));
    assert_completed(
        shell,
        &[
            ("--tls-m\t1.3", "<--tls-min> <1.3>"),
            ("--tls-min 1.\t2", "<--tls-min> <1.2>"),
            ("--tls-library ru\t", "<--tls-library> <rustls>"),
            ("localhost --tls-library n\t", "<localhost> <--tls-library> <native-tls>"),
            ("--bench=fl\t", "<--bench=flood>"),
            ("--bench=\tround\t", "<--bench=round-trips>"),
            ("--completions po\t", "<--completions> <powershell>"),
            ("--ca aut\t", "<--ca> <authority.pem>"),
            ("--ca fol\tin\t", "<--ca> <folder/inside.pem>"),
            ("--replay tw\t", "<--replay> <two words.pem>"),
            ("--inse\t-u me", "<--insecure> <-u> <me>"),
        ],
    );
}

#[test]
fn zsh_completes_flags_values_and_files() {
    if !is_installed("zsh") {
        return;
    }
    let directory = Directory::new("zsh");
    let start = "PS1='> '\nautoload -U compinit\ncompinit -u -D\nunsetopt beep\nsource ./script\n";
    directory.write(".zshrc", &format!("{SHOW_ARGUMENTS}{start}"));
    let shell = Terminal::running(directory.command("zsh", &["--no-globalrcs", "-i"]));
    assert_completed(
        shell,
        &[
            ("--tls-m\t1.3", "<--tls-min=1.3>"),
            ("--tls-min 1.\t2", "<--tls-min> <1.2>"),
            ("--tls-library ru\t", "<--tls-library> <rustls>"),
            ("localhost --tls-library n\t", "<localhost> <--tls-library> <native-tls>"),
            ("--bench=fl\t", "<--bench=flood>"),
            ("--completions po\t", "<--completions> <powershell>"),
            ("--ca aut\t", "<--ca> <authority.pem>"),
            ("--ca fol\tin\t", "<--ca> <folder/inside.pem>"),
            ("--replay tw\t", "<--replay> <two words.pem>"),
            // Values of which the name has a colon.
            ("-u aut\t", "<-u> <authority.pem>"),
            ("--close aut\t", "<--close> <authority.pem>"),
            ("--inse\t-u me", "<--insecure> <-u> <me>"),
        ],
    );
}

#[test]
fn fish_completes_flags_values_and_files() {
    if !is_installed("fish") {
        return;
    }
    let directory = Directory::new("fish");
    let completed = |line: &str| {
        let asked = format!("source ./script; complete -C '{line}'");
        let said = directory.command("fish", &["--no-config", "-c", &asked]).output().unwrap();
        assert!(said.status.success() && said.stderr.is_empty(), "{said:?}");
        let said = String::from_utf8(said.stdout).unwrap();
        said.lines().map(|line| line.split('\t').next().unwrap().to_owned()).collect::<Vec<_>>().join(" ")
    };
    for (line, expected) in [
        ("wsdump --tls-m", "--tls-min"),
        ("wsdump --tls-min ", "1.2 1.3"),
        ("wsdump localhost --tls-library ru", "rustls"),
        ("wsdump --bench=", "--bench=flood --bench=round-trips"),
        ("wsdump --completions po", "powershell"),
        ("wsdump --ca aut", "authority.pem"),
        ("wsdump --ca folder/", "folder/inside.pem"),
        ("wsdump --replay tw", "two words.pem"),
        ("wsdump --inse", "--insecure"),
    ] {
        assert_eq!(completed(line), expected, "{line:?}");
    }
}
