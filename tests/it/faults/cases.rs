//! Which faults there are to come through, and what must come of each.

/// A fault, and how it is met.
#[derive(Debug)]
pub(crate) struct Case {
    /// As the service takes it.
    pub(crate) fault: &'static str,
    pub(crate) when: When,
    pub(crate) through: Through,
    pub(crate) end: End,
    /// Outages, each of them announced by one WARNING.
    pub(crate) outages: usize,
    /// What there is to say about it.
    pub(crate) note: &'static str,
}

/// When it is injected. It strikes at its place, which most faults have in themselves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum When {
    /// Before the first frame.
    Start,
    /// When about half of the frames have come, and at least one fragment is stored.
    Middle,
    /// As [`Self::Middle`], and with it the connection is closed: what is about calls needs one.
    MiddleWithCut,
}

/// What is between the frames and the service.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Through {
    /// `kvssink`.
    Element,
    /// The producer's Rust API, for what is no property of the element yet.
    Producer,
}

/// How it ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum End {
    /// With EOS, and everything is stored.
    AllThere,
    /// With EOS, and all but one fragment is stored.
    OneRejected,
    /// With an ERROR.
    Error,
}

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

/// Injected before the start, met by the element, survived without loss.
const fn case(fault: &'static str, outages: usize) -> Case {
    Case {
        fault,
        when: When::Start,
        through: Through::Element,
        end: End::AllThere,
        outages,
        note: "",
    }
}

impl Case {
    const fn when(self, when: When) -> Self {
        Self { when, ..self }
    }

    /// Met by the producer, with a `connection-staleness` of 3 s.
    const fn stale(self) -> Self {
        Self {
            through: Through::Producer,
            note: "connection-staleness = 3 s",
            ..self
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
    case("refuse:2000", 1),
    case("away:2s", 1).when(When::Middle),
    case("black-hole", 1).note("completion-timeout = 3 s"),
    case("clock:-600000", 0).ends(
        End::Error,
        "signatures are refused: the device's clock is wrong",
    ),
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
    case("poison:4006:2:always", 2).ends(
        End::OneRejected,
        "refused twice, then skipped; the rest arrives",
    ),
    case("garbage-acks:5", 1),
    case("lose-acks", 1),
    case("idle-ack", 0),
    case("duplicate-acks", 0),
    case("ack-split:7", 0),
];
