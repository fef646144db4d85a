//! H.264 and H.265: the parameter sets make the track, the NAL units say where decoding may start.
//!
//! In: access units with lengths or start codes before their NAL units. Out: access units with lengths.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;

use super::super::codec::Codec;
use super::super::h264::{self, Avcc, ParameterSet, check_nal_lengths};
use super::super::h265::{self, Hvcc};
use super::super::nal::{Role, Slice, byte_stream_units, push_with_length, units_with_lengths};
use super::super::track::{MAX_CODEC_PRIVATE, Track, TrackKind};
use super::{Format, Hints, InvalidFormat, Malformed, Reframed, codec_data};

/// Bytes of the lengths that take the place of start codes.
const LENGTH_SIZE: u8 = 4;
/// Most bytes of a parameter set: its length has two bytes in the codec private data.
const MAX_SET: usize = u16::MAX as usize;

/// Parameter sets by kind and id: the order of the codec private data.
type Sets = BTreeMap<(ParameterSet, u8), Bytes>;

/// What is known of the stream.
#[derive(Clone, Debug)]
pub(super) struct Pictures {
    codec: Codec,
    hints: Hints,
    /// Bytes of the lengths before NAL units; `None`: start codes.
    lengths: Option<u8>,
    /// Parameter sets come in the access units.
    in_band: bool,
    /// The latest of each.
    sets: Sets,
    /// Those that the track was made of.
    in_track: Sets,
    track: Option<Track>,
    /// What came without a picture, with lengths, for the next access unit.
    waiting: Vec<u8>,
}

impl Pictures {
    pub(super) fn new(
        format: Format,
        codec_data: Option<Bytes>,
        hints: Hints,
    ) -> Result<Self, InvalidFormat> {
        let codec = format.codec();
        let (in_band, lengths) = match format {
            Format::Avc | Format::Hvc1 => (false, true),
            Format::Avc3 | Format::Hev1 => (true, true),
            _ => (true, false),
        };
        let mut pictures = Self {
            codec,
            hints,
            lengths: lengths.then_some(LENGTH_SIZE),
            in_band,
            sets: Sets::new(),
            in_track: Sets::new(),
            track: None,
            waiting: Vec::new(),
        };
        match codec_data {
            None if !in_band => return Err(InvalidFormat::NoCodecData { codec }),
            None => {}
            Some(record) if lengths => pictures.begin_with(record)?,
            Some(data) => {
                for unit in codec_data::read_byte_stream(codec, &data) {
                    pictures.keep(unit);
                }
                pictures.track = pictures.make_track(None).ok();
                pictures.in_track = pictures.sets.clone();
            }
        }
        Ok(pictures)
    }

    /// Takes over the codec private data of the caps.
    fn begin_with(&mut self, record: Bytes) -> Result<(), InvalidFormat> {
        let (size, checked) = match self.codec {
            Codec::H265 => match Hvcc::parse(&record) {
                Ok(hvcc) => (hvcc.dimensions(), Ok(())),
                Err(error) => (None, Err(error.into())),
            },
            _ => match Avcc::parse(&record) {
                Ok(avcc) => (avcc.dimensions(), Ok(())),
                Err(error) => (None, Err(error.into())),
            },
        };
        let complete = checked.is_ok();
        match codec_data::read(self.codec, &record) {
            // One that has all but the parameter sets says how long the lengths are.
            Some((lengths @ (1 | 2 | 4), units)) if complete || self.in_band => {
                self.lengths = Some(lengths);
                for unit in units {
                    if let Err(Malformed::ParameterSet { kind }) = self.identify(unit)
                        && !self.in_band
                    {
                        return Err(InvalidFormat::ParameterSet { kind });
                    }
                    self.keep(unit);
                }
            }
            _ => return checked,
        }
        if complete {
            let hint = self.hints.width.zip(self.hints.height);
            let size = match self.in_band {
                true => size.or(hint), // as when the parameter sets come
                false => hint.or(size),
            };
            let (width, height) = size.ok_or(InvalidFormat::NoSize)?;
            let track = Track::video(self.codec, record, width, height)?;
            self.track = Some(track.with_frame_duration(self.hints.frame_duration));
            self.in_track = self.sets.clone();
        }
        Ok(())
    }

    pub(super) fn set_hints(&mut self, hints: Hints) {
        self.hints = hints;
    }

    /// Bytes of the lengths in what is sent.
    fn length_size(&self) -> u8 {
        self.lengths.unwrap_or(LENGTH_SIZE)
    }

    pub(super) fn track(&self) -> Option<&Track> {
        self.track.as_ref()
    }

