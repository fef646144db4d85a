//! [`Ledger`]: what the spool promised, and whether it holds.

use std::collections::{BTreeMap, BTreeSet};

use super::{
    super::simulated::{Failure, Simulated},
    *,
};

#[derive(Clone, Copy, Debug)]
pub(super) enum Op {
    Write,
    /// Of the nth fragment that is kept, modulo their number.
    Read(usize),
    Remove(usize),
    SetAside(usize, Aside),
}

#[derive(Default)]
pub(super) struct Ledger {
    written: u64,
    /// By their bytes: all that was ever to be written.
    tried: BTreeMap<Vec<u8>, Spooled>,
    /// Those that must be there.
    kept: BTreeMap<SpoolId, Vec<u8>>,
    /// Those that may come back.
    gone: BTreeSet<Vec<u8>>,
    /// Numbers that were given, and to which bytes.
    given: BTreeMap<SpoolId, Vec<u8>>,
    /// Fragments that were found though they were removed, or their write failed.
    pub(super) came_back: u64,
    /// Failures of the disk so far.
    pub(super) failures: u64,
}

type Simulation<'a> = Spool<&'a mut Simulated>;

impl Ledger {
    /// Opens the spool and does that, as long as the process lives.
    pub(super) fn live(
        &mut self,
        disk: &mut Simulated,
        ops: impl IntoIterator<Item = Op>,
        failure: Option<Failure>,
    ) {
        let (mut spool, found) = match Spool::with(&mut *disk, false) {
            Ok(opened) => opened,
            Err(error) => return self.failed(&error, failure),
        };
        let unread = self.judge(&mut spool, found, failure);
        if spool.disk.is_dead() {
            return;
        }
        // They are there still, and found when they can be read again.
        let unread: BTreeMap<_, _> = unread
            .into_iter()
            .filter_map(|id| self.kept.remove_entry(&id))
            .collect();
        for op in ops {
            self.perform(&mut spool, op, failure);
            if spool.disk.is_dead() {
                break;
            }
        }
        if self.failures == 0 {
            let length = |id| spool.index[id].known.length;
            assert_eq!(spool.bytes(), self.kept.keys().map(length).sum::<u64>());
        }
        self.kept.extend(unread);
    }

    /// All that was promised is found, and nothing that never was. Those that could not be read.
    fn judge(
        &mut self,
        spool: &mut Simulation<'_>,
        found: Found,
        failure: Option<Failure>,
    ) -> Vec<SpoolId> {
        let unread = |damaged: &Damaged| match names::Name::of(&damaged.file) {
            names::Name::Fragment(number) => {
                assert!(damaged.reason.contains("left where it is"), "{damaged:?}");
                Some(SpoolId(number))
            }
            _ => None,
        };
        let unread: Vec<_> = found.damaged.iter().filter_map(unread).collect();
        assert!(unread.is_empty() || failure.is_some(), "{unread:?}");
        let ids: Vec<_> = found.fragments.iter().map(|(id, ..)| *id).collect();
        assert!(ids.is_sorted());
        for id in self.kept.keys() {
            assert!(ids.contains(id) || unread.contains(id), "{id} is lost");
        }
        for (id, about, bytes) in found.fragments {
            assert_eq!(spool.index[&id].known.length, bytes);
            let body = match spool.read(id) {
                Ok(body) => body.to_vec(),
                Err(error) => {
                    self.failed(&error, failure);
                    continue;
                }
            };
            assert!(bytes > body.len() as u64);
            assert_eq!(self.tried[&body], about, "{id}");
            if let Some(given) = self.given.insert(id, body.clone()) {
                assert_eq!(given, body, "{id} was given twice");
            }
            if let Some(kept) = self.kept.get(&id) {
                assert_eq!(*kept, body, "{id}");
                continue;
            }
            assert!(self.gone.remove(&body), "{id} was never there");
            self.came_back += 1;
            self.kept.insert(id, body);
        }
        unread
    }

    fn perform(&mut self, spool: &mut Simulation<'_>, op: Op, failure: Option<Failure>) {
        let pick = |nth: usize| {
            let count = self.kept.len().max(1);
            self.kept
                .iter()
                .nth(nth % count)
                .map(|(id, body)| (*id, body.clone()))
        };
        match op {
            Op::Write => {
                let (about, body) = nth(self.written);
                self.written += 1;
                let bytes = body.concat();
                self.tried.insert(bytes.clone(), about.clone());
                match spool.write(&about, &body) {
                    Ok(id) => {
                        assert!(
                            self.given.keys().all(|given| *given < id),
                            "{id} is no new number"
                        );
                        self.given.insert(id, bytes.clone());
                        self.kept.insert(id, bytes);
                    }
                    Err(error) => {
                        self.gone.insert(bytes);
                        self.failed(&error, failure);
                    }
                }
            }
            Op::Read(nth) => {
                let Some((id, body)) = pick(nth) else { return };
                match spool.read(id) {
                    Ok(read) => assert_eq!(read, body),
                    Err(error) => self.failed(&error, failure),
                }
            }
            Op::Remove(nth) => {
                let Some((id, body)) = pick(nth) else { return };
                self.kept.remove(&id);
                self.gone.insert(body);
                if let Err(error) = spool.remove(id) {
                    self.failed(&error, failure);
                }
            }
            Op::SetAside(nth, why) => {
                let Some((id, body)) = pick(nth) else { return };
                self.kept.remove(&id);
                self.gone.insert(body);
                if let Err(error) = spool.set_aside(id, why) {
                    self.failed(&error, failure);
                }
            }
        }
    }

    /// An error is one of the disk, and says which.
    fn failed(&mut self, error: &SpoolError, failure: Option<Failure>) {
        self.failures += 1;
        let is_expected = match failure {
            None => false,
            Some(Failure::Io | Failure::IoDone | Failure::Death) => {
                matches!(error, SpoolError::Io { .. })
            }
            Some(Failure::Full | Failure::FullInTheMiddle) => {
                matches!(error, SpoolError::Full { .. })
            }
            Some(Failure::ReadOnly) => matches!(error, SpoolError::ReadOnly { .. }),
        };
        assert!(is_expected, "{failure:?} became {error}");
    }
}
