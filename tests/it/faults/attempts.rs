//! A service that is away: how often it is tried, and what is missing when it was away for too long.
//!
//! `FAULTS_LONG=1` has it away for longer, and the stream last 90 s.

use std::{fmt::Write, time::Duration};

use test_case::test_case;

use super::{
    cases::{Bound, Case, GOP, Type},
    run::run,
    table,
};

const SHORT: &[Case] = &[Case::away("away:2s", 125), Case::away("away:10s", 375)];
/// 90 s of 25 frames.
const LONG: &[Case] = &[
    Case::away("away:2s", 2250),
    Case::away("away:20s", 2250),
    Case::away("away:60s", 2250),
];

/// A service that is away in the middle of a live stream loses nothing, with the storage that there is by default, and is not
/// stormed: at most 8 attempts in the first 2 s, 30 in 60 s. They are printed, and stand in `docs/faults.md`.
#[test]
fn a_service_that_is_away_is_tried_less_and_less_often() {
    crate::support::init();
    let long = std::env::var_os("FAULTS_LONG").is_some_and(|value| value == "1");
    let cases = if long { LONG } else { SHORT };
    let lines: Vec<_> = std::thread::scope(|scope| {
        let runs: Vec<_> = cases
            .iter()
            .map(|case| scope.spawn(move || run(case, Type::Realtime)))
            .collect();
        runs.into_iter().map(|run| run.join().unwrap()).collect()
    });
    let mut said = Vec::new();
    for line in lines {
        let frames = u64::from(line.case.frames);
        assert_eq!((line.frames_in, line.once + line.twice), (frames, frames));
        assert_eq!(line.missing, [0; 0]);
        let mut times = String::new();
        for time in &line.tries {
            let _ = write!(times, " {:.1}", time.as_secs_f64());
        }
        let within = |limit| {
            let limit = Duration::from_secs(limit);
            line.tries.iter().filter(|time| **time <= limit).count()
        };
        assert!((1..=8).contains(&within(2)), "{times}");
        assert!(within(60) <= 30, "{times}");
        said.push(format!(
            "- `{}`: {} of {frames} frames PERSISTED, {} of them twice; tried again after{times} s",
            line.case.fault,
            line.once + line.twice,
            line.twice
        ));
    }
    println!("{}", said.join("\n"));
    if long {
        table::write_attempts(&said);
    }
}

const FRAMES: u32 = 300;
/// After 7 s of media, however long a busy machine takes for them; a key frame.
const OVER: usize = 10 * GOP + 1;
static TOO_OLD: Case = Case::away_too_long(OVER, FRAMES, Bound::Age);
static TOO_MUCH: Case = Case::away_too_long(OVER, FRAMES, Bound::Storage);

/// An outage that is longer than what is kept: exactly the frames that were announced are missing, with the times that were
/// announced, whole fragments, one after the other; what came before and after them is there, from a key frame on.
#[test_case(&TOO_OLD; "it is too old")]
#[test_case(&TOO_MUCH; "it is too much")]
fn after_too_long_an_outage_whole_fragments_are_missing(case: &'static Case) {
    crate::support::init();
    let line = run(case, Type::Realtime);

    let missing = line.missing;
    let first = missing[0];
    assert!(
        missing.iter().copied().eq(first..first + missing.len()),
        "a gap: {missing:?}"
    );
    assert_eq!((first % GOP, missing.len() % GOP), (0, 0), "{missing:?}");
    assert!(first >= GOP && first + missing.len() < OVER, "{missing:?}");
}
