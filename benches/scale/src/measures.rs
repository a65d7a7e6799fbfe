//! What is measured, and how the process of a client measures it.

use std::io::{Write, stdout};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process::exit;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use crate::child::ServerFacts;
use crate::clients::{ADDRESSES, Client, Contender, Runner, Told};
use crate::resources::{allow_many_descriptors, cost_of, resident};
use crate::table::Target::{Absolute, Ratio};
use crate::table::{Line, Target, Unit};
use crate::{Failure, cores, ours, theirs};

pub(crate) struct Measure {
    pub(crate) name: &'static str,
    /// How many connections there are at a time.
    pub(crate) connections: usize,
    pub(crate) rounds: usize,
    pub(crate) lines: &'static [Line],
    run: fn(&Measuring) -> Result<(), Failure>,
}

const fn line(name: &'static str, unit: Unit) -> Line {
    Line { name, unit, target: Target::None }
}

impl Line {
    const fn target(self, target: Target) -> Self {
        Self { target, ..self }
    }
}

pub(crate) const MEASURES: &[Measure] = &[
    Measure {
        name: "opening",
        connections: 1000,
        rounds: 7,
        lines: &[
            line("open 1,000 at 100 ms, wall", Unit::Time).target(Absolute(1.0)),
            line("opening, cpu", Unit::Time).target(Ratio(1.0)),
            line("close 1,000, wall", Unit::Time),
            line("closing, cpu", Unit::Time),
        ],
        run: opening,
    },
    Measure {
        name: "dead",
        connections: 1000,
        rounds: 5,
        lines: &[line("open 900 beside 100 dead, wall", Unit::Time).target(Absolute(1.0))],
        run: dead,
    },
    Measure {
        name: "refused",
        connections: 200,
        rounds: 3,
        lines: &[line("failed attempt, refused, cpu", Unit::Time).target(Ratio(1.2))],
        run: refused,
    },
    Measure {
        name: "unanswered",
        connections: 200,
        rounds: 3,
        lines: &[line("failed attempt, no answer, cpu", Unit::Time).target(Ratio(1.2))],
        run: unanswered,
    },
    Measure {
        name: "wss",
        connections: 1000,
        rounds: 5,
        lines: &[line("wss openings, wall", Unit::Rate), line("wss opening, cpu", Unit::Time)],
        run: wss,
    },
    Measure {
        name: "apps-1000",
        connections: 1000,
        rounds: 3,
        lines: &[
            line("memory per app of 1,000", Unit::Memory),
            line("message, 1,000 apps, cpu", Unit::Time),
            line("latency p50, 1,000 apps", Unit::Time),
            line("latency p99, 1,000 apps", Unit::Time),
            line("memory per app of 1,000, reopened", Unit::Memory),
        ],
        run: |client| apps(client, 1000, "1,000"),
    },
    Measure {
        name: "apps-4000",
        connections: 4000,
        rounds: 2,
        lines: &[
            line("memory per app of 4,000", Unit::Memory),
            line("message, 4,000 apps, cpu", Unit::Time),
            line("latency p50, 4,000 apps", Unit::Time),
            line("latency p99, 4,000 apps", Unit::Time),
            line("memory per app of 4,000, reopened", Unit::Memory),
        ],
        run: |client| apps(client, 4000, "4,000"),
    },
    Measure {
        name: "apps-19800",
        connections: 19_800,
        rounds: 2,
        lines: &[
            line("memory per app of 19,800", Unit::Memory),
            line("message, 19,800 apps, cpu", Unit::Time),
            line("latency p50, 19,800 apps", Unit::Time),
            line("latency p99, 19,800 apps", Unit::Time),
            line("memory per app of 19,800, reopened", Unit::Memory),
        ],
        run: |client| apps(client, 19_800, "19,800"),
    },
    Measure {
        name: "flood",
        connections: 100,
        rounds: 9,
        lines: &[line("message of a flood, 100 apps, cpu", Unit::Time)],
        run: flood,
    },
];

