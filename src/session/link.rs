//! One PutMedia request: what goes out, what its acks mean, when it ends.

use bytes::Bytes;

use super::{
    Ack, AckKind, AckReader, Call, Event, Failure, Outage, Output, Session, deadlines,
    policy::Action,
    state::{Link, State, Step},
};
use crate::{
    definition::TimecodeType,
    fragment::{Fragment, FragmentId},
    mkv,
    time::{Mono, Timecode},
};

impl Session {
    /// [`Self::transmit`] has something.
    pub fn wants_transmit(&self) -> bool {
        match &self.state {
            _ if self.pace.due().is_some() => false,
            State::Opening(link) => link.header.is_some() || !link.rest.is_empty(),
            State::Streaming(link) if !link.rest.is_empty() => true,
            State::Streaming(link) if self.is_useless(link) => false,
            State::Streaming(link) => {
                link.header.is_some() || self.store.has_unsent() || self.ends(link)
            }
            _ => false,
        }
    }

    /// The next chunk of the body, when the wire has room for one.
    ///
    /// While the answer of PutMedia is awaited this is only the header of the MKV stream: enough for a proxy that
    /// passes nothing on before the body begins, and little enough that a refusal is read before a reset.
    pub fn transmit(&mut self, now: Mono) -> Option<Bytes> {
        self.began = None;
        if !self.pace.allows(now) {
            return None;
        }
        let mut chunk = self.next_chunk(now)?;
        if let Some(most) = self.pace.send(now, chunk.len())
            && let Some(link) = self.state.link_mut()
        {
            link.rest = chunk.split_off(most);
        }
        self.stats.bytes_sent += chunk.len() as u64;
        self.transfer_rate.add(now, chunk.len() as u64);
        Some(chunk)
    }

    /// The fragment that the last chunk began, by its timecode as on the wire.
    #[cfg(any(feature = "net", test))]
    pub(crate) fn began(&self) -> Option<Timecode> {
        self.began
    }

    /// All was sent of this connection: its last fragment ended with the last chunk.
    #[cfg(any(feature = "net", test))]
    pub(crate) fn has_ended_fragment(&self) -> bool {
        matches!(&self.state, State::Draining(link) if link.rest.is_empty())
    }

    fn next_chunk(&mut self, now: Mono) -> Option<Bytes> {
        let (State::Opening(link) | State::Streaming(link)) = &mut self.state else {
            return None;
        };
        if let Some(header) = link.header.take() {
            return Some(header);
        }
        if !link.rest.is_empty() {
            return Some(std::mem::take(&mut link.rest));
        }
        match &self.state {
            State::Streaming(link) if self.is_useless(link) => return None,
            State::Streaming(link) if self.ends(link) => return self.end_link(now),
            State::Streaming(_) => {}
            _ => return None,
        }
        let begins = self.store.at_boundary();
        let began = self.store.current().map(|fragment| fragment.timecode);
        let chunk = self.store.next_chunk()?;
        let resent = begins
            && self
                .store
                .current()
                .is_some_and(|fragment| fragment.sent > 1);
        if begins && let State::Streaming(link) = &mut self.state {
            self.began = began;
            link.clusters += 1;
            // BUFFERING of this one, RECEIVED and PERSISTED of the one before.
            link.due.get_or_insert(now);
        }
        self.stats.fragments_resent += u64::from(resent);
        Some(chunk)
    }

    /// No media was sent in this session, and what is next does not go under its header: it was evicted meanwhile.
    fn is_useless(&self, link: &Link) -> bool {
        let next = self.store.current();
        link.clusters == 0
            && self.store.at_boundary()
            && next.is_none_or(|next| !self.may_follow(link, next))
    }

    /// This session is over at the next boundary of fragments: it is idle or old, the stream ends, other tracks follow, too much
    /// waits for confirmation, or it is another's turn.
    fn ends(&self, link: &Link) -> bool {
        if link.clusters == 0 || !self.store.at_boundary() {
            return false;
        }
        let next = self.store.current();
        link.last
            || next.is_some_and(|next| !self.may_follow(link, next))
            || (next.is_none() && self.ending.is_some())
            || self.confirms_late()
            || self.ends_turn(next)
    }

