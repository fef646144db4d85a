//! The service from outside: plain sockets against a running [`Local`].

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::time::{Duration, UNIX_EPOCH};

use aws_credential_types::Credentials;
use aws_sigv4::http_request::{SignableBody, SignableRequest, SigningSettings, sign};
use aws_sigv4::sign::v4;
use serde_json::{Value, json};

use super::sample::{
    FRAME, block, cluster, cluster_start, end_of_fragment, some_tags, video_header,
};
use super::*;

#[path = "fault_tests.rs"]
mod faults;
#[path = "issued_tests.rs"]
mod issued;
#[path = "sink_tests.rs"]
mod sink;

const LIMIT: Duration = Duration::from_secs(20);

fn local() -> Local {
    Local::start(Options {
        activation_delay: Duration::ZERO,
        ..Options::default()
    })
    .unwrap()
}

fn local_with_stream() -> Local {
    let local = local();
    let created = call(
        &local,
        "/createStream",
        &json!({"StreamName": "cam1", "DataRetentionInHours": 2}),
    );
    assert_eq!(created.0, 200);
    local
}

/// A connection and what is read from it.
struct Wire {
    stream: BufReader<TcpStream>,
}

impl Wire {
    /// Sends the head of a signed request.
    fn open(local: &Local, path: &str, headers: &[(&str, &str)], payload: &[u8]) -> Self {
        let keys = Credentials::new(DEFAULT_ACCESS_KEY, DEFAULT_SECRET_KEY, None, None, "test");
        Self::open_as(&keys, local, path, headers, payload)
    }

    /// The same with other credentials.
    fn open_as(
        keys: &Credentials,
        local: &Local,
        path: &str,
        headers: &[(&str, &str)],
        payload: &[u8],
    ) -> Self {
        let host = local.endpoint().strip_prefix("http://").unwrap();
        let identity = keys.clone().into();
        let now = UNIX_EPOCH + Duration::from_millis(local.service.clock.now_ms());
        let mut settings = SigningSettings::default();
        // AWS's own client signs `connection`, `transfer-encoding` and `user-agent` too.
        settings.excluded_headers = None;
        let parameters = v4::SigningParams::builder()
            .identity(&identity)
            .region("eu-west-1")
            .name("kinesisvideo")
            .time(now)
            .settings(settings)
            .build()
            .unwrap()
            .into();
        let url = format!("{}{path}", local.endpoint());
        let headers: Vec<(&str, &str)> = [("host", host)]
            .into_iter()
            .chain(headers.iter().copied())
            .collect();
        let signable = SignableRequest::new(
            "POST",
            url,
            headers.iter().copied(),
            SignableBody::Bytes(payload),
        )
        .unwrap();
        let (instructions, _) = sign(signable, &parameters).unwrap().into_parts();
        let mut head = format!("POST {path} HTTP/1.1\r\n");
        for (name, value) in headers.into_iter().chain(instructions.headers()) {
            head.push_str(&format!("{name}: {value}\r\n"));
        }
        head.push_str("\r\n");
        let mut stream = TcpStream::connect(host).unwrap();
        stream.set_read_timeout(Some(LIMIT)).unwrap();
        stream.write_all(head.as_bytes()).unwrap();
        Self {
            stream: BufReader::new(stream),
        }
    }

    fn write(&mut self, bytes: &[u8]) {
        self.stream.get_mut().write_all(bytes).unwrap();
    }

    fn line(&mut self) -> String {
        let mut line = String::new();
        self.stream.read_line(&mut line).unwrap();
        line.trim_end().to_owned()
    }

    /// Status and headers of the answer.
    fn head(&mut self) -> (u16, Vec<String>) {
        let status = self.line().split(' ').nth(1).unwrap().parse().unwrap();
        let mut headers = Vec::new();
        loop {
            match self.line() {
                line if line.is_empty() => return (status, headers),
                line => headers.push(line),
            }
        }
    }

    /// The next chunk of the answer; nothing at its end.
    fn chunk(&mut self) -> Option<Vec<u8>> {
        let size = usize::from_str_radix(&self.line(), 16).unwrap();
        let mut chunk = vec![0; size + 2];
        self.stream.read_exact(&mut chunk).unwrap();
        chunk.truncate(size);
        (size > 0).then_some(chunk)
    }

