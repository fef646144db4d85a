//! The writer of Matroska: what it writes, the strict reader of `kvs-local` reads, to the byte.
//!
//! The input is a stream of tracks, clusters, blocks and tags ([`Stream`]), and how its bytes are cut on the way.
#![no_main]

use std::time::Duration;

use arbitrary::Arbitrary;
use gstkvssink::internals::{
    media::{Codec, Track, TrackKind, TrackNumber, alaw_private, mulaw_private},
    mkv::{self, Tag},
    time::Timecode,
};
use libfuzzer_sys::fuzz_target;

use self::service::{
    ebml::{Element, Event, Reader, children, string, uint},
    mkv::id,
    tags::FragmentTags,
    tracks,
};

#[path = "../service.rs"]
mod service;

#[derive(Arbitrary, Debug)]
struct Stream<'a> {
    tracks: Vec<TrackOf<'a>>,
    clusters: Vec<Cluster<'a>>,
    ends: bool,
    cut: u16,
}

#[derive(Arbitrary, Debug)]
struct TrackOf<'a> {
    number: u8,
    codec: u8,
    name: &'a str,
    codec_id: &'a str,
    /// Behind a valid record: some muxers append what they like.
    private: &'a [u8],
    /// Or rate and channels.
    size: (u32, u32),
    frame_nanos: u64,
}

#[derive(Arbitrary, Debug)]
struct Cluster<'a> {
    timecode: u64,
    blocks: Vec<Block<'a>>,
    tags: Vec<(&'a str, &'a str)>,
}

#[derive(Arbitrary, Debug)]
struct Block<'a> {
    track: u8,
    offset_ms: i16,
    key: bool,
    payload: &'a [u8],
    /// So often: sizes of elements take more bytes then.
    times: u16,
}

/// 178x98, Main (`src/media/fixtures.rs`).
const AVCC: &[u8] = &[
    0x01, 0x4D, 0x40, 0x0B, 0xFF, 0xE1, 0x00, 0x18, 0x67, 0x4D, 0x40, 0x0B, 0xEC, 0xA1, 0x87, 0xF1,
    0x11, 0x18, 0x08, 0x80, 0x00, 0x00, 0x03, 0x00, 0x80, 0x00, 0x00, 0x1E, 0x07, 0x8A, 0x14, 0xCB,
    0x01, 0x00, 0x04, 0x68, 0xCE, 0x0F, 0xC8,
];

/// 178x98, Main (`src/media/fixtures/main.hvcC`).
#[rustfmt::skip]
const HVCC: &[u8] = &[
    0x01, 0x01, 0x60, 0x00, 0x00, 0x00, 0x90, 0x00, 0x00, 0x00, 0x00, 0x00, 0x1E, 0xF0, 0x00, 0xFC,
    0xFD, 0xF8, 0xF8, 0x00, 0x00, 0x0F, 0x03, 0x20, 0x00, 0x01, 0x00, 0x18, 0x40, 0x01, 0x0C, 0x01,
    0xFF, 0xFF, 0x01, 0x60, 0x00, 0x00, 0x03, 0x00, 0x90, 0x00, 0x00, 0x03, 0x00, 0x00, 0x03, 0x00,
    0x1E, 0x95, 0x98, 0x09, 0x21, 0x00, 0x01, 0x00, 0x34, 0x42, 0x01, 0x01, 0x01, 0x60, 0x00, 0x00,
    0x03, 0x00, 0x90, 0x00, 0x00, 0x03, 0x00, 0x00, 0x03, 0x00, 0x1E, 0xA0, 0x17, 0x20, 0x69, 0xC9,
    0x26, 0x59, 0x59, 0xA4, 0x93, 0x2B, 0xC0, 0x5A, 0x02, 0x00, 0x00, 0x03, 0x00, 0x02, 0x00, 0x00,
    0x03, 0x00, 0x32, 0xC0, 0x19, 0x2C, 0xBC, 0x00, 0xC3, 0x40, 0x03, 0x0D, 0x44, 0x22, 0x00, 0x01,
    0x00, 0x07, 0x44, 0x01, 0xC1, 0x72, 0xB4, 0x62, 0x40,
];

impl TrackOf<'_> {
    fn build(&self) -> Option<Track> {
        let (rate, channels) = (self.size.0, self.size.1 as u8);
        let (width, height) = self.size;
        let with = |private: &[u8]| [private, self.private].concat().into();
        let track = match self.codec % 5 {
            0 => Track::video(Codec::H264, with(AVCC), width, height),
            1 => Track::video(Codec::H265, with(HVCC), width, height),
            2 => Track::audio(Codec::Aac, with(&[0x11, 0x90]), rate, channels),
            3 => Track::audio(Codec::Alaw, alaw_private(rate, channels), rate, channels),
            _ => Track::audio(Codec::Mulaw, mulaw_private(rate, channels), rate, channels),
        };
        let track = track.ok()?;
        let track = track.with_name(self.name).ok()?;
        let track = match self.codec_id {
            "" => track,
            id => track.with_codec_id(id).ok()?,
        };
        let duration = Duration::from_nanos(self.frame_nanos);
        Some(
            track
                .with_number(TrackNumber::new(self.number)?)
                .with_frame_duration(Some(duration)),
        )
    }
}

