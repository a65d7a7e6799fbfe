//! A process whose system calls fail.

use std::any::Any;
use std::fmt;
use std::ops::Range;
use std::panic::{self, AssertUnwindSafe};
use std::process;
use std::str::FromStr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use super::scenarios::{self, Hurry, Outcome, Scenario};
use super::servers::{Addresses, Route};
use super::verdict;
use super::{PLAN, RUNS, SEED, SHARE};
use crate::net::system_calls::Call;
use crate::net::system_calls::faults::{self, Counts, Fault, PlannedFault};
use crate::options::ConnectOptions;

/// How many runs there were, and what they came to.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Tally {
    pub(super) runs: usize,
    /// With one fault; all others had two.
    single: usize,
    /// In which a fault struck.
    struck: usize,
    done: usize,
    not_opened: usize,
    lost: usize,
    /// In milliseconds, of those that were in no hurry.
    slowest: usize,
}

impl Tally {
    pub(super) const PREFIX: &str = "tally: ";

    fn numbers(&mut self) -> [&mut usize; 7] {
        let Self { runs, single, struck, done, not_opened, lost, slowest } = self;
        [runs, single, struck, done, not_opened, lost, slowest]
    }

    pub(super) fn parse(text: &str) -> Self {
        let mut tally = Self::default();
        tally.numbers().into_iter().zip(text.split(' ')).for_each(|(number, text)| *number = text.parse().unwrap());
        tally
    }

    fn print(mut self) {
        let numbers = self.numbers().map(|number| number.to_string());
        println!("{}{}", Self::PREFIX, numbers.join(" "));
    }

    pub(super) fn add(mut self, mut other: Self) -> Self {
        let slowest = self.slowest.max(other.slowest);
        self.numbers().into_iter().zip(other.numbers()).for_each(|(sum, number)| *sum += *number);
        Self { slowest, ..self }
    }

    fn note(&mut self, counts: &Counts, outcome: &Outcome, hurry: Hurry, took: Duration) {
        self.struck += usize::from(!counts.struck.is_empty());
        match outcome {
            Outcome::Done(_) => self.done += 1,
            Outcome::NotOpened(_) => self.not_opened += 1,
            Outcome::Lost(_) => self.lost += 1,
        }
        if hurry == Hurry::None {
            self.slowest = self.slowest.max(took.as_millis() as usize);
        }
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { runs, single, struck, done, not_opened, lost, slowest } = self;
        write!(
            f,
            "{runs} runs, {single} with one fault; struck in {struck}; {done} done, {not_opened} not opened, {lost} lost; the slowest {slowest} ms"
        )
    }
}

/// One run: what is done, by which route, and which calls fail.
#[derive(Clone, Debug)]
struct Plan {
    route: Route,
    scenario: Scenario,
    faults: Vec<PlannedFault>,
}

impl Plan {
    fn hurry(&self) -> Hurry {
        // Where a send fails and the connection lives, an answer is waited for that cannot come.
        let is_slow = |planned: &PlannedFault| match planned.fault {
            Fault::NoBuffers | Fault::Zero => planned.call == Call::Send,
            fault => fault == Fault::Overdue,
        };
        if self.faults.iter().any(is_slow) { Hurry::Great } else { Hurry::None }
    }
}

impl fmt::Display for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?} {:?}", self.route, self.scenario)?;
        self.faults.iter().try_for_each(|fault| write!(f, " {fault}"))
    }
}

impl FromStr for Plan {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let mut words = text.split(' ');
        let (route, scenario) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
        Ok(Self {
            route: *Route::ALL.iter().find(|known| format!("{known:?}") == route).ok_or("no such route")?,
            scenario: Scenario::ALL
                .into_iter()
                .find(|known| format!("{known:?}") == scenario)
                .ok_or("no such scenario")?,
            faults: words.map(str::parse).collect::<Result<_, _>>()?,
        })
    }
}

