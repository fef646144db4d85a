//! One `PutMedia` call: its body, its acks.
//!
//! In: the call's head and the body's bytes as they come. Out: acks, stored fragments.
//! Belongs here: which ack is sent when, the limits in time. Does not belong here: what the head must be
//! (`put_media`), what a fragment must be (`ingest`), files (`archive`), how an ack looks (`ack`).

mod faults;
mod keep;

use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;
use http_body_util::BodyExt;
use hyper::body::Incoming;
use sha2::{Digest, Sha256};
use tokio::sync::mpsc;
use tokio::time::timeout;

use super::ack::{Ack, ErrorId};
use super::archive::SessionFile;
use super::clock;
use super::connection::Connection;
use super::ingest::{Fragment, Refusal, Step, Timecodes};
use super::ledger::Receipt;
use super::line::{Cut, Hangup};
use super::outbox::{AckWriter, Gone, Parcel};
use super::put_media::PutMedia;
use super::reading::Reading;
use super::record::FragmentRecord;
use super::service::Service;

/// How long the rest of the body is read after an ERROR ack, so that the producer can read the ack: a
/// connection closed with unread bytes is reset, and a reset destroys what is on its way.
const LINGER: std::time::Duration = std::time::Duration::from_secs(2);

/// Why a session ends early.
enum End {
    /// With an ERROR ack.
    Refused(Refusal),
    /// Without a word: the producer is gone, or silent for too long.
    Silent(&'static str),
    /// In good order, before the body does.
    Over,
    /// As [`Self::Over`], and the rest of the body is read to nowhere, however long it takes.
    HalfClosed,
    /// By the connection's end.
    Cut(Cut),
}

impl From<Refusal> for End {
    fn from(refusal: Refusal) -> Self {
        Self::Refused(refusal)
    }
}

fn refused(id: ErrorId, what: &str) -> End {
    End::Refused(Refusal {
        id,
        what: what.to_owned(),
    })
}

impl From<Gone> for End {
    fn from(_: Gone) -> Self {
        Self::Silent("the producer does not read acks any more")
    }
}

/// A session that runs.
pub(crate) struct Session {
    /// From 1 on, over all streams.
    session: u64,
    connection: Connection,
    timecodes: Timecodes,
    reading: Reading,
    acks: AckWriter,
    file: Option<SessionFile>,
    /// The fragment that is being received, or that is refused.
    current: Option<Receipt>,
    /// The timecode of a fragment that is refused although it is complete.
    refused_ms: Option<u64>,
    /// Fragments that have begun.
    begun: u64,
    /// Fragments that are complete.
    fragments: u64,
    /// Bytes of the body.
    bytes: u64,
    /// For faults.
    started: Instant,
}

impl Session {
    pub(crate) fn new(
        connection: Connection,
        call: &PutMedia,
        response: mpsc::Sender<Parcel>,
    ) -> Self {
        let Connection { service, name, .. } = &connection;
        let session = service.next_session();
        let acks = AckWriter::new(service, name, session, call.acks, response);
        let reading = Reading::new(call.timecodes, service.sink);
        Self {
            session,
            connection,
            timecodes: call.timecodes,
            reading,
            acks,
            file: None,
            current: None,
            refused_ms: None,
            begun: 0,
            fragments: 0,
            bytes: 0,
            started: clock::start(),
        }
    }

    /// Its number.
    pub(crate) fn number(&self) -> u64 {
        self.session
    }

