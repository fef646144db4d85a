//! The table states × events, printed and kept under snapshot, so that a change of the protocol is a change to read.
//!
//! Each cell: a fresh session is brought into the state of the row through its public methods, gets the event of the
//! column, and is then driven as the driver would (poll until it waits, transmit what it wants to send) until it rests.
//! Does not belong here: sequences of events (`sim`), the table of errors (`policy`).

use std::time::Duration;

use bytes::Bytes;

use super::{
    Call, Cause, Described, Event, Failure, Input, Output, Session, SpoolNews, StreamStatus,
    state::State,
};
use crate::{
    definition::{SpoolDefinition, StreamDefinition, StreamName},
    fragment::tests::tracks,
    media::{Frame, TrackNumber},
    time::{Mono, Timestamp},
};

const HOUR: Duration = Duration::from_secs(3600);

/// A session and its clock.
struct Rig {
    session: Session,
    now: Mono,
    outputs: Vec<Output>,
    /// When the session wants to be polled again.
    wake: Option<Mono>,
}

impl Rig {
    fn new() -> Self {
        Self::with_spool(None)
    }

    fn with_spool(spool: Option<SpoolDefinition>) -> Self {
        let mut definition = StreamDefinition::new(StreamName::new("cam1").unwrap());
        definition.spool = spool;
        definition.tags = [("site".to_owned(), "yard".to_owned())].into();
        Self {
            session: Session::new(definition, 7),
            now: Mono::from_secs(1),
            outputs: Vec::new(),
            wake: None,
        }
    }

    /// With a track and a fragment that has begun.
    fn with_media(mut rig: Self) -> Self {
        rig.session.set_tracks(&tracks(640)).unwrap();
        rig.key_frame(1000);
        rig
    }

    fn key_frame(&mut self, ms: u64) {
        let frame = Frame {
            track: TrackNumber::VIDEO,
            pts: Timestamp::from_millis(ms),
            dts: None,
            key: true,
            payload: Bytes::from_static(&[0; 100]),
        };
        // A session that is over refuses it, which the table shows as "unchanged".
        let _ = self.session.put_frame(self.now, frame);
    }

    /// As the driver does, until nothing happens any more without an input or time.
    fn rest(&mut self) -> &mut Self {
        loop {
            let mut quiet = true;
            loop {
                match self.session.poll(self.now) {
                    Output::Wait { at, .. } => {
                        self.wake = at;
                        break;
                    }
                    output => {
                        self.outputs.push(output);
                        quiet = false;
                    }
                }
            }
            while self.session.transmit(self.now).is_some() {
                quiet = false;
            }
            if quiet {
                return self;
            }
        }
    }

    fn give(&mut self, input: Input<'_>) -> &mut Self {
        self.session.handle(self.now, input);
        self.rest()
    }

    fn described(&mut self, status: StreamStatus) -> &mut Self {
        self.give(Input::Described(Described {
            status,
            retention: HOUR,
        }))
    }

    /// The call that is under way fails; a stale failure when none is.
    fn fail(&mut self, cause: Cause) -> &mut Self {
        let call = self.session.state.call().unwrap_or(Call::Describe);
        let failure = Failure {
            call,
            cause,
            message: "as the table wants it".into(),
        };
        self.give(Input::Failed(&failure))
    }

    fn answer(&mut self, status: u16, code: &str) -> &mut Self {
        self.fail(Cause::Answer {
            status,
            code: code.into(),
            request_id: None,
        })
    }

    fn response(&mut self, text: &str) -> &mut Self {
        self.give(Input::Response(text.as_bytes()))
    }

    fn at(state: &str) -> Self {
        let mut rig = match state {
            "unannounced" | "ready" => Self::new(),
            "leaving" => Self::with_media(Self::with_spool(Some(SpoolDefinition::new("/spool")))),
            _ => Self::with_media(Self::new()),
        };
        match state {
            "new" => return rig,
            "stopped" => {
                let at = rig.now;
                rig.session.end(at, at, true);
                rig.rest();
            }
            _ => {
                rig.rest();
            }
        }
        rig.session.definition.update_retention = state == "retaining";
        let not_found = (404, "ResourceNotFoundException");
        match state {
            "describing" | "stopped" => {}
            "leaving" => {
                let opened = SpoolNews::Opened {
                    fragments: Vec::new(),
                    damaged: Vec::new(),
                };
                rig.session.handle_spool(rig.now, &opened);
                rig.answer(403, "AccessDeniedException");
                rig.answer(403, "AccessDeniedException");
            }
            "unannounced" | "creating" => {
                rig.answer(not_found.0, not_found.1);
            }
            "activating" => {
                rig.described(StreamStatus::Creating);
            }
            "tagging" => {
                rig.answer(not_found.0, not_found.1)
                    .give(Input::Done(Call::Create))
                    .described(StreamStatus::Active);
            }
            _ => {
                rig.described(StreamStatus::Active);
                if !["retaining", "resolving"].contains(&state) {
                    rig.give(Input::Done(Call::Resolve));
                }
                if state == "backing-off" {
                    rig.answer(400, "ClientLimitExceededException");
                }
                if ["streaming", "draining", "closing"].contains(&state) {
                    rig.give(Input::Opened { until: None });
                }
                if ["draining", "closing"].contains(&state) {
                    rig.session.set_tracks(&tracks(320)).unwrap();
                    rig.key_frame(3000);
                    rig.rest();
                }
                if state == "closing" {
                    rig.response(PERSISTED);
                }
            }
        }
        assert_eq!(rig.session.stats(rig.now).state, state);
        rig.outputs.clear();
        rig
    }
}

