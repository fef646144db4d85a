//! What an application says of fragments: which of them the service stored it with.

use gstkvssink::local::Local;
use test_case::test_case;

use super::clips::assert_never_refused;
use crate::support::{
    accounts,
    feed::{Clip, Fed},
    properties, service,
};

const IMAGE: &str = "AWS_KINESISVIDEO_IMAGE_GENERATION";
const PREFIX: &str = "AWS_KINESISVIDEO_IMAGE_PREFIX";
const NOTIFICATION: &str = "AWS_KINESISVIDEO_NOTIFICATION";

/// Four fragments of ten frames.
fn clip() -> Clip {
    Clip::small(40, 10)
}

fn fed(local: &Local, more: &str, clip: &Clip) -> Fed {
    Fed::playing(
        &format!("stream-name=cam {more} {}", properties(local)),
        clip,
    )
}

/// A custom event that is written as a structure, in the stream.
fn say(fed: &Fed, structure: &str) {
    let structure: gst::Structure = structure.parse().unwrap();
    assert!(fed.event(gst::event::CustomDownstream::new(structure)));
}

/// What the service stored with each fragment.
fn stored(local: &Local) -> Vec<Vec<(String, String)>> {
    let fragments = local.fragments("cam");
    fragments
        .into_iter()
        .map(|fragment| fragment.tags)
        .collect()
}

fn tags(tags: &[(&str, &str)]) -> Vec<(String, String)> {
    let owned = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
    tags.iter().map(owned).collect()
}

/// All of it arrived, and nothing of it was refused, by whomever.
fn assert_all_went_well(fed: &Fed, local: &Local, frames: u64) {
    assert_eq!(accounts(&fed.stats()), [frames, frames, 0, 0]);
    assert!(fed.heard.warnings("sink").is_empty(), "{:#?}", fed.heard);
    assert_never_refused(local, &fed.heard.told("kvs-fragment-ack"));
}

/// `kvs-add-metadata` belongs to the fragment that is open, or else to the next one. What persists goes with each from
/// there on, until it is cancelled by an empty value; another value takes its place.
#[test]
fn metadata_goes_with_its_fragment() {
    let local = service();
    let clip = clip();
    let mut fed = fed(&local, "", &clip);
    say(&fed, "kvs-add-metadata,name=site,value=yard,persist=true");
    fed.put_all(&clip.buffers[..5]);
    say(&fed, "kvs-add-metadata,name=door,value=open");
    say(&fed, "kvs-add-metadata,name=door,value=shut,persist=false");
    fed.put_all(&clip.buffers[5..15]);
    say(
        &fed,
        "kvs-add-metadata,name=floor,value=(string)3,persist=true",
    );
    fed.put_all(&clip.buffers[15..25]);
    say(&fed, "kvs-add-metadata,name=site,value=garden,persist=true");
    say(
        &fed,
        "kvs-add-metadata,name=floor,value=(string)\"\",persist=true",
    );
    // Unicode, and what structures have to quote.
    say(
        &fed,
        "kvs-add-metadata,name=who,value=\"Zoë & \\\"Bob\\\"\"",
    );
    fed.put_all(&clip.buffers[25..]);
    fed.finish();
    assert_all_went_well(&fed, &local, 40);
    let mut stored = stored(&local);
    for tags in &mut stored {
        tags.sort();
    }
    assert_eq!(
        stored[..2],
        [
            tags(&[("door", "open"), ("door", "shut"), ("site", "yard")]),
            tags(&[("floor", "3"), ("site", "yard")])
        ]
    );
    assert!(stored[2].contains(&("who".to_owned(), "Zoë & \"Bob\"".to_owned())));
    assert_eq!(stored[3], tags(&[("site", "garden")]));
}