    pub(super) fn take(&mut self, payload: Bytes, hint: bool) -> Result<Reframed, Malformed> {
        if let Some(size) = self.lengths {
            check_nal_lengths(&payload, size)?;
            if !self.in_band {
                let key = self.is_key(units_with_lengths(&payload, size), hint);
                return Ok(Reframed::one(payload, key));
            }
        }
        let units = match self.lengths {
            Some(size) => units_with_lengths(&payload, size).collect(),
            None => byte_stream_units(&payload)?,
        };
        let here = self.keep_all(&units)?;
        let has_picture = |unit: &&[u8]| matches!(self.role(unit), Role::Entry | Role::Picture);
        if !units.iter().any(has_picture) {
            self.wait(&units)?;
            return Ok(Reframed {
                track: None,
                frames: Vec::new(),
            });
        }
        let key = self.is_key(units.iter().copied(), hint);
        let track = self.another_track(&units, &here, key)?;
        let frame = match self.lengths.is_some() && self.waiting.is_empty() {
            true => payload.clone(),
            false => self.with_lengths(&units)?,
        };
        let mut reframed = Reframed::one(frame, key);
        reframed.track = track;
        Ok(reframed)
    }

    fn role(&self, unit: &[u8]) -> Role {
        match self.codec {
            Codec::H265 => h265::sets::role(unit),
            _ => h264::sets::role(unit),
        }
    }

    fn slice(&self, unit: &[u8]) -> Option<Slice> {
        let pps = |id| {
            self.sets
                .get(&(ParameterSet::Picture, id))
                .map(|set| &**set)
        };
        match self.codec {
            Codec::H265 => h265::sets::slice(unit, pps),
            _ => h264::sets::slice(unit),
        }
    }

