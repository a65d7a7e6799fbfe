//! The table that is printed.

use crate::Figures;
use crate::clients::Contender;
use crate::cores::Cores;

/// A line: a figure of which less is better.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Line {
    /// As a measure tells it.
    pub(crate) name: &'static str,
    pub(crate) unit: Unit,
    pub(crate) target: Target,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Unit {
    /// The figure is in seconds.
    Time,
    /// The figure is in bytes.
    Memory,
    /// The figure is in seconds for each; what is printed is how many there are in a second.
    Rate,
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Target {
    None,
    /// Of ours to theirs.
    Ratio(f64),
    /// Of ours, in the figure's own measure.
    Absolute(f64),
}

/// The versions that this program was built with are those of Cargo.lock.
pub(crate) fn print_head(cores: Option<Cores>) {
    println!(
        "websocket-sync {} beside tokio-tungstenite {} on tokio {}",
        version("websocket-sync"),
        version("tokio-tungstenite"),
        version("tokio")
    );
    match cores {
        Some(cores) => println!("clients on core {}, server on core {}\n", cores.client, cores.server),
        None => println!("processes run where they like\n"),
    }
    println!(
        "{:<35} {:>10} {:>10} {:>6} {:>13} {:>8} {:>10} {:>6}",
        "", "ours", "tokio", "ratio", "quartiles", "target", "4 KiB", "ratio"
    );
}

pub(crate) fn print_line(line: &Line, figures: &Figures) {
    let of = |contender| figures.get(&(line.name.to_owned(), contender)).map_or(&[][..], Vec::as_slice);
    let (ours, theirs, small) = (of(Contender::Ours), of(Contender::Theirs), of(Contender::TheirsSmall));
    let [low, ratio, high] = ratios(ours, theirs);
    let (middle, [_, ratio_small, _]) = (quartiles(ours.to_vec())[1], ratios(ours, small));
    let (target, is_missed) = match line.target {
        Target::None => (String::new(), false),
        Target::Ratio(most) => (format!("{most:.2}"), ratio > most),
        Target::Absolute(most) => (line.unit.spelled(most), middle > most),
    };
    println!(
        "{:<35} {:>10} {:>10} {ratio:>6.2} {:>13} {target:>8} {:>10} {ratio_small:>6.2}{}",
        line.name,
        line.unit.spelled(middle),
        line.unit.spelled(quartiles(theirs.to_vec())[1]),
        format!("{low:.2} - {high:.2}"),
        line.unit.spelled(quartiles(small.to_vec())[1]),
        if is_missed { "  missed" } else { "" },
    );
}

/// Of the single rounds.
fn ratios(ours: &[f64], theirs: &[f64]) -> [f64; 3] {
    quartiles(ours.iter().zip(theirs).map(|(ours, theirs)| ours / theirs).collect())
}

/// The lower quartile, the median, the upper quartile.
fn quartiles(mut values: Vec<f64>) -> [f64; 3] {
    assert!(!values.is_empty(), "a figure was not measured");
    values.sort_by(f64::total_cmp);
    [1, 2, 3].map(|quarter| values[(values.len() - 1) * quarter / 4])
}

impl Unit {
    fn spelled(self, figure: f64) -> String {
        match (self, figure) {
            (Self::Time, ..1e-5) => format!("{:.1} ns", figure * 1e9),
            (Self::Time, ..1e-2) => format!("{:.1} us", figure * 1e6),
            (Self::Time, _) => format!("{:.1} ms", figure * 1e3),
            (Self::Memory, _) => format!("{:.1} KiB", figure / 1024.0),
            (Self::Rate, _) => format!("{:.0} /s", 1.0 / figure),
        }
    }
}

/// The version that this program was built with.
fn version(package: &str) -> &'static str {
    let lock = include_str!("../Cargo.lock");
    let mut lines = lock.lines().skip_while(|line| *line != format!("name = \"{package}\""));
    let version = lines.nth(1).and_then(|line| line.strip_prefix("version = \"")?.strip_suffix('"'));
    version.expect("Cargo.lock has all packages of this program")
}
