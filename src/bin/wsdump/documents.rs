//! What goes with the program: completions for shells, and a man page, both made from the flags.

use clap::CommandFactory;
use clap_complete::Shell;

use crate::arguments::Arguments;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::output::Output;

/// The man page, in roff.
///
/// # Errors
///
/// None that is known: it is made in memory.
pub(crate) fn man_page() -> Result<Vec<u8>, Failure> {
    let mut page = Vec::new();
    let made = clap_mangen::Man::new(Arguments::command()).render(&mut page);
    made.map(|()| page).map_err(|error| Failure::local("the man page", error))
}

/// What a shell needs to complete the flags.
pub(crate) fn completions(shell: Shell) -> Vec<u8> {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Arguments::command(), "wsdump", &mut script);
    script
}

/// Puts a document out.
///
/// # Errors
///
/// What the system says.
pub(crate) fn print(document: Vec<u8>) -> Result<Exit, Failure> {
    match Output::standard().bytes(&document) {
        Ok(()) => Ok(Exit::Success),
        Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => Ok(Exit::Success),
        Err(error) => Err(Failure::local("output", error)),
    }
}
