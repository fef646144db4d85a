//! One stream, its credentials from some source, and a fault: all that can be read of it, and the secrets that it had.

use std::{fmt::Write, fs, path::Path, sync::Arc, time::Duration};

use bytes::Bytes;
use gst::prelude::*;
use gstkvssink::{
    local::{CredentialSources, DEFAULT_ACCESS_KEY, DEFAULT_SECRET_KEY, Issued, Local},
    producer::{
        Codec, Credentials, Frame, Producer, Secret, Service, StreamCallbacks, StreamDefinition,
        StreamName, Timestamp, Track, TrackNumber,
    },
};

use super::{ACCESS_KEY, MARKER, SECRET_KEY, TOKEN};
use crate::support::{
    PATIENCE,
    bus::{self, is_error},
    feed::{Clip, Fed},
    log::eventually,
    proxy::Proxy,
    service_with,
};

/// What the trust policy of the role wants, and what it does not. AWS says that they are no secrets, so they may be read.
pub(super) const EXTERNAL_IDS: [&str; 2] = ["external-id", "wrong-external-id"];
/// A password that the proxy does not take.
const WRONG_PASSWORD: &str = "hush-wrong-password";
/// Why the marker has to be in the log.
pub(super) const TOLD: &str = "GST_DEBUG=*:9 counts for kvssink, too";
/// Shorter lines of a key in PEM are its head, or may be anything.
const SHORTEST_LINE: usize = 20;

/// Where credentials are from.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Source {
    /// Properties, with a session token.
    Given,
    /// A credential file.
    File,
    /// AWS IoT, through a proxy with a password.
    Iot,
    /// A role with this one of [`EXTERNAL_IDS`], at the service that `AWS_ENDPOINT_URL_STS` names.
    Role(usize),
    /// AWS IoT, through a proxy that wants another password.
    WrongPassword,
    /// Given to the producer, whose application panics when it is told something.
    PanickingCallback,
}

/// What came of it.
pub(super) struct Met {
    pub(super) said: String,
    pub(super) secrets: Vec<String>,
}

/// All that is secret of credentials.
pub(super) fn secrets_of(issued: &Issued) -> [String; 3] {
    [
        &issued.access_key,
        &issued.secret_key,
        &issued.session_token,
    ]
    .map(Clone::clone)
}

pub(super) fn meet(fault: &str, source: Source, clip: &Clip) -> Met {
    let dir = tempfile::tempdir().unwrap();
    let local: Local = service_with(|options| {
        if matches!(source, Source::Given | Source::PanickingCallback) {
            options.access_key = ACCESS_KEY.into();
            options.secret_key = SECRET_KEY.into();
            options.session_token = Some(TOKEN.into());
        }
        options.credential_sources = Some(CredentialSources::below(dir.path()));
    });
    let said = match source {
        Source::PanickingCallback => panic_in_a_callback(&local, clip),
        _ => stream(fault, source, &local, clip),
    };
    let mut secrets: Vec<_> = local.issued().iter().flat_map(secrets_of).collect();
    secrets.extend(keys_of_devices(dir.path()));
    secrets.push(WRONG_PASSWORD.into());
    Met { said, secrets }
}

/// The lines of the private keys that are there.
fn keys_of_devices(dir: &Path) -> Vec<String> {
    let mut lines = Vec::new();
    for entry in fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|extension| extension == "key") {
            let text = fs::read_to_string(path).unwrap();
            let body = text.lines().filter(|line| !line.starts_with("-----"));
            lines.extend(body.map(str::to_owned));
        }
    }
    assert!(!lines.is_empty());
    lines.retain(|line| line.len() >= SHORTEST_LINE);
    lines
}