const PERSISTED: &str = r#"{"EventType":"PERSISTED","FragmentTimecode":1000}"#;

const EVENTS: [&str; 18] = [
    "active",
    "creating",
    "done",
    "lost",
    "throttled",
    "denied",
    "opened",
    "PERSISTED",
    "ERROR 4006",
    "ERROR 4005",
    "closed",
    "garbage",
    "key frame",
    "other tracks",
    "drain",
    "stop",
    "stop is due",
    "timer",
];

fn happen(rig: &mut Rig, event: &str) {
    let now = rig.now;
    match event {
        "active" => rig.described(StreamStatus::Active),
        "creating" => rig.described(StreamStatus::Creating),
        "done" => {
            let call = rig.session.state.call().unwrap_or(Call::Resolve);
            rig.give(Input::Done(call))
        }
        "lost" => rig.fail(Cause::Transport),
        "throttled" => rig.answer(400, "ClientLimitExceededException"),
        "denied" => rig.answer(403, "AccessDeniedException"),
        "opened" => rig.give(Input::Opened { until: None }),
        "PERSISTED" => rig.response(PERSISTED),
        "ERROR 4006" => {
            rig.response(r#"{"EventType":"ERROR","FragmentTimecode":1000,"ErrorId":4006}"#)
        }
        "ERROR 4005" => rig.response(r#"{"EventType":"ERROR","ErrorId":4005}"#),
        "closed" => rig.give(Input::Closed),
        "garbage" => rig.response("<html>502</html>"),
        "key frame" => {
            rig.session.set_tracks(&tracks(640)).unwrap();
            rig.key_frame(5000);
            rig.rest()
        }
        "other tracks" => {
            rig.session.set_tracks(&tracks(160)).unwrap();
            rig.rest()
        }
        "drain" | "stop" => {
            rig.session
                .end(now, now + Duration::from_secs(120), event == "stop");
            rig.rest()
        }
        "stop is due" => {
            rig.session.end(now, now, true);
            rig.rest()
        }
        "timer" => {
            rig.rest();
            rig.outputs.clear();
            rig.now = rig.wake.unwrap_or(now + HOUR);
            rig.rest()
        }
        _ => unreachable!("{event}"),
    };
}

fn cell(state: &str, event: &str) -> String {
    let mut rig = Rig::at(state);
    happen(&mut rig, event);
    let after = rig.session.stats(rig.now).state;
    let mut cell = if after == state { "·" } else { after }.to_owned();
    let mut marks = String::new();
    for output in &rig.outputs {
        let mark = match output {
            Output::Call(Call::Describe) => 'D',
            Output::Call(Call::Create) => 'C',
            Output::Call(Call::Tag) => 'T',
            Output::Call(Call::Retain) => 'U',
            Output::Call(Call::Resolve | Call::PutMedia) => 'R',
            Output::Open { .. } => 'O',
            Output::CloseBody => 'e',
            Output::Abort => 'x',
            Output::Tell(Event::ConnectionLost(_)) => '!',
            Output::Tell(Event::ConnectionRestored { .. }) => '+',
            Output::Tell(Event::FramesDropped { .. }) => '-',
            Output::Tell(Event::Failed(_)) => 'F',
            _ => continue,
        };
        marks.push(mark);
    }
    if let Some(outcome) = rig.session.ended()
        && state != "stopped"
    {
        marks.push(if outcome.is_ok() { '=' } else { '#' });
    }
    if !marks.is_empty() {
        cell = format!("{cell} {marks}");
    }
    cell
}

const LEGEND: &str = "\
· unchanged; else the state after it
calls: D describe, C create, T tag, U update the retention, R resolve the endpoint, O open PutMedia, e end its body, x abort
told:  ! connection lost, + restored, - frames dropped, F failed
ended: = all is PERSISTED, # it is not
";

#[test]
fn every_state_has_an_answer_to_every_event() {
    let mut rows = vec![
        std::iter::once("")
            .chain(EVENTS)
            .map(str::to_owned)
            .collect::<Vec<_>>(),
    ];
    for state in State::NAMES {
        let cells = EVENTS.into_iter().map(|event| cell(state, event));
        rows.push(std::iter::once(state.to_owned()).chain(cells).collect());
    }
    let mut table = LEGEND.to_owned();
    for row in rows {
        let mut line = String::new();
        for cell in row {
            line += &format!("{cell:<15}");
        }
        table += line.trim_end();
        table.push('\n');
    }
    insta::assert_snapshot!(table);
}
