//! One `PutMedia` call: its body, its acks.
//!
//! In: the call's head and the body's bytes as they come. Out: acks, stored fragments.
//! Belongs here: which ack is sent when, the limits in time. Does not belong here: what the head must be
//! (`put_media`), what a fragment must be (`ingest`), files (`archive`), how an ack looks (`ack`).

use std::sync::Arc;

use bytes::Bytes;
use http_body_util::BodyExt;
use hyper::body::Incoming;
use tokio::time::timeout;

use super::account::StreamStatus;
use super::ack::{Ack, AckWriter, ErrorId};
use super::archive::SessionFile;
use super::control::Target;
use super::ingest::{Fragment, Ingest, Refusal, Step};
use super::put_media::PutMedia;
use super::record::FragmentRecord;
use super::refused::Refused;
use super::service::Service;

/// How long the rest of the body is read after an ERROR ack, so that the producer can read the ack: a
/// connection closed with unread bytes is reset, and a reset destroys what is on its way.
const LINGER: std::time::Duration = std::time::Duration::from_secs(2);

/// The one connection that a stream may have; given back when dropped.
pub(crate) struct Connection {
    service: Arc<Service>,
    name: String,
    arn: String,
}

impl Connection {
    /// Takes the stream's connection.
    pub(crate) fn open(service: &Arc<Service>, target: &Target) -> Result<Self, Refused> {
        service.with_account(|account, _| {
            let stream = target.find(account)?;
            let (name, arn) = (
                stream.description.name.clone(),
                stream.description.arn.clone(),
            );
            account.connect(&name)?;
            Ok(Self {
                service: Arc::clone(service),
                name,
                arn,
            })
        })
    }

    /// Whether the stream takes media.
    fn is_active(&self) -> bool {
        let active = |description: &super::account::StreamDescription| {
            description.arn == self.arn && description.status == StreamStatus::Active
        };
        self.service.look(|account| {
            account
                .get(&self.name)
                .is_some_and(|stream| active(&stream.description))
        })
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.service
            .with_account(|account, _| account.disconnect(&self.arn));
    }
}