/// What is put before the first frame, and out of band, is not lost either.
#[test]
fn metadata_may_come_out_of_band() {
    let local = service();
    let clip = clip();
    let mut fed = fed(&local, "", &clip);
    let say = |text: &str| {
        let event = gst::event::CustomDownstreamOob::new(text.parse().unwrap());
        assert!(fed.event(event));
    };
    say("kvs-add-metadata,name=first,value=of-all");
    say("somebody-elses,name=x,value=y");
    fed.put_all(&clip.buffers);
    fed.finish();
    assert_all_went_well(&fed, &local, 40);
    assert_eq!(
        stored(&local),
        [tags(&[("first", "of-all")]), vec![], vec![], vec![]]
    );
}

/// `kvs-add-event` asks for an image, a notification, or both, of the fragment that is open, once.
#[test]
fn events_go_with_their_fragment() {
    let local = service();
    let clip = clip();
    let mut fed = fed(&local, "", &clip);
    fed.put_all(&clip.buffers[..3]);
    say(&fed, "kvs-add-event,image-generation=true");
    fed.put_all(&clip.buffers[3..13]);
    // Twice: the service takes one of each.
    for _ in 0..2 {
        say(&fed, "kvs-add-event,notification=true");
    }
    fed.put_all(&clip.buffers[13..23]);
    let pairs = gst::Structure::builder("pairs")
        .field("door", "front")
        .field("count", 2)
        .build();
    let both = gst::Structure::builder("kvs-add-event")
        .field("image-generation", true)
        .field("notification", true)
        .field("image-prefix", "porch")
        .field("pairs", pairs)
        .build();
    assert!(fed.event(gst::event::CustomDownstream::new(both)));
    fed.put_all(&clip.buffers[23..]);
    fed.finish();
    assert_all_went_well(&fed, &local, 40);
    let mut stored = stored(&local);
    stored[2].sort();
    assert_eq!(
        stored,
        [
            tags(&[(IMAGE, "")]),
            tags(&[(NOTIFICATION, "")]),
            tags(&[
                (IMAGE, ""),
                (PREFIX, "porch"),
                (NOTIFICATION, ""),
                ("count", "2"),
                ("door", "front"),
            ]),
            vec![],
        ]
    );
}

/// Tags of the stream become metadata if metadata-from-tags names them: each fragment from there on has them.
#[test]
fn tags_become_metadata_if_they_are_named() {
    let local = service();
    let clip = clip();
    let mut fed = fed(
        &local,
        "metadata-from-tags=title,geo-location-name,bitrate",
        &clip,
    );
    fed.put_all(&clip.buffers[..15]);
    let mut list = gst::TagList::new();
    {
        let list = list.make_mut();
        let mode = gst::TagMergeMode::Append;
        list.add::<gst::tags::Title>(&"front door", mode);
        list.add::<gst::tags::Bitrate>(&125_000, mode);
        list.add::<gst::tags::Artist>(&"nobody asked", mode);
    }
    assert!(fed.event(gst::event::Tag::new(list)));
    fed.put_all(&clip.buffers[15..25]);
    let mut other = gst::TagList::new();
    other
        .make_mut()
        .add::<gst::tags::Title>(&"back door", gst::TagMergeMode::Append);
    assert!(fed.event(gst::event::Tag::new(other)));
    fed.put_all(&clip.buffers[25..]);
    fed.finish();
    assert_all_went_well(&fed, &local, 40);
    let mut stored = stored(&local);
    for tags in &mut stored {
        tags.sort();
    }
    assert_eq!(stored[0], []);
    assert_eq!(
        stored[1],
        tags(&[("bitrate", "125000"), ("title", "front door")])
    );
    assert_eq!(
        stored[3],
        tags(&[("bitrate", "125000"), ("title", "back door")])
    );
}

