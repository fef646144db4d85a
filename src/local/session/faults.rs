//! What a session does wrong, if a fault says so.
//!
//! Does not belong here: faults of acks (`outbox`), of calls (`server`), of connections (`listen`).

use std::time::{Duration, Instant};

use super::super::clock;
use super::super::fault::FaultKind;
use super::super::faults::Occasion;
use super::super::listen::until_cleared;
use super::*;

/// Comes to its end when the session is to end before its body does.
pub(super) async fn early_end(
    service: Arc<Service>,
    stream: String,
    session: u64,
    started: Instant,
) {
    let occasion = Occasion {
        stream: Some(&stream),
        session: Some(session),
    };
    let period = |kind| match kind {
        FaultKind::EndAfter { period } => Some(period),
        _ => None,
    };
    let mut news = service.news();
    loop {
        let left = service
            .faults
            .look(occasion, period)
            .map(|period| clock::left(started, period));
        match left {
            // It may have struck another session meanwhile, or be cleared.
            Some(None) if service.strike(occasion, period).is_some() => return,
            Some(Some(left)) => {
                tokio::select! {
                    () = tokio::time::sleep(left) => {}
                    _ = news.changed() => {}
                }
            }
            _ => {
                // The service, which holds the sender, outlives this.
                let _ = news.changed().await;
            }
        }
    }
}

impl Session {
    fn strike<T>(&self, pick: impl Fn(FaultKind) -> Option<T>) -> Option<T> {
        self.connection.service.strike(self.occasion(), pick)
    }

    fn occasion(&self) -> Occasion<'_> {
        Occasion {
            stream: Some(&self.connection.name),
            session: Some(self.session),
        }
    }

    /// Takes the next bytes of the body up to where a fault wants them to end.
    pub(super) async fn take_in(&mut self, bytes: &[u8]) -> Result<(), End> {
        let len = bytes.len() as u64;
        let end = self.bytes + len;
        let mark = self
            .connection
            .service
            .faults
            .look(self.occasion(), |kind| {
                byte_of(kind).filter(|at| *at <= end)
            });
        let until = mark.map_or(len, |at| at.saturating_sub(self.bytes));
        let (before, behind) = bytes.split_at(usize::try_from(until).unwrap_or(bytes.len()));
        self.take_frames(before).await?;
        if mark.is_some() {
            self.at_byte().await?;
        }
        self.take_frames(behind).await?;
        self.dawdle(len).await;
        Ok(())
    }

    /// What is to happen at this byte of the body.
    pub(super) async fn at_byte(&mut self) -> Result<(), End> {
        let at = self.bytes;
        let due = |kind: FaultKind| byte_of(kind).is_some_and(|byte| byte <= at).then_some(kind);
        match self.strike(due) {
            Some(FaultKind::ResetAtByte { .. }) => Err(End::Cut(Cut::Reset)),
            Some(FaultKind::CloseAtByte { .. }) => Err(End::Cut(Cut::Close)),
            Some(_) => Err(self.stop_reading().await),
            None => Ok(()),
        }
    }

    /// Reads nothing until the fault is cleared or the connection gone.
    async fn stop_reading(&mut self) -> End {
        // What does not listen does not count: the stream takes another connection.
        self.connection.release();
        let stopped = |kind| matches!(kind, FaultKind::StopReadingAtByte { .. });
        let service = &self.connection.service;
        tokio::select! {
            () = until_cleared(service, stopped) => {}
            () = self.acks.closed() => {}
        }
        End::Cut(Cut::Reset)
    }

    /// Takes bytes, one by one if they are to end in the middle of a frame.
    async fn take_frames(&mut self, bytes: &[u8]) -> Result<(), End> {
        self.bytes += bytes.len() as u64;
        let frame = |kind| match kind {
            FaultKind::CloseMidFrame { frame } => Some(frame),
            _ => None,
        };
        let faults = &self.connection.service.faults;
        if faults.look(self.occasion(), frame).is_none() {
            return self.take(bytes).await;
        }
        for byte in bytes.chunks(1) {
            self.take(byte).await?;
            let Some(half) = self.reading.frame_half_received() else {
                continue;
            };
            let due = |kind| frame(kind).filter(|frame| *frame <= half);
            if self.strike(due).is_some() {
                return Err(End::Cut(Cut::Close));
            }
        }
        Ok(())
    }

    /// Waits as long as reading so much is to take.
    async fn dawdle(&self, len: u64) {
        let rate = self.strike(|kind| match kind {
            FaultKind::ReadSlowly { bytes_per_second } => Some(bytes_per_second),
            _ => None,
        });
        let Some(rate) = rate else {
            return;
        };
        let ms = len.saturating_mul(1000) / rate.max(1);
        let slow = |kind| matches!(kind, FaultKind::ReadSlowly { .. });
        tokio::select! {
            () = tokio::time::sleep(Duration::from_millis(ms)) => {}
            () = until_cleared(&self.connection.service, slow) => {}
        }
    }

    /// What is to happen when a fragment has begun.
    pub(super) fn at_fragment(&self) -> Result<(), End> {
        let cut = self.strike(|kind| match kind {
            FaultKind::CloseAtFragment { fragment } if fragment <= self.begun => Some(Cut::Close),
            FaultKind::ResetAtFragment { fragment } if fragment <= self.begun => Some(Cut::Reset),
            _ => None,
        });
        cut.map_or(Ok(()), |cut| Err(End::Cut(cut)))
    }

    /// The error with which the fragment that is complete is refused.
    pub(super) fn error_at_fragment(&self, receipt: &Receipt) -> Option<ErrorId> {
        let service = &self.connection.service;
        let index = self.fragments;
        let poison = service
            .faults
            .poison(self.occasion(), index, receipt.producer_timestamp_ms);
        if let Some(strike) = poison {
            return Some(service.struck(strike));
        }
        self.strike(|kind| match kind {
            FaultKind::ErrorAck { id, fragment } if fragment <= index => Some(id),
            _ => None,
        })
    }

    /// Whether the connection is closed instead of acknowledging the fragment that is complete.
    pub(super) fn loses_acks(&self) -> bool {
        self.strike(|kind| (kind == FaultKind::LoseAcks).then_some(()))
            .is_some()
    }

    /// What is to happen when a fragment has got its acks.
    pub(super) fn half_close(&self) -> Result<(), End> {
        self.strike(|kind| (kind == FaultKind::HalfClose).then_some(()))
            .map_or(Ok(()), |()| Err(End::HalfClosed))
    }

    /// Cuts the connection when what was said before has left.
    pub(super) async fn cut(mut self, cut: Cut, hangup: &Hangup) {
        // Who sees the end may connect again.
        self.connection.release();
        // A producer that does not read its acks is cut nevertheless.
        let _ = timeout(LINGER, self.acks.flush()).await;
        hangup.cut(cut);
        // The answer must not end in good order before.
        let _ = timeout(LINGER, self.acks.closed()).await;
    }
}

/// The byte of the body at which something is to happen.
fn byte_of(kind: FaultKind) -> Option<u64> {
    match kind {
        FaultKind::ResetAtByte { byte }
        | FaultKind::CloseAtByte { byte }
        | FaultKind::StopReadingAtByte { byte } => Some(byte),
        _ => None,
    }
}
