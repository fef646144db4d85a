//! [`Driver`]: the one loop that performs what the session asks for, and tells it what came.
//!
//! At most one request is under way: a call of the control plane, the attempt to open PutMedia, or its response. Chunks
//! of the body go into a small channel; its room is the wire's.
//! Does not belong here: any decision. The session decides.

use std::{pin::pin, sync::Arc, time::Duration};

use aws_smithy_async::time::TimeSource;

use super::{
    KinesisVideo,
    clock::Clock,
    credentials::Region,
    disk::Disk,
    exchange::{Acks, Media, MediaChunk, MediaSender, News},
    export::Export,
    intake::{Intake, LAST_CALLS},
    signing_clock::SigningClock,
};
use crate::{
    producer::{Dispatch, ServiceCallbacks, Shared},
    session::{
        Call, Cause, Described, Event, Failure, Input, Output, Session, SpoolNews, SpoolTask, Task,
    },
    time::{Mono, Timestamp},
};

/// Chunks between the session and the connection. They are references to what the store holds.
const CHUNKS_UNDER_WAY: usize = 16;
/// A wait without a deadline.
const FAR: Duration = Duration::from_secs(3600);

/// How many times `connection_timeout` and `completion_timeout` a call of the control plane may take, whoever does it: its own
/// limits are below that, with a second attempt and credentials that are fetched before each.
const CALL_TIMES: u32 = 4;
/// How long the response has to say why, when the connection takes no media any more.
const LAST_WORDS: Duration = Duration::from_secs(1);

/// Runs one stream.
pub(crate) struct Driver {
    pub(crate) intake: Arc<Intake>,
    pub(crate) clock: Clock,
    pub(crate) callbacks: Dispatch<Event>,
    pub(crate) service: Arc<dyn ServiceCallbacks>,
    pub(crate) kvs: Arc<KinesisVideo>,
    pub(crate) signing: SigningClock,
    pub(crate) storage: Shared,
    pub(crate) export: Export,
    pub(crate) state: Known,
}

/// What a driver has learnt so far.
#[derive(Default)]
pub(crate) struct Known {
    endpoint: Option<String>,
    /// The offset that the session knows of.
    offset_ms: i64,
    /// What was told of the credentials.
    source: Option<String>,
    region_told: bool,
    /// The body of the PutMedia request that is under way; dropped, the request is aborted.
    body: Option<MediaSender>,
    /// On their way into it: empty, but not to be allocated again and again.
    chunks: Vec<MediaChunk>,
    /// The connection takes no media any more: until when its response may say why.
    deaf: Option<Mono>,
    /// From the first task of the spool on.
    disk: Option<Disk>,
}

/// The request that is under way.
enum UnderWay {
    Nothing,
    Call(Call, tokio::task::JoinHandle<Answer>),
    Response(Acks),
}

/// How a request ended, or began to be answered.
enum Answer {
    Described(Described),
    Done(Call),
    Endpoint(String),
    Opened(Acks),
    Failed(Failure),
}

/// What woke the driver.
enum Woke {
    Answer(Answer),
    Response(Result<News, Failure>),
    Room(bool),
    Work,
    Timer,
}

impl Driver {
    /// Until the session is stopped.
    pub(crate) async fn run(mut self) {
        let mut under_way = UnderWay::Nothing;
        loop {
            let wake = loop {
                match self.next_output() {
                    Output::Wait { at, .. } => break at,
                    Output::Tell(event) => self.callbacks.tell(event),
                    Output::Spool(task) => self.spool(task),
                    Output::Call(call) => under_way.replace(self.call(call)),
                    Output::Open { start } => under_way.replace(self.open(start)),
                    Output::CloseBody => {
                        if let Some(body) = self.state.body.take() {
                            body.end();
                        }
                    }
                    Output::Abort => {
                        self.state.body = None;
                        // Of another request it would end the next.
                        self.state.deaf = None;
                        under_way.replace(UnderWay::Nothing);
                    }
                }
            };
            self.storage.look();
            if self.intake.look(Session::is_stopped) {
                return self.last_calls().await;
            }
            // What was sent changes what is due: ask again.
            if self.transmit() {
                continue;
            }
            match self.wait(&mut under_way, wake).await {
                Woke::Answer(answer) => under_way.replace(self.answered(answer)),
                Woke::Response(Ok(News::Bytes(bytes))) => self.handle(Input::Response(&bytes)),
                Woke::Response(Ok(News::Ack(ack))) => self.handle(Input::Ack(&ack)),
                Woke::Response(Ok(News::End)) => {
                    under_way.replace(UnderWay::Nothing);
                    self.handle(Input::Closed);
                }
                Woke::Response(Err(mut failure)) => {
                    under_way.replace(UnderWay::Nothing);
                    failure.call = Call::PutMedia;
                    self.handle(Input::Failed(&failure));
                }
                Woke::Room(false) => {
                    self.state.body = None;
                    self.state.deaf = Some(self.clock.now() + LAST_WORDS);
                }
                Woke::Room(true) | Woke::Work | Woke::Timer => {}
            }
            self.give_deaf_up(&mut under_way);
        }
    }

