//! [`Driver`]: the one loop that performs what the session asks for, and tells it what came.
//!
//! At most one request is under way: a call of the control plane, the attempt to open PutMedia, or its response. Chunks
//! of the body go into a small channel; its room is the wire's.
//! Does not belong here: any decision. The session decides.

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    pin::pin,
    sync::Arc,
    time::Duration,
};

use bytes::Bytes;
use tokio::sync::mpsc;

use super::{
    Service,
    clock::Clock,
    control::ControlPlane,
    credentials::{Keyring, Region},
    endpoints::DataEndpoint,
    export::Export,
    http::Http,
    intake::Intake,
    put_media::{PutMedia, Response},
    signing_clock::SigningClock,
};
use crate::{
    definition::{Invalid, StreamDefinition},
    producer::{StreamCallbacks, tell},
    session::{Call, Cause, Described, Event, Failure, Input, Output},
    time::{Mono, Timestamp},
};

/// Chunks between the session and the connection. They are references to what the store holds.
const CHUNKS_UNDER_WAY: usize = 16;
/// A wait without a deadline.
const FAR: Duration = Duration::from_secs(3600);

/// Runs one stream.
pub(crate) struct Driver {
    intake: Arc<Intake>,
    clock: Clock,
    callbacks: Arc<dyn StreamCallbacks>,
    export: Export,
    control: Arc<ControlPlane>,
    put_media: Arc<PutMedia>,
    endpoint: Option<DataEndpoint>,
    keyring: Keyring,
    signing: SigningClock,
    /// The offset that the session knows of.
    offset_ms: i64,
    /// What was told of the credentials.
    source: Option<String>,
    region_told: bool,
    /// The body of the PutMedia request that is under way; dropped, the body ends.
    body: Option<mpsc::Sender<Bytes>>,
}

/// The request that is under way.
enum UnderWay {
    Nothing,
    Call(Call, tokio::task::JoinHandle<Answer>),
    Response(Response),
}

/// How a request ended, or began to be answered.
enum Answer {
    Described(Described),
    Done(Call),
    Endpoint(DataEndpoint),
    Opened(Response),
    Failed(Failure),
}

/// What woke the driver.
enum Woke {
    Answer(Answer),
    Response(Result<Option<Bytes>, Failure>),
    Room(bool),
    Work,
    Timer,
}

impl Driver {
    pub(crate) fn new(
        service: &Service,
        definition: StreamDefinition,
        intake: Arc<Intake>,
        clock: Clock,
        signing: SigningClock,
        callbacks: Arc<dyn StreamCallbacks>,
    ) -> Result<Self, Invalid> {
        let http = Http::new(service)?;
        let keyring = Keyring::new(service, &definition, &signing, &http);
        let control = ControlPlane::new(
            service,
            &definition,
            keyring.clone(),
            signing.clone(),
            &http,
        )?;
        let put_media = PutMedia::new(
            service,
            &definition,
            keyring.clone(),
            signing.clone(),
            &http,
        )?;
        Ok(Self {
            export: Export::new(&definition.name),
            control: Arc::new(control),
            put_media: Arc::new(put_media),
            intake,
            clock,
            callbacks,
            keyring,
            signing,
            offset_ms: 0,
            source: None,
            region_told: false,
            endpoint: None,
            body: None,
        })
    }

    /// Until the session is stopped.
    pub(crate) async fn run(mut self) {
        let mut under_way = UnderWay::Nothing;
        loop {
            let wake = loop {
                match self.next_output() {
                    Output::Wait { at, .. } => break at,
                    Output::Tell(event) => tell(&*self.callbacks, &event),
                    Output::Call(call) => under_way.replace(self.call(call)),
                    Output::Open { start } => under_way.replace(self.open(start)),
                    Output::CloseBody => self.body = None,
                    Output::Abort => {
                        self.body = None;
                        under_way.replace(UnderWay::Nothing);
                    }
                }
            };
            if self.intake.with(|session| session.is_stopped()) {
                return;
            }
            // What was sent changes what is due: ask again.
            if self.transmit() {
                continue;
            }
            match self.wait(&mut under_way, wake).await {
                Woke::Answer(answer) => under_way.replace(self.answered(answer)),
                Woke::Response(Ok(Some(bytes))) => self.handle(Input::Response(&bytes)),
                Woke::Response(Ok(None)) => {
                    under_way.replace(UnderWay::Nothing);
                    self.handle(Input::Closed);
                }
                Woke::Response(Err(failure)) => {
                    under_way.replace(UnderWay::Nothing);
                    self.handle(Input::Failed(&failure));
                }
                // The connection takes nothing any more: its response or its failure says why.
                Woke::Room(false) => self.body = None,
                Woke::Room(true) | Woke::Work | Woke::Timer => {}
            }
        }
    }

    fn next_output(&mut self) -> Output {
        let output = self.intake.poll();
        self.export.pass(output, &self.intake, self.clock.now())
    }

