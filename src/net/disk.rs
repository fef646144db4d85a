//! [`Disk`]: the thread on which a stream's files are written, read and removed.
//!
//! In: [`Task`]s of the session. Out: [`SpoolNews`] to it. Neither the thread that brings frames nor the driver ever waits for
//! a disk; what waits for this thread is bounded by the session, which has two writes and two reads under way at most. Each task is
//! answered, in their order: so the session knows of a disk that hangs.
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

    /// All is done, and the directory is free for others. Whoever waits for it bounds that: a disk that hangs is not done.
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
                Err(error) => SpoolNews::NotRead {
                    id,
                    reason: error.to_string(),
                    is_damaged: matches!(error, SpoolError::Damaged { .. }),
                },
            }),
            (Task::Remove { file }, Some(spool)) => {
                let removed = spool.remove(SpoolId(file));
                tell(cleared(spool, removed));
            }
            (Task::SetAside { file, refused }, Some(spool)) => {
                let why = match refused {
                    true => Aside::Refused,
                    false => Aside::Damaged,
                };
                let moved = spool.set_aside(SpoolId(file), why);
                tell(cleared(spool, moved));
            }
            (Task::Clear, Some(spool)) => {
                let outcome = spool.clear();
                tell(cleared(spool, outcome));
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
            (Task::Remove { .. } | Task::SetAside { .. } | Task::Clear, None) => {
                tell(SpoolNews::Cleared { left_over: 0 });
            }
        }
    }
}

fn cleared(spool: &Spool, outcome: Result<(), SpoolError>) -> SpoolNews {
    let left_over = spool.left_over();
    match outcome {
        Ok(()) => SpoolNews::Cleared { left_over },
        Err(error) => SpoolNews::NotCleared {
            left_over,
            reason: error.to_string(),
        },
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

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;
    use crate::{
        fragment::{FragmentId, Spooled, tests::tracks},
        time::{Timecode, Timestamp},
    };

    fn ask(tasks: &mpsc::Sender<Task>, news: &mpsc::Receiver<SpoolNews>, task: Task) -> SpoolNews {
        tasks.send(task).unwrap();
        news.recv().unwrap()
    }

    /// A directory in the place of its file: not even root may remove that as a file.
    #[test]
    fn a_file_that_cannot_be_removed_is_told_and_removed_when_it_can_be() {
        let location = tempfile::TempDir::new().unwrap();
        let path = location.path().to_owned();
        let ((tasks, todo), (told, news)) = (mpsc::channel(), mpsc::channel());
        let thread = thread::spawn(move || {
            let open = || Spool::open(&path, "cam", false);
            work(&todo, &open, |news| told.send(news).unwrap());
        });
        let opened = ask(&tasks, &news, Task::Open);
        assert!(matches!(opened, SpoolNews::Opened { .. }), "{opened:?}");
        let body = vec![Bytes::from_static(b"a fragment")];
        let about = Spooled {
            timecode: Timecode::from_millis(1),
            tracks: tracks(640),
            start: Timestamp::ZERO,
            first: Timestamp::ZERO,
            earliest: Timestamp::ZERO,
            last: Timestamp::ZERO,
            frames: 1,
            length: 10,
        };
        let id = FragmentId(0);
        let SpoolNews::Written { file, .. } = ask(&tasks, &news, Task::Write { id, about, body })
        else {
            panic!("it is not written");
        };
        let path = location.path().join("cam.spool");
        let path = path.join(format!("{:020}-1.mkv", file.number));
        std::fs::remove_file(&path).unwrap();
        std::fs::create_dir(&path).unwrap();
        let number = file.number;
        for task in [Task::Remove { file: number }, Task::Clear] {
            match ask(&tasks, &news, task) {
                SpoolNews::NotCleared { left_over, reason } => {
                    assert_eq!(left_over, file.bytes);
                    let expected = format!("cannot remove {}: ", path.display());
                    assert!(reason.starts_with(&expected), "{reason}");
                }
                news => panic!("{news:?}"),
            }
        }
        std::fs::remove_dir(&path).unwrap();
        let cleared = ask(&tasks, &news, Task::Clear);
        let is_clear = matches!(cleared, SpoolNews::Cleared { left_over: 0 });
        assert!(is_clear, "{cleared:?}");
        drop(tasks);
        thread.join().unwrap();
    }
}
