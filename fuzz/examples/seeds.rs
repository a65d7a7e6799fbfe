//! Writes the seeds of all targets to the corpus.

use std::fs;
use std::io;
use std::path::Path;

use websocket_sync_fuzz::seeds;

fn main() -> io::Result<()> {
    let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus");
    for (name, seeds) in seeds::all() {
        let directory = corpus.join(name);
        fs::create_dir_all(&directory)?;
        for (seed, input) in seeds {
            fs::write(directory.join(seed), input)?;
        }
    }
    Ok(())
}
