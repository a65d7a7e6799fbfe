//! How fast a server sends back what it gets.

use std::io;
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use serde_json::json;
use websocket_sync::{MessageRef, WebSocket};

use crate::arguments::{Arguments, Bench};
use crate::connect::{Destination, FileValues, with_file_values};
use crate::console::Console;
use crate::ending::{Exit, Failure};

/// How many messages of a flood may be under way.
const UNDER_WAY: usize = 65_536;
/// The longest bar of the histogram, in characters.
const WIDTH: u64 = 50;

/// Measures, and shows what came of it.
///
/// # Errors
///
/// Whatever ends the connection; a server that sends back something else.
pub(crate) fn measure(how: Bench, arguments: &Arguments, console: &Console) -> Result<Exit, Failure> {
    let Destination { url, options, .. } = Destination::new(arguments)?;
    let options = with_file_values(options, arguments, &FileValues::default())?;
    let mut ws = options.recv_timeout(arguments.connect_timeout).connect(&url)?;
    let payload: Vec<u8> = (0..arguments.bench_size).map(|index| index as u8).collect();
    let messages = arguments.bench_messages as usize;
    let began = Instant::now();
    let times = match how {
        Bench::RoundTrips => round_trips(&mut ws, &payload, messages)?,
        Bench::Flood => flood(&mut ws, &payload, messages)?,
    };
    let report = BenchReport { how, bytes: payload.len(), took: began.elapsed(), times: Times::new(times) };
    ws.close()?;
    let shown = if console.is_json() { report.as_json(console) } else { report.as_text(console) };
    match shown {
        Ok(()) => Ok(Exit::Success),
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(Exit::Success),
        Err(error) => Err(Failure::local("output", error)),
    }
}

/// One message at a time.
fn round_trips(ws: &mut WebSocket, payload: &[u8], messages: usize) -> Result<Vec<Duration>, Failure> {
    let mut times = Vec::with_capacity(messages);
    for _ in 0..messages {
        let sent = Instant::now();
        ws.send_binary(payload)?;
        receive(ws, payload)?;
        times.push(sent.elapsed());
    }
    Ok(times)
}

/// As many as fit; the time of each begins when it is handed over.
fn flood(ws: &mut WebSocket, payload: &[u8], messages: usize) -> Result<Vec<Duration>, Failure> {
    let (sent, begun) = mpsc::sync_channel(UNDER_WAY);
    let sender = ws.sender();
    // What has begun goes with the closure: a thread that waits for room to note the next one waits no longer.
    thread::scope(move |scope| {
        scope.spawn(move || -> websocket_sync::Result<()> {
            for _ in 0..messages {
                if sent.send(Instant::now()).is_err() {
                    return Ok(());
                }
                sender.send_binary(payload)?;
            }
            Ok(())
        });
        let mut times = Vec::with_capacity(messages);
        for _ in 0..messages {
            if let Err(failure) = receive(ws, payload) {
                // Wakes the thread that sends.
                ws.sender().abort();
                return Err(failure);
            }
            let Ok(begun) = begun.recv() else {
                return Err(Failure::Local("more comes back than was sent".to_owned()));
            };
            times.push(begun.elapsed());
        }
        Ok(times)
    })
}

fn receive(ws: &mut WebSocket, payload: &[u8]) -> Result<(), Failure> {
    match ws.recv_ref()? {
        MessageRef::Binary(bytes) if bytes == payload => Ok(()),
        _ => Err(Failure::Local("--bench needs a server that sends back what it gets; this one does not".to_owned())),
    }
}

/// What was measured.
struct BenchReport {
    how: Bench,
    bytes: usize,
    took: Duration,
    times: Times,
}

