use proptest::prelude::*;
use test_case::test_case;

use super::super::sample::{
    FRAME, alaw, audio, block, cluster, cluster_start, end_of_fragment, header, some_tags, start,
    track, video, video_header,
};
use super::*;

const NOW: u64 = 1_700_000_000_000;

/// What came of a body: fragments' timecodes as they began and were complete, and how it ended.
#[derive(Debug, PartialEq)]
struct Outcome {
    steps: Vec<Step>,
    end: Result<(), Refusal>,
    current_ms: Option<u64>,
}

fn ingest_cut_at(body: &[u8], cut: usize, timecodes: Timecodes) -> Outcome {
    let mut ingest = Ingest::new(timecodes);
    let mut steps = Vec::new();
    let mut end = Ok(());
    for part in [&body[..cut], &body[cut..]] {
        ingest.feed(part);
        while end.is_ok() {
            match ingest.next(NOW) {
                Ok(None) => break,
                Ok(Some(step)) => steps.push(step),
                Err(refusal) => end = Err(refusal),
            }
        }
    }
    if end.is_ok() {
        match ingest.finish() {
            Ok(last) => steps.extend(last),
            Err(refusal) => end = Err(refusal),
        }
    }
    Outcome {
        steps,
        end,
        current_ms: ingest.current_ms(),
    }
}

fn ingest(parts: &[Vec<u8>]) -> Outcome {
    ingest_cut_at(&parts.concat(), 0, Timecodes::Absolute)
}

fn error(parts: &[Vec<u8>]) -> ErrorId {
    ingest(parts).end.unwrap_err().id
}

fn fragments(parts: &[Vec<u8>]) -> Vec<Fragment> {
    let outcome = ingest(parts);
    assert_eq!(outcome.end, Ok(()));
    let complete = |step| match step {
        Step::Complete(fragment) => Some(fragment),
        Step::Begun { .. } => None,
    };
    outcome.steps.into_iter().filter_map(complete).collect()
}

#[test]
fn a_cut_at_any_byte_changes_nothing() {
    let body = [
        video_header(),
        cluster(1_000),
        some_tags(2),
        end_of_fragment(),
        cluster(2_000),
    ]
    .concat();
    let whole = ingest_cut_at(&body, 0, Timecodes::Absolute);
    assert_eq!(whole.end, Ok(()));
    assert_eq!(whole.steps.len(), 4);
    for cut in 1..=body.len() {
        assert_eq!(
            ingest_cut_at(&body, cut, Timecodes::Absolute),
            whole,
            "cut at {cut}"
        );
    }
}

#[test]
fn a_fragment_is_complete_at_the_next_cluster() {
    let mut ingest = Ingest::new(Timecodes::Absolute);
    ingest.feed(&[video_header(), cluster(1_000)].concat());
    assert_eq!(
        ingest.next(NOW),
        Ok(Some(Step::Begun { timecode_ms: 1_000 }))
    );
    assert_eq!(ingest.next(NOW), Ok(None));
    ingest.feed(&cluster_start(2_000)[..12]);
    assert!(matches!(ingest.next(NOW), Ok(Some(Step::Complete(_)))));
}

#[test]
fn a_fragment_is_complete_at_the_end_of_fragment_tag() {
    let mut ingest = Ingest::new(Timecodes::Absolute);
    ingest.feed(&[video_header(), cluster(1_000), end_of_fragment()].concat());
    assert_eq!(
        ingest.next(NOW),
        Ok(Some(Step::Begun { timecode_ms: 1_000 }))
    );
    assert!(matches!(ingest.next(NOW), Ok(Some(Step::Complete(_)))));
    assert_eq!(ingest.finish(), Ok(None));
}

#[test]
fn a_fragment_has_what_its_cluster_had() {
    let [fragment] = &fragments(&[video_header(), cluster(1_000)])[..] else {
        panic!("one fragment")
    };
    assert_eq!(
        (fragment.timecode_ms, fragment.duration_ms, fragment.frames),
        (1_000, 900, 10)
    );
    assert_eq!(fragment.cluster, cluster(1_000)[12..]);
}

#[test]
fn relative_timecodes_count_from_the_start() {
    let body = [video_header(), cluster(1_000)].concat();
    let outcome = ingest_cut_at(&body, 0, Timecodes::Relative { start_ms: 5_000 });
    let Some(Step::Complete(fragment)) = outcome.steps.last() else {
        panic!("a fragment")
    };
    assert_eq!(
        (fragment.timecode_ms, fragment.producer_timestamp_ms),
        (1_000, 6_000)
    );
}

