//! A thousand apps on one thread, each of which gets a message every second: what they take of memory and time.
//!
//! `cargo run --release --features mio --example many_apps [APPS [SECONDS]]`; it starts a server of its own in another process, on
//! one thread too, and ends by itself.

#[cfg(unix)]
fn main() -> Result<(), Box<dyn std::error::Error>> {
    on_unix::main()
}

#[cfg(not(unix))]
fn main() {
    eprintln!("this example measures by what only Unix tells");
}

#[cfg(unix)]
mod on_unix {
    use std::env;
    use std::error::Error;
    use std::io::{self, BufRead, BufReader, Read};
    use std::net::TcpListener;
    use std::process::{Child, ChildStdout, Command, Stdio};
    use std::sync::Arc;
    use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
    use std::thread;
    use std::time::{Duration, Instant};

    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    use rustix::time::{ClockId, clock_gettime};
    use websocket_sync::{CloseCode, Handle, ManyApps, Reconnect, Result, WebSocket, WebSocketApp};

    pub(super) fn main() -> Result<(), Box<dyn Error>> {
        allow_many_sockets();
        let arguments: Vec<String> = env::args().skip(1).collect();
        match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
            ["serve"] => serve()?,
            [] => measure(1000, 10)?,
            [apps] => measure(apps.parse()?, 10)?,
            [apps, seconds, ..] => measure(apps.parse()?, seconds.parse()?)?,
        }
        Ok(())
    }

    /// What all the apps have in common.
    #[derive(Default)]
    struct Counts {
        open: AtomicUsize,
        messages: AtomicU64,
        errors: AtomicU64,
    }

    fn measure(number: usize, seconds: u64) -> Result<(), Box<dyn Error>> {
        let (mut server, url) = start_server()?;
        let counts = Counts::default();
        let mut apps = ManyApps::new()?;
        let before = resident();
        let handles = (0..number).map(|_| apps.add(app(&url, &counts))).collect::<Result<Vec<_>>>()?;
        let handles = Arc::new(handles);
        let start = Instant::now();
        thread::scope(|scope| -> Result<()> {
            let watch = Arc::clone(&handles);
            let counts = &counts;
            scope.spawn(move || {
                while counts.open.load(Ordering::Relaxed) < number {
                    thread::sleep(Duration::from_millis(10));
                }
                println!("{number} apps open after {:.2} s, threads: {}", start.elapsed().as_secs_f64(), threads());
                report(number, seconds, before, counts);
                close(&watch);
            });
            apps.run()
        })?;
        println!("all ended, errors: {}, threads: {}", counts.errors.load(Ordering::Relaxed), threads());
        drop(server.stdin.take());
        server.wait()?;
        Ok(())
    }

    /// One of many: it counts, keeps alive, and connects again.
    fn app<'env>(url: &str, counts: &'env Counts) -> WebSocketApp<'env> {
        WebSocketApp::new(url)
            .on_open(|_| {
                counts.open.fetch_add(1, Ordering::Relaxed);
            })
            .on_message(|_, _| {
                counts.messages.fetch_add(1, Ordering::Relaxed);
            })
            .on_error(|_, error| {
                counts.errors.fetch_add(1, Ordering::Relaxed);
                eprintln!("{error:#}");
            })
            .ping_interval(Duration::from_secs(20))
            .ping_timeout(Duration::from_secs(10))
            .reconnect(Reconnect::backoff())
    }

    fn report(number: usize, seconds: u64, before: Option<u64>, counts: &Counts) {
        thread::sleep(Duration::from_secs(2));
        let (start, cpu, messages) = (Instant::now(), cpu_time(), counts.messages.load(Ordering::Relaxed));
        thread::sleep(Duration::from_secs(seconds));
        let (took, cpu) = (start.elapsed(), cpu_time().saturating_sub(cpu));
        let messages = counts.messages.load(Ordering::Relaxed) - messages;
        let share = cpu.as_secs_f64() / took.as_secs_f64();
        println!("{messages} messages in {:.1} s: {:.2} % of one core", took.as_secs_f64(), 100.0 * share);
        println!("{:.1} \u{b5}s per message", cpu.as_secs_f64() * 1e6 / messages.max(1) as f64);
        if let (Some(before), Some(after)) = (before, resident()) {
            let kib = after.saturating_sub(before) as f64 / number as f64;
            println!("resident: {after} KiB, {kib:.1} KiB per app");
        }
    }

    fn close(handles: &[Handle]) {
        for handle in handles {
            // The loop sees to the rest.
            let _ = handle.try_close(CloseCode::NORMAL, "");
        }
    }

    /// Serves connections on one thread, without waiting for any of them, until standard input ends.
    fn serve() -> io::Result<()> {
        let listener = TcpListener::bind("127.0.0.1:0")?;
        listener.set_nonblocking(true)?;
        println!("ws://{}/", listener.local_addr()?);
        thread::spawn(|| {
            let _ = io::stdin().read(&mut [0]);
            std::process::exit(0);
        });
        let mut clients: Vec<WebSocket> = Vec::new();
        let mut next = Instant::now();
        loop {
            while let Ok((stream, _)) = listener.accept() {
                clients.extend(WebSocket::accept(stream));
            }
            if Instant::now() >= next {
                next += Duration::from_secs(1);
                for client in &clients {
                    // Whoever is gone is found out below.
                    let _ = client.try_send_text("tick");
                }
            }
            clients.retain_mut(|client| client.try_recv_ref().is_ok());
            thread::sleep(Duration::from_millis(20));
        }
    }

    /// This program as a server, and its URL.
    fn start_server() -> Result<(Child, String), Box<dyn Error>> {
        let mut server =
            Command::new(env::current_exe()?).arg("serve").stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?;
        let mut url = String::new();
        let stdout: ChildStdout = server.stdout.take().ok_or("no output")?;
        BufReader::new(stdout).read_line(&mut url)?;
        Ok((server, url.trim().to_owned()))
    }

    /// Takes as many descriptors as the system grants.
    fn allow_many_sockets() {
        let limit = getrlimit(Resource::Nofile);
        let _ = setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, maximum: limit.maximum });
    }

    /// What this process has spent on its CPU.
    fn cpu_time() -> Duration {
        Duration::try_from(clock_gettime(ClockId::ProcessCPUTime)).unwrap_or_default()
    }

    /// What this process has of memory, in KiB, where the system tells.
    fn resident() -> Option<u64> {
        status("VmRSS:")
    }

    fn threads() -> u64 {
        status("Threads:").unwrap_or_default()
    }

    fn status(field: &str) -> Option<u64> {
        let status = std::fs::read_to_string("/proc/self/status").ok()?;
        status.lines().find_map(|line| line.strip_prefix(field))?.split_whitespace().next()?.parse().ok()
    }
}
