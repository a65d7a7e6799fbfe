//! The targets on stable Rust: over the corpus that is checked in, and over random mutations of it.

use std::fs;
use std::panic::{self, AssertUnwindSafe};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use websocket_sync_fuzz::{Chance, TARGETS, Target, seeds};

/// How many mutations each target gets, unless `FUZZ_MUTATIONS` says otherwise.
const MUTATIONS: usize = 3000;
/// No target takes longer: on a machine that is slow or loaded it gets fewer mutations.
const LONGEST: Duration = Duration::from_secs(4);
/// The longest mutation, in bytes.
const MAX_LENGTH: usize = 4096;

#[test]
fn the_corpus_keeps_all_promises() {
    for &(name, target) in TARGETS {
        let corpus = corpus(name);
        assert!(!corpus.is_empty(), "no corpus for {name}");
        for (path, input) in &corpus {
            run(target, input, &path.display().to_string());
        }
        run(target, b"", "nothing");
    }
}

#[test]
fn mutations_of_the_corpus_keep_all_promises() {
    let mutations = match std::env::var("FUZZ_MUTATIONS") {
        Ok(number) => number.parse().expect("FUZZ_MUTATIONS is a number"),
        Err(_) => MUTATIONS,
    };
    let longest = if mutations > MUTATIONS { Duration::MAX } else { LONGEST };
    for (number, &(name, target)) in TARGETS.iter().enumerate() {
        let inputs: Vec<Vec<u8>> = corpus(name).into_iter().map(|(_, input)| input).collect();
        let mut chance = Chance::new(number as u64);
        let began = Instant::now();
        let mut done = 0;
        while done < mutations && began.elapsed() < longest {
            let input = mutated(&inputs, &mut chance);
            run(target, &input, &format!("mutation {done} for {name}"));
            done += 1;
        }
        println!("{name}: {done} mutations in {:.1} s", began.elapsed().as_secs_f64());
        assert!(done >= 20, "only {done} mutations for {name} in {longest:?}");
    }
}

/// The corpus has all the seeds that the generator makes, so that nobody forgets to run it.
#[test]
fn the_seeds_are_in_the_corpus() {
    for (name, seeds) in seeds::all() {
        for (seed, input) in seeds {
            let path = directory(name).join(&seed);
            let found = fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
            assert_eq!(found, input, "{}: run `cargo run --example seeds`", path.display());
        }
    }
}

fn directory(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus").join(name)
}

/// The inputs of a target, in the order of their names.
fn corpus(name: &str) -> Vec<(PathBuf, Vec<u8>)> {
    let entries = fs::read_dir(directory(name)).unwrap_or_else(|error| panic!("the corpus of {name}: {error}"));
    let mut paths: Vec<PathBuf> = entries.map(|entry| entry.expect("a readable directory").path()).collect();
    paths.sort();
    let read = |path: PathBuf| {
        let input = fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        (path, input)
    };
    paths.into_iter().map(read).collect()
}

/// Runs a target; if it panics, the input is printed as it can be put in a file.
fn run(target: Target, input: &[u8], what: &str) {
    if let Err(panicked) = panic::catch_unwind(AssertUnwindSafe(|| target(input))) {
        let bytes: String = input.iter().map(|byte| format!("\\x{byte:02x}")).collect();
        eprintln!("{what} fails; its input: printf '{bytes}'");
        panic::resume_unwind(panicked);
    }
}

/// One of the inputs with a few changes, or parts of two of them.
fn mutated(inputs: &[Vec<u8>], chance: &mut Chance) -> Vec<u8> {
    let mut input = inputs[chance.below(inputs.len())].clone();
    if chance.below(4) == 0 {
        let other = &inputs[chance.below(inputs.len())];
        input.truncate(chance.below(input.len() + 1));
        input.extend_from_slice(&other[chance.below(other.len() + 1)..]);
    }
    for _ in 0..=chance.below(6) {
        mutate(&mut input, chance);
    }
    input.truncate(MAX_LENGTH);
    input
}

fn mutate(input: &mut Vec<u8>, chance: &mut Chance) {
    const TELLING: &[u8] = b"\0\x01\x7d\x7e\x7f\x80\x81\x82\x88\x89\xc1\xff\r\n :;,=\"%/?#@[.0";
    let at = chance.below(input.len() + 1);
    match (chance.below(7), input.get_mut(at)) {
        (0, Some(byte)) => *byte ^= 1 << chance.below(8),
        (1, Some(byte)) => *byte = chance.next() as u8,
        (2, Some(byte)) => *byte = TELLING[chance.below(TELLING.len())],
        (3, Some(_)) => {
            let end = input.len().min(at + 1 + chance.below(8));
            input.drain(at..end);
        }
        (4, _) => {
            let end = input.len().min(at + chance.below(32));
            let copy = input[at..end].to_vec();
            let to = chance.below(input.len() + 1);
            input.splice(to..to, copy);
        }
        (5, _) => input.insert(at, TELLING[chance.below(TELLING.len())]),
        _ => input.insert(at, chance.next() as u8),
    }
}
