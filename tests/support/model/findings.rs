//! What many programs have found, summed up.

use std::collections::BTreeMap;
use std::fmt;

use super::judge::judge;
use super::program::Program;
use super::run::Outcome;

/// So many programs that break a rule are shown whole.
const SHOWN: usize = 2;
/// The seeds of so many are named.
const NAMED: usize = 12;

/// The programs that have found a fault.
#[derive(Debug, Default)]
pub(crate) struct Findings {
    programs: usize,
    /// For each rule the seeds of those that have found it broken.
    rules: BTreeMap<String, Vec<u64>>,
    reports: Vec<String>,
}

impl Findings {
    /// Judges what came of a program, of which something has been found already, or not.
    pub(crate) fn judge(&mut self, outcome: &Outcome, found: Result<(), String>) {
        let faults = judge(outcome);
        let mut rules: Vec<_> = faults.iter().map(|fault| format!("{:?}", fault.rule)).collect();
        rules.sort();
        rules.dedup();
        let mut faults: String = faults.iter().map(|fault| format!("FAULT {fault}\n")).collect();
        if let Err(fault) = found {
            rules.push("of this program".to_owned());
            faults += &format!("FAULT {fault}\n");
        }
        if rules.is_empty() {
            return;
        }
        self.add(outcome.program.seed, rules, || format!("{outcome}{faults}"));
    }

    /// Notes that a program has ended in a panic.
    pub(crate) fn panicked(&mut self, program: &Program, message: &str) {
        self.add(program.seed, vec!["no panic".to_owned()], || format!("{program}FAULT panic: {message}\n"));
    }

    pub(crate) const fn is_empty(&self) -> bool {
        self.programs == 0
    }

    fn add(&mut self, seed: u64, rules: Vec<String>, report: impl FnOnce() -> String) {
        self.programs += 1;
        let mut is_shown = false;
        for rule in rules {
            let seeds = self.rules.entry(rule).or_default();
            seeds.push(seed);
            is_shown |= seeds.len() <= SHOWN;
        }
        if is_shown {
            self.reports.push(report());
        }
    }
}

impl fmt::Display for Findings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.reports.iter().try_for_each(|report| writeln!(f, "{report}"))?;
        for (rule, seeds) in &self.rules {
            writeln!(f, "broken: {rule}, by {} programs: {:?}", seeds.len(), &seeds[..seeds.len().min(NAMED)])?;
        }
        write!(f, "{} programs have found faults", self.programs)
    }
}