/// The process of a client.
pub(crate) fn run(core: &str, contender: Contender, name: &str) -> Result<(), Failure> {
    cores::stay_on(core);
    allow_many_descriptors();
    let measure = MEASURES.iter().find(|measure| measure.name == name).ok_or("no such measure")?;
    (measure.run)(&Measuring { contender, server: ServerFacts::of_this_process()? })
}

/// Who measures.
pub(crate) struct Measuring {
    contender: Contender,
    server: ServerFacts,
}

const LONG: Duration = Duration::from_secs(30);

impl Measuring {
    /// So many clients of the server without TLS, spread over its addresses, at this path.
    fn clients(&self, count: usize, path: &str) -> Vec<Client> {
        self.clients_at("ws", self.server.plain, count, path)
    }

    fn clients_at(&self, scheme: &str, port: u16, count: usize, path: &str) -> Vec<Client> {
        let url = |number: usize| format!("{scheme}://127.0.0.{}:{port}/{path}", number % ADDRESSES + 1);
        let reconnect = Duration::from_millis(100);
        (0..count).map(|number| Client { url: url(number), open_timeout: LONG, reconnect }).collect()
    }

    fn runner(&self, clients: &[Client], told: &Arc<Told>) -> Result<Runner, Failure> {
        let certificate = &self.server.certificate;
        match self.contender {
            Contender::Ours => ours::runner(clients, certificate, told),
            Contender::Theirs => theirs::runner(clients, certificate, None, told),
            Contender::TheirsSmall => theirs::runner(clients, certificate, Some(4096), told),
        }
    }

    /// Runs clients on this thread while another one measures, and then ends the process: nothing is closed that the measure has not.
    fn drive(
        &self,
        clients: &[Client],
        told: &Arc<Told>,
        measure: impl FnOnce(Box<dyn FnOnce() + Send>) -> Result<(), Failure> + Send + 'static,
    ) -> Result<(), Failure> {
        let Runner { run, close } = self.runner(clients, told)?;
        thread::spawn(move || {
            // What has panicked has been told. The clients would run on.
            match catch_unwind(AssertUnwindSafe(|| measure(close))) {
                Ok(Ok(())) => exit(0),
                Ok(Err(error)) => eprintln!("{error}"),
                Err(_) => {}
            }
            exit(1);
        });
        run();
        // The other thread ends the process.
        loop {
            thread::park();
        }
    }
}

fn tell(name: &str, figure: f64) -> Result<(), Failure> {
    Ok(writeln!(stdout(), "{name} {figure}")?)
}

fn opening(client: &Measuring) -> Result<(), Failure> {
    const COUNT: usize = 1000;
    let told = Told::new(0);
    let telling = Arc::clone(&told);
    client.drive(&client.clients(COUNT, "delayed"), &told, move |close| {
        let opened = cost_of(|| telling.wait_open(COUNT));
        tell("open 1,000 at 100 ms, wall", opened.wall)?;
        tell("opening, cpu", opened.cpu / COUNT as f64)?;
        let closed = cost_of(|| {
            close();
            telling.wait_ended(COUNT);
        });
        tell("close 1,000, wall", closed.wall)?;
        tell("closing, cpu", closed.cpu / COUNT as f64)
    })
}

/// Half of the dead are mute, of the others not even the kernel answers. They are spread among the healthy.
fn dead(client: &Measuring) -> Result<(), Failure> {
    const HEALTHY: usize = 900;
    let mut clients = client.clients(HEALTHY, "now");
    let mute = client
        .clients(50, "mute")
        .into_iter()
        .map(|client| Client { url: client.url.replace("127.0.0.", "127.0.1."), ..client });
    let silent = client.clients_at("ws", client.server.black_hole, 50, "now");
    for (number, dead) in mute.chain(silent).enumerate() {
        clients.insert(number * 10, dead);
    }
    let told = Told::new(0);
    let telling = Arc::clone(&told);
    client.drive(&clients, &told, move |_| {
        let opened = cost_of(|| telling.wait_open(HEALTHY));
        tell("open 900 beside 100 dead, wall", opened.wall)
    })
}