    fn next_output(&mut self) -> Output {
        let output = self.intake.poll();
        self.export.pass(output, &self.intake, self.clock.now())
    }

    /// A connection that takes no media any more is lost, whether its response says so or not.
    fn give_deaf_up(&mut self, under_way: &mut UnderWay) {
        if matches!(under_way, UnderWay::Nothing) || self.state.body.is_some() {
            self.state.deaf = None;
        }
        if self
            .state
            .deaf
            .take_if(|until| *until <= self.clock.now())
            .is_some()
        {
            under_way.replace(UnderWay::Nothing);
            let failure = Failure::lost("the connection takes no more media");
            self.handle(Input::Failed(&failure));
        }
    }

    fn spool(&mut self, task: SpoolTask) {
        if self.state.disk.is_none() {
            self.state.disk = Disk::start(&self.intake, self.kvs.definition());
        }
        match &self.state.disk {
            Some(disk) if disk.give(task.clone()) => {}
            Some(_) => {
                let reason = "the thread of the spool has ended, which is a fault of kvssink: what is on disk is sent when the \
                              stream begins anew";
                let reason = reason.to_owned();
                self.intake.spool_news(&SpoolNews::Gone { reason });
            }
            None if task.0 == Task::Open => self.intake.spool_news(&SpoolNews::NotOpened {
                reason: "no thread can be started for the spool".to_owned(),
            }),
            None => {}
        }
    }

    /// The last callbacks are made before whoever waits for the end goes on, unless one of them takes too long.
    async fn last_calls(mut self) {
        let disk = self.state.disk.take();
        let idle = async {
            if let Some(disk) = disk {
                disk.finish().await;
            }
            while !self.callbacks.is_idle() {
                self.intake.work().await;
            }
        };
        // Whether they are over or not, nobody waits for them any longer.
        let _ = tokio::time::timeout(LAST_CALLS, idle).await;
    }

    async fn wait(&self, under_way: &mut UnderWay, wake: Option<Mono>) -> Woke {
        let now = self.clock.now();
        let wake = [wake, self.state.deaf].into_iter().flatten().min();
        let delay = wake.map_or(FAR, |at| at.saturating_since(now));
        let delay = self.intake.look_again().map_or(delay, |at| at.min(delay));
        let room = async {
            match &self.state.body {
                Some(body) if self.intake.look(Session::wants_transmit) => body.has_room().await,
                _ => std::future::pending().await,
            }
        };
        tokio::select! {
            woke = under_way.progress() => woke,
            open = pin!(room) => Woke::Room(open),
            () = self.intake.work() => Woke::Work,
            () = tokio::time::sleep(delay) => Woke::Timer,
        }
    }

    /// As much as the connection takes. True when that was anything.
    fn transmit(&mut self) -> bool {
        let Some(body) = &self.state.body else {
            return false;
        };
        let (room, chunks) = (body.room(), &mut self.state.chunks);
        if room == 0 {
            return false;
        }
        self.intake.with(|session| {
            let now = self.clock.now();
            while chunks.len() < room
                && let Some(bytes) = session.transmit(now)
            {
                let (begins, ends) = (session.began(), session.has_ended_fragment());
                chunks.push(MediaChunk::new(bytes, begins, ends));
            }
        });
        // Not under the lock: whoever reads the body may be woken at once.
        let sent = !chunks.is_empty();
        chunks.drain(..).for_each(|chunk| body.send(chunk));
        sent
    }

    fn handle(&self, input: Input<'_>) {
        if let Input::Failed(failure) = input
            && failure.call == Call::PutMedia
        {
            self.kvs.forget_data_endpoint();
        }
        self.intake
            .with(|session| session.handle(self.clock.now(), input));
    }

    fn call(&self, call: Call) -> UnderWay {
        let (service, kvs) = (Arc::clone(&self.service), Arc::clone(&self.kvs));
        let content_type = self.intake.look(Session::content_type);
        UnderWay::Call(
            call,
            tokio::spawn(async move {
                let answer = async {
                    Ok(match call {
                        Call::Describe => Answer::Described(service.describe_stream(&kvs).await?),
                        Call::Resolve => Answer::Endpoint(service.data_endpoint(&kvs).await?),
                        call => {
                            let content_type = content_type.unwrap_or_default();
                            match call {
                                Call::Create => service.create_stream(&kvs, &content_type),
                                Call::Retain => service.update_retention(&kvs),
                                Call::Delete => service.delete_stream(&kvs),
                                _ => service.tag_stream(&kvs),
                            }
                            .await?;
                            Answer::Done(call)
                        }
                    })
                };
                let answer = in_time(&kvs, answer).await;
                answer.unwrap_or_else(|failure| Answer::Failed(Failure { call, ..failure }))
            }),
        )
    }

