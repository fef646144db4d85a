//! Real files arrive frame for frame.

use super::support::{
    Pipeline, accounts, media, properties, service,
    stored::{self, from_first},
};

/// A file that is sent offline arrives frame for frame: same bytes, same order, same distances, and others can read it.
#[test]
fn a_real_file_arrives_frame_for_frame() {
    for clip in [
        "bikes.mp4",
        "bigbuckbunny.mp4",
        "carphone_pristine.mp4",
        "world.mp4",
    ] {
        let local = service();
        let source = format!(
            "filesrc location={} ! qtdemux ! h264parse",
            media::clip(clip).display()
        );
        let expected = media::access_units(&source);
        assert!(expected.len() > 30, "{clip}");
        let pipeline = Pipeline::new(&format!(
            "{source} ! kvssink name=sink stream-name=file streaming-type=offline {}",
            properties(&local)
        ));
        pipeline.run().assert_clean();
        let frames = expected.len() as u64;
        assert_eq!(
            accounts(&pipeline.stats("sink")),
            [frames, frames, 0, 0],
            "{clip}"
        );
        let files = local.session_files("file");
        let [file] = &files[..] else {
            panic!("{clip}: {files:?}")
        };
        stored::assert_readable(file);
        assert_eq!(
            from_first(stored::frames(file)),
            from_first(expected),
            "{clip}"
        );
    }
}
