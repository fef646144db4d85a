//! The way of acks to the socket.
//!
//! [`AckWriter::emit`] is the single place where an ack leaves a session, and where faults of acks are done. What
//! leaves is a [`Parcel`]: it tells when the socket has taken all of it.
//!
//! Does not belong here: how an ack looks (`ack`), when it is due (`session`).

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use bytes::{Buf, Bytes};
use tokio::sync::{mpsc, watch};

use super::ack::Ack;
use super::clock;
use super::fault::FaultKind;
use super::faults::Occasion;
use super::ledger::{AckKind, Receipt};
use super::service::Service;

/// Acks that may wait to be late; more make the session wait.
const MAX_LATE: usize = 4096;

/// What a proxy or a broken service may send instead of acks.
const GARBAGE: [&[u8]; 8] = [
    b"<html><body>502 Bad Gateway</body></html>\n",
    b"\n",
    b"{\"EventType\":\"PERSISTED\"}\n",
    b"{\"EventType\":\"GREETING\",\"FragmentTimecode\":\"soon\"}\n",
    b"[1,2,{\"EventType\":\"IDLE\"}]\n",
    b"{\"EventType\":\"PERSISTED\",\"FragmentTimecode\":18446744073709551616,\"FragmentNumber\":\"1\"}\n",
    b"\x00\xFF\xFE{\"EventType\":\n",
    b"{\"EventType\":\"BUFFERING\",\"FragmentTimecode\":-1,\"FragmentNumber\":null}\n",
];

/// The producer does not listen any more.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Gone;

/// Bytes of an answer.
pub(crate) struct Parcel {
    bytes: Bytes,
    slip: Option<Slip>,
}

impl<T: Into<Bytes>> From<T> for Parcel {
    fn from(bytes: T) -> Self {
        Self {
            bytes: bytes.into(),
            slip: None,
        }
    }
}

impl Buf for Parcel {
    fn remaining(&self) -> usize {
        self.bytes.remaining()
    }

    fn chunk(&self) -> &[u8] {
        self.bytes.chunk()
    }

    fn advance(&mut self, count: usize) {
        self.bytes.advance(count);
        if self.bytes.is_empty()
            && let Some(slip) = self.slip.take()
        {
            slip.sent();
        }
    }
}

/// What is noted when a parcel has left.
struct Slip {
    tray: Arc<Tray>,
    receipt: Option<(Receipt, AckKind)>,
}

impl Slip {
    fn sent(self) {
        if let Some((receipt, kind)) = self.receipt {
            self.tray.service.with_ledger(|ledger, now_ms| {
                ledger.note(&receipt, |reception| reception.acks.push((kind, now_ms)));
            });
        }
        self.tray.sent.send_modify(|sent| *sent += 1);
    }
}

/// Parcels on their way to the socket.
struct Tray {
    service: Arc<Service>,
    posted: AtomicU64,
    sent: watch::Sender<u64>,
}

impl Tray {
    async fn post(
        self: &Arc<Self>,
        response: &mpsc::Sender<Parcel>,
        bytes: Bytes,
        receipt: Option<(Receipt, AckKind)>,
    ) -> Result<(), Gone> {
        self.posted.fetch_add(1, Ordering::Relaxed);
        let slip = Some(Slip {
            tray: Arc::clone(self),
            receipt,
        });
        let parcel = Parcel { bytes, slip };
        response.send(parcel).await.map_err(|_| Gone)
    }

    /// Waits until the socket has taken all that was posted.
    async fn flushed(&self, response: &mpsc::Sender<Parcel>) {
        let posted = self.posted.load(Ordering::Relaxed);
        let mut sent = self.sent.subscribe();
        tokio::select! {
            // The tray holds the sender: it does not close.
            _ = sent.wait_for(|sent| *sent >= posted) => {}
            () = response.closed() => {}
        }
    }
}

/// Sends the acks of one session: the single place where an ack leaves the service.
pub(crate) struct AckWriter {
    wanted: bool,
    stream: String,
    session: u64,
    response: mpsc::Sender<Parcel>,
    tray: Arc<Tray>,
    late: Option<mpsc::Sender<Late>>,
    was_garbage: bool,
}

/// An ack that leaves later, or in pieces.
struct Late {
    bytes: Bytes,
    receipt: Option<(Receipt, AckKind)>,
    since: Instant,
    delay: Duration,
    piece: usize,
}

