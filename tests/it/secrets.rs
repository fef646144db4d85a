//! No secret gets out, whatever goes wrong and however much is logged.

use std::{
    collections::BTreeSet,
    fmt::Write,
    path::Path,
    sync::atomic::{AtomicUsize, Ordering},
};

use gst::prelude::*;
use gstkvssink::local::Local;

use crate::{
    faults::cases::CASES,
    support::{
        alone,
        bus::{self, is_error},
        feed::{Clip, Fed},
        properties, service_with,
    },
};

const ACCESS_KEY: &str = "AKIDHUSH";
const SECRET_KEY: &str = "hush-secret";
const TOKEN: &str = "hush-token";
/// Parts of what is sent with them.
const SIGNED: [&str; 5] = [
    "AWS4-HMAC-SHA256",
    "Signature=",
    "Credential=",
    "x-amz-security-token:",
    "authorization:",
];
/// Cases at a time: most of their time they wait.
const AT_A_TIME: usize = 12;

/// Under every fault, with everything logged that GStreamer and kvssink have to log: no key, no token, no signature and no
/// Authorization header is in the log, in the output, on the bus, in `stats`, in a property or in a dot graph.
#[test]
fn no_secret_gets_out_whatever_goes_wrong() {
    if let Some(dir) = alone::task() {
        return go_wrong(Path::new(&dir));
    }
    let dir = tempfile::tempdir().unwrap();
    let mut command = alone::command(dir.path());
    command
        .env("GST_DEBUG", "*:9")
        .env("GST_DEBUG_NO_COLOR", "1")
        .env("GST_DEBUG_FILE", dir.path().join("gst.log"))
        .env("RUST_LOG", "trace");
    let ended = alone::end(command);
    ended.assert_success();
    let mut texts = vec![
        ("stdout".to_owned(), ended.stdout.into_bytes()),
        ("stderr".to_owned(), ended.stderr.into_bytes()),
    ];
    for entry in std::fs::read_dir(dir.path()).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        texts.push((name, std::fs::read(path).unwrap()));
    }
    // It was logged as much as can be, and everything was written.
    let log = &texts.iter().find(|(name, _)| name == "gst.log").unwrap().1;
    assert!(contains(log, b"TRACE") && contains(log, b"kvssink") && contains(log, b"GST_PADS"));
    assert_eq!(texts.len(), 3 + faults().len());
    let secrets = [ACCESS_KEY, SECRET_KEY, TOKEN].into_iter().chain(SIGNED);
    for secret in secrets {
        for (name, text) in &texts {
            if let Some(line) = line_with(text, secret) {
                panic!("{name} has {secret}: {line}");
            }
        }
    }
}

fn contains(text: &[u8], part: &[u8]) -> bool {
    text.windows(part.len()).any(|window| window == part)
}

/// The line of `text` that has `part`, however it is written.
fn line_with(text: &[u8], part: &str) -> Option<String> {
    let part = part.to_lowercase();
    text.split(|byte| *byte == b'\n')
        .map(|line| String::from_utf8_lossy(line))
        .find(|line| line.to_lowercase().contains(&part))
        .map(|line| line.chars().take(400).collect())
}

/// Each fault once; what is met in the middle is met at the start here.
fn faults() -> BTreeSet<&'static str> {
    CASES.iter().map(|case| case.fault).collect()
}

/// A short stream under each fault; what there is to read of it goes into a file each.
fn go_wrong(dir: &Path) {
    crate::support::init();
    let clip = Clip::test(30, 10);
    let faults: Vec<_> = faults().into_iter().collect();
    let next = AtomicUsize::new(0);
    std::thread::scope(|scope| {
        for _ in 0..AT_A_TIME {
            scope.spawn(|| {
                while let Some(fault) = faults.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let name = fault.replace(['/', ':', '*'], "_");
                    std::fs::write(dir.join(name), meet(fault, &clip)).unwrap();
                }
            });
        }
    });
}

/// All that can be read of a stream that meets `fault`.
fn meet(fault: &str, clip: &Clip) -> String {
    let local: Local = service_with(|options| {
        options.access_key = ACCESS_KEY.into();
        options.secret_key = SECRET_KEY.into();
        options.session_token = Some(TOKEN.into());
    });
    local.inject(fault.parse().unwrap());
    let launch = format!(
        "stream-name=cam {} stop-stream-timeout=2 connection-staleness=1 completion-timeout=2",
        properties(&local)
    );
    let mut fed = Fed::new(&launch);
    // Not in the launch line: GStreamer's parser logs it.
    let sink = fed.pipeline.element("sink");
    sink.set_property("access-key", ACCESS_KEY);
    sink.set_property("secret-key", SECRET_KEY);
    sink.set_property("session-token", TOKEN);
    fed.play();
    fed.begin(clip);
    // It may be refused when it has ended with an error.
    for buffer in &clip.buffers {
        let _ = fed.put(buffer);
    }
    let _ = fed.event(gst::event::Eos::new());
    fed.until(|message| bus::is_eos(message) || is_error(message, "sink"));
    let mut said = String::new();
    let all = gst::DebugGraphDetails::all();
    writeln!(
        said,
        "{}\n{}",
        fed.stats(),
        fed.pipeline.0.debug_to_dot_data(all)
    )
    .unwrap();
    for property in sink.list_properties() {
        if property.flags().contains(gst::glib::ParamFlags::READABLE) {
            let value = sink.property_value(property.name());
            // GStreamer's own text of a structure that is not there is a CRITICAL.
            let text = match value.get::<Option<gst::Structure>>() {
                Ok(structure) => format!("{structure:?}"),
                Err(_) => format!("{value:?}"),
            };
            writeln!(said, "{}: {text}", property.name()).unwrap();
        }
    }
    fed.heard.stop(&fed.pipeline);
    for message in &fed.heard.0 {
        writeln!(said, "{} {message:?}", bus::text(message)).unwrap();
    }
    said
}