    /// Whether decoding may start here. Pictures that need others are never a start, whatever the source says: some flag
    /// nothing. An intra picture of which nothing else is known is one if the source says so.
    fn is_key<'a>(&self, units: impl Iterator<Item = &'a [u8]>, hint: bool) -> bool {
        let mut intra = hint;
        let mut recovery_point = false;
        for unit in units {
            match self.role(unit) {
                Role::Entry => return true,
                Role::Sei if !recovery_point => {
                    recovery_point = match self.codec {
                        Codec::H265 => h265::sets::is_recovery_point(unit),
                        _ => h264::sets::is_recovery_point(unit),
                    };
                }
                Role::Picture if recovery_point => return true,
                Role::Picture if intra => {
                    intra = self.slice(unit).and_then(|slice| slice.intra) != Some(false);
                }
                _ => {}
            }
        }
        intra
    }

    /// Kind and id of a parameter set; `None` for other NAL units.
    fn identify(&self, unit: &[u8]) -> Result<Option<(ParameterSet, u8)>, Malformed> {
        let Role::Set(kind) = self.role(unit) else {
            return Ok(None);
        };
        let id = match (self.codec, kind) {
            (Codec::H265, ParameterSet::Video) => h265::sets::vps(unit).map(|set| set.id),
            (Codec::H265, ParameterSet::Sequence) => h265::sets::sps(unit).map(|set| set.id),
            (Codec::H265, ParameterSet::Picture) => h265::sets::pps(unit).map(|set| set.id),
            (_, ParameterSet::Sequence) => h264::sets::sps(unit).map(|set| set.id),
            (_, ParameterSet::Picture) => h264::sets::pps(unit).map(|(id, _)| id),
            (_, ParameterSet::Video) => None,
        };
        let id = id.filter(|_| unit.len() <= MAX_SET);
        Ok(Some((kind, id.ok_or(Malformed::ParameterSet { kind })?)))
    }

    /// Keeps a parameter set of the codec private data, if it is one.
    fn keep(&mut self, unit: &[u8]) {
        if let Ok(Some(at)) = self.identify(unit) {
            self.sets.insert(at, Bytes::copy_from_slice(unit));
        }
    }

    /// Keeps the parameter sets of an access unit, all or none. Returns which they are.
    fn keep_all(&mut self, units: &[&[u8]]) -> Result<BTreeSet<(ParameterSet, u8)>, Malformed> {
        let mut here = BTreeMap::new();
        for unit in units {
            if let Some(at) = self.identify(unit)? {
                here.insert(at, *unit);
            }
        }
        for (at, unit) in &here {
            if self.sets.get(at).is_none_or(|known| known != unit) {
                // A copy: they stay for long, and would keep the buffer.
                self.sets.insert(*at, Bytes::copy_from_slice(unit));
            }
        }
        let here: BTreeSet<_> = here.into_keys().collect();
        if self.sets.values().map(Bytes::len).sum::<usize>() > MAX_CODEC_PRIVATE {
            self.sets.retain(|at, _| here.contains(at));
        }
        Ok(here)
    }

    /// Keeps what came without a picture. Delimiters and the like have served their purpose.
    fn wait(&mut self, units: &[&[u8]]) -> Result<(), Malformed> {
        let (size, before) = (self.length_size(), self.waiting.len());
        for unit in units {
            if matches!(self.role(unit), Role::Set(_) | Role::Sei) {
                push_with_length(&mut self.waiting, unit, size)?;
            }
        }
        if self.waiting.len() > MAX_CODEC_PRIVATE {
            self.waiting.drain(..before);
        }
        Ok(())
    }

    /// The track from here on, when it is another one.
    fn another_track(
        &mut self,
        units: &[&[u8]],
        here: &BTreeSet<(ParameterSet, u8)>,
        key: bool,
    ) -> Result<Option<Track>, Malformed> {
        if self.track.is_some() && !key {
            return Ok(None);
        }
        let matters = |(at, set): (&(ParameterSet, u8), &Bytes)| {
            self.in_track.get(at) != Some(set)
                && !(at.0 == ParameterSet::Picture && here.contains(at))
        };
        let sps = self.active_sps(units);
        let size = self.size(sps);
        let has_size = |track: &Track| match track.kind() {
            TrackKind::Video { width, height, .. } => {
                size.is_none_or(|size| size == (width, height))
            }
            _ => false,
        };
        if let Some(track) = &self.track
            && !self.sets.iter().any(matters)
            && has_size(track)
        {
            return Ok(None);
        }
        let track = self.make_track(sps)?;
        self.in_track = self.sets.clone();
        if self.track.as_ref() == Some(&track) {
            return Ok(None);
        }
        self.track = Some(track.clone());
        Ok(Some(track))
    }

    /// The id of the SPS that the access unit refers to.
    fn active_sps(&self, units: &[&[u8]]) -> Option<u8> {
        let pictures = |unit: &&&[u8]| matches!(self.role(unit), Role::Entry | Role::Picture);
        let slice = self.slice(units.iter().find(pictures)?)?;
        let pps = self.sets.get(&(ParameterSet::Picture, slice.pps))?;
        match self.codec {
            Codec::H265 => h265::sets::pps(pps).map(|set| set.sps),
            _ => h264::sets::pps(pps).map(|(_, sps)| sps),
        }
    }

    /// The size that this SPS says, or the first one.
    fn size(&self, sps: Option<u8>) -> Option<(u32, u32)> {
        let active = sps.and_then(|id| self.sets.get(&(ParameterSet::Sequence, id)));
        let sps = active.or_else(|| self.of(ParameterSet::Sequence).next())?;
        match self.codec {
            Codec::H265 => h265::sets::sps(sps)?.dimensions,
            _ => h264::sets::sps(sps)?.dimensions,
        }
    }

    /// The parameter sets of one kind.
    fn of(&self, kind: ParameterSet) -> impl Iterator<Item = &Bytes> {
        let sets = self.sets.range((kind, 0)..=(kind, u8::MAX));
        sets.map(|(_, set)| set)
    }

    fn make_track(&self, sps: Option<u8>) -> Result<Track, Malformed> {
        let [vps, pps_and_sps @ ..] = [
            ParameterSet::Video,
            ParameterSet::Sequence,
            ParameterSet::Picture,
        ]
        .map(|kind| self.of(kind).map(|set| &**set).collect::<Vec<_>>());
        let [sps_units, pps_units] = &pps_and_sps;
        let size = self.length_size();
        let record = match self.codec {
            Codec::H265 => h265::sets::hvcc([&vps, sps_units, pps_units], size),
            _ => h264::sets::avcc(sps_units, pps_units, size),
        };
        let record = record.ok_or(Malformed::NoParameterSets)?;
        let (width, height) = self
            .size(sps)
            .or_else(|| self.hints.width.zip(self.hints.height))
            .ok_or(Malformed::NoSize)?;
        let track = Track::video(self.codec, record.into(), width, height)?;
        Ok(track.with_frame_duration(self.hints.frame_duration))
    }

    /// The access unit with lengths, and what has waited for it behind its delimiter.
    fn with_lengths(&mut self, units: &[&[u8]]) -> Result<Bytes, Malformed> {
        let size = self.length_size();
        let lengths = units.len() * usize::from(size);
        let bytes: usize = units.iter().map(|unit| unit.len()).sum();
        let mut out = Vec::with_capacity(self.waiting.len() + lengths + bytes);
        let mut units = units.iter().peekable();
        if let Some(unit) = units.next_if(|unit| self.role(unit) == Role::Delimiter) {
            push_with_length(&mut out, unit, size)?;
        }
        out.append(&mut self.waiting);
        for unit in units {
            push_with_length(&mut out, unit, size)?;
        }
        Ok(out.into())
    }
}