/// The processes share the work: each has its groups of route and scenario, and its part of the pairs.
pub(super) fn process(servers: &str) {
    let number = |name| std::env::var(name).unwrap();
    let (index, of) =
        number(SHARE).split_once(' ').map(|(a, b)| (a.parse::<usize>().unwrap(), b.parse().unwrap())).unwrap();
    let runs: usize = number(RUNS).parse().unwrap();
    let seed: u64 = number(SEED).parse().expect("a number as seed");
    let mut process =
        Process::start(Addresses::parse(servers).clients(), seed.wrapping_mul(2).wrapping_add(index as u64));
    if let Ok(plan) = std::env::var(PLAN) {
        process.repeat(&plan.parse().unwrap_or_else(|problem| panic!("{plan:?}: {problem}")));
        return process.finish();
    }
    let groups = Route::ALL.iter().flat_map(|&route| Scenario::ALL.map(|scenario| (route, scenario)));
    let groups: Vec<_> = groups.enumerate().filter(|(group, _)| group % of == index).map(|(_, group)| group).collect();
    let share = runs.div_ceil(of);
    let calls: Vec<_> = groups.iter().map(|&(route, scenario)| process.count(route, scenario)).collect();
    process.watch_leaks();
    for (&(route, scenario), counts) in groups.iter().zip(&calls) {
        process.single(route, scenario, counts, share, groups.len());
    }
    while process.tally.runs < share {
        let (group, &(route, scenario)) = process.draw(&groups);
        let faults = vec![process.draw_fault(&calls[group]), process.draw_fault(&calls[group])];
        process.judge(&Plan { route, scenario, faults });
    }
    process.finish();
}

struct Process {
    clients: Vec<(ConnectOptions, String)>,
    random: u64,
    tally: Tally,
    /// What runs now, and since when.
    current: Arc<Mutex<Option<(Plan, Instant)>>>,
    panics: Arc<AtomicUsize>,
    failures: usize,
    /// Descriptors and threads.
    before: Option<(usize, usize)>,
}

impl Process {
    fn start(clients: Vec<(ConnectOptions, String)>, seed: u64) -> Self {
        let current = Arc::<Mutex<Option<(Plan, Instant)>>>::default();
        let watched = Arc::clone(&current);
        thread::spawn(move || {
            loop {
                thread::sleep(Duration::from_millis(100));
                if let Some((plan, start)) = &*watched.lock().unwrap()
                    && start.elapsed() > plan.hurry().longest(plan.scenario) + Duration::from_secs(20)
                {
                    println!("{PLAN}='{plan}': hangs");
                    process::exit(3);
                }
            }
        });
        let panics = Arc::<AtomicUsize>::default();
        let counted = Arc::clone(&panics);
        let print = panic::take_hook();
        panic::set_hook(Box::new(move |info| {
            counted.fetch_add(1, Ordering::SeqCst);
            print(info);
        }));
        let random = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
        Self { clients, random, tally: Tally::default(), current, panics, failures: 0, before: None }
    }

    /// How many calls there are of each kind where none fails.
    fn count(&self, route: Route, scenario: Scenario) -> Counts {
        let plan = Plan { route, scenario, faults: Vec::new() };
        // The first one of a process opens more.
        self.run(&plan).unwrap_or_else(|problem| panic!("{plan} without faults: {problem}"));
        self.run(&plan).unwrap_or_else(|problem| panic!("{plan} without faults: {problem}")).0
    }

    /// Each call fails in each way. Of a short test it is as large a share as there is room for.
    fn single(&mut self, route: Route, scenario: Scenario, counts: &Counts, share: usize, groups: usize) {
        let mut plans = Vec::new();
        for call in Call::ALL {
            for number in 1..=counts.of(call) {
                plans.extend(call.faults().iter().map(|&fault| PlannedFault { call, number, fault }));
            }
        }
        // The rest is for pairs.
        let room = (share * 9 / 10 / groups).min(plans.len());
        for (index, &planned) in plans.iter().enumerate() {
            if (index * room + self.random as usize % plans.len()) % plans.len() >= room {
                continue;
            }
            self.tally.single += 1;
            let plan = Plan { route, scenario, faults: vec![planned] };
            if let Some(Outcome::NotOpened(error)) = self.judge(&plan)
                && let Err(problem) = verdict::judge_phase(route, planned, &error)
            {
                self.fail(&plan, &problem);
            }
        }
    }

