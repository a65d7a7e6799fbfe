//! The processes of a comparison: the server, and a client for each contender and round.

use std::collections::HashMap;
use std::env;
use std::io::{BufRead, BufReader, Write};
use std::net::{Ipv4Addr, TcpStream};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use crate::Failure;
use crate::clients::Contender;
use crate::cores::{self, Cores};

/// The variable in which a client finds what it has to know of the server.
const SERVER: &str = "SCALE_SERVER";

/// Where the server is.
#[derive(Clone, Debug)]
pub(crate) struct ServerFacts {
    pub(crate) plain: u16,
    pub(crate) tls: u16,
    /// Where nobody listens.
    pub(crate) refusing: u16,
    /// Where the kernel answers nothing, since its queue is full.
    pub(crate) black_hole: u16,
    /// For commands, one a line.
    control: u16,
    /// The certificate that it has.
    pub(crate) certificate: String,
}

impl ServerFacts {
    pub(crate) fn to_words(&self) -> String {
        let Self { plain, tls, refusing, black_hole, control, certificate } = self;
        // A certificate has lines.
        format!("{plain} {tls} {refusing} {black_hole} {control} {}", certificate.replace('\n', "|").replace(' ', "_"))
    }

    pub(crate) fn new(ports: [u16; 5], certificate: String) -> Self {
        let [plain, tls, refusing, black_hole, control] = ports;
        Self { plain, tls, refusing, black_hole, control, certificate }
    }

    fn parse(words: &str) -> Result<Self, Failure> {
        let mut words = words.split(' ');
        let mut next = || words.next().ok_or("the server says too little");
        let mut ports = [0; 5];
        for port in &mut ports {
            *port = next()?.parse()?;
        }
        Ok(Self::new(ports, next()?.replace('|', "\n").replace('_', " ")))
    }

    /// Those that the process that started this one has passed on.
    pub(crate) fn of_this_process() -> Result<Self, Failure> {
        Self::parse(&env::var(SERVER)?)
    }

    /// Gives a command; returns the answer when it is done.
    pub(crate) fn command(&self, command: &str) -> Result<String, Failure> {
        let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, self.control))?;
        stream.set_read_timeout(Some(Duration::from_secs(60)))?;
        writeln!(stream, "{command}")?;
        let mut answer = String::new();
        BufReader::new(stream).read_line(&mut answer)?;
        Ok(answer.trim_end().to_owned())
    }
}

pub(crate) struct ServerProcess {
    process: Child,
    /// It ends when this is closed, however this process ends.
    _lifeline: Option<ChildStdin>,
    facts: ServerFacts,
}

impl ServerProcess {
    pub(crate) fn start(cores: Option<Cores>) -> Result<Self, Failure> {
        let mut process = Command::new(env::current_exe()?)
            .args(["server", &cores::argument(cores.map(|cores| cores.server))])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        let mut line = String::new();
        BufReader::new(process.stdout.take().ok_or("the server has no output")?).read_line(&mut line)?;
        Ok(Self { _lifeline: process.stdin.take(), process, facts: ServerFacts::parse(line.trim_end())? })
    }

    /// Waits until the server has noticed that nobody is connected.
    pub(crate) fn wait_idle(&self) -> Result<(), Failure> {
        let start = Instant::now();
        while self.facts.command("count")? != "0" {
            if start.elapsed() > Duration::from_secs(30) {
                return Err("the server still has connections".into());
            }
            thread::sleep(Duration::from_millis(10));
        }
        Ok(())
    }
}

impl Drop for ServerProcess {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// Has a contender do the work of a measure; returns its figures.
pub(crate) fn run_client(
    contender: Contender,
    measure: &str,
    server: &ServerProcess,
    cores: Option<Cores>,
) -> Result<HashMap<String, f64>, Failure> {
    let output = Command::new(env::current_exe()?)
        .args(["client", &cores::argument(cores.map(|cores| cores.client)), contender.name(), measure])
        .env(SERVER, server.facts.to_words())
        .stderr(Stdio::inherit())
        .output()?;
    if !output.status.success() {
        return Err(format!("{measure} by {} has failed", contender.name()).into());
    }
    let mut figures = HashMap::new();
    for line in String::from_utf8(output.stdout)?.lines() {
        let (name, figure) = line.rsplit_once(' ').ok_or("a line without a figure")?;
        figures.insert(name.to_owned(), figure.parse()?);
    }
    Ok(figures)
}
