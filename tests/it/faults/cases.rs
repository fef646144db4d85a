//! Which faults there are to come through, and what must come of each.

use std::time::Duration;

use gstkvssink::local::{Fault, FaultKind};

/// A fault, and how it is met.
#[derive(Debug)]
pub(crate) struct Case {
    /// As the service takes it.
    pub(crate) fault: &'static str,
    pub(crate) when: When,
    /// See [`Self::end`].
    end: End,
    error_offline: bool,
    /// Outages, each of them announced by one WARNING.
    pub(crate) outages: usize,
    /// `connection-staleness`, in seconds.
    pub(crate) staleness_s: u32,
    /// Frames in realtime, 25 a second.
    pub(crate) frames: u32,
    /// The frame at which it is over, if it is not over by itself.
    pub(crate) over: Option<usize>,
    /// What there is to say about it.
    pub(crate) note: &'static str,
}

/// When it is injected. It strikes at its place, which most faults have in themselves.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum When {
    /// Before the first frame.
    Start,
    /// As [`Self::Start`], and cleared when the outage is announced.
    StartUntilLost,
    /// When about half of the frames have come, and at least one fragment is stored.
    Middle,
    /// As [`Self::Middle`], and with it the connection ends (`end-after:1`): what is about calls needs a new one.
    MiddleWithCut,
}

impl When {
    pub(crate) fn is_start(self) -> bool {
        matches!(self, Self::Start | Self::StartUntilLost)
    }
}

/// How it ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum End {
    /// With EOS, and everything is stored.
    AllThere,
    /// With EOS, and all but one fragment is stored.
    OneRejected,
    /// With EOS, and what did not find its place within this bound is not stored.
    TooLong(Bound),
    /// With an ERROR.
    Error,
}

/// What bounds the media that is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Bound {
    /// A `buffer-duration` of 2 s.
    Age,
    /// A `storage-size` of 1 MiB, and media of 2.5 Mbit/s.
    Storage,
}

impl Bound {
    /// The reason of what is dropped for it.
    pub(crate) fn reason(self) -> &'static str {
        match self {
            Self::Age => "age",
            Self::Storage => "storage",
        }
    }
}

/// Frames of a fragment, in realtime: of a second.
pub(crate) const GOP: usize = 25;

/// How a stream takes its frames.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Type {
    Realtime,
    Offline,
}

impl Type {
    pub(crate) const BOTH: [Self; 2] = [Self::Realtime, Self::Offline];

    /// The value of `streaming-type`.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Realtime => "realtime",
            Self::Offline => "offline",
        }
    }
}

/// `connection-staleness` in seconds, where no silence is meant.
const STALENESS_S: u32 = 60;

/// Injected before the start, survived without loss.
const fn case(fault: &'static str, outages: usize) -> Case {
    Case {
        fault,
        when: When::Start,
        end: End::AllThere,
        error_offline: false,
        outages,
        staleness_s: STALENESS_S,
        frames: 125,
        over: None,
        note: "",
    }
}

impl Case {
    const fn when(self, when: When) -> Self {
        Self { when, ..self }
    }

    /// With a `connection-staleness` of 3 s: long enough that a busy machine is not stale.
    const fn stale(self) -> Self {
        Self {
            staleness_s: 3,
            note: "connection-staleness = 3 s",
            ..self
        }
    }

    /// Its silence is noticed.
    pub(crate) fn is_stale(&self) -> bool {
        self.staleness_s < STALENESS_S
    }

    /// A service that is away in the middle of so many frames.
    pub(crate) const fn away(fault: &'static str, frames: u32) -> Self {
        Self {
            frames,
            ..case(fault, 1).when(When::Middle)
        }
    }

    /// As [`Self::away`], until so many frames came: more than it keeps within this bound.
    pub(crate) const fn away_too_long(over: usize, frames: u32, bound: Bound) -> Self {
        Self {
            end: End::TooLong(bound),
            over: Some(over),
            ..Self::away("away", frames)
        }
    }

    /// For how long the service is away, if that is the fault.
    pub(crate) fn away_for(&self) -> Option<Duration> {
        match self.fault.parse::<Fault>().map(|fault| fault.kind) {
            Ok(FaultKind::Away { period }) => period,
            _ => None,
        }
    }

    /// Offline it ends with an ERROR.
    const fn error_offline(self) -> Self {
        Self {
            error_offline: true,
            ..self
        }
    }

    /// How it ends in this streaming type.
    pub(crate) fn end(&self, kind: Type) -> End {
        match kind {
            Type::Offline if self.error_offline => End::Error,
            _ => self.end,
        }
    }

    const fn ends(self, end: End, note: &'static str) -> Self {
        Self { end, note, ..self }
    }

    const fn note(self, note: &'static str) -> Self {
        Self { note, ..self }
    }
}