    fn draw<'a, T>(&mut self, list: &'a [T]) -> (usize, &'a T) {
        let index = self.below(0..list.len() as u32) as usize;
        (index, &list[index])
    }

    fn draw_fault(&mut self, counts: &Counts) -> PlannedFault {
        loop {
            let (_, &call) = self.draw(&Call::ALL);
            // One fault makes for further calls.
            let number = self.below(1..counts.of(call) + 3);
            let (_, &fault) = self.draw(call.faults());
            // These take their time, and are drawn less often.
            if fault != Fault::Overdue || self.below(0..8) == 0 {
                return PlannedFault { call, number, fault };
            }
        }
    }

    fn below(&mut self, range: Range<u32>) -> u32 {
        self.random ^= self.random << 13;
        self.random ^= self.random >> 7;
        self.random ^= self.random << 17;
        range.start + (self.random >> 33) as u32 % (range.end - range.start)
    }

    fn repeat(&mut self, plan: &Plan) {
        self.count(plan.route, plan.scenario);
        self.watch_leaks();
        let outcome = self.judge(plan);
        println!("{plan}: {outcome:?}");
    }

    /// Runs a plan and judges how it ended.
    fn judge(&mut self, plan: &Plan) -> Option<Outcome> {
        self.tally.runs += 1;
        let start = Instant::now();
        let judged = self.run(plan).and_then(|(counts, outcome)| {
            let took = start.elapsed();
            self.tally.note(&counts, &outcome, plan.hurry(), took);
            if took > plan.hurry().longest(plan.scenario) {
                return Err(format!("took {took:?}"));
            }
            verdict::judge(&counts.struck, plan.scenario, plan.hurry(), &outcome).map(|()| outcome)
        });
        if self.tally.runs.is_multiple_of(500) {
            self.check_leaks(plan);
        }
        judged.map_err(|problem| self.fail(plan, &problem)).ok()
    }

    fn run(&self, plan: &Plan) -> Result<(Counts, Outcome), String> {
        let panics = self.panics.load(Ordering::SeqCst);
        *self.current.lock().unwrap() = Some((plan.clone(), Instant::now()));
        faults::begin(plan.faults.clone());
        let client = &self.clients[plan.route as usize];
        let run = || scenarios::run(client, plan.scenario, plan.hurry());
        let outcome = panic::catch_unwind(AssertUnwindSafe(run));
        let counts = faults::end();
        *self.current.lock().unwrap() = None;
        let outcome = outcome.map_err(|panic| format!("panicked: {}", text_of(&*panic)))??;
        if self.panics.load(Ordering::SeqCst) != panics {
            return Err("a thread panicked".to_owned());
        }
        Ok((counts, outcome))
    }

    fn fail(&mut self, plan: &Plan, problem: &str) {
        println!("{PLAN}='{plan}': {problem}");
        self.failures += 1;
        if self.failures >= 40 {
            process::exit(2);
        }
    }

    fn watch_leaks(&mut self) {
        thread::sleep(Duration::from_millis(100));
        self.before = Some(descriptors_and_threads());
    }

    /// A thread that has ended is there a moment longer.
    fn check_leaks(&mut self, latest: &Plan) {
        let Some(before) = self.before else { return };
        let mut now = descriptors_and_threads();
        for _ in 0..300 {
            if now.0 <= before.0 && now.1 <= before.1 {
                return;
            }
            thread::sleep(Duration::from_millis(10));
            now = descriptors_and_threads();
        }
        self.fail(
            latest,
            &format!("{now:?} descriptors and threads, {before:?} before, in one of 500 runs up to this"),
        );
        self.before = Some(now);
    }

    fn finish(mut self) {
        self.check_leaks(&Plan { route: Route::Tcp, scenario: Scenario::Exchange, faults: Vec::new() });
        self.tally.print();
        assert_eq!(self.failures, 0);
    }
}

fn descriptors_and_threads() -> (usize, usize) {
    let count = |path| std::fs::read_dir(path).map_or(0, Iterator::count);
    (count("/proc/self/fd"), count("/proc/self/task"))
}

fn text_of(panic: &(dyn Any + Send)) -> &str {
    let text = panic.downcast_ref::<String>().map(String::as_str);
    text.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("something else than a text")
}