    /// Reads the body to its end and answers it; ends the HTTP connection unless that may go on.
    pub(crate) async fn run(
        mut self,
        mut body: Incoming,
        first: Option<Bytes>,
        hangup: Arc<Hangup>,
    ) {
        let service = Arc::clone(&self.connection.service);
        let life = service.patience.connection;
        let too_old = refused(
            ErrorId::MaxConnectionDurationReached,
            "the connection is too old",
        );
        let early = faults::early_end(
            Arc::clone(&service),
            self.connection.name.clone(),
            self.session,
            self.started,
        );
        // Around everything: also a producer that does not read its acks has but one life.
        let end = tokio::select! {
            end = timeout(life, self.receive(&mut body, first)) => end.unwrap_or(Err(too_old)),
            () = early => Err(End::Over),
        };
        let how = match &end {
            Ok(()) => "ended".to_owned(),
            Err(End::Silent(why)) => format!("ended: {why}"),
            Err(End::Over | End::HalfClosed) => "ended by a fault".to_owned(),
            Err(End::Cut(cut)) => format!("ended by a fault: {cut:?}"),
            Err(End::Refused(refusal)) => format!("refused: {} {}", refusal.id.id(), refusal.what),
        };
        service.say(&format!(
            "session of {} {how}; {} fragments",
            self.connection.name, self.fragments
        ));
        if let Some(log) = &service.frame_log {
            log.flush();
        }
        let session = self.session;
        match end {
            Ok(()) => {}
            Err(End::Silent(_)) => {
                drop(self);
                hangup.gently();
            }
            Err(End::Cut(cut)) => self.cut(cut, &hangup).await,
            Err(End::Refused(refusal)) => {
                self.refuse(refusal).await;
                self.linger(body, &hangup).await;
            }
            Err(End::Over) => self.linger(body, &hangup).await,
            Err(End::HalfClosed) => {
                drop(self);
                while let Some(Ok(_)) = body.frame().await {}
                hangup.gently();
            }
        }
        service.faults.forget(session);
    }

    /// Sends an ERROR ack.
    async fn refuse(&mut self, refusal: Refusal) {
        let timecode = self.refused_ms.or_else(|| self.reading.current_ms());
        let receipt = self.current.take();
        let ack = Ack::Error {
            id: refusal.id,
            timecode,
            number: receipt.as_ref().map(|receipt| &*receipt.fragment_number),
        };
        // Whoever does not listen cannot be told.
        let _ = timeout(LINGER, self.acks.emit(ack, receipt.as_ref())).await;
    }

    /// Ends the answer, and the connection when the rest of the body has come.
    async fn linger(self, mut body: Incoming, hangup: &Hangup) {
        // First the stream's connection, then the end of the answer: who sees the end may connect again.
        drop(self);
        let rest = async { while let Some(Ok(_)) = body.frame().await {} };
        // Either the body ends or the time does; the connection is closed in both cases.
        let _ = timeout(LINGER, rest).await;
        hangup.gently();
    }

    async fn receive(&mut self, body: &mut Incoming, first: Option<Bytes>) -> Result<(), End> {
        if !self.connection.is_active() {
            return Err(refused(
                ErrorId::StreamNotActive,
                "the stream is not ACTIVE",
            ));
        }
        let patience = self.connection.service.patience;
        self.at_byte().await?;
        if let Some(bytes) = first {
            self.take_in(&bytes).await?;
        }
        let mut silence = std::time::Duration::ZERO;
        loop {
            match timeout(patience.idle, body.frame()).await {
                Ok(Some(Ok(frame))) => {
                    silence = std::time::Duration::ZERO;
                    if let Ok(bytes) = frame.into_data() {
                        self.take_in(&bytes).await?;
                    }
                }
                Ok(Some(Err(_))) => return Err(End::Silent("the connection broke off")),
                Ok(None) => {
                    if let Some(Step::Complete(fragment)) = self.reading.finish()? {
                        self.complete(fragment).await?;
                    }
                    return Ok(());
                }
                Err(_) => {
                    silence += patience.idle;
                    self.acks.emit(Ack::Idle, None).await?;
                    if silence >= patience.silence {
                        return Err(End::Silent("no data for too long"));
                    }
                }
            }
        }
    }