/// After a cut the fragment is sent again with the same tags.
#[test]
fn a_fragment_that_is_sent_again_has_its_tags() {
    let local = service();
    local.inject("close-mid-frame:15".parse().unwrap());
    let clip = clip();
    let mut fed = fed(&local, "", &clip);
    say(&fed, "kvs-add-metadata,name=site,value=yard,persist=true");
    fed.put_all(&clip.buffers[..12]);
    say(&fed, "kvs-add-event,notification=true");
    fed.put_all(&clip.buffers[12..]);
    fed.finish();
    assert_eq!(accounts(&fed.stats()), [40, 40, 0, 0]);
    let yard = ("site", "yard");
    let mut stored = stored(&local);
    stored[1].sort();
    assert_eq!(
        stored,
        [
            tags(&[yard]),
            tags(&[(NOTIFICATION, ""), yard]),
            tags(&[yard]),
            tags(&[yard])
        ]
    );
}

/// What the service would refuse it never sees: a WARNING names the rule, and the media goes on.
#[test_case("kvs-add-metadata,value=x", "name"; "no name")]
#[test_case("kvs-add-metadata,name=(string)\"\",value=x", "name"; "an empty name")]
#[test_case("kvs-add-metadata,name=AWS_MINE,value=x", "AWS"; "a name of the service")]
#[test_case("kvs-add-metadata,name=AWS_KINESISVIDEO_END_OF_FRAGMENT", "AWS"; "the end of a fragment")]
#[test_case(&format!("kvs-add-metadata,name={},value=x", "n".repeat(129)), "128"; "a long name")]
#[test_case(&format!("kvs-add-metadata,name=n,value={}", "v".repeat(257)), "256"; "a long value")]
#[test_case("kvs-add-metadata,name=n,value=(int)3", "not a gchararray"; "a value of another type")]
#[test_case("kvs-add-metadata,name=n,value=v,persist=(int)1", "not a boolean"; "a number instead of a boolean")]
#[test_case("kvs-add-event", "neither an image nor a notification"; "an event of nothing")]
#[test_case("kvs-add-event,notification=true,image-prefix=x", "image"; "a prefix of no image")]
#[test_case(&format!("kvs-add-event,image-generation=true,image-prefix={}", "p".repeat(257)), "256"; "a long prefix")]
fn what_the_service_would_refuse_is_a_warning(structure: &str, names: &str) {
    let local = service();
    let clip = clip();
    let mut fed = fed(&local, "", &clip);
    fed.put_all(&clip.buffers[..5]);
    say(&fed, structure);
    fed.put_all(&clip.buffers[5..]);
    fed.finish();
    assert_eq!(accounts(&fed.stats()), [40, 40, 0, 0]);
    let warnings = fed.heard.warnings("sink");
    let [warning] = &warnings[..] else {
        panic!("{:#?}", fed.heard)
    };
    let text = warning.error().to_string();
    assert!(text.contains(names), "{text}");
    assert!(text.len() < 300, "{text}");
    assert_eq!(stored(&local), vec![vec![]; 4]);
    assert_never_refused(&local, &fed.heard.told("kvs-fragment-ack"));
}

/// 100 at once: nine go with the fragment, each of the others is a WARNING, and the media goes on.
#[test_case(false; "for one fragment")]
#[test_case(true; "for all fragments")]
fn of_a_hundred_tags_nine_are_sent(persist: bool) {
    let local = service();
    let clip = clip();
    let mut fed = fed(&local, "", &clip);
    fed.put_all(&clip.buffers[..5]);
    for n in 0..100 {
        say(
            &fed,
            &format!("kvs-add-metadata,name=n{n},value=v,persist={persist}"),
        );
    }
    fed.put_all(&clip.buffers[5..]);
    fed.finish();
    assert_eq!(accounts(&fed.stats()), [40, 40, 0, 0]);
    let warnings = fed.heard.warnings("sink");
    assert_eq!(warnings.len(), 91);
    let text = warnings[0].error().to_string();
    assert!(text.contains("at most 9"), "{text}");
    let counts: Vec<_> = stored(&local).iter().map(Vec::len).collect();
    let later = if persist { 9 } else { 0 };
    assert_eq!(counts, [9, later, later, later]);
    assert_never_refused(&local, &fed.heard.told("kvs-fragment-ack"));
}
