//! Open many connections at once on one thread, with `poll`.
//!
//! `cargo run --example opening [URL]...`. Without a URL it opens ten to a server of its own.

#[cfg(unix)]
fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut urls: Vec<String> = std::env::args().skip(1).collect();
    if urls.is_empty() {
        urls = vec![poll_loop::start_server()?; 10];
    }
    poll_loop::run(urls)
}

#[cfg(not(unix))]
fn main() {
    eprintln!("this example polls descriptors, as Unix has them");
}

#[cfg(unix)]
mod poll_loop {
    use std::error::Error;
    use std::io::{self, Read, Write};
    use std::net::TcpListener;
    use std::os::unix::net::UnixStream;
    use std::thread;
    use std::time::Instant;

    use rustix::event::{PollFd, PollFlags, Timespec, poll};
    use websocket_sync::{ConnectOptions, Opening, Source, WebSocket};

    /// Serves until the process ends, and returns the URL.
    pub(super) fn start_server() -> io::Result<String> {
        let listener = TcpListener::bind("127.0.0.1:0")?;
        let url = format!("ws://{}/", listener.local_addr()?);
        thread::spawn(move || {
            let mut served = Vec::new();
            for stream in listener.incoming() {
                served.push(stream.map(WebSocket::accept));
            }
        });
        Ok(url)
    }

    pub(super) fn run(urls: Vec<String>) -> Result<(), Box<dyn Error>> {
        // Helper threads, which look names up, wake the loop through this.
        let (mut wakes, wake) = UnixStream::pair()?;
        wakes.set_nonblocking(true)?;
        let mut openings = Vec::new();
        for url in urls {
            let wake = wake.try_clone()?;
            wake.set_nonblocking(true)?;
            let opening = ConnectOptions::new().start(&url)?.on_wake(move || drop((&wake).write(&[0])));
            openings.push((url, opening));
        }
        let start = Instant::now();
        loop {
            openings.retain_mut(|(url, opening)| match opening.step() {
                Ok(None) => true,
                Ok(Some(ws)) => {
                    println!("{url}: open after {:?}, {:?}", start.elapsed(), ws.timings().unwrap_or_default());
                    false
                }
                Err(error) => {
                    println!("{url}: {error:#}");
                    false
                }
            });
            if openings.is_empty() {
                return Ok(());
            }
            wait(openings.iter().map(|(_, opening)| opening), &wakes)?;
            while wakes.read(&mut [0; 64]).is_ok() {}
        }
    }

    /// Waits for what the openings wait for, and for a wake.
    fn wait<'a>(openings: impl Iterator<Item = &'a Opening>, wakes: &UnixStream) -> io::Result<()> {
        let (mut sources, mut until) = (Vec::new(), None);
        for opening in openings {
            sources.extend(opening.sources());
            until = until.into_iter().chain(opening.next_step()).min();
        }
        let flags = |source: &Source| {
            let read = if source.wants_read() { PollFlags::IN } else { PollFlags::empty() };
            let write = if source.wants_write() { PollFlags::OUT } else { PollFlags::empty() };
            read | write
        };
        let mut fds = vec![PollFd::new(wakes, PollFlags::IN)];
        let polled = |source| Some(PollFd::from_borrowed_fd(Source::as_fd(source)?, flags(source)));
        fds.extend(sources.iter().filter_map(polled));
        let rest = until.map(|until| until.saturating_duration_since(Instant::now()));
        let timeout = rest.and_then(|rest| Timespec::try_from(rest).ok());
        match poll(&mut fds, timeout.as_ref()) {
            Err(rustix::io::Errno::INTR) | Ok(_) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }
}