    async fn take(&mut self, bytes: &[u8]) -> Result<(), End> {
        self.reading.feed(bytes);
        let Connection { service, name, .. } = &self.connection;
        if let Some(log) = &service.frame_log {
            log.write(name, self.session, self.reading.arrivals());
        }
        loop {
            let before = self.reading.current_ms();
            let step = self.reading.next(self.connection.service.clock.now_ms());
            // Also a fragment that is refused by its first bytes has a number.
            if let Some(timecode_ms) = self.reading.current_ms()
                && before != Some(timecode_ms)
            {
                self.current = Some(self.receipt(timecode_ms));
            }
            match step? {
                None => return Ok(()),
                Some(Step::Begun { timecode_ms }) => self.begin(timecode_ms).await?,
                Some(Step::Complete(fragment)) => self.complete(fragment).await?,
            }
        }
    }

    /// What a fragment that comes is known by.
    fn receipt(&self, timecode_ms: u64) -> Receipt {
        let Connection { service, name, .. } = &self.connection;
        Receipt {
            stream: name.clone(),
            producer_timestamp_ms: self.timecodes.producer_timestamp(timecode_ms),
            fragment_number: service
                .with_account(|account, now_ms| account.next_fragment_number(now_ms)),
        }
    }

    /// Acknowledges that a fragment has begun.
    async fn begin(&mut self, timecode: u64) -> Result<(), End> {
        self.begun += 1;
        if self.begun == 1 {
            self.compare_media_types();
        }
        self.at_fragment()?;
        let Some(receipt) = self.current.clone() else {
            return Ok(());
        };
        self.connection.service.with_ledger(|ledger, now_ms| {
            ledger.begin(&receipt, timecode, self.session, now_ms);
        });
        let number = &receipt.fragment_number;
        let ack = Ack::Buffering { timecode, number };
        Ok(self.acks.emit(ack, Some(&receipt)).await?)
    }

    /// Tells of tracks that are not what the stream was created for. The service takes them, but who plays them back may not.
    fn compare_media_types(&self) {
        let (is, says) = (self.reading.media_type(), self.connection.media_type());
        if let (Some(is), Some(says)) = (is, says)
            && is != says
        {
            let name = &self.connection.name;
            let line = format!("session of {name}: the tracks are {is}, the stream is {says}");
            self.connection.service.say(&line);
        }
    }

    /// Acknowledges a complete fragment, stores it, and acknowledges that.
    async fn complete(&mut self, fragment: Fragment) -> Result<(), End> {
        let timecode = fragment.timecode_ms;
        let service = Arc::clone(&self.connection.service);
        let Some(receipt) = self.current.take() else {
            return Ok(());
        };
        if !self.connection.is_active() {
            return Err(refused(ErrorId::StreamNotActive, "the stream is deleted"));
        }
        self.fragments += 1;
        let frames = fragment.frames;
        let sha256 = (!service.sink).then(|| hex(&Sha256::digest(&fragment.cluster)));
        service.with_ledger(|ledger, now_ms| {
            ledger.note(&receipt, |reception| {
                reception.complete_ms = Some(now_ms);
                reception.sha256 = sha256;
                reception.frames = frames;
            });
        });
        if let Some(id) = self.error_at_fragment(&receipt) {
            (self.current, self.refused_ms) = (Some(receipt), Some(timecode));
            return Err(refused(id, "an injected fault"));
        }
        let number = &receipt.fragment_number;
        if self.loses_acks() {
            if let Err(e) = self.keep(fragment, &receipt) {
                service.say(&format!("cannot store: {e}"));
            }
            return Err(End::Cut(Cut::Close));
        }
        self.acks
            .emit(Ack::Received { timecode, number }, Some(&receipt))
            .await?;
        let persisted = match self.keep(fragment, &receipt) {
            Ok(persisted) => persisted,
            Err(e) => {
                (self.current, self.refused_ms) = (Some(receipt), Some(timecode));
                return Err(refused(ErrorId::ArchivalError, &e.to_string()));
            }
        };
        if persisted {
            self.acks
                .emit(Ack::Persisted { timecode, number }, Some(&receipt))
                .await?;
        }
        self.half_close()
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
