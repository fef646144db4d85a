//! [`Lane`]: one pad's way from buffers to frames.
//!
//! In: caps, segments and buffers of one pad. Out: the frames, with their track whenever it is another one.
//! Does not belong here: pads and events ([`super::pads`], `imp`), waiting, what becomes of the frames (`producer`).

use std::time::Duration;

use smallvec::SmallVec;

use super::{
    caps::Said,
    convert::{Converted, convert},
    stamp::{self, Moment, Place, Stamps},
};
use crate::{
    fragment::DropReason,
    media::{Frame, Malformed, Reframer, Track, TrackNumber},
};

/// What kvssink knows of a pad.
pub(super) struct Lane {
    pub(super) number: TrackNumber,
    pub(super) segment: gst::Segment,
    pub(super) stamps: stamp::Lane,
    /// A stream began on the pad, and did not end.
    pub(super) started: bool,
    pub(super) ended: bool,
    /// The newest caps cannot be sent, and that was posted.
    pub(super) caps_refused: bool,
    /// From the newest caps.
    reframer: Option<Reframer>,
    /// Of frames that were dropped: it is that of those that follow, too.
    untold: Option<Track>,
    frame_duration: Option<Duration>,
}

/// What a buffer became.
#[derive(Default)]
pub(super) struct Taken {
    /// Of these frames, when it is another one.
    pub(super) track: Option<Track>,
    pub(super) frames: SmallVec<[Frame; 1]>,
    /// Another clock counts from here on: a new session has to begin.
    pub(super) anew: bool,
    /// Running time jumped.
    pub(super) jumped: bool,
}

impl Lane {
    pub(super) fn new(number: TrackNumber) -> Self {
        Self {
            number,
            segment: gst::FormattedSegment::<gst::ClockTime>::new().upcast(),
            stamps: stamp::Lane::default(),
            started: false,
            ended: false,
            caps_refused: false,
            reframer: None,
            untold: None,
            frame_duration: None,
        }
    }

    /// The caps are another: of which track, if it is known before the first frame.
    ///
    /// # Errors
    /// Why they cannot be sent.
    pub(super) fn set_caps(&mut self, said: Said) -> Result<Option<Track>, String> {
        self.frame_duration = said.hints.frame_duration;
        let reframer = said.reframer(self.reframer.take())?;
        let track = reframer.track().cloned();
        self.reframer = Some(reframer);
        self.untold = None;
        Ok(track)
    }

    pub(super) fn is_video(&self) -> Option<bool> {
        let reframer = self.reframer.as_ref()?;
        Some(reframer.format().codec().is_video())
    }

    /// The frames of a buffer. `leads`: key frames of this track begin fragments.
    ///
    /// # Errors
    /// The reason to drop it, and in words what is wrong.
    pub(super) fn take(
        &mut self,
        buffer: &gst::Buffer,
        stamps: &mut Stamps,
        moment: &Moment,
        leads: bool,
    ) -> Result<Taken, (DropReason, String)> {
        let Converted {
            key,
            mut times,
            payload,
        } = convert(buffer, &self.segment)?;
        let Some(reframer) = &mut self.reframer else {
            return Err((DropReason::NoTrack, "there were no caps before".into()));
        };
        let is_video = reframer.format().codec().is_video();
        let reframed = reframer.take(payload, key).map_err(|error| {
            let reason = match error {
                Malformed::NoParameterSets => DropReason::NoKeyFrame,
                _ => DropReason::Malformed,
            };
            (reason, error.to_string())
        })?;
        times.duration = times.duration.or(self.frame_duration);
        let track = reframed.track.or_else(|| self.untold.take());
        let mut taken = Taken::default();
        for unit in reframed.frames {
            let place = Place {
                key: unit.key,
                reorders: !(is_video && unit.key),
                in_order: !is_video,
                lead: leads,
            };
            let later = i64::try_from(unit.offset.as_nanos()).unwrap_or(i64::MAX);
            let mut times = times;
            for time in [&mut times.pts, &mut times.dts].into_iter().flatten() {
                *time = time.saturating_add(later);
            }
            for time in [&mut times.raw_pts, &mut times.raw_dts]
                .into_iter()
                .flatten()
            {
                *time = time.saturating_add(later.unsigned_abs());
            }
            let stamped = stamps.stamp(&mut self.stamps, &times, place, moment);
            let Some(stamped) = stamped else {
                self.untold = track;
                let text = "the buffer has no timestamp".to_owned();
                return Err((DropReason::NoTimestamp, text));
            };
            taken.anew |= stamped.anew;
            taken.jumped |= stamped.jumped;
            taken.frames.push(Frame {
                track: self.number,
                pts: stamped.pts,
                dts: stamped.dts,
                key: unit.key,
                payload: unit.payload,
            });
        }
        taken.track = track;
        Ok(taken)
    }
}