#[test]
fn tags_belong_to_the_cluster_before_them() {
    let tag = |name| mkv::tags([(name, "v")]);
    let body = [
        video_header(),
        tag("a"),
        cluster(1_000),
        tag("b"),
        end_of_fragment(),
        tag("c"),
        cluster(2_000),
        tag("d"),
    ];
    let names: Vec<Vec<String>> = fragments(&body)
        .into_iter()
        .map(|f| f.tags.into_iter().map(|(name, _)| name).collect())
        .collect();
    assert_eq!(names, [["a", "b"], ["c", "d"]]);
}

#[test]
fn frames_in_a_block_group_are_taken() {
    let mut group = Vec::new();
    let mut inner = Vec::new();
    mkv::put(&mut inner, id::BLOCK, &[&[0x81, 0, 0, 0], FRAME].concat());
    mkv::put_uint(&mut inner, 0x9B, 40);
    mkv::put(&mut group, id::BLOCK_GROUP, &inner);
    assert_eq!(
        fragments(&[video_header(), cluster_start(1), group])[0].frames,
        1
    );
}

#[test]
fn ten_tags_are_taken_and_nine_with_the_end_of_fragment() {
    assert_eq!(
        fragments(&[video_header(), cluster(1), some_tags(10)])[0]
            .tags
            .len(),
        10
    );
    assert_eq!(
        fragments(&[video_header(), cluster(1), some_tags(9), end_of_fragment()])[0]
            .tags
            .len(),
        9
    );
}

fn event(name: &str) -> Vec<u8> {
    mkv::tags([(name, "")])
}

#[test_case("AWS_KINESISVIDEO_IMAGE_GENERATION")]
#[test_case("AWS_KINESISVIDEO_IMAGE_PREFIX")]
#[test_case("AWS_KINESISVIDEO_NOTIFICATION")]
fn each_event_is_taken_once_in_a_fragment(name: &str) {
    let event = || event(name);
    let each = [video_header(), cluster(1), event(), cluster(2_000), event()];
    let tags = fragments(&each).into_iter().map(|fragment| fragment.tags);
    assert_eq!(
        tags.collect::<Vec<_>>(),
        vec![vec![(name.to_owned(), String::new())]; 2]
    );
    let twice = [video_header(), cluster(1), event(), event()];
    assert_eq!(error(&twice), ErrorId::FragmentMetadataLimitReached);
}

#[test]
fn audio_and_video_are_taken() {
    let both = [cluster(1), block(2, 5, true, &[1, 2])].concat();
    assert_eq!(
        fragments(&[header(&[video(), audio(2)]), both])[0].frames,
        11
    );
}

#[test]
fn audio_alone_is_taken() {
    let fragment = |timecode| {
        let blocks = (0..5).map(|n| block(1, n * 100, true, &[0xD5; 160]));
        [vec![cluster_start(timecode)], blocks.collect()]
            .concat()
            .concat()
    };
    let body = [header(&[alaw(1)]), fragment(1_000), fragment(2_000)];
    let frames: Vec<_> = fragments(&body).iter().map(|one| one.frames).collect();
    assert_eq!(frames, [5, 5]);
}

#[test]
fn an_open_gop_may_begin_with_frames_before_its_key_frame() {
    let body = [
        cluster_start(1_000),
        block(1, 0, true, FRAME),
        block(1, -40, false, FRAME),
    ]
    .concat();
    assert_eq!(fragments(&[video_header(), body])[0].duration_ms, 0);
}

#[test]
fn a_refusal_knows_the_fragment_it_is_about() {
    let outcome = ingest(&[video_header(), cluster(1_000), cluster(1_900)]);
    assert_eq!(outcome.current_ms, Some(1_900));
    assert_eq!(outcome.steps.len(), 2, "the fragment before it is complete");
}

fn four_tracks() -> Vec<Vec<u8>> {
    vec![header(&[video(), audio(2), audio(3), audio(4)])]
}

fn long_tag(name: usize, value: usize) -> Vec<u8> {
    mkv::tags([("n".repeat(name).as_str(), "v".repeat(value).as_str())])
}

fn too_large() -> Vec<u8> {
    [cluster_start(1), vec![0xA3, 0x13, 0x00, 0x00, 0x00]].concat()
}

fn without(tracks: Vec<u8>) -> Vec<Vec<u8>> {
    vec![header(&[tracks]), cluster(1)]
}

fn no_info() -> Vec<u8> {
    let start = start();
    let info = start
        .windows(4)
        .position(|bytes| bytes == id::INFO.to_be_bytes())
        .unwrap();
    start[..info].to_vec()
}

