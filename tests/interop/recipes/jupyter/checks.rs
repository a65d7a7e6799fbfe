//! Against jupyter_server with an ipykernel kernel.

use std::thread;

use websocket_sync::Error;

use super::*;
use crate::Check;

pub(crate) const CHECKS: [Check; 6] = [
    ("output and value of a cell", output_and_value),
    ("a cell that fails", failing),
    ("a cell that takes longer than the server's pings", slow),
    ("output of 700 KB", long_output),
    ("two clients of one kernel", two_clients),
    ("a wrong token", wrong_token),
];

fn open(url: &str) -> Result<Kernel> {
    Kernel::connect(url, "pa55", "one")
}

fn printed(output: &str) -> Execution {
    Execution { output: output.to_owned(), ..Execution::default() }
}

fn output_and_value(url: &str) -> Result<()> {
    let mut kernel = open(url)?;
    assert_eq!(kernel.execute("kept = 40")?, Execution::default());
    let both = kernel.execute("import sys\nprint('ü'); print('é', file=sys.stderr)\nkept + 2")?;
    assert_eq!((both.value.as_deref(), both.error), (Some("42"), None));
    assert!(both.output == "ü\né\n" || both.output == "é\nü\n", "{:?}", both.output);
    kernel.ws.close()
}

fn failing(url: &str) -> Result<()> {
    let mut kernel = open(url)?;
    let execution = kernel.execute("print('before')\n1 / 0\nprint('behind')")?;
    let error = Some("ZeroDivisionError: division by zero".to_owned());
    assert_eq!(execution, Execution { error, ..printed("before\n") });
    assert_eq!(kernel.execute("print('still here')")?, printed("still here\n"));
    kernel.ws.close()
}

/// The server pings every second, and waits no longer for the pong.
fn slow(url: &str) -> Result<()> {
    let mut kernel = open(url)?;
    assert_eq!(kernel.execute("import time; time.sleep(3); print('done')")?, printed("done\n"));
    kernel.ws.close()
}

fn long_output(url: &str) -> Result<()> {
    let mut kernel = open(url)?;
    let execution = kernel.execute("for number in range(100): print(str(number % 10) * 7000)")?;
    assert!(execution.output.lines().enumerate().all(|(at, line)| line == (at % 10).to_string().repeat(7000)));
    assert_eq!(execution.output.len(), 700_100);
    kernel.ws.close()
}

/// Each sees the output of both, and returns its own.
fn two_clients(url: &str) -> Result<()> {
    let work = |name: &'static str| {
        let url = url.to_owned();
        thread::spawn(move || {
            let mut kernel = Kernel::connect(&url, "pa55", name)?;
            for number in 0..10 {
                let text = format!("{name} {number}");
                assert_eq!(kernel.execute(&format!("print('{text}')"))?, printed(&format!("{text}\n")));
            }
            kernel.ws.close()
        })
    };
    [work("a"), work("b")].into_iter().try_for_each(|client| client.join().expect("no panic"))
}

fn wrong_token(url: &str) -> Result<()> {
    match Kernel::connect(url, "wrong", "one") {
        Err(Error::Refused(refusal)) => assert_eq!(refusal.status, 403),
        Err(error) => panic!("{error}"),
        Ok(_) => panic!("a refusal was expected"),
    }
    Ok(())
}
