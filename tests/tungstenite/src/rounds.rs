//! Interleaved rounds, and what they come to.

use std::fmt;

use crate::clock::Cost;

/// How much work is done.
#[derive(Clone, Copy, Debug)]
pub struct Plan {
    /// How many rounds count.
    pub rounds: usize,
    /// The number of messages of a full round is divided by this.
    pub divisor: usize,
}

impl Plan {
    /// What figures are taken from.
    pub const FULL: Self = Self { rounds: 31, divisor: 1 };
    /// Enough to see that it works, and the larger part of what went wrong.
    pub const QUICK: Self = Self { rounds: 3, divisor: 8 };

    /// How many messages a round has, when a full one has so many.
    pub fn messages(self, full: usize) -> usize {
        (full / self.divisor).max(1)
    }
}

/// Does one round of the work.
pub type Contender<'a> = Box<dyn FnMut() -> Cost + 'a>;

/// Those who do the same work.
pub struct Contenders<'a> {
    /// Whose cost is divided by that of the other.
    pub ours: Contender<'a>,
    /// The other.
    pub theirs: Contender<'a>,
    /// No WebSocket at all: the system calls, and a look at the headers.
    pub floor: Option<Contender<'a>>,
    /// How many messages a round has.
    pub messages: usize,
}

/// Which cost counts.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Clock {
    /// That of the client's thread.
    Cpu,
    /// What the user waits.
    Wall,
}

/// What the rounds came to.
#[derive(Clone, Copy, Debug)]
pub struct Outcome {
    /// The median, for one message, in nanoseconds.
    pub ours: f64,
    /// The same of the other.
    pub theirs: f64,
    /// The ratio of each pair of rounds: the quartiles.
    pub ratio: [f64; 3],
    /// The floor's ratio to theirs.
    pub floor: Option<f64>,
    /// The ratio by the other clock.
    pub other: f64,
}

/// Lets the contenders work in turn, round after round: what disturbs the machine disturbs them all.
pub fn compare(mut contenders: Contenders<'_>, plan: Plan, clock: Clock) -> Outcome {
    let mut rounds = Vec::new();
    for round in 0..=plan.rounds {
        let costs = Round {
            ours: (contenders.ours)(),
            theirs: (contenders.theirs)(),
            floor: contenders.floor.as_mut().map(|floor| floor()),
        };
        // The first one warms up.
        if round > 0 {
            rounds.push(costs);
        }
    }
    let other = if clock == Clock::Cpu { Clock::Wall } else { Clock::Cpu };
    let messages = contenders.messages as f64;
    let per_message = |cost: fn(&Round) -> Cost| {
        let median = quartiles(rounds.iter().map(|round| clock.of(cost(round))).collect())[1];
        median / messages * 1e9
    };
    let floors: Option<Vec<f64>> =
        rounds.iter().map(|round| Some(clock.of(round.floor?) / clock.of(round.theirs))).collect();
    Outcome {
        ours: per_message(|round| round.ours),
        theirs: per_message(|round| round.theirs),
        ratio: quartiles(rounds.iter().map(|round| round.ratio(clock)).collect()),
        floor: floors.filter(|floors| !floors.is_empty()).map(|floors| quartiles(floors)[1]),
        other: quartiles(rounds.iter().map(|round| round.ratio(other)).collect())[1],
    }
}

struct Round {
    ours: Cost,
    theirs: Cost,
    floor: Option<Cost>,
}

impl Round {
    fn ratio(&self, clock: Clock) -> f64 {
        clock.of(self.ours) / clock.of(self.theirs)
    }
}

impl Clock {
    /// In seconds.
    fn of(self, cost: Cost) -> f64 {
        match self {
            Self::Cpu => cost.cpu.as_secs_f64(),
            Self::Wall => cost.wall.as_secs_f64(),
        }
    }
}

impl fmt::Display for Clock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Cpu => "cpu",
            Self::Wall => "wall",
        })
    }
}

/// The lower quartile, the median, the upper quartile.
fn quartiles(mut values: Vec<f64>) -> [f64; 3] {
    values.sort_by(f64::total_cmp);
    [1, 2, 3].map(|quarter| values[(values.len() - 1) * quarter / 4])
}