fuzz_target!(|stream: Stream<'_>| {
    let tracks: Vec<_> = stream.tracks.iter().filter_map(TrackOf::build).collect();
    let mut body = mkv::stream_header(&tracks).to_vec();
    let mut written = Vec::new();
    for cluster in &stream.clusters {
        let timecode = Timecode::from_millis(cluster.timecode);
        mkv::push_cluster_header(&mut body, timecode);
        let mut blocks = Vec::new();
        for block in &cluster.blocks {
            let Some(track) = TrackNumber::new(block.track) else {
                continue;
            };
            let times = usize::from(block.times) % 2_000 + 1;
            let payload = block.payload.repeat(times);
            let (offset, key) = (block.offset_ms, block.key);
            mkv::push_simple_block_header(&mut body, track, offset, key, payload.len());
            body.extend(&payload);
            blocks.push((track.get(), offset, key, payload));
        }
        let tags = cluster.tags.iter();
        let tags: Vec<_> = tags
            .filter_map(|(name, value)| Tag::new(*name, *value).ok())
            .take(mkv::MAX_TAGS_PER_FRAGMENT - 1)
            .collect();
        body.extend(mkv::tags(&tags));
        written.push((cluster.timecode, blocks, tags));
    }
    if stream.ends {
        body.extend(mkv::end_of_fragment());
    }

    let mut events = read(&body, usize::from(stream.cut) + 1).into_iter();
    header(&mut events, &tracks);
    let mut next = events.next();
    for (timecode, blocks, tags) in written {
        assert_eq!(next, Some(Event::Cluster));
        let stamp = child(events.next(), id::TIMECODE);
        assert_eq!(uint(stamp.payload()), Ok(timecode));
        for (track, offset, key, payload) in blocks {
            let block = child(events.next(), id::SIMPLE_BLOCK);
            let [high, low] = offset.to_be_bytes();
            let head = [0x80 | track, high, low, if key { 0x80 } else { 0 }];
            assert_eq!(block.payload().split_at(4), (&head[..], &payload[..]));
        }
        next = events.next();
        if let Some(Event::ClusterEnd) = next {
            next = events.next();
        }
        let mut read = FragmentTags::default();
        for _ in &tags {
            let Some(Event::Element(element)) = next else {
                panic!("{next:?} in place of a tag");
            };
            assert_eq!(read.add(element.payload()), Ok(false));
            next = events.next();
        }
        let tags = tags.iter();
        let tags: Vec<_> = tags
            .map(|tag| (tag.name().to_owned(), tag.value().to_owned()))
            .collect();
        assert_eq!(read.take(), tags);
    }
    if let Some(Event::ClusterEnd) = next {
        next = events.next();
    }
    if stream.ends {
        let Some(Event::Element(element)) = next else {
            panic!("{next:?} in place of the end of the fragment");
        };
        assert_eq!(FragmentTags::default().add(element.payload()), Ok(true));
        next = events.next();
    }
    assert_eq!(next, None);
});

fn read(body: &[u8], piece: usize) -> Vec<Event> {
    let mut reader = Reader::new(u64::MAX);
    let mut events = Vec::new();
    for piece in body.chunks(piece) {
        reader.feed(piece);
        while let Some(event) = reader.next().expect("it is Matroska") {
            events.push(event);
        }
    }
    assert!(reader.may_end(), "the last element is not whole");
    events
}

fn header(events: &mut impl Iterator<Item = Event>, written: &[Track]) {
    let Some(Event::EbmlHeader(ebml)) = events.next() else {
        panic!("no EBML header");
    };
    assert_eq!(tracks::check_ebml_header(ebml.payload()), Ok(()));
    assert_eq!(events.next(), Some(Event::Segment));
    let info = element(events.next(), id::INFO);
    assert_eq!(tracks::timecode_scale(info.payload()), Ok(1_000_000));
    let entries = element(events.next(), id::TRACKS);
    let entries = children(entries.payload()).unwrap();
    assert_eq!(entries.len(), written.len());
    for ((id, entry), track) in entries.into_iter().zip(written) {
        assert_eq!(id, id::TRACK_ENTRY);
        let fields = children(entry).unwrap();
        let field = |id| {
            let field = fields.iter().find(|field| field.0 == id);
            field.map(|(_, value)| *value)
        };
        assert_eq!(field(id::TRACK_NUMBER), Some(&[track.number().get()][..]));
        let track_type = match track.kind() {
            TrackKind::Video { .. } => 1,
            _ => 2,
        };
        assert_eq!(field(id::TRACK_TYPE), Some(&[track_type][..]));
        assert_eq!(field(id::NAME).map(string), Some(Ok(track.name())));
        assert_eq!(field(id::CODEC_ID).map(string), Some(Ok(track.codec_id())));
        assert_eq!(field(id::CODEC_PRIVATE), Some(&track.codec_private()[..]));
        // Each alone is one that the service takes, as long as it has the codec's own id.
        if track.codec_id() == track.codec().codec_id() {
            let mut alone = Vec::new();
            service::mkv::put(&mut alone, id::TRACK_ENTRY, entry);
            let read = tracks::parse(&alone).expect("it is taken");
            assert_eq!(read[0].media_type, Some(track.codec().content_type()));
        }
    }
}

fn element(event: Option<Event>, id: u32) -> Element {
    match event {
        Some(Event::Element(element)) if element.id == id => element,
        other => panic!("{other:?} in place of {id:X}"),
    }
}

fn child(event: Option<Event>, id: u32) -> Element {
    match event {
        Some(Event::Child(element)) if element.id == id => element,
        other => panic!("{other:?} in place of {id:X}"),
    }
}