impl BenchReport {
    fn as_text(&self, console: &Console) -> io::Result<()> {
        let Self { how, bytes, took, times } = self;
        let what = match how {
            Bench::RoundTrips => "round trips",
            Bench::Flood => "messages there and back",
        };
        let seconds = took.as_secs_f64();
        console.print_words(format_args!(
            "{} {what} of {bytes} bytes in {seconds:.3} s: {:.0} per second, {:.1} MiB/s each way",
            times.count(),
            self.per_second(),
            self.per_second() * *bytes as f64 / 1_048_576.0,
        ))?;
        for (name, part) in PERCENTILES {
            console.print_words(format_args!("{name:>6} {}", millis(times.percentile(part))))?;
        }
        for line in times.histogram() {
            console.print_words(format_args!("{line}"))?;
        }
        Ok(())
    }

    fn as_json(&self, console: &Console) -> io::Result<()> {
        let percentiles: serde_json::Map<_, _> = PERCENTILES
            .iter()
            .map(|&(name, part)| (name.to_owned(), json!(self.times.percentile(part).as_secs_f64())))
            .collect();
        let object = json!({
            "event": "bench",
            "messages": self.times.count(),
            "bytes": self.bytes,
            "seconds": self.took.as_secs_f64(),
            "per_second": self.per_second(),
            "percentiles": percentiles,
        });
        console.print_words(format_args!("{object}"))
    }

    fn per_second(&self) -> f64 {
        self.times.count() as f64 / self.took.as_secs_f64().max(1e-9)
    }
}

/// What is told of the times, in parts of a thousand.
const PERCENTILES: [(&str, usize); 6] =
    [("min", 0), ("p50", 500), ("p90", 900), ("p99", 990), ("p99.9", 999), ("max", 1000)];

/// Times, the shortest first; at least one.
struct Times(Vec<Duration>);

impl Times {
    fn new(mut times: Vec<Duration>) -> Self {
        times.sort_unstable();
        Self(times)
    }

    fn count(&self) -> usize {
        self.0.len()
    }

    /// What so many of a thousand did not exceed.
    fn percentile(&self, part: usize) -> Duration {
        let rank = (self.0.len() * part).div_ceil(1000);
        self.0.get(rank.saturating_sub(1)).copied().unwrap_or_default()
    }

    /// A line for each range of times, each twice as wide as the one before it.
    fn histogram(&self) -> Vec<String> {
        let mut ranges: Vec<(u64, u64)> = Vec::new();
        for time in &self.0 {
            let micros = u64::try_from(time.as_micros()).unwrap_or(u64::MAX >> 1);
            let end = (micros + 1).next_power_of_two();
            match ranges.last_mut() {
                Some((last, count)) if *last == end => *count += 1,
                _ => ranges.push((end, 1)),
            }
        }
        let most = ranges.iter().map(|&(_, count)| count).max().unwrap_or(1);
        ranges
            .into_iter()
            .map(|(end, count)| {
                let bar = "#".repeat(usize::try_from(count * WIDTH / most).unwrap_or(0).max(1));
                format!("< {} {count:>8} {bar}", millis(Duration::from_micros(end)))
            })
            .collect()
    }
}

fn millis(time: Duration) -> String {
    format!("{:>9.3} ms", time.as_secs_f64() * 1000.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_those_of_the_nearest_rank() {
        let times = Times::new((1..=1000).rev().map(Duration::from_micros).collect());
        let micros = PERCENTILES.map(|(_, part)| times.percentile(part).as_micros());
        assert_eq!(micros, [1, 500, 900, 990, 999, 1000]);
        let one = Times::new(vec![Duration::from_micros(7)]);
        assert_eq!(PERCENTILES.map(|(_, part)| one.percentile(part).as_micros()), [7; 6]);
    }

    #[test]
    fn the_histogram_has_a_line_for_each_power_of_two() {
        let times = Times::new([3, 5, 6, 100].map(Duration::from_micros).to_vec());
        let expected = [
            format!("<     0.004 ms        1 {}", "#".repeat(25)),
            format!("<     0.008 ms        2 {}", "#".repeat(50)),
            format!("<     0.128 ms        1 {}", "#".repeat(25)),
        ];
        assert_eq!(times.histogram(), expected);
    }
}
