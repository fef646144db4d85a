//! A service that is away: how often it is tried, and what is missing when it was away for too long.
//!
//! `FAULTS_LONG=1` has it away for longer.

use std::{fmt::Write, time::Duration};

use super::{
    cases::{Case, Type},
    run::run,
};

const SHORT: &[Case] = &[Case::away("away:2s", 125), Case::away("away:10s", 375)];
const LONG: &[Case] = &[Case::away("away:20s", 750), Case::away("away:60s", 2250)];

/// A service that is away in the middle of a live stream loses nothing, and is not stormed: at most 8 attempts in the
/// first 2 s, 30 in 60 s. They are printed.
#[test]
fn a_service_that_is_away_is_tried_less_and_less_often() {
    crate::support::init();
    let long = std::env::var_os("FAULTS_LONG").is_some_and(|value| value == "1");
    let cases = SHORT.iter().chain(if long { LONG } else { &[] });
    std::thread::scope(|scope| {
        let runs: Vec<_> = cases
            .map(|case| scope.spawn(move || run(case, Type::Realtime)))
            .collect();
        for run in runs {
            let line = run.join().unwrap();
            assert_eq!(
                (line.frames_in, line.once + line.twice),
                (u64::from(line.case.frames), line.frames_in)
            );
            let mut times = String::new();
            for time in &line.tries {
                let _ = write!(times, " {:.1}", time.as_secs_f64());
            }
            println!("{}: tried again after{times} s", line.case.fault);
            let within = |limit| {
                let limit = Duration::from_secs(limit);
                line.tries.iter().filter(|time| **time <= limit).count()
            };
            assert!((1..=8).contains(&within(2)), "{times}");
            assert!(within(60) <= 30, "{times}");
        }
    });
}

/// An outage that is longer than what is kept: exactly the frames that were announced are missing, whole fragments, one
/// after the other; what came before and after them is there, from a key frame on.
#[test]
fn after_too_long_an_outage_whole_fragments_are_missing() {
    const FRAMES: usize = 300;
    const GOP: usize = 25;
    static CASE: Case = Case::away_too_long("away:5s", FRAMES as u32);
    crate::support::init();
    let line = run(&CASE, Type::Realtime);
    println!("{line}");
    let missing = line.missing;
    let first = missing[0];
    assert!(
        missing.iter().copied().eq(first..first + missing.len()),
        "a gap: {missing:?}"
    );
    assert_eq!((first % GOP, missing.len() % GOP), (0, 0), "{missing:?}");
    assert!(
        first >= GOP && first + missing.len() < FRAMES,
        "{missing:?}"
    );
}