/// A short stream by the element.
fn stream(fault: &str, source: Source, local: &Local, clip: &Clip) -> String {
    let sources = local.sources().unwrap();
    let dir = &sources.dir;
    let endpoint = match source {
        // What it issues, only it takes.
        Source::Role(_) => std::env::var("AWS_ENDPOINT_URL_STS").unwrap(),
        _ => local.endpoint().to_owned(),
    };
    if !fault.is_empty() {
        local.inject(fault.parse().unwrap());
    }
    let mut fed = Fed::new(&format!(
        "stream-name=cam endpoint={endpoint} aws-region=eu-central-1 stop-stream-timeout=2 connection-staleness=1 completion-timeout=2"
    ));
    // Not in the launch line: GStreamer's parser logs it.
    let sink = fed.pipeline.element("sink");
    let proxy = Proxy::with_password();
    match source {
        Source::Given => {
            sink.set_property("access-key", ACCESS_KEY);
            sink.set_property("secret-key", SECRET_KEY);
            sink.set_property("session-token", TOKEN);
        }
        Source::File => {
            let path = dir.join("credential");
            // The session is renewed before they end, within the stream.
            local
                .write_credential_file(&path, Duration::from_secs(30))
                .unwrap();
            sink.set_property("credential-path", path.to_str().unwrap());
        }
        Source::Iot | Source::WrongPassword => {
            let file = |name: &str| dir.join(name).to_str().unwrap().to_owned();
            let iot = gst::Structure::builder("iot-certificate")
                .field("endpoint", &sources.iot)
                .field("cert-path", file("ec.pem"))
                .field("key-path", file("ec-sec1.key"))
                .field("ca-path", file("ca.pem"))
                .field("role-aliases", &sources.role_alias)
                .build();
            sink.set_property("iot-certificate", iot);
            let uri = if source == Source::Iot {
                proxy.uri_with_password()
            } else {
                proxy
                    .uri()
                    .replace("//", &format!("//camera:{WRONG_PASSWORD}@"))
            };
            sink.set_property("proxy", uri);
        }
        Source::Role(external_id) => {
            sink.set_property("access-key", DEFAULT_ACCESS_KEY);
            sink.set_property("secret-key", DEFAULT_SECRET_KEY);
            sink.set_property("role-arn", &sources.role_arn);
            sink.set_property("role-external-id", EXTERNAL_IDS[external_id]);
        }
        Source::PanickingCallback => unreachable!("it has no element"),
    }
    fed.play();
    fed.begin(clip);
    let marked = gst::Structure::new_empty(MARKER);
    let marked = gst::message::Application::new(marked);
    fed.pipeline.0.post_message(marked).unwrap();
    // It may be refused when it has ended with an error.
    for buffer in &clip.buffers {
        let _ = fed.put(buffer);
    }
    let _ = fed.event(gst::event::Eos::new());
    fed.until(|message| bus::is_eos(message) || is_error(message, "sink"));
    all_of(fed)
}

/// Everything that can be read of an element and its pipeline.
fn all_of(mut fed: Fed) -> String {
    let mut said = String::new();
    let all = gst::DebugGraphDetails::all();
    let graph = fed.pipeline.0.debug_to_dot_data(all);
    writeln!(said, "{}\n{graph}", fed.stats()).unwrap();
    let sink = fed.pipeline.element("sink");
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

/// It panics whatever it is told; what a panic says is in the output.
struct Panics;

impl StreamCallbacks for Panics {
    fn ready(&self) {
        panic!("{MARKER}");
    }
}

fn panic_in_a_callback(local: &Local, clip: &Clip) -> String {
    let service = Service {
        endpoint: Some(local.endpoint().to_owned()),
        credentials: Credentials::Static {
            access_key: ACCESS_KEY.into(),
            secret_key: Secret::new(SECRET_KEY),
            session_token: Some(Secret::new(TOKEN)),
        },
        ..Service::new("eu-central-1")
    };
    let mut said = format!("{MARKER} {service:?}\n");
    let producer = Producer::builder()
        .name("hush")
        .service(service)
        .build()
        .unwrap();
    let definition = StreamDefinition {
        stop_timeout: PATIENCE,
        ..StreamDefinition::new(StreamName::new("cam").unwrap())
    };
    let stream = producer
        .create_stream_with(definition, Arc::new(Panics))
        .unwrap();
    let track = Track::video(Codec::H264, clip.codec_data().into(), 320, 240).unwrap();
    stream.set_tracks(&[track]).unwrap();
    for buffer in &clip.buffers {
        let frame = Frame {
            track: TrackNumber::VIDEO,
            pts: Timestamp::from_millis(buffer.pts().unwrap().mseconds()),
            dts: None,
            key: !buffer.flags().contains(gst::BufferFlags::DELTA_UNIT),
            payload: Bytes::copy_from_slice(&buffer.map_readable().unwrap()),
        };
        stream.put_frame(frame).unwrap();
    }
    let ended = stream.stop();
    // `stop` waits for callbacks for a moment only, and to say where it panicked takes longer.
    let panicked = eventually(|| stream.metrics().callbacks_panicked == 1);
    writeln!(said, "{ended:?} {:?}", stream.metrics()).unwrap();
    assert_eq!((ended, panicked), (Ok(()), true));
    said
}
