//! What is made from the flags: help, a man page, and completions for shells.

use std::io;

use clap::{Arg, Command, CommandFactory};
use clap_complete::Shell;

use crate::arguments::Arguments;
use crate::ending::{Exit, Failure};
use crate::output::Output;

/// The whole help: examples first, which are not wrapped.
pub(crate) fn long_help() -> String {
    format!("{{about}}\n\nUsage: {{usage}}\n\n{EXAMPLES}\n\n{{all-args}}\n\n{PROMPT}\n\n{}\n", Exit::TABLE)
}

/// What `-h` prints: a screen of 24 lines with 80 columns.
pub(crate) const SHORT_HELP: &str = "\
{about}

Usage: wsdump [OPTIONS] URL            wsdump --listen PORT [--proxy-to URL]

  -H FIELD            send a header field, 'Name: value', or @FILE
  -u NAME:PASSWORD    log in                   -s NAME,... offer subprotocols
  -o ORIGIN           send this Origin         --no-origin send none
  -p URL              use a proxy              -k          any certificate
  --ca FILE           trust this authority     --cert FILE show a certificate
  --reconnect         connect again            --ping-interval SECONDS
  -t TEXT             send this first          -b            send and show bytes
  --no-input          only listen              --close CODE[:REASON]
  -r                  messages only            -v, -vv       say more
  --json              events as JSON           --hex         bytes as numbers
  --output FILE       save payloads            --record FILE, --replay FILE
  --max-messages N    close after N            -m SECONDS    close after so long
  --listen PORT       be an echo server        --bench       measure one

  echo hello | wsdump -r wss://echo.example/        send it, show the answer
  wsdump --json --no-input wss://feed.example/ | jq .

Exit codes: 0 closed in order, 2 wrong usage, 3 to 11 what failed; see --help.
--help explains all options. /help at the prompt lists its commands.
";

/// What can be said at the prompt.
pub(crate) const PROMPT: &str = "\
At the prompt:
  hello                 send a text message
  //hello               send one that begins with a slash: /hello
  /text @FILE           send a file as text
  /binary @FILE         send a file as it is; /binary 00ff7a sends these bytes
  /ping [TEXT]          send a ping, and show how long the answer takes
  /pong [TEXT]          send a pong
  /close [CODE [WHY]]   close, such as /close 1000 bye
  /to N TEXT            with --listen: send a text to client N alone
  /clients              with --listen: show who is connected
  /help                 show this list";

const EXAMPLES: &str = "\
Examples:
  Talk to a server at a prompt:
      wsdump wss://echo.example/
  Send a line and show the answer:
      echo hello | wsdump -r wss://echo.example/
  Follow a feed behind a login for ever, as JSON:
      wsdump --json --no-input --reconnect -H @secret wss://feed.example/
  Find out why a server refuses:
      wsdump -vv -H 'Origin: https://app.example' wss://app.example/socket
  Send a file as one message:
      wsdump wss://files.example/       and then: /binary @photo.jpg
  Save a message:
      wsdump --output photo.jpg --max-messages 1 wss://files.example/photo
  Both ends of a test:
      wsdump --listen 9001 & sleep 1; echo hello | wsdump -r localhost:9001
  Record a session, and play the server's part:
      wsdump --record session.jsonl wss://feed.example/
      wsdump --listen 9001 --replay session.jsonl
  See what passes between a client and a server:
      wsdump --listen 9001 --proxy-to wss://feed.example/
  Measure an echo server:
      wsdump --bench --bench-size 1000 wss://echo.example/";

/// The man page, in roff.
///
/// # Errors
///
/// None that is known: it is made in memory.
pub(crate) fn man_page() -> Result<Vec<u8>, Failure> {
    render_man_page().map_err(|error| Failure::local("the man page", error))
}

fn render_man_page() -> io::Result<Vec<u8>> {
    let man = clap_mangen::Man::new(Arguments::command());
    let mut page = Vec::new();
    man.render_title(&mut page)?;
    man.render_name_section(&mut page)?;
    man.render_synopsis_section(&mut page)?;
    man.render_description_section(&mut page)?;
    section(&mut page, "EXAMPLES", body(EXAMPLES));
    man.render_options_section(&mut page)?;
    section(&mut page, "PROMPT", body(PROMPT));
    section(&mut page, "EXIT STATUS", body(Exit::TABLE));
    man.render_version_section(&mut page)?;
    Ok(page)
}

/// A text without its heading.
fn body(text: &str) -> &str {
    text.split_once('\n').map_or(text, |(_, body)| body)
}

/// A section whose lines stay as they are.
fn section(page: &mut Vec<u8>, heading: &str, text: &str) {
    let text = text.replace('\\', "\\e").replace('-', "\\-");
    page.extend_from_slice(format!(".SH \"{heading}\"\n.nf\n{text}\n.fi\n").as_bytes());
}

/// What a shell needs to complete the flags.
pub(crate) fn completions(shell: Shell) -> Vec<u8> {
    let mut command = Arguments::command();
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut command, "wsdump", &mut script);
    let script = String::from_utf8_lossy(&script);
    match shell {
        Shell::Bash => script.replace(BASH_PREVIOUS, &format!("{BASH_PREVIOUS}{BASH_EQUALS}")).into_bytes(),
        Shell::Zsh => escape_colons(&command, &script).into_bytes(),
        _ => script.into_owned().into_bytes(),
    }
}

/// Zsh takes what follows a colon in the name of a value for what completes the value.
fn escape_colons(command: &Command, script: &str) -> String {
    let names = command.get_arguments().filter_map(Arg::get_value_names).flatten();
    names.filter(|name| name.contains(':')).fold(script.to_owned(), |script, name| {
        script.replace(&format!(":{name}:"), &format!(":{}:", name.replace(':', "\\:")))
    })
}
/// Where a script for bash knows the word before the one that is completed.
const BASH_PREVIOUS: &str = "    prev=\"$3\"\n";
/// Bash takes the equals sign of `--bench=flood` for a word of its own.
const BASH_EQUALS: &str = "    if [[ \"${cur}\" == \"=\" ]]; then cur=\"\"; fi
    if [[ \"${prev}\" == \"=\" ]]; then prev=\"${COMP_WORDS[COMP_CWORD-2]}\"; fi
";

/// Puts a document out.
///
/// # Errors
///
/// What the system says.
pub(crate) fn print(document: Vec<u8>) -> Result<Exit, Failure> {
    match Output::standard().bytes(&document) {
        Ok(()) => Ok(Exit::Success),
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(Exit::Success),
        Err(error) => Err(Failure::local("output", error)),
    }
}
