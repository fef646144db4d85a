//! [`Disk`]: the thread on which a stream's files are written, read and removed.
//!
//! In: [`Task`]s of the session. Out: [`SpoolNews`] to it. Neither the thread that brings frames nor the driver ever waits for
//! a disk; what waits for this thread is bounded by the session, which has two writes and two reads under way at most.
//! Does not belong here: what is written when (`session`), how (`spool`).

use std::{
    sync::{Arc, mpsc},
    thread,
    time::Duration,
};

use tokio::sync::oneshot;

use super::intake::Intake;
use crate::{
    definition::{StreamDefinition, TimecodeType},
    fragment::SpoolFile,
    session::{SpoolNews, SpoolTask, Task},
    spool::{Aside, Spool, SpoolError, SpoolId},
};

/// The element that had this directory before may still be at its last files.
const TIMES_IN_USE: u32 = 50;
const PAUSE_IN_USE: Duration = Duration::from_millis(100);

/// Hands tasks to the thread, which begins with the first and ends when this is dropped and all are done.
pub(crate) struct Disk {
    tasks: mpsc::Sender<Task>,
    over: oneshot::Receiver<()>,
}

impl Disk {
    /// Begins the thread.
    pub(crate) fn start(intake: &Arc<Intake>, definition: &StreamDefinition) -> Option<Self> {
        let location = definition.spool.as_ref()?.location.clone();
        let stream = definition.name.as_str().to_owned();
        let relative = definition.timecode_type == TimecodeType::Relative;
        let intake = Arc::clone(intake);
        let (tasks, todo) = mpsc::channel();
        let (done, over) = oneshot::channel();
        let work = move || {
            let open = || Spool::open(&location, &stream, relative);
            work(&todo, &open, |news| intake.spool_news(&news));
            // Nobody may be left to hear it.
            let _ = done.send(());
        };
        let name = "kvs-spool".to_owned();
        // Without a thread its tasks are answered by nobody: the session is told when it asks.
        let thread = thread::Builder::new().name(name).spawn(work).ok()?;
        drop(thread);
        Some(Self { tasks, over })
    }

    /// False: the thread has ended, which only a fault of ours can do.
    pub(crate) fn give(&self, task: SpoolTask) -> bool {
        self.tasks.send(task.0).is_ok()
    }

    /// All is done, and the directory is free for others.
    pub(crate) async fn finish(self) {
        drop(self.tasks);
        let _ = self.over.await;
    }
}

fn work(
    todo: &mpsc::Receiver<Task>,
    open: &dyn Fn() -> Result<(Spool, crate::spool::Found), SpoolError>,
    tell: impl Fn(SpoolNews),
) {
    let mut spool = None;
    for task in todo {
        match (task, &mut spool) {
            (Task::Open, _) => match open_when_free(open) {
                Ok((opened, found)) => {
                    spool = Some(opened);
                    let file = |(id, about, bytes): (SpoolId, _, u64)| {
                        let number = id.0;
                        (SpoolFile { number, bytes }, about)
                    };
                    let damaged = found.damaged.into_iter();
                    tell(SpoolNews::Opened {
                        fragments: found.fragments.into_iter().map(file).collect(),
                        damaged: damaged.map(|it| (it.file, it.reason)).collect(),
                    });
                }
                Err(error) => tell(SpoolNews::NotOpened {
                    reason: error.to_string(),
                }),
            },
            (Task::Write { id, about, body }, Some(spool)) => {
                tell(match spool.write(&about, &body) {
                    Ok(spooled @ SpoolId(number)) => {
                        let bytes = spool.length(spooled).unwrap_or(about.length);
                        let file = SpoolFile { number, bytes };
                        SpoolNews::Written { id, file }
                    }
                    Err(error) => SpoolNews::NotWritten {
                        id,
                        reason: error.to_string(),
                    },
                });
            }
            (Task::Read { id, file }, Some(spool)) => tell(match spool.read(SpoolId(file)) {
                Ok(body) => SpoolNews::Read { id, body },
                Err(error) => {
                    let is_damaged = matches!(error, SpoolError::Damaged { .. });
                    if is_damaged {
                        // It is not sent, wherever it stays.
                        let _ = spool.set_aside(SpoolId(file), Aside::Damaged);
                    }
                    SpoolNews::NotRead {
                        id,
                        reason: error.to_string(),
                        is_damaged,
                    }
                }
            }),
            // A file that cannot be removed is found again by the next run, and sent again: at least once.
            (Task::Remove { file }, Some(spool)) => drop(spool.remove(SpoolId(file))),
            (Task::SetAside { file }, Some(spool)) => {
                drop(spool.set_aside(SpoolId(file), Aside::Refused));
            }
            (Task::Write { id, .. }, None) => tell(SpoolNews::NotWritten {
                id,
                reason: "the spool is not open".to_owned(),
            }),
            (Task::Read { id, .. }, None) => tell(SpoolNews::NotRead {
                id,
                reason: "the spool is not open".to_owned(),
                is_damaged: false,
            }),
            (Task::Remove { .. } | Task::SetAside { .. }, None) => {}
        }
    }
}

fn open_when_free(
    open: &dyn Fn() -> Result<(Spool, crate::spool::Found), SpoolError>,
) -> Result<(Spool, crate::spool::Found), SpoolError> {
    for _ in 0..TIMES_IN_USE {
        match open() {
            Err(SpoolError::InUse { .. }) => thread::sleep(PAUSE_IN_USE),
            outcome => return outcome,
        }
    }
    open()
}