/// Why a session ends early.
enum End {
    /// With an ERROR ack.
    Refused(Refusal),
    /// Without a word: the producer is gone, or silent for too long.
    Silent(&'static str),
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

impl From<super::ack::Gone> for End {
    fn from(_: super::ack::Gone) -> Self {
        Self::Silent("the producer does not read acks any more")
    }
}

/// A session that runs.
pub(crate) struct Session {
    connection: Connection,
    ingest: Ingest,
    acks: AckWriter,
    file: Option<SessionFile>,
    number: String,
    fragments: u32,
}

impl Session {
    pub(crate) fn new(connection: Connection, call: &PutMedia, acks: AckWriter) -> Self {
        Self {
            connection,
            ingest: Ingest::new(call.timecodes),
            acks,
            file: None,
            number: String::new(),
            fragments: 0,
        }
    }

    /// Reads the body to its end and answers it. Returns whether the HTTP connection may go on.
    pub(crate) async fn run(mut self, mut body: Incoming, first: Option<Bytes>) -> bool {
        let life = self.connection.service.patience.connection;
        let too_old = refused(
            ErrorId::MaxConnectionDurationReached,
            "the connection is too old",
        );
        // Around everything: also a producer that does not read its acks has but one life.
        let end = timeout(life, self.receive(&mut body, first))
            .await
            .unwrap_or(Err(too_old));
        let fragments = self.fragments;
        let service = Arc::clone(&self.connection.service);
        let name = self.connection.name.clone();
        let how = match &end {
            Ok(()) => "ended".to_owned(),
            Err(End::Silent(why)) => format!("ended: {why}"),
            Err(End::Refused(refusal)) => format!("refused: {} {}", refusal.id.id(), refusal.what),
        };
        if let Err(End::Refused(refusal)) = &end {
            let number = (!self.number.is_empty()).then_some(self.number.as_str());
            let ack = Ack::Error {
                id: refusal.id,
                timecode: self.ingest.current_ms(),
                number,
            };
            // Whoever does not listen cannot be told.
            let _ = timeout(LINGER, self.acks.emit(ack)).await;
        }
        service.say(&format!("session of {name} {how}; {fragments} fragments"));
        // First the connection, then the end of the response: who sees the end may connect again.
        drop(self);
        if matches!(end, Err(End::Refused(_))) {
            let rest = async { while let Some(Ok(_)) = body.frame().await {} };
            // Either the body ends or the time does; the connection is closed in both cases.
            let _ = timeout(LINGER, rest).await;
        }
        end.is_ok()
    }

    async fn receive(&mut self, body: &mut Incoming, first: Option<Bytes>) -> Result<(), End> {
        if !self.connection.is_active() {
            return Err(refused(
                ErrorId::StreamNotActive,
                "the stream is not ACTIVE",
            ));
        }
        let patience = self.connection.service.patience;
        if let Some(bytes) = first {
            self.take(&bytes).await?;
        }
        let mut silence = std::time::Duration::ZERO;
        loop {
            match timeout(patience.idle, body.frame()).await {
                Ok(Some(Ok(frame))) => {
                    silence = std::time::Duration::ZERO;
                    if let Ok(bytes) = frame.into_data() {
                        self.take(&bytes).await?;
                    }
                }
                Ok(Some(Err(_))) => return Err(End::Silent("the connection broke off")),
                Ok(None) => {
                    if let Some(Step::Complete(fragment)) = self.ingest.finish()? {
                        self.complete(fragment).await?;
                    }
                    return Ok(());
                }
                Err(_) => {
                    silence += patience.idle;
                    self.acks.emit(Ack::Idle).await?;
                    if silence >= patience.silence {
                        return Err(End::Silent("no data for too long"));
                    }
                }
            }
        }
    }

    async fn take(&mut self, bytes: &[u8]) -> Result<(), End> {
        self.ingest.feed(bytes);
        loop {
            let before = self.ingest.current_ms();
            let step = self.ingest.next(self.connection.service.clock.now_ms());
            // Also a fragment that is refused by its first bytes has a number.
            if self.ingest.current_ms() != before && self.ingest.current_ms().is_some() {
                self.number = self
                    .connection
                    .service
                    .with_account(|account, now| account.next_fragment_number(now));
            }
            match step? {
                None => return Ok(()),
                Some(Step::Begun { timecode_ms }) => {
                    let ack = Ack::Buffering {
                        timecode: timecode_ms,
                        number: &self.number,
                    };
                    self.acks.emit(ack).await?;
                }
                Some(Step::Complete(fragment)) => self.complete(fragment).await?,
            }
        }
    }

    /// Acknowledges a complete fragment, stores it, and acknowledges that.
    async fn complete(&mut self, fragment: Fragment) -> Result<(), End> {
        let timecode = fragment.timecode_ms;
        let number = std::mem::take(&mut self.number);
        if !self.connection.is_active() {
            return Err(refused(ErrorId::StreamNotActive, "the stream is deleted"));
        }
        self.acks
            .emit(Ack::Received {
                timecode,
                number: &number,
            })
            .await?;
        let persisted = match self.store(fragment, &number) {
            Ok(persisted) => persisted,
            Err(e) => return Err(refused(ErrorId::ArchivalError, &e.to_string())),
        };
        self.fragments += 1;
        if persisted {
            self.acks
                .emit(Ack::Persisted {
                    timecode,
                    number: &number,
                })
                .await?;
        }
        Ok(())
    }

    /// Writes a fragment to the file; true if the stream persists fragments at all.
    fn store(&mut self, fragment: Fragment, number: &str) -> std::io::Result<bool> {
        let Connection { service, name, arn } = &self.connection;
        let file = match &mut self.file {
            Some(file) => file,
            none => none.insert(SessionFile::create(
                &service.dir,
                name,
                self.ingest.header(),
            )?),
        };
        let offset = file.append(&fragment)?;
        let retention = service.look(|account| {
            account
                .get(name)
                .map(|stream| stream.description.retention_hours)
        });
        let persisted = retention.is_some_and(|hours| hours > 0);
        let record = FragmentRecord {
            fragment_number: number.to_owned(),
            session: file.session(),
            timecode_ms: fragment.timecode_ms,
            producer_timestamp_ms: fragment.producer_timestamp_ms,
            server_timestamp_ms: service.clock.now_ms(),
            duration_ms: fragment.duration_ms,
            bytes: fragment.cluster.len() as u64,
            frames: fragment.frames,
            tags: fragment.tags,
            persisted,
            file: file.path().to_owned(),
            offset,
        };
        file.index(&record)?;
        service.with_account(|account, _| {
            if let Ok(stream) = account.find_arn(arn) {
                stream.remember(record);
            }
        });
        Ok(persisted)
    }
}
