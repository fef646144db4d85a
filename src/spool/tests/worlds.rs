//! Random lives of a spool, each of them ended by a kill or a power cut in any call.
//!
//! `KVSSINK_WORLDS` is how many, `KVSSINK_FIRST_SEED` the first of their seeds, `KVSSINK_SEED` the only one.

use test_case::test_case;

use super::{
    super::simulated::{Failure, Fault, Simulated},
    ledger::{Ledger, Op},
    *,
};

fn play(seed: u64) {
    let _replay = Replay(seed);
    let mut random = fastrand::Rng::with_seed(seed ^ 0x5EED);
    let mut disk = Simulated::new(seed);
    let mut ledger = Ledger::default();
    for _ in 0..random.u32(2..8) {
        let failure = match random.u8(0..8) {
            0 => None,
            1 => Some(Failure::Io),
            2 => Some(Failure::IoDone),
            3 => Some([Failure::Full, Failure::FullInTheMiddle][random.usize(0..2)]),
            4 => Some(Failure::ReadOnly),
            _ => Some(Failure::Death),
        };
        disk.set_fault(failure.map(|failure| Fault {
            failure,
            after: random.u64(0..80),
            lasting: random.bool(),
        }));
        let ops: Vec<_> = (0..random.u32(0..18).saturating_sub(4))
            .map(|_| op(&mut random))
            .collect();
        ledger.live(&mut disk, ops, failure);
        disk.set_fault(None);
        // Else the process was killed only: the system has it all still.
        if random.u8(0..4) > 0 {
            disk.cut_power();
        }
    }
    ledger.live(&mut disk, [Op::Write], None);
    disk.cut_power();
    ledger.live(&mut disk, [], None);
}

fn op(random: &mut fastrand::Rng) -> Op {
    let nth = random.usize(0..64);
    match random.u8(0..10) {
        0..5 => Op::Write,
        5..7 => Op::Remove(nth),
        7 => Op::SetAside(nth, Aside::Refused),
        8 => Op::SetAside(nth, Aside::Damaged),
        _ => Op::Read(nth),
    }
}

/// The number in the environment variable of this name.
fn number(name: &str) -> Option<u64> {
    let text = std::env::var(name).ok()?;
    Some(text.parse().unwrap_or_else(|_| panic!("{name}={text}")))
}

/// Says how to see a failure again.
struct Replay(u64);

impl Drop for Replay {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let Self(seed) = self;
            eprintln!(
                "to replay it: KVSSINK_SEED={seed} cargo test --no-default-features --lib the_spool_of_one_seed"
            );
        }
    }
}

/// Each takes its share of the worlds, so that all cores work.
const SHARDS: u64 = 4;

#[test_case(0)]
#[test_case(1)]
#[test_case(2)]
#[test_case(3)]
fn whatever_the_power_does_what_was_written_is_there(shard: u64) {
    let worlds = number("KVSSINK_WORLDS").unwrap_or(1_000);
    let first = number("KVSSINK_FIRST_SEED").unwrap_or(0);
    for nth in (shard..worlds).step_by(SHARDS as usize) {
        play(first.wrapping_add(nth));
    }
}

#[test]
fn the_spool_of_one_seed_is_replayed() {
    play(number("KVSSINK_SEED").unwrap_or(1));
}
