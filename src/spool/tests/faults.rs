//! Each call of the disk fails once, in each way.

use test_case::test_matrix;

use super::{
    super::simulated::{Failure, Fault, Simulated},
    ledger::{Ledger, Op},
    *,
};

const BEFORE: [Op; 3] = [Op::Write, Op::Write, Op::Write];
/// Each kind of change; the last one clears what others left.
const OPS: [Op; 10] = [
    Op::Write,
    Op::Read(1),
    Op::Remove(0),
    Op::SetAside(0, Aside::Refused),
    Op::Write,
    Op::SetAside(0, Aside::Damaged),
    Op::Write,
    Op::Remove(1),
    Op::Read(0),
    Op::Write,
];

/// Two lives on the same disk, the second of them with the fault. How many calls it made.
fn live(fault: Option<Fault>, cuts: bool) -> u64 {
    let mut disk = Simulated::new(1);
    let mut ledger = Ledger::default();
    ledger.live(&mut disk, BEFORE, None);
    let before = disk.calls;
    disk.set_fault(fault);
    ledger.live(&mut disk, OPS, fault.map(|fault| fault.failure));
    let calls = disk.calls - before;
    let failed = ledger.failures > 0;
    disk.set_fault(None);
    if cuts {
        disk.cut_power();
    }
    ledger.live(
        &mut disk,
        [Op::Write, Op::Remove(0)],
        if failed { Some(Failure::Io) } else { None },
    );
    if fault.is_some_and(|fault| !fault.lasting && fault.failure != Failure::Death) && !cuts {
        let halves = disk.names().filter(|name| name.ends_with(".part"));
        assert_eq!(halves.collect::<Vec<_>>(), [""; 0], "{fault:?}");
        assert_eq!(ledger.came_back, 0, "{fault:?}");
    }
    calls
}

#[test_matrix(
    [Failure::Io, Failure::IoDone, Failure::Full, Failure::FullInTheMiddle, Failure::ReadOnly, Failure::Death],
    [false, true],
    [false, true]
)]
fn any_call_may_fail(failure: Failure, lasting: bool, cuts: bool) {
    let calls = live(None, cuts);
    assert!(calls > 50, "{calls}");
    for after in 0..calls {
        live(
            Some(Fault {
                failure,
                after,
                lasting,
            }),
            cuts,
        );
    }
}

/// A full disk in the middle of a write.
#[test]
fn what_a_failed_write_left_is_removed_later() {
    let mut disk = Simulated::new(1);
    let (mut spool, _) = Spool::with(&mut disk, false).unwrap();
    let write = |spool: &mut Spool<&mut Simulated>, number| {
        let (about, body) = nth(number);
        spool.write(&about, &body)
    };
    let kept = write(&mut spool, 0).unwrap();
    let before = spool.bytes();
    // Created, then nothing works: it cannot be removed either.
    spool.disk.set_fault(Some(Fault {
        failure: Failure::FullInTheMiddle,
        after: 1,
        lasting: true,
    }));
    let error = write(&mut spool, 1).unwrap_err();
    assert!(matches!(error, SpoolError::Full { .. }), "{error}");
    assert!(spool.bytes() > before, "what is left counts");
    assert_eq!(spool.leftovers.len(), 1);
    let error = spool.remove(kept).unwrap_err();
    assert!(matches!(error, SpoolError::Full { .. }), "{error}");
    assert_eq!(spool.leftovers.len(), 2);
    spool.disk.set_fault(None);
    let next = write(&mut spool, 2).unwrap();
    assert_eq!(spool.leftovers.len(), 0);
    assert_eq!(spool.bytes(), spool.index[&next].known.length);
    let files: Vec<_> = disk.names().filter(|name| name.starts_with('0')).collect();
    assert_eq!(files.len(), 1, "{files:?}");
}

/// Neither its removal nor its move works; then both do, though nothing else changes.
#[test]
fn what_could_not_be_removed_or_moved_is_when_it_is_tried_again() {
    let mut disk = Simulated::new(1);
    let (mut spool, _) = Spool::with(&mut disk, false).unwrap();
    let ids: Vec<_> = (0..3)
        .map(|number| {
            let (about, body) = nth(number);
            spool.write(&about, &body).unwrap()
        })
        .collect();
    let lengths = ids.iter().map(|id| spool.length(*id).unwrap());
    let lengths: Vec<_> = lengths.collect();
    spool.disk.set_fault(Some(Fault {
        failure: Failure::ReadOnly,
        after: 0,
        lasting: true,
    }));
    for error in [
        spool.remove(ids[0]).unwrap_err(),
        spool.set_aside(ids[1], Aside::Refused).unwrap_err(),
        spool.clear().unwrap_err(),
    ] {
        let text = error.to_string();
        assert!(matches!(error, SpoolError::ReadOnly { .. }), "{text}");
        assert!(text.contains("/simulated/0000000000000000000"), "{text}");
    }
    assert_eq!(spool.left_over(), lengths[0] + lengths[1]);
    assert_eq!(spool.bytes(), lengths.iter().sum::<u64>());
    spool.disk.set_fault(None);
    spool.clear().unwrap();
    assert_eq!((spool.left_over(), spool.bytes()), (0, lengths[2]));
    let files: Vec<_> = disk.names().filter(|name| name.contains(".mkv")).collect();
    assert_eq!(files.len(), 2, "{files:?}");
    assert!(files.iter().any(|name| name.starts_with("refused/0")));
}

/// A process is killed when a file has its name, but not for good.
#[test]
fn what_is_found_is_there_for_good() {
    for seed in 0..20 {
        let mut disk = Simulated::new(seed);
        let (mut spool, _) = Spool::with(&mut disk, false).unwrap();
        let (about, body) = nth(0);
        spool.write(&about, &body).unwrap();
        // Create, header, five chunks, trailer, sync, rename; then the folder would be synced.
        spool.disk.set_fault(Some(Fault {
            failure: Failure::Death,
            after: 10,
            lasting: true,
        }));
        let (about, body) = nth(1);
        spool.write(&about, &body).unwrap_err();
        spool.disk.set_fault(None);
        let (_, found) = Spool::with(&mut disk, false).unwrap();
        let count = found.fragments.len();
        assert_eq!(count, 2, "{found:?}");
        disk.cut_power();
        let (_, found) = Spool::with(&mut disk, false).unwrap();
        assert_eq!(found.fragments.len(), count);
    }
}

/// It is the disk's error that is told, not that a file is in the way.
#[test]
fn what_is_left_of_a_small_file_is_removed_or_says_why_not() {
    let mut disk = Simulated::new(1);
    disk.put("layout.part", b"kvssi".to_vec());
    // Both folders, then the removal.
    disk.set_fault(Some(Fault {
        failure: Failure::ReadOnly,
        after: 3,
        lasting: false,
    }));
    let error = Spool::with(&mut disk, false).err().unwrap();
    assert!(matches!(error, SpoolError::ReadOnly { .. }), "{error}");
    Spool::with(&mut disk, false).unwrap();
    assert_eq!(disk.names().collect::<Vec<_>>(), ["layout"]);
}