fn refused(client: &Measuring) -> Result<(), Failure> {
    let clients = client.clients_at("ws", client.server.refusing, 200, "now");
    failing(client, &clients, "failed attempt, refused, cpu")
}

fn unanswered(client: &Measuring) -> Result<(), Failure> {
    let mut clients = client.clients(200, "mute");
    clients.iter_mut().for_each(|client| client.open_timeout = Duration::from_millis(100));
    failing(client, &clients, "failed attempt, no answer, cpu")
}

/// Attempts that fail, again and again.
fn failing(client: &Measuring, clients: &[Client], name: &'static str) -> Result<(), Failure> {
    let told = Told::new(0);
    let telling = Arc::clone(&told);
    client.drive(clients, &told, move |_| {
        thread::sleep(Duration::from_millis(500));
        let before = telling.failures();
        let cost = cost_of(|| thread::sleep(Duration::from_secs(1)));
        tell(name, cost.cpu / (telling.failures() - before) as f64)
    })
}

fn wss(client: &Measuring) -> Result<(), Failure> {
    const COUNT: usize = 1000;
    let told = Told::new(0);
    let telling = Arc::clone(&told);
    client.drive(&client.clients_at("wss", client.server.tls, COUNT, "now"), &told, move |_| {
        let opened = cost_of(|| telling.wait_open(COUNT));
        tell("wss openings, wall", opened.wall / COUNT as f64)?;
        tell("wss opening, cpu", opened.cpu / COUNT as f64)
    })
}

/// Memory, one message a second for each, and all connections lost and opened again.
fn apps(client: &Measuring, count: usize, spelled: &'static str) -> Result<(), Failure> {
    const SECONDS: u64 = 3;
    let told = Told::new(count * (SECONDS as usize + 1));
    let (telling, server) = (Arc::clone(&told), client.server.clone());
    let before = resident();
    let per_app = move || (resident() - before) / count as f64;
    client.drive(&client.clients(count, "now"), &told, move |_| {
        telling.wait_open(count);
        thread::sleep(Duration::from_millis(500));
        tell(&format!("memory per app of {spelled}"), per_app())?;
        server.command("tick")?;
        thread::sleep(Duration::from_millis(500));
        let messages = telling.messages();
        let cost = cost_of(|| thread::sleep(Duration::from_secs(SECONDS)));
        tell(&format!("message, {spelled} apps, cpu"), cost.cpu / (telling.messages() - messages) as f64)?;
        server.command("quiet")?;
        let latencies = telling.latencies();
        tell(&format!("latency p50, {spelled} apps"), latencies[latencies.len() / 2])?;
        tell(&format!("latency p99, {spelled} apps"), latencies[latencies.len() * 99 / 100])?;
        drop(latencies);
        server.command("drop")?;
        telling.wait_reopened(count);
        thread::sleep(Duration::from_millis(500));
        tell(&format!("memory per app of {spelled}, reopened"), per_app())
    })
}

fn flood(client: &Measuring) -> Result<(), Failure> {
    const COUNT: usize = 100;
    const MESSAGES: usize = 5000;
    let told = Told::new(0);
    let (telling, server) = (Arc::clone(&told), client.server.clone());
    client.drive(&client.clients(COUNT, "now"), &told, move |_| {
        telling.wait_open(COUNT);
        let mut answer = Ok(String::new());
        let cost = cost_of(|| {
            answer = server.command(&format!("flood {MESSAGES}"));
            telling.wait_messages(COUNT * MESSAGES);
        });
        answer?;
        tell("message of a flood, 100 apps, cpu", cost.cpu / (COUNT * MESSAGES) as f64)
    })
}