    async fn wait(&self, under_way: &mut UnderWay, wake: Option<Mono>) -> Woke {
        let now = self.clock.now();
        let delay = wake.map_or(FAR, |at| at.saturating_since(now));
        let room = async {
            match &self.body {
                Some(body) if self.intake.with(|session| session.wants_transmit()) => {
                    body.reserve().await.is_ok()
                }
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
    fn transmit(&self) -> bool {
        let Some(body) = &self.body else { return false };
        let mut sent = false;
        while let Ok(permit) = body.try_reserve() {
            let Some(chunk) = self
                .intake
                .with(|session| session.transmit(self.clock.now()))
            else {
                return sent;
            };
            permit.send(chunk);
            sent = true;
        }
        sent
    }

    fn handle(&self, input: Input<'_>) {
        if let Input::Failed(failure) = input
            && failure.call == Call::PutMedia
        {
            self.control.forget_data_endpoint();
        }
        self.intake
            .with(|session| session.handle(self.clock.now(), input));
    }

    fn call(&self, call: Call) -> UnderWay {
        let control = Arc::clone(&self.control);
        let content_type = self.intake.with(|session| session.content_type());
        UnderWay::Call(
            call,
            tokio::spawn(async move {
                let outcome = match call {
                    Call::Describe => control.describe().await.map(Answer::Described),
                    Call::Create => control
                        .create(&content_type.unwrap_or_default())
                        .await
                        .map(|()| Answer::Done(call)),
                    Call::Retain => control.retain().await.map(|()| Answer::Done(call)),
                    Call::Tag => control.tag().await.map(|()| Answer::Done(call)),
                    Call::Resolve | Call::PutMedia => {
                        control.data_endpoint().await.map(Answer::Endpoint)
                    }
                };
                outcome.unwrap_or_else(Answer::Failed)
            }),
        )
    }

    fn open(&mut self, start: Timestamp) -> UnderWay {
        let (body, chunks) = mpsc::channel(CHUNKS_UNDER_WAY);
        self.body = Some(body);
        let put_media = Arc::clone(&self.put_media);
        let endpoint = self.endpoint.clone();
        UnderWay::Call(
            Call::PutMedia,
            tokio::spawn(async move {
                let Some(endpoint) = endpoint else {
                    let message = "there is no data endpoint".into();
                    return Answer::Failed(Failure {
                        call: Call::PutMedia,
                        cause: Cause::Transport,
                        message,
                    });
                };
                put_media
                    .open(&endpoint, start, chunks)
                    .await
                    .map_or_else(Answer::Failed, Answer::Opened)
            }),
        )
    }

    fn answered(&mut self, answer: Answer) -> UnderWay {
        let offset_ms = self.signing.offset_ms();
        if offset_ms != std::mem::replace(&mut self.offset_ms, offset_ms) {
            self.handle(Input::ClockOffset(offset_ms));
        }
        self.tell_who_asks();
        let mut under_way = UnderWay::Nothing;
        match answer {
            Answer::Described(described) => self.handle(Input::Described(described)),
            Answer::Done(call) => self.handle(Input::Done(call)),
            Answer::Endpoint(endpoint) => {
                self.endpoint = Some(endpoint);
                self.handle(Input::Done(Call::Resolve));
            }
            Answer::Opened(response) => {
                let until = response.until().map(|end| {
                    let left = end.duration_since(self.keyring.now()).unwrap_or_default();
                    self.clock.now() + left
                });
                under_way = UnderWay::Response(response);
                self.handle(Input::Opened { until });
            }
            Answer::Failed(failure) => {
                self.body = None;
                self.handle(Input::Failed(&failure));
            }
        }
        under_way
    }

    /// For the log: which source has won, and the region that was found.
    fn tell_who_asks(&mut self) {
        let source = self.keyring.from();
        if source != self.source
            && let Some(source) = source
        {
            self.source = Some(source.clone());
            tell(&*self.callbacks, &Event::Credentials { source });
        }
        if let Some(region) = self.keyring.found_region().filter(|_| !self.region_told) {
            self.region_told = true;
            let Region { name, assumed } = region.clone();
            tell(&*self.callbacks, &Event::Region { name, assumed });
        }
    }
}

/// However the loop ends (a callback of the application may panic), the stream ends with it and says so.
impl Drop for Driver {
    fn drop(&mut self) {
        self.intake
            .with(|session| session.abandon(self.clock.now()));
        loop {
            let event = match self.next_output() {
                Output::Tell(event) => event,
                Output::Wait { .. } => break,
                _ => continue,
            };
            // Already unwinding, a second panic would end the process.
            let told = AssertUnwindSafe(|| tell(&*self.callbacks, &event));
            if catch_unwind(told).is_err() {
                break;
            }
        }
        self.intake.close();
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
            Self::Response(response) => Woke::Response(response.chunk().await),
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