/// The examples of the service's list of faults first, in its order.
pub(crate) const CASES: &[Case] = &[
    case("http:DescribeStream:400/ClientLimitExceededException:2", 1),
    case("connection-limit:3", 1),
    case("slow-open:500", 0),
    case("refuse:2000", 1).when(When::MiddleWithCut),
    case("away:2s", 1).when(When::Middle),
    case("black-hole", 1).note("completion-timeout = 3 s"),
    case("clock:-600000", 0).note(CLOCK),
    case("reset-at-byte:10000", 1),
    case("close-at-byte:10000", 1),
    case("close-mid-frame:12", 1),
    case("close-at-fragment:2", 1),
    case("reset-at-fragment:2", 1),
    case("stop-reading-at-byte:10000", 1).stale(),
    case("read-slowly:50000", 0),
    case("end-after:1500", 1),
    case("half-close", 1),
    case("never-ack", 1).stale(),
    case("delay-acks:800", 0),
    case("error-ack:5000:2", 1),
    case("poison:4006:2:always", 1).ends(End::OneRejected, POISON),
    case("garbage-acks:5", 1),
    case("lose-acks", 1),
    case("idle-ack", 0),
    case("duplicate-acks", 0),
    case("ack-split:7", 0),
    // Calls that are refused, before the first session and later.
    case("http:*:503:3", 1),
    case("http:DescribeStream:403", 0).note("a policy need not allow it"),
    case("http:CreateStream:500:2", 1),
    case("http:GetDataEndpoint:429:2", 1),
    case("http:PutMedia:400", 0).ends(End::Error, REFUSED),
    case("http:PutMedia:401", 0).ends(End::Error, DENIED),
    case("http:PutMedia:403", 0).ends(End::Error, DENIED),
    case("http:PutMedia:404", 1),
    case("http:PutMedia:408:2", 1),
    case("http:PutMedia:429:2", 1),
    case("http:PutMedia:500:2", 1),
    case("http:PutMedia:503:2", 1),
    case("http:PutMedia:400", 1)
        .when(When::MiddleWithCut)
        .ends(End::Error, REFUSED),
    case("http:PutMedia:401:2", 1)
        .when(When::MiddleWithCut)
        .error_offline()
        .note(WORKED),
    case("http:PutMedia:403/ExpiredTokenException:2", 1)
        .when(When::MiddleWithCut)
        .error_offline()
        .note(WORKED),
    case("http:PutMedia:404", 1).when(When::MiddleWithCut),
    case("http:PutMedia:503:2", 1).when(When::MiddleWithCut),
    // The device's clock is wrong from the start, or is set wrong.
    case("clock:600000", 0).note(CLOCK),
    case("clock:-600000", 1)
        .when(When::MiddleWithCut)
        .note(CLOCK),
    case("clock:600000", 1)
        .when(When::MiddleWithCut)
        .note(CLOCK),
    // The way to the service.
    case("refuse", 1).when(When::StartUntilLost),
    case("black-hole", 1)
        .when(When::MiddleWithCut)
        .note("completion-timeout = 3 s"),
    case("reset-at-byte:10000:3", 1).note("an outage lasts until a fragment is PERSISTED"),
    // What the service says of a fragment.
    case("error-ack:4000:2", 1),
    case("error-ack:4001:2", 1).note(ONCE_MORE),
    case("error-ack:4002:2", 1).note(ONCE_MORE),
    case("error-ack:4003:2", 1),
    case("error-ack:4004:2", 1).note(ONCE_MORE),
    case("error-ack:4005:2", 0).ends(End::Error, REFUSED),
    case("error-ack:4006:2", 1).note(ONCE_MORE),
    case("error-ack:4007:2", 1),
    case("error-ack:4008:2", 1),
    case("error-ack:4009:2", 1).note(ONCE_MORE),
    case("error-ack:4010:2", 0).ends(End::Error, REFUSED),
    case("error-ack:4011:2", 0).ends(End::Error, REFUSED),
    case("error-ack:4012:2", 0).ends(End::Error, REFUSED),
    case("error-ack:4500:2", 1),
    case("error-ack:4501:2", 1),
    case("error-ack:4507:2", 1),
    case("error-ack:5001:2", 1),
    case("poison:4001:2:always", 1).ends(End::OneRejected, POISON),
    case("poison:4002:2:always", 1).ends(End::OneRejected, POISON),
    case("poison:4004:2:always", 1).ends(End::OneRejected, POISON),
    case("poison:4009:2:always", 1).ends(End::OneRejected, POISON),
];

const CLOCK: &str = "signed again by the clock of the service";
const ONCE_MORE: &str = "sent once more, and taken";
const POISON: &str = "refused twice, then skipped; the rest arrives";
const REFUSED: &str = "it cannot work, however often it is tried";
const DENIED: &str = "wrong credentials, or no permission";
const WORKED: &str = "what worked before is worth waiting for; but not for a file";
