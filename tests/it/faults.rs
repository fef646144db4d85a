//! Every fault that `kvs-local` knows, in realtime and offline, under a whole pipeline: nothing is lost, nothing that is
//! PERSISTED is sent again, and what came of it stands in `docs/faults.md`.
//!
//! `UPDATE_FAULTS=1` writes that file; without it, it is compared, but for what depends on time.

mod attempts;
pub(crate) mod cases;
mod course;
mod line;
mod run;
mod table;
mod verdict;

use std::{
    collections::BTreeSet,
    sync::{
        Mutex,
        atomic::{AtomicUsize, Ordering},
    },
};

use gstkvssink::local::Fault;

use cases::{CASES, Case, Type};
use line::Line;

/// Cases at a time: most of their time they wait, for the source or for the service.
const AT_A_TIME: usize = 24;

/// No kind of fault is left out, and each is there as the service's own list has it.
#[test]
fn every_kind_of_fault_has_a_case() {
    let cases: BTreeSet<_> = CASES.iter().map(|case| case.fault).collect();
    for form in Fault::FORMS {
        assert!(cases.contains(form.example), "{}", form.example);
    }
    assert_eq!(Fault::examples().count(), Fault::FORMS.len());
    let each: BTreeSet<_> = CASES.iter().map(|case| (case.fault, case.when)).collect();
    assert_eq!(each.len(), CASES.len(), "each once");
}

/// Whatever goes wrong, the process lives, EOS comes, and every frame is stored and counted, or the outcome is the one
/// that is documented.
#[test]
fn whatever_goes_wrong_nothing_is_lost() {
    crate::support::init();
    let todo: Vec<_> = CASES
        .iter()
        .flat_map(|case| Type::BOTH.map(|kind| (case, kind)))
        .collect();
    let (next, done) = (AtomicUsize::new(0), Mutex::new(Vec::new()));
    std::thread::scope(|scope| {
        for _ in 0..AT_A_TIME.min(todo.len()) {
            scope.spawn(|| {
                loop {
                    let index = next.fetch_add(1, Ordering::Relaxed);
                    let Some((case, kind)) = todo.get(index) else {
                        return;
                    };
                    let line = attempt(case, *kind);
                    if let Ok(line) = &line {
                        println!("{line}");
                    }
                    done.lock().unwrap().push((index, line));
                }
            });
        }
    });
    let mut done = done.into_inner().unwrap();
    done.sort_by_key(|(index, _)| *index);
    let (mut lines, mut failed) = (Vec::new(), Vec::new());
    for (_, line) in done {
        match line {
            Ok(line) => lines.push(line),
            Err(name) => failed.push(name),
        }
    }
    assert!(failed.is_empty(), "{} failed: {failed:#?}", failed.len());
    table::write_or_compare(&lines);
}

/// One case. What it panics with is said by its thread; the others go on.
fn attempt(case: &'static Case, kind: Type) -> Result<Line, String> {
    let name = format!("{} {}", case.fault, kind.name());
    let thread = std::thread::Builder::new().name(name.clone());
    let run = thread.spawn(move || run::run(case, kind)).unwrap();
    run.join().map_err(|panic| {
        let said = panic.downcast_ref::<String>().cloned().unwrap_or_default();
        format!("{name}: {}", said.lines().next().unwrap_or_default())
    })
}