#[test_case(4001, vec![video_header(), too_large()]; "50 MB")]
#[test_case(4002, vec![video_header(), cluster_start(1), block(1, 0, true, FRAME), block(1, 20_001, false, FRAME)]; "20 s")]
#[test_case(4004, vec![video_header(), cluster(1_000), cluster(1_900)]; "a timecode equal to the last frame's")]
#[test_case(4004, vec![video_header(), cluster(1_000), cluster(500)]; "a timecode that goes back")]
#[test_case(4006, vec![b"garbage".to_vec()]; "garbage")]
#[test_case(4006, vec![vec![]]; "nothing")]
#[test_case(4006, vec![video_header()]; "a header and no fragment")]
#[test_case(4006, vec![start(), cluster(1)]; "no tracks")]
#[test_case(4006, vec![no_info(), video_header()[start().len()..].to_vec(), cluster(1)]; "no info")]
#[test_case(4006, vec![video_header(), cluster(1)[..100].to_vec()]; "a body that ends inside a block")]
#[test_case(4006, vec![video_header(), cluster_start(1), block(1, 0, false, FRAME)]; "no key frame first")]
#[test_case(4006, vec![video_header(), cluster(1), end_of_fragment(), cluster_start(2_000), block(1, 0, false, FRAME)]; "no key frame after an end of fragment")]
#[test_case(4006, vec![video_header(), cluster_start(1), block(1, 0, true, &FRAME[..6])]; "NAL lengths that do not add up")]
#[test_case(4006, vec![video_header(), cluster(1), end_of_fragment(), end_of_fragment()]; "an end of fragment twice")]
#[test_case(4006, vec![video_header(), end_of_fragment()]; "an end of fragment first")]
#[test_case(4006, vec![video_header(), cluster(1), mkv::tags([("AWSOME", "")])]; "a name of the service")]
#[test_case(4006, without(track(1, 1, "V_MPEG4/ISO/AVC", &[])); "no CodecPrivate")]
#[test_case(4006, without(track(1, 1, "V_MPEG4/ISO/AVC", &[1, 2, 3])); "no avcC")]
#[test_case(4006, without(track(1, 1, "", &[])); "no CodecID")]
#[test_case(4006, without(track(0, 1, "V_AV1", &[])); "track number 0")]
#[test_case(4006, vec![header(&[audio(1), audio(1)])]; "a track number twice")]
#[test_case(4006, vec![header(&[])]; "no track")]
#[test_case(4007, vec![video_header(), cluster(NOW + 11 * 60 * 1000)]; "a timestamp in the future")]
#[test_case(4007, vec![video_header(), cluster(u64::MAX)]; "a timestamp beyond all times")]
#[test_case(4009, vec![video_header(), cluster(1), some_tags(11)]; "eleven tags")]
#[test_case(4009, vec![video_header(), cluster(1), some_tags(10), end_of_fragment()]; "ten tags and an end of fragment")]
#[test_case(4009, vec![video_header(), some_tags(6), cluster(1), some_tags(5)]; "eleven tags around the first cluster")]
#[test_case(4009, vec![video_header(), cluster(1), long_tag(129, 1)]; "a long name")]
#[test_case(4009, vec![video_header(), cluster(1), long_tag(1, 257)]; "a long value")]
#[test_case(4010, vec![video_header(), cluster(1), block(2, 0, true, FRAME)]; "an undeclared track")]
#[test_case(4011, vec![header(&[video(), audio(2)]), cluster(1), cluster(2_000)]; "a track without a frame")]
#[test_case(4011, vec![video_header(), cluster_start(1)]; "a cluster without a frame")]
#[test_case(4012, four_tracks(); "four tracks")]
fn what_the_service_refuses(id: u16, parts: Vec<Vec<u8>>) {
    assert_eq!(error(&parts).id(), id);
}

proptest! {
    #[test]
    fn no_bytes_make_it_panic(
        changes in prop::collection::vec((0..2000_usize, any::<u8>()), 1..6),
        cut in 0..2000_usize,
    ) {
        let mut body = [video_header(), cluster(1_000), some_tags(2), end_of_fragment(), cluster(2_000)].concat();
        for (at, byte) in changes {
            let at = at % body.len();
            body[at] = byte;
        }
        let cut = cut % body.len();
        let whole = ingest_cut_at(&body, 0, Timecodes::Absolute);
        prop_assert_eq!(ingest_cut_at(&body, cut, Timecodes::Absolute), whole);
    }
}