    /// This fragment may follow in this session, and can be had.
    fn may_follow(&self, link: &Link, next: &Fragment) -> bool {
        link.takes(next) && !(next.away && self.spool_hangs())
    }

    /// Without acks only the end of a session tells what arrived, so it comes before half of the storage waits for it, or
    /// when a frame does.
    fn confirms_late(&self) -> bool {
        if self.definition.fragment_acks {
            return false;
        }
        self.full
            || self
                .store
                .sent_pending()
                .map(|fragment| {
                    fragment
                        .cost
                        .max(fragment.file.map_or(0, |file| file.bytes))
                })
                .sum::<u64>()
                > self.storage_limit() / 2
    }

    /// Ends the last fragment, so that it is acknowledged without waiting for the next cluster.
    fn end_link(&mut self, now: Mono) -> Option<Bytes> {
        match std::mem::replace(&mut self.state, State::New) {
            State::Streaming(mut link) => {
                link.due.get_or_insert(now);
                self.state = State::Draining(link);
                self.turn_ends();
                self.tell(Event::State(self.state.name()));
                Some(mkv::end_of_fragment())
            }
            other => {
                self.state = other;
                None
            }
        }
    }

    pub(super) fn open(&mut self, now: Mono) {
        self.take_turn(now);
        let Some(first) = self.store.current() else {
            return;
        };
        let start = match self.definition.timecode_type {
            TimecodeType::Absolute => first.first,
            TimecodeType::Relative => first.start,
        };
        let link = Link {
            header: Some(mkv::stream_header(&first.tracks)),
            rest: Bytes::new(),
            tracks: first.tracks.clone(),
            epoch: first.epoch,
            clusters: 0,
            opened: now,
            rotation: deadlines::rotation(now, None),
            last: false,
            due: None,
            acks: AckReader::default(),
        };
        self.stats.connection_attempts += 1;
        self.outputs.push_back(Output::Open { start });
        self.enter(State::Opening(link));
    }

    pub(super) fn opened(&mut self, now: Mono, until: Option<Mono>) {
        if !matches!(self.state, State::Opening(_)) {
            return;
        }
        let State::Opening(mut link) = std::mem::replace(&mut self.state, State::New) else {
            return;
        };
        link.rotation = deadlines::rotation(link.opened, until.map(|until| (now, until)));
        self.turn_begins(now);
        self.state = State::Streaming(link);
        self.stats.sessions += 1;
        self.tell(Event::State(self.state.name()));
        let resent = self.store.pending().filter(|fragment| fragment.sent > 0);
        let resending = resent.count() as u64;
        if let Some(outage) = &mut self.outage {
            outage.resending = resending;
        }
        // Without acks this is all there is to know until the session ends.
        if !self.definition.fragment_acks {
            self.restored(now);
        }
    }

    fn restored(&mut self, now: Mono) {
        if let Some(Outage { since, resending }) = self.outage.take() {
            self.tell(Event::ConnectionRestored {
                outage: now.saturating_since(since),
                resending,
            });
        }
    }

    pub(super) fn response(&mut self, now: Mono, bytes: &[u8]) {
        let Some(link) = self.state.link_mut() else {
            return;
        };
        let (acks, end) = link.acks.feed(bytes);
        for ack in acks {
            self.acknowledged(now, ack);
            if self.state.link().is_none() {
                return;
            }
        }
        if let Err(error) = end {
            let failure = Failure::lost(error.to_string());
            self.act(now, Action::Retry, &failure, None);
        }
    }

    pub(super) fn acknowledged(&mut self, now: Mono, mut ack: Ack) {
        ack.latency = self.measure(now, &ack);
        self.tell(Event::Ack(ack.clone()));
        match (ack.kind, ack.timecode) {
            (AckKind::Persisted, Some(timecode)) => self.persisted(now, timecode),
            (AckKind::Received, Some(timecode)) if self.keeps_nothing => {
                self.persisted(now, timecode)
            }
            (AckKind::Error, _) => return self.refused(now, &ack),
            // The service waits for media: what is due is due all the same.
            (AckKind::Idle, _) => return,
            _ => {}
        }
        let due = self.owes_ack();
        if let Some(link) = self.state.link_mut() {
            link.due = due.then_some(now);
        }
    }

