//! The response of PutMedia, whatever sends it. The input is the response.
//!
//! In pieces it reads as in one; what is kept of it is bounded.
#![no_main]

use std::hash::{DefaultHasher, Hash, Hasher};

use gstkvssink::internals::{Acks, acks};
use libfuzzer_sys::fuzz_target;

/// As documented (`docs/architecture.md`, "What is bounded").
const MAX_KEPT: usize = 64 << 10;

fuzz_target!(|response: &[u8]| {
    let whole = acks([response]);
    let mut hasher = DefaultHasher::new();
    response.hash(&mut hasher);
    let mut dice = fastrand::Rng::with_seed(hasher.finish());
    same(&whole, &acks(response.chunks(1)), "byte by byte");
    same(&whole, &acks(pieces(response, &mut dice)), "in pieces");
    // Now and then, because it is long: the same again and again, in pieces as a socket gives them.
    if dice.u8(..) == 0 && !response.is_empty() {
        let long = response.repeat(MAX_KEPT * 2 / response.len() + 1);
        let read = acks(long.chunks(dice.usize(1_000..20_000)));
        assert!(read.most_kept <= MAX_KEPT, "{} bytes kept", read.most_kept);
    }
});

fn pieces<'a>(mut rest: &'a [u8], dice: &mut fastrand::Rng) -> Vec<&'a [u8]> {
    let mut pieces = Vec::new();
    while !rest.is_empty() {
        let (piece, after) = rest.split_at(dice.usize(0..=rest.len().min(200)));
        pieces.push(piece);
        rest = after;
    }
    pieces
}

#[track_caller]
fn same(whole: &Acks, cut: &Acks, how: &str) {
    assert_eq!(whole.acks, cut.acks, "{how}");
    assert_eq!(whole.wrong_at, cut.wrong_at, "{how}");
    assert!(cut.most_kept <= MAX_KEPT, "{} bytes kept", cut.most_kept);
}