impl AckWriter {
    /// Acks go to `response`, unless the producer did not want any.
    pub(crate) fn new(
        service: &Arc<Service>,
        stream: &str,
        session: u64,
        wanted: bool,
        response: mpsc::Sender<Parcel>,
    ) -> Self {
        Self {
            wanted,
            stream: stream.to_owned(),
            session,
            response,
            tray: Arc::new(Tray {
                service: Arc::clone(service),
                posted: AtomicU64::new(0),
                sent: watch::Sender::new(0),
            }),
            late: None,
            was_garbage: false,
        }
    }

    /// Sends one ack; waits while the producer does not read.
    pub(crate) async fn emit(
        &mut self,
        ack: Ack<'_>,
        receipt: Option<&Receipt>,
    ) -> Result<(), Gone> {
        if !self.wanted || self.is_struck_by(FaultKind::NeverAck) {
            return Ok(());
        }
        let garbage = |kind| match kind {
            FaultKind::GarbageAcks { lines } => Some(lines),
            _ => None,
        };
        if !self.was_garbage
            && let Some(lines) = self.strike(garbage)
        {
            self.was_garbage = true;
            for (_, line) in (0..lines).zip(GARBAGE.iter().cycle()) {
                self.send(Bytes::from_static(line), None).await?;
            }
        }
        let begins = matches!(ack, Ack::Buffering { .. });
        if begins && self.is_struck_by(FaultKind::IdleAck) {
            self.send(Ack::Idle.line(), None).await?;
        }
        if self.is_struck_by(FaultKind::DuplicateAcks) {
            self.send(ack.line(), None).await?;
        }
        let receipt = receipt.cloned().zip(ack.kind());
        self.send(ack.line(), receipt).await
    }

    /// Waits until the socket has taken all acks but those that are late by intention.
    pub(crate) async fn flush(&self) {
        self.tray.flushed(&self.response).await;
    }

    /// Waits until nobody can read acks any more.
    pub(crate) async fn closed(&self) {
        self.response.closed().await;
    }

    fn strike<T>(&self, pick: impl Fn(FaultKind) -> Option<T>) -> Option<T> {
        let occasion = Occasion {
            stream: Some(&self.stream),
            session: Some(self.session),
        };
        self.tray.service.strike(occasion, pick)
    }

    fn is_struck_by(&self, wanted: FaultKind) -> bool {
        self.strike(|kind| (kind == wanted).then_some(())).is_some()
    }

    async fn send(
        &mut self,
        bytes: Bytes,
        receipt: Option<(Receipt, AckKind)>,
    ) -> Result<(), Gone> {
        let delay = self.strike(|kind| match kind {
            FaultKind::DelayAcks { delay } => Some(delay),
            _ => None,
        });
        let piece = self.strike(|kind| match kind {
            FaultKind::AckSplit { bytes } => Some(bytes),
            _ => None,
        });
        // Once an ack is late, all that follow go the same way, or they would overtake it.
        if delay.is_none() && piece.is_none() && self.late.is_none() {
            return self.tray.post(&self.response, bytes, receipt).await;
        }
        let late = self.late.get_or_insert_with(|| {
            let (late, queue) = mpsc::channel(MAX_LATE);
            let send = send_late(queue, Arc::clone(&self.tray), self.response.clone());
            tokio::spawn(send);
            late
        });
        let item = Late {
            bytes,
            receipt,
            since: clock::start(),
            delay: delay.unwrap_or(Duration::ZERO),
            piece: piece.unwrap_or(usize::MAX).max(1),
        };
        late.send(item).await.map_err(|_| Gone)
    }
}

async fn send_late(
    mut queue: mpsc::Receiver<Late>,
    tray: Arc<Tray>,
    response: mpsc::Sender<Parcel>,
) -> Option<()> {
    while let Some(mut late) = queue.recv().await {
        if let Some(left) = clock::left(late.since, late.delay) {
            tokio::select! {
                () = tokio::time::sleep(left) => {}
                () = response.closed() => return None,
            }
        }
        while late.bytes.len() > late.piece {
            let piece = late.bytes.split_to(late.piece);
            tray.post(&response, piece, None).await.ok()?;
            tray.flushed(&response).await;
        }
        tray.post(&response, late.bytes, late.receipt).await.ok()?;
    }
    Some(())
}
