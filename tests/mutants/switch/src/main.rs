//! Writes mutants into the files of a source tree, each behind `crate::mutant_switch::active(id)`, so that one build has all of them.
//!
//! `switch TREE <mutants.json` reads a list of mutants as `cargo mutants --list --json` prints it, each with an `id` besides, changes
//! the files in TREE, and prints the ids that it wrote. The others cannot be chosen while the program runs: what a `const fn` or a
//! constant computes, and an operator between the conditions of a `let` chain.

mod edit;
mod mutation;

use std::collections::BTreeMap;
use std::error::Error;
use std::path::PathBuf;
use std::{env, fs, io};

use edit::Edits;
use mutation::Mutant;

fn main() -> Result<(), Box<dyn Error>> {
    let tree = PathBuf::from(env::args().nth(1).ok_or("usage: switch TREE <mutants.json")?);
    let mutants: Vec<Mutant> = serde_json::from_reader(io::stdin().lock())?;
    let mut by_file: BTreeMap<&str, Vec<&Mutant>> = BTreeMap::new();
    for mutant in &mutants {
        by_file.entry(&mutant.file).or_default().push(mutant);
    }
    for (file, mutants) in by_file {
        let path = tree.join(file);
        let source = fs::read_to_string(&path)?;
        let mut edits = Edits::new(&source);
        for id in mutation::write(&source, &mutants, &mut edits)? {
            println!("{id}");
        }
        fs::write(&path, edits.apply())?;
    }
    let library = tree.join("src/lib.rs");
    let source = fs::read_to_string(&library)?;
    fs::write(&library, source + "\nmod mutant_switch;\n")?;
    fs::write(tree.join("src/mutant_switch.rs"), include_str!("mutant_switch.rs"))?;
    Ok(())
}
