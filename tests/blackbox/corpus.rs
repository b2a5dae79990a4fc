//! Runs the fuzz targets on their committed seeds, without a fuzzer. Only the fuzzers check how much memory the client
//! holds, because other tests allocate memory at the same time.

use std::fs;
use std::path::Path;

use crate::fuzz::{client, decoder, login, values};

/// Runs a target on each of its seeds.
#[track_caller]
fn replay(target: &str, run: impl Fn(&[u8])) {
    let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fuzz/corpus").join(target);
    let seeds: Vec<_> = fs::read_dir(&corpus).unwrap().map(|entry| entry.unwrap().path()).collect();
    assert!(!seeds.is_empty(), "expected seeds in {}", corpus.display());
    for seed in seeds {
        println!("{}", seed.display());
        run(&fs::read(seed).unwrap());
    }
}

#[test]
fn the_client_passes_its_seeds() {
    replay("client", |input| client::run(input, || 0));
}

#[test]
fn the_decoder_passes_its_seeds() {
    replay("decoder", |input| decoder::run(input, || 0));
}

#[test]
fn logins_pass_their_seeds() {
    replay("login", login::run);
}

#[test]
fn values_and_plugins_pass_their_seeds() {
    replay("values", values::run);
}