    /// A fragment is not settled though the service knows its end: another began after it, or its end was sent.
    fn owes_ack(&self) -> bool {
        let mut complete = self.store.sent_pending();
        let last_is_known = !self.store.at_boundary() || !matches!(self.state, State::Streaming(_));
        complete.next().is_some() && (last_is_known || complete.next().is_some())
    }

    fn persisted(&mut self, now: Mono, timecode: Timecode) {
        let id = self.sent_as(timecode);
        if let Some((frames, arrived)) = id.and_then(|id| self.store.persisted(id)) {
            self.stats.frames_persisted += frames;
            self.stats.fragments_persisted += 1;
            self.stats.persisted_latency = Some(now.saturating_since(arrived));
            self.backoff.reset();
            self.restored(now);
        }
    }

    /// The fragment that an ack of the connection means.
    pub(super) fn sent_as(&self, timecode: Timecode) -> Option<FragmentId> {
        self.store.find(self.state.link()?.epoch, timecode)
    }

    pub(super) fn response_ended(&mut self, now: Mono) {
        match &self.state {
            State::Closing { .. } => {
                if !self.definition.fragment_acks {
                    let confirmed: Vec<_> = self
                        .store
                        .sent_pending()
                        .map(|fragment| fragment.timecode)
                        .collect();
                    for timecode in confirmed {
                        self.persisted(now, timecode);
                    }
                }
                self.store.rewind();
                self.enter(State::Ready);
            }
            _ => self.act(
                now,
                Action::Retry,
                &Failure::lost("the service ended the connection"),
                None,
            ),
        }
    }

    /// Draining is over when all that was sent is settled; a session that has nothing to say is given up.
    pub(super) fn advance_link(&mut self, now: Mono) {
        let acks = self.definition.fragment_acks;
        match &self.state {
            State::Draining(_) if !acks || self.store.sent_pending().next().is_none() => {
                if let State::Draining(link) = std::mem::replace(&mut self.state, State::New) {
                    self.outputs.push_back(Output::CloseBody);
                    self.state = State::Closing { link, since: now };
                    self.tell(Event::State(self.state.name()));
                }
            }
            State::Streaming(link) if self.is_useless(link) || self.waits_in_vain(link) => {
                self.leave_link();
            }
            // Nobody will come any more that could use it.
            State::Opening(_) if self.ending.is_some() && self.store.is_empty() => {
                self.leave_link()
            }
            _ => {}
        }
    }

    /// Gives the connection up and opens another with the next [`Self::poll`]: whatever was sent and is not PERSISTED is
    /// sent again. Ends a back-off. Where no connection is wanted, nothing happens.
    pub fn reset_connection(&mut self) {
        // Not at once: whoever drives must not send what is of the next connection before it knows that this one is over.
        self.reset = true;
    }

    /// [`Self::reset_connection`] was called.
    pub(super) fn reopen(&mut self) {
        match &self.state {
            State::Opening(_)
            | State::Streaming(_)
            | State::Draining(_)
            | State::Closing { .. } => {
                self.drop_link();
                self.enter(State::Ready);
            }
            // On its way it may wait for a network that is gone.
            State::Calling(call) => {
                let call = *call;
                self.outputs.push_back(Output::Abort);
                self.call(call);
            }
            State::Activating { .. } => self.call(Call::Describe),
            State::BackingOff { then, .. } => match *then {
                Step::Call(call) => self.call(call),
                Step::Open => self.enter(State::Ready),
            },
            State::New
            | State::Unannounced
            | State::Ready
            | State::Leaving { .. }
            | State::Stopped => {}
        }
    }

    /// Whatever was sent and is not PERSISTED will be sent again.
    pub(super) fn drop_link(&mut self) {
        if self.state.link().is_some() {
            self.outputs.push_back(Output::Abort);
            self.store.rewind();
            self.turn_breaks();
        }
    }

    /// The connection has done what it was for.
    pub(super) fn leave_link(&mut self) {
        self.outputs.push_back(Output::Abort);
        self.store.rewind();
        self.enter(State::Ready);
    }
}