    /// Status, headers and JSON of an answer that is known as a whole.
    fn answer(&mut self) -> (u16, Vec<String>, Value) {
        let (status, headers) = self.head();
        let length = headers
            .iter()
            .find_map(|header| header.strip_prefix("content-length: "))
            .unwrap();
        let mut answer = vec![0; length.parse().unwrap()];
        self.stream.read_exact(&mut answer).unwrap();
        (status, headers, serde_json::from_slice(&answer).unwrap())
    }

    fn rest(&mut self) -> Vec<u8> {
        std::iter::from_fn(|| self.chunk()).flatten().collect()
    }
}

fn call(local: &Local, path: &str, body: &Value) -> (u16, Vec<String>, Value) {
    let body = body.to_string();
    let length = body.len().to_string();
    let mut wire = Wire::open(local, path, &[("content-length", &length)], body.as_bytes());
    wire.write(body.as_bytes());
    wire.answer()
}

fn call_as(keys: &Credentials, local: &Local, path: &str, body: &Value) -> (u16, Value) {
    let body = body.to_string();
    let length = body.len().to_string();
    let headers = [("content-length", length.as_str())];
    let mut wire = Wire::open_as(keys, local, path, &headers, body.as_bytes());
    wire.write(body.as_bytes());
    let (status, _, answer) = wire.answer();
    (status, answer)
}

/// A `PutMedia` call whose head has been answered.
struct Producer {
    wire: Wire,
    acks: Vec<Value>,
}

impl Producer {
    fn attempt(local: &Local, headers: &[(&str, &str)]) -> Wire {
        let usual = [
            ("transfer-encoding", "chunked"),
            ("connection", "keep-alive"),
            ("user-agent", "tests/1.0 (x)"),
            ("x-amzn-stream-name", "cam1"),
            ("x-amzn-producer-start-timestamp", "1700000000.000"),
            ("x-amzn-fragment-timecode-type", "ABSOLUTE"),
            ("x-amzn-fragment-acknowledgment-required", "1"),
        ];
        let kept = usual
            .iter()
            .filter(|(name, _)| !headers.iter().any(|(other, _)| other == name));
        let all: Vec<(&str, &str)> = kept
            .chain(headers)
            .copied()
            .filter(|(_, value)| !value.is_empty())
            .collect();
        Wire::open(local, "/putMedia", &all, b"")
    }

    fn start(local: &Local) -> Self {
        Self::start_with(local, &[])
    }

    fn start_with(local: &Local, headers: &[(&str, &str)]) -> Self {
        let mut wire = Self::attempt(local, headers);
        assert_eq!(wire.head().0, 200);
        Self {
            wire,
            acks: Vec::new(),
        }
    }

    fn send(&mut self, bytes: &[u8]) {
        let size = format!("{:x}\r\n", bytes.len());
        // At once: the service may reset the connection as soon as it has read some of it.
        self.wire.write(&[size.as_bytes(), bytes, b"\r\n"].concat());
    }

    fn end(&mut self) {
        self.wire.write(b"0\r\n\r\n");
    }

    /// The next ack; nothing at the end of the answer.
    fn ack(&mut self) -> Option<Value> {
        while self.acks.is_empty() {
            let chunk = self.wire.chunk()?;
            for line in chunk.split_inclusive(|byte| *byte == b'\n') {
                assert_eq!(line.last(), Some(&b'\n'), "an ack is one chunk");
                self.acks.push(serde_json::from_slice(line).unwrap());
            }
        }
        Some(self.acks.remove(0))
    }

    /// Kind and timecode (or error) of the next acks up to the end of the answer.
    fn summary(&mut self) -> Vec<(String, u64)> {
        std::iter::from_fn(|| self.ack())
            .map(|ack| {
                let number = ack.get("ErrorId").or_else(|| ack.get("FragmentTimecode"));
                (
                    ack["EventType"].as_str().unwrap().to_owned(),
                    number.and_then(Value::as_u64).unwrap_or(0),
                )
            })
            .collect()
    }
}

fn kinds(fragments: &[u64]) -> Vec<(String, u64)> {
    fragments
        .iter()
        .flat_map(|timecode| {
            ["BUFFERING", "RECEIVED", "PERSISTED"].map(|kind| (kind.to_owned(), *timecode))
        })
        .collect()
}

