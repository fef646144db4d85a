//! AAC in ADTS frames (ISO/IEC 13818-7 §6.2, 14496-3 §1.A.2.2): the headers go, and make the AudioSpecificConfig.
//!
//! In: buffers of whole ADTS frames. Out: raw data blocks that share the buffer.

use std::time::Duration;

use adts_reader::{AdtsHeader, AdtsHeaderError, ChannelConfiguration};
use bytes::Bytes;

use super::super::aac::AudioSpecificConfig;
use super::super::codec::Codec;
use super::super::h264::InvalidAccessUnit;
use super::super::pce;
use super::super::track::Track;
use super::{Malformed, Reframed, Unit};

/// Samples of one channel in a frame: ADTS knows no other number.
const SAMPLES: u64 = 1024;

/// What is known of the stream.
#[derive(Clone, Default, Debug)]
pub(super) struct Adts {
    track: Option<Track>,
}

impl Adts {
    pub(super) fn track(&self) -> Option<&Track> {
        self.track.as_ref()
    }

    pub(super) fn take(&mut self, payload: &Bytes) -> Result<Reframed, Malformed> {
        let mut track: Option<Track> = None;
        let mut frames = Vec::new();
        let (mut position, mut blocks) = (0, 0);
        while position < payload.len() {
            let wrong = |what| Malformed::Adts { position, what };
            let header = AdtsHeader::from_bytes(&payload[position..])
                .map_err(|error| wrong(reason(&error)))?;
            let data = header
                .payload()
                .map_err(|_| wrong("the frame is cut off"))?;
            if header.number_of_raw_data_blocks_in_frame() > 1 {
                return Err(wrong("several raw data blocks in one frame"));
            }
            let known = track.as_ref().or(self.track.as_ref());
            let config = config(&header, data, known).ok_or_else(|| {
                wrong("its channels are described elsewhere, and nothing describes them")
            })?;
            match &track {
                None => track = Some(Track::audio(Codec::Aac, config, 0, 0)?),
                Some(track) if *track.codec_private() == config => {}
                Some(_) => return Err(wrong("it is another stream's than the one before")),
            }
            if !data.is_empty() {
                frames.push(Unit {
                    payload: payload.slice_ref(data),
                    key: true,
                    offset: header
                        .sampling_frequency()
                        .freq()
                        .map_or(Duration::ZERO, |rate| after(blocks, rate)),
                });
            }
            blocks += 1;
            position += usize::from(header.frame_length());
        }
        let track = track.filter(|_| !frames.is_empty());
        let track = track.ok_or(InvalidAccessUnit::Empty)?;
        let is_another = self.track.as_ref() != Some(&track);
        self.track = Some(track);
        Ok(Reframed {
            track: self.track.clone().filter(|_| is_another),
            frames,
        })
    }
}

/// The AudioSpecificConfig of such frames. What describes the channels may have come before, with the track.
fn config(header: &AdtsHeader<'_>, data: &[u8], before: Option<&Track>) -> Option<Bytes> {
    let object_type = u8::from(header.audio_object_type());
    let rate = u8::from(header.sampling_frequency());
    let channels = header.channel_configuration();
    let number = u8::from(channels);
    if channels != ChannelConfiguration::new(0) {
        return Some(AudioSpecificConfig::from_adts(
            object_type,
            rate,
            number,
            None,
        ));
    }
    if let Some(element) = pce::at_start_of(data) {
        let config = AudioSpecificConfig::from_adts(object_type, rate, 0, Some(&element));
        return Some(config);
    }
    let head = AudioSpecificConfig::from_adts(object_type, rate, 0, None);
    let known = before?.codec_private();
    known.starts_with(&head).then(|| known.clone())
}

/// How long so many frames last.
fn after(blocks: u64, rate: u32) -> Duration {
    Duration::from_nanos(blocks * SAMPLES * 1_000_000_000 / u64::from(rate.max(1)))
}

fn reason(error: &AdtsHeaderError) -> &'static str {
    match error {
        AdtsHeaderError::BadSyncWord(_) => "there is no sync word",
        AdtsHeaderError::NotEnoughData { .. } => "it is cut off",
        AdtsHeaderError::BadFrameLength { .. } => "the frame is shorter than its header",
        AdtsHeaderError::BadSamplingFrequency(_) => "its sampling frequency is reserved",
    }
}