    fn open(&mut self, start: Timestamp) -> UnderWay {
        let (body, media) = Media::channel(CHUNKS_UNDER_WAY);
        self.state.body = Some(body);
        let (service, kvs) = (Arc::clone(&self.service), Arc::clone(&self.kvs));
        let endpoint = self.state.endpoint.clone().unwrap_or_default();
        let call = Call::PutMedia;
        UnderWay::Call(
            call,
            tokio::spawn(async move {
                let opened = service.put_media(&kvs, &endpoint, start, media).await;
                opened.map_or_else(
                    |failure| Answer::Failed(Failure { call, ..failure }),
                    Answer::Opened,
                )
            }),
        )
    }

    fn answered(&mut self, answer: Answer) -> UnderWay {
        let offset_ms = self.signing.offset_ms();
        if offset_ms != std::mem::replace(&mut self.state.offset_ms, offset_ms) {
            self.handle(Input::ClockOffset(offset_ms));
        }
        self.tell_who_asks();
        let mut under_way = UnderWay::Nothing;
        match answer {
            Answer::Described(described) => self.handle(Input::Described(described)),
            Answer::Done(call) => self.handle(Input::Done(call)),
            Answer::Endpoint(endpoint) => {
                self.state.endpoint = Some(endpoint);
                self.handle(Input::Done(Call::Resolve));
            }
            Answer::Opened(acks) => {
                let until = acks.until().map(|end| {
                    let left = end
                        .duration_since(TimeSource::now(&self.signing))
                        .unwrap_or_default();
                    self.clock.now() + left
                });
                under_way = UnderWay::Response(acks);
                self.handle(Input::Opened { until });
            }
            Answer::Failed(failure) => {
                self.state.body = None;
                self.handle(Input::Failed(&failure));
            }
        }
        under_way
    }

    /// For the log: which source has won, and the region that was found.
    fn tell_who_asks(&mut self) {
        let source = self.kvs.credentials_from();
        if source != self.state.source
            && let Some(source) = source
        {
            self.state.source = Some(source.clone());
            self.callbacks.tell(Event::Credentials { source });
        }
        let region = self.kvs.found_region();
        if let Some(Region { name, assumed }) = region.filter(|_| !self.state.region_told).cloned()
        {
            self.state.region_told = true;
            self.callbacks.tell(Event::Region { name, assumed });
        }
    }
}

/// A call of the control plane, whoever does it, within the time that any may take.
pub(crate) async fn in_time<T>(
    kvs: &KinesisVideo,
    answer: impl Future<Output = Result<T, Failure>>,
) -> Result<T, Failure> {
    let definition = kvs.definition();
    let once = definition.connection_timeout + definition.completion_timeout;
    let limit = once.saturating_mul(CALL_TIMES);
    let late = || Failure::lost(format!("no answer within {} s", limit.as_secs()));
    let answer = tokio::time::timeout(limit, answer).await;
    answer.unwrap_or_else(|_| Err(late()))
}

/// However the loop ends, the stream ends with it and says so.
impl Drop for Driver {
    fn drop(&mut self) {
        // Whatever else happens here.
        let _closed = Closed(Arc::clone(&self.intake));
        self.intake
            .with(|session| session.abandon(self.clock.now()));
        loop {
            match self.intake.poll() {
                Output::Tell(event) => self.callbacks.tell(event),
                Output::Wait { .. } => break,
                _ => {}
            }
        }
    }
}

struct Closed(Arc<Intake>);

impl Drop for Closed {
    fn drop(&mut self) {
        self.0.close();
    }
}

impl UnderWay {
    fn replace(&mut self, next: Self) {
        if let Self::Call(_, task) = std::mem::replace(self, next) {
            task.abort();
        }
    }

    /// Cancel safe: a task keeps its result, a response its bytes.
    async fn progress(&mut self) -> Woke {
        match self {
            Self::Nothing => std::future::pending().await,
            Self::Response(acks) => Woke::Response(acks.next().await),
            Self::Call(call, task) => match task.await {
                Ok(answer) => Woke::Answer(answer),
                // It panicked: a fault of ours or of a library; to the session it is a failure like another.
                Err(error) => Woke::Answer(Answer::Failed(Failure {
                    call: *call,
                    cause: Cause::Transport,
                    message: format!("the request ended: {error}"),
                })),
            },
        }
    }
}