#[test]
fn acks_come_while_the_body_is_still_sent() {
    let local = local_with_stream();
    let mut producer = Producer::start(&local);
    producer.send(&video_header());
    producer.send(&cluster(1_000));
    let buffering = producer.ack().unwrap();
    assert_eq!(
        (&buffering["EventType"], &buffering["FragmentTimecode"]),
        (&json!("BUFFERING"), &json!(1_000))
    );
    producer.send(&some_tags(1));
    producer.send(&end_of_fragment());
    assert_eq!(producer.ack().unwrap()["EventType"], "RECEIVED");
    let persisted = producer.ack().unwrap();
    assert_eq!(persisted["EventType"], "PERSISTED");
    assert_eq!(persisted["FragmentNumber"], buffering["FragmentNumber"]);
    // What is acknowledged can be seen, before the session ends.
    let [fragment] = &local.fragments("cam1")[..] else {
        panic!("one fragment")
    };
    assert_eq!(persisted["FragmentNumber"], fragment.fragment_number);
    assert_eq!(
        (fragment.timecode_ms, fragment.frames, fragment.session),
        (1_000, 10, 1)
    );
    assert_eq!(fragment.tags, [("name0".to_owned(), "value".to_owned())]);
    producer.send(&cluster(2_000));
    producer.end();
    assert_eq!(producer.summary(), kinds(&[2_000]));
}

#[test]
fn the_session_is_a_file_and_an_index() {
    let local = local_with_stream();
    let mut producer = Producer::start(&local);
    producer.send(&[video_header(), cluster(1_000), cluster(2_000)].concat());
    producer.end();
    assert_eq!(producer.summary(), kinds(&[1_000, 2_000]));
    let [file] = &local.session_files("cam1")[..] else {
        panic!("one file")
    };
    assert_eq!(
        timestamps(file),
        (10..30).map(|n| n * 100).collect::<Vec<u64>>()
    );
    let index = std::fs::read_to_string(file.with_file_name("index.jsonl")).unwrap();
    let timecodes: Vec<Value> = index
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).unwrap()["timecode_ms"].take())
        .collect();
    assert_eq!(timecodes, [1_000, 2_000]);
}

#[test]
fn an_abrupt_end_keeps_what_was_complete() {
    let local = local_with_stream();
    let mut producer = Producer::start(&local);
    producer.send(&[video_header(), cluster(1_000), cluster(2_000)].concat());
    while producer.ack().unwrap()["FragmentTimecode"] != 2_000 {}
    drop(producer);
    assert!(local.wait_for(LIMIT, |local| !local.describe("cam1").unwrap().connected));
    let timecodes: Vec<u64> = local
        .fragments("cam1")
        .iter()
        .map(|fragment| fragment.timecode_ms)
        .collect();
    assert_eq!(timecodes, [1_000]);
}

#[test]
fn the_file_of_a_session_that_runs_is_whole_when_the_service_stops() {
    let dir = tempfile::tempdir().unwrap();
    let options = Options {
        dir: Some(dir.path().to_owned()),
        activation_delay: Duration::ZERO,
        ..Options::default()
    };
    let local = Local::start(options).unwrap();
    call(
        &local,
        "/createStream",
        &json!({"StreamName": "cam1", "DataRetentionInHours": 2}),
    );
    let mut producer = Producer::start(&local);
    producer.send(&[video_header(), cluster(1_000), cluster(2_000)].concat());
    while producer.ack().unwrap()["FragmentTimecode"] != 2_000 {}
    let file = local.session_files("cam1").remove(0);
    local.stop();
    assert_eq!(
        timestamps(&file),
        (10..20).map(|n| n * 100).collect::<Vec<u64>>()
    );
}

fn timestamps(file: &Path) -> Vec<u64> {
    let mut demuxer =
        matroska_demuxer::MatroskaFile::open(std::fs::File::open(file).unwrap()).unwrap();
    let mut frame = matroska_demuxer::Frame::default();
    let mut found = Vec::new();
    while demuxer.next_frame(&mut frame).unwrap() {
        assert_eq!(frame.data, FRAME);
        found.push(frame.timestamp);
    }
    found
}

