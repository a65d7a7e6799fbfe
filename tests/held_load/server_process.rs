//! The server's process, as the test sees it: commands on its standard input, records on its standard output.

use std::env;
use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{self, Receiver};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use crate::clients::Clients;
use crate::server::ServerRecord;

pub(crate) struct ServerProcess {
    process: Child,
    commands: ChildStdin,
    port: u16,
    /// What it answers to `totals`: how much it has sent on the connections that are open, and how much it has received on them.
    totals: Receiver<(u64, u64)>,
    reader: JoinHandle<Vec<ServerRecord>>,
}

impl ServerProcess {
    /// It behaves until it is told otherwise.
    pub(crate) fn start(seed: u64, seconds: u64) -> Self {
        let mut process = Command::new(env::current_exe().unwrap())
            .args(["--ignored", "--exact", "--nocapture", "serves"])
            .env(super::SERVES, format!("{seed} {seconds}"))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(process.stdout.take().unwrap()).lines();
        // Behind what the harness prints.
        let port = lines.find_map(|line| line.unwrap().strip_prefix("port ")?.parse().ok()).unwrap();
        let (totals, totals_read) = mpsc::channel();
        let reader = thread::spawn(move || {
            let (mut records, mut is_done) = (Vec::new(), false);
            for line in lines {
                let line = line.unwrap();
                match line.split_once(' ') {
                    Some(("end", record)) => records.push(ServerRecord::parse(record)),
                    Some(("totals", numbers)) => {
                        let (sent, received) = numbers.split_once(' ').unwrap();
                        let _ = totals.send((sent.parse().unwrap(), received.parse().unwrap()));
                    }
                    // What the harness prints behind it has to go somewhere.
                    _ => is_done |= line == "done",
                }
            }
            assert!(is_done, "the server has ended before its time");
            records
        });
        let commands = process.stdin.take().unwrap();
        Self { process, commands, port, totals: totals_read, reader }
    }

    pub(crate) const fn port(&self) -> u16 {
        self.port
    }

    pub(crate) fn tell(&mut self, command: &str) {
        writeln!(self.commands, "{command}").unwrap();
    }

    /// Waits until what is sent on the open connections has been received, in both directions.
    #[track_caller]
    pub(crate) fn wait_settled(&mut self, clients: &Clients, most: Duration) {
        let start = Instant::now();
        loop {
            self.tell("totals");
            let (server_sent, server_received) = self.totals.recv_timeout(most).unwrap();
            let (sent, received) = clients.totals();
            if (server_sent, server_received) == (received, sent) {
                return;
            }
            assert!(
                start.elapsed() < most,
                "clients have sent {sent}, of which {server_received} have come; {server_sent} back, of which {received}"
            );
            thread::sleep(Duration::from_millis(50));
        }
    }

    /// Ends it; returns what it has noted of all of its connections.
    pub(crate) fn finish(mut self) -> Vec<ServerRecord> {
        self.tell("end");
        let records = self.reader.join().unwrap();
        assert!(self.process.wait().unwrap().success());
        records
    }
}