#[test]
fn an_error_ends_the_answer_and_the_connection() {
    let local = local_with_stream();
    let mut producer = Producer::start(&local);
    producer.send(&[video_header(), cluster(1_000), cluster(1_900)].concat());
    let mut acks = std::iter::from_fn(|| producer.ack()).collect::<Vec<_>>();
    let error = acks.pop().unwrap();
    assert_eq!(error["EventType"], "ERROR");
    assert_eq!(
        (&error["ErrorId"], &error["FragmentTimecode"]),
        (&json!(4004), &json!(1_900))
    );
    assert_eq!(error["ErrorCode"], "FRAGMENT_TIMECODE_LESSER_THAN_PREVIOUS");
    assert_eq!(acks.last().unwrap()["EventType"], "PERSISTED");
    // The producer ends its body; then the connection is closed rather than kept alive.
    producer.end();
    assert_eq!(producer.wire.stream.read(&mut [0]).unwrap(), 0);
}

#[test]
fn a_connection_after_an_error_is_taken_at_once() {
    let local = local_with_stream();
    for _ in 0..3 {
        let mut producer = Producer::start(&local);
        producer.send(b"garbage");
        assert_eq!(producer.summary(), [("ERROR".to_owned(), 4006)]);
    }
}

#[test]
fn a_second_connection_is_refused_while_the_first_lives() {
    let local = local_with_stream();
    let mut first = Producer::start(&local);
    let mut second = Producer::attempt(&local, &[]);
    let (status, headers) = second.head();
    assert_eq!(status, 400);
    assert!(headers.contains(&"x-amzn-errortype: ConnectionLimitExceededException".to_owned()));
    first.send(&[video_header(), cluster(1_000)].concat());
    first.end();
    assert_eq!(first.summary(), kinds(&[1_000]));
    Producer::start(&local);
}

#[test]
fn a_stream_that_is_not_active_takes_no_media() {
    let options = Options {
        activation_delay: Duration::from_secs(3600),
        ..Options::default()
    };
    let local = Local::start(options).unwrap();
    call(&local, "/createStream", &json!({"StreamName": "cam1"}));
    assert_eq!(
        Producer::start(&local).summary(),
        [("ERROR".to_owned(), 4008)]
    );
}

#[test]
fn a_connection_has_a_longest_life() {
    let local = Local::start(Options {
        activation_delay: Duration::ZERO,
        max_connection: Duration::from_millis(50),
        ..Options::default()
    });
    let local = local.unwrap();
    call(&local, "/createStream", &json!({"StreamName": "cam1"}));
    let mut producer = Producer::start(&local);
    assert_eq!(producer.summary(), [("ERROR".to_owned(), 4003)]);
}

#[test]
fn silence_is_answered_with_idle_and_then_with_the_end() {
    let local = Local::start(Options {
        activation_delay: Duration::ZERO,
        idle: Duration::from_millis(20),
        silence: Duration::from_millis(40),
        ..Options::default()
    });
    let local = local.unwrap();
    call(&local, "/createStream", &json!({"StreamName": "cam1"}));
    let mut producer = Producer::start(&local);
    assert_eq!(
        producer.summary(),
        [("IDLE".to_owned(), 0), ("IDLE".to_owned(), 0)]
    );
}

#[test]
fn without_retention_nothing_is_persisted() {
    let local = local();
    call(&local, "/createStream", &json!({"StreamName": "cam1"}));
    let mut producer = Producer::start(&local);
    producer.send(&[video_header(), cluster(1_000)].concat());
    producer.end();
    assert_eq!(producer.summary(), kinds(&[1_000])[..2]);
    assert!(!local.fragments("cam1")[0].persisted);
}

#[test]
fn acks_that_are_not_wanted_are_not_sent() {
    let local = local_with_stream();
    let mut producer =
        Producer::start_with(&local, &[("x-amzn-fragment-acknowledgment-required", "0")]);
    producer.send(&[video_header(), cluster(1_000)].concat());
    producer.end();
    assert_eq!(producer.summary(), []);
    assert_eq!(local.fragments("cam1").len(), 1);
}

#[test]
fn relative_timecodes_are_acknowledged_as_they_are_on_the_wire() {
    let local = local_with_stream();
    let mut producer =
        Producer::start_with(&local, &[("x-amzn-fragment-timecode-type", "RELATIVE")]);
    producer.send(&[video_header(), cluster(1_000)].concat());
    producer.end();
    assert_eq!(producer.summary(), kinds(&[1_000]));
    assert_eq!(
        local.fragments("cam1")[0].producer_timestamp_ms,
        1_700_000_001_000
    );
}

#[test]
fn what_is_expected_is_told_to_continue() {
    let local = local_with_stream();
    let mut wire = Producer::attempt(&local, &[("expect", "100-continue")]);
    assert_eq!(wire.head().0, 100);
    assert_eq!(wire.head().0, 200);
}

#[test]
fn a_wrong_head_of_put_media_is_refused() {
    let local = local_with_stream();
    let wrong = [
        ("x-amzn-stream-name", ""),
        (
            "x-amzn-stream-arn",
            "arn:aws:kinesisvideo:eu-west-1:1:stream/cam1/1",
        ),
        ("x-amzn-producer-start-timestamp", "1700000000.5"),
        ("x-amzn-producer-start-timestamp", ""),
        ("x-amzn-fragment-timecode-type", "absolute"),
        ("x-amzn-fragment-acknowledgment-required", "true"),
        ("transfer-encoding", "gzip, chunked"),
    ];
    for header in wrong {
        let (status, headers) = Producer::attempt(&local, &[header]).head();
        assert_eq!(status, 400, "{header:?}");
        assert!(
            headers.contains(&"x-amzn-errortype: InvalidArgumentException".to_owned()),
            "{header:?}"
        );
    }
    assert_eq!(
        Producer::attempt(&local, &[("x-amzn-stream-name", "cam2")])
            .head()
            .0,
        404
    );
}

#[test]
fn every_answer_has_a_request_id_of_its_own() {
    let local = local();
    let ids: Vec<String> = (0..2)
        .map(|_| {
            let (_, headers, _) = call(&local, "/listStreams", &json!({}));
            headers
                .into_iter()
                .find(|header| header.starts_with("x-amzn-requestid: "))
                .unwrap()
        })
        .collect();
    assert_ne!(ids[0], ids[1]);
    assert_eq!(local.requests().len(), 2);
}

#[test]
fn a_refusal_is_json_with_a_lower_case_message() {
    let local = local();
    let (status, headers, body) = call(&local, "/describeStream", &json!({"StreamName": "cam1"}));
    assert_eq!(status, 404);
    assert!(headers.contains(&"x-amzn-errortype: ResourceNotFoundException".to_owned()));
    assert!(body["message"].is_string());
    let request = local.requests().pop().unwrap();
    assert_eq!(
        (
            request.api.as_str(),
            request.status,
            request.stream.as_deref()
        ),
        ("DescribeStream", 404, Some("cam1"))
    );
    assert_eq!(request.error.as_deref(), Some("ResourceNotFoundException"));
}

#[test]
fn an_unsigned_request_is_refused() {
    let local = local();
    let host = local.endpoint().strip_prefix("http://").unwrap();
    let mut stream = TcpStream::connect(host).unwrap();
    stream.set_read_timeout(Some(LIMIT)).unwrap();
    write!(
        stream,
        "POST /listStreams HTTP/1.1\r\nhost: {host}\r\ncontent-length: 0\r\n\r\n"
    )
    .unwrap();
    let mut wire = Wire {
        stream: BufReader::new(stream),
    };
    let (status, headers) = wire.head();
    assert_eq!(status, 403);
    assert!(headers.contains(&"x-amzn-errortype: MissingAuthenticationTokenException".to_owned()));
}

#[test]
fn media_are_given_back_as_they_were_stored() {
    let local = local_with_stream();
    let mut producer = Producer::start(&local);
    producer.send(&[video_header(), cluster(1_000), some_tags(1), cluster(2_000)].concat());
    producer.end();
    assert_eq!(producer.summary(), kinds(&[1_000, 2_000]));
    let numbers: Vec<String> = local
        .fragments("cam1")
        .into_iter()
        .map(|f| f.fragment_number)
        .collect();

    let all = get_media(&local, &json!({"StartSelectorType": "EARLIEST"}));
    assert_eq!(
        all,
        [(1_000, numbers[0].clone()), (2_000, numbers[1].clone())]
    );
    let later = json!({"StartSelectorType": "FRAGMENT_NUMBER", "AfterFragmentNumber": numbers[0]});
    assert_eq!(get_media(&local, &later), all[1..]);
    let produced = json!({"StartSelectorType": "PRODUCER_TIMESTAMP", "StartTimestamp": 1.5});
    assert_eq!(get_media(&local, &produced), all[1..]);
}

/// Timecode and fragment number of each fragment that `GetMedia` gives, read by our own strict reader.
fn get_media(local: &Local, selector: &Value) -> Vec<(u64, String)> {
    let body = json!({"StreamName": "cam1", "StartSelector": selector}).to_string();
    let length = body.len().to_string();
    let mut wire = Wire::open(
        local,
        "/getMedia",
        &[("content-length", &length)],
        body.as_bytes(),
    );
    wire.write(body.as_bytes());
    assert_eq!(wire.head().0, 200);
    let media = wire.rest();
    let starts: Vec<usize> = media
        .windows(4)
        .enumerate()
        .filter(|(_, four)| *four == [0x1A, 0x45, 0xDF, 0xA3])
        .map(|(at, _)| at)
        .collect();
    let ends = starts.iter().skip(1).copied().chain([media.len()]);
    starts
        .iter()
        .zip(ends)
        .map(|(start, end)| read_fragment(&media[*start..end]))
        .collect()
}

fn read_fragment(media: &[u8]) -> (u64, String) {
    let mut reader = ebml::Reader::new(1 << 20);
    reader.feed(media);
    let (mut timecode, mut number) = (None, None);
    while let Some(event) = reader.next().unwrap() {
        match event {
            ebml::Event::Child(child) if child.id == mkv::id::TIMECODE => {
                timecode = Some(ebml::uint(child.payload()).unwrap());
            }
            ebml::Event::Element(element) if element.id == mkv::id::TAGS && number.is_none() => {
                let text = String::from_utf8_lossy(element.payload()).into_owned();
                number = Some(
                    text.chars()
                        .filter(char::is_ascii_digit)
                        .take(47)
                        .collect::<String>(),
                );
            }
            _ => {}
        }
    }
    assert!(reader.may_end());
    (timecode.unwrap(), number.unwrap())
}

#[test]
fn now_gives_what_comes_from_now_on() {
    let local = local_with_stream();
    let mut producer = Producer::start(&local);
    producer.send(&[video_header(), cluster(1_000), end_of_fragment()].concat());
    while producer.ack().unwrap()["EventType"] != "PERSISTED" {}
    let body =
        json!({"StreamName": "cam1", "StartSelector": {"StartSelectorType": "NOW"}}).to_string();
    let length = body.len().to_string();
    let mut wire = Wire::open(
        &local,
        "/getMedia",
        &[("content-length", &length)],
        body.as_bytes(),
    );
    wire.write(body.as_bytes());
    assert_eq!(wire.head().0, 200);
    producer.send(
        &[
            cluster_start(2_000),
            block(1, 0, true, FRAME),
            end_of_fragment(),
        ]
        .concat(),
    );
    let head = wire.chunk().unwrap();
    assert_eq!(head[..4], [0x1A, 0x45, 0xDF, 0xA3]);
    let cluster = wire.chunk().unwrap();
    assert!(cluster.ends_with(FRAME));
}

#[test]
fn a_stream_becomes_active_while_one_waits_for_it() {
    let options = Options {
        activation_delay: Duration::from_millis(30),
        ..Options::default()
    };
    let local = Local::start(options).unwrap();
    call(&local, "/createStream", &json!({"StreamName": "cam1"}));
    let active = |local: &Local| {
        local
            .describe("cam1")
            .is_some_and(|stream| stream.status == StreamStatus::Active)
    };
    assert!(local.wait_for(LIMIT, active));
}

#[test]
fn a_temporary_directory_is_removed_and_a_given_one_is_kept() {
    let temporary = local();
    let dir = temporary.dir().to_owned();
    assert!(dir.is_dir());
    temporary.stop();
    assert!(!dir.exists());

    let dir = tempfile::tempdir().unwrap();
    let options = Options {
        dir: Some(dir.path().join("media")),
        tls: true,
        ..Options::default()
    };
    let kept = Local::start(options).unwrap();
    let ca = kept.ca_file().unwrap().to_owned();
    assert!(kept.endpoint().starts_with("https://127.0.0.1:"));
    kept.stop();
    assert!(
        std::fs::read_to_string(ca)
            .unwrap()
            .starts_with("-----BEGIN CERTIFICATE-----")
    );
}
