//! Every fault, as a client sees it.

use std::io::ErrorKind;

use super::super::fault::Fault;
use super::super::ledger::AckKind;
use super::*;

fn local_with(faults: &[&str]) -> Local {
    let local = local_with_stream();
    for fault in faults {
        local.inject(fault.parse().unwrap());
    }
    local
}

fn struck(local: &Local) -> Vec<u64> {
    let faults = local.faults();
    faults.into_iter().map(|(_, struck)| struck).collect()
}

fn wait_until_struck(local: &Local) {
    assert!(local.wait_for(LIMIT, |local| {
        struck(local).iter().all(|struck| *struck > 0)
    }));
}

fn host(local: &Local) -> &str {
    local.endpoint().strip_prefix("http://").unwrap()
}

fn stored(local: &Local) -> Vec<u64> {
    let fragments = local.fragments("cam1");
    fragments.iter().map(|stored| stored.timecode_ms).collect()
}

/// Connects as soon as the port is open.
fn connect(local: &Local) -> TcpStream {
    loop {
        match TcpStream::connect(host(local)) {
            Ok(stream) => return stream,
            Err(e) => assert_eq!(e.kind(), ErrorKind::ConnectionRefused),
        }
    }
}

impl Producer {
    /// A session of these fragments, one second each.
    fn of(local: &Local, timecodes: &[u64]) -> Self {
        let mut producer = Self::start(local);
        let clusters = timecodes.iter().flat_map(|timecode| cluster(*timecode));
        let body: Vec<u8> = video_header().into_iter().chain(clusters).collect();
        producer.send(&body);
        producer
    }

    /// What is read up to the connection's end, and how that is.
    fn raw(&mut self) -> (String, std::io::Result<usize>) {
        let mut read = Vec::new();
        let end = self.wire.stream.read_to_end(&mut read);
        (String::from_utf8_lossy(&read).into_owned(), end)
    }

    /// Everything up to an end that is a FIN, but not the end of an answer.
    fn closed(&mut self) -> String {
        let (read, end) = self.raw();
        end.unwrap();
        assert!(!read.ends_with("0\r\n\r\n"), "{read}");
        read
    }

    /// Everything up to a RST.
    fn reset(&mut self) -> String {
        let (read, end) = self.raw();
        assert_eq!(end.unwrap_err().kind(), ErrorKind::ConnectionReset);
        read
    }
}

/// The acks in what was read, by kind.
fn acks(read: &str) -> Vec<String> {
    read.lines()
        .filter_map(|line| serde_json::from_str::<Value>(line).ok())
        .filter_map(|ack| Some(ack.get("EventType")?.as_str()?.to_owned()))
        .collect()
}

const ALL_OF_ONE: [&str; 3] = ["BUFFERING", "RECEIVED", "PERSISTED"];

#[test]
fn the_next_calls_of_an_api_are_refused() {
    let local = local_with(&["http:PutMedia:503:2", "http:*:401"]);
    for _ in 0..2 {
        let (status, headers) = Producer::attempt(&local, &[]).head();
        assert_eq!(status, 503);
        assert!(headers.contains(&"x-amzn-errortype: ServiceUnavailableException".to_owned()));
    }
    assert_eq!(call(&local, "/listStreams", &json!({})).0, 401);
    assert_eq!(call(&local, "/listStreams", &json!({})).0, 200);
    Producer::start(&local);
    assert_eq!(struck(&local), [2, 1]);
    let attempts: Vec<_> = local
        .attempts("cam1")
        .into_iter()
        .map(|attempt| (attempt.status.unwrap(), attempt.session))
        .collect();
    assert_eq!(attempts, [(503, None), (503, None), (200, Some(1))]);
}

#[test]
fn an_exception_can_be_named_and_a_stream() {
    let text = "http:DescribeStream:400/ClientLimitExceededException:always@cam1";
    let local = local_with(&[text]);
    let of = |name: &str| call(&local, "/describeStream", &json!({ "StreamName": name }));
    for _ in 0..3 {
        let (status, headers, _) = of("cam1");
        assert_eq!(status, 400);
        assert!(headers.contains(&"x-amzn-errortype: ClientLimitExceededException".to_owned()));
    }
    assert_eq!(of("cam2").0, 404);
    local.clear_faults();
    assert_eq!(of("cam1").0, 200);
}

#[test]
fn the_limit_of_connections_is_reached() {
    let local = local_with(&["connection-limit"]);
    let (status, headers) = Producer::attempt(&local, &[]).head();
    assert_eq!(status, 400);
    assert!(headers.contains(&"x-amzn-errortype: ConnectionLimitExceededException".to_owned()));
    Producer::start(&local);
}

#[test]
fn the_head_of_the_answer_comes_late() {
    let local = local_with(&["slow-open:10"]);
    Producer::start(&local);
    assert_eq!(struck(&local), [1]);

    let local = local_with(&["slow-open:3600s"]);
    let _waiting = Producer::attempt(&local, &[]);
    wait_until_struck(&local);
    // It has not got the stream's connection yet.
    Producer::start(&local);
    assert_eq!(local.attempts("cam1")[0].status, None);
}

#[test]
fn a_closed_port_refuses_connections_and_keeps_those_it_has() {
    let local = local_with_stream();
    let mut producer = Producer::of(&local, &[1_000]);
    local.inject("refuse".parse().unwrap());
    wait_until_struck(&local);
    let refused = TcpStream::connect(host(&local)).unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::ConnectionRefused);
    producer.end();
    assert_eq!(producer.summary(), kinds(&[1_000]));
    local.clear_faults();
    connect(&local);
}

#[test]
fn a_port_that_is_closed_for_a_while_opens_by_itself() {
    let local = local_with(&["refuse:20"]);
    wait_until_struck(&local);
    connect(&local);
}

#[test]
fn a_service_that_is_away_drops_connections_and_loses_no_state() {
    let local = local_with_stream();
    let mut producer = Producer::of(&local, &[1_000, 2_000]);
    while producer.ack().unwrap()["FragmentTimecode"] != 2_000 {}
    local.inject("away:20".parse().unwrap());
    let (read, _) = producer.raw();
    assert!(!read.ends_with("0\r\n\r\n"));
    wait_until_struck(&local);
    connect(&local);
    assert!(local.wait_for(LIMIT, |local| !local.describe("cam1").unwrap().connected));
    assert_eq!(stored(&local), [1_000]);
    let mut producer = Producer::of(&local, &[2_000]);
    producer.end();
    assert_eq!(producer.summary(), kinds(&[2_000]));
}

#[test]
fn nothing_comes_out_of_a_black_hole_until_it_is_cleared() {
    let local = local_with(&["black-hole"]);
    let body = json!({}).to_string();
    let mut lost = Wire::open(
        &local,
        "/listStreams",
        &[("content-length", "2")],
        body.as_bytes(),
    );
    lost.write(body.as_bytes());
    wait_until_struck(&local);
    assert_eq!(call(&local, "/listStreams", &json!({})).0, 200);
    local.clear_faults();
    assert_eq!(lost.stream.read(&mut [0]).unwrap(), 0);
}

#[test]
fn a_black_hole_leaves_the_control_call_alone() {
    let local = local_with(&["black-hole:always"]);
    let (status, list) = control(&local, "GET", "");
    assert_eq!((status, &list["faults"][0]["struck"]), (200, &json!(0)));
    let mut lost = connect(&local);
    lost.write_all(b"POST /listStreams HTTP/1.1\r\n").unwrap();
    wait_until_struck(&local);
    assert_eq!(control(&local, "DELETE", "").0, 200);
    assert_eq!(lost.read(&mut [0]).unwrap(), 0);
}

#[test]
fn a_wrong_clock_refuses_signatures_and_dates_its_answers() {
    let hour = 3_600_000;
    let local = local_with(&["clock:-3600000"]);
    for _ in 0..2 {
        let (status, headers, _) = call(&local, "/listStreams", &json!({}));
        assert_eq!(status, 403);
        let date = headers
            .iter()
            .find_map(|header| header.strip_prefix("date: "))
            .unwrap();
        let date = jiff::fmt::rfc2822::parse(date).unwrap().timestamp();
        let now = i64::try_from(local.service.clock.now_ms()).unwrap();
        let behind = now - date.as_millisecond();
        assert!(behind >= hour && behind < 2 * hour, "{behind}");
    }
    local.clear_faults();
    assert_eq!(call(&local, "/listStreams", &json!({})).0, 200);
}

#[test]
fn a_reset_is_a_reset_and_frees_the_stream() {
    let local = local_with(&["reset-at-byte:400"]);
    Producer::of(&local, &[1_000, 2_000]).reset();
    assert_eq!(struck(&local), [1]);
    let mut again = Producer::of(&local, &[1_000]);
    again.end();
    assert_eq!(again.summary(), kinds(&[1_000]));
}

#[test]
fn a_cut_at_the_first_byte_needs_no_byte() {
    let local = local_with(&["reset-at-byte:0"]);
    let _wire = Producer::attempt(&local, &[]);
    wait_until_struck(&local);
}

#[test]
fn a_closed_connection_ends_without_the_end_of_the_answer() {
    let at = video_header().len() + cluster(1_000).len() + 20;
    let local = local_with(&[&format!("close-at-byte:{at}")]);
    let read = Producer::of(&local, &[1_000, 2_000]).closed();
    assert_eq!(acks(&read), [&ALL_OF_ONE[..], &["BUFFERING"]].concat());
    assert_eq!(stored(&local), [1_000]);
}

#[test]
fn a_connection_ends_in_the_middle_of_a_frame() {
    let local = local_with(&["close-mid-frame:12"]);
    let read = Producer::of(&local, &[1_000, 2_000, 3_000]).closed();
    assert_eq!(acks(&read), [&ALL_OF_ONE[..], &["BUFFERING"]].concat());
    assert_eq!(struck(&local), [1]);
    let ledger = local.ledger("cam1");
    assert_eq!(ledger[1].times_received(), 0);
    assert_eq!(ledger.len(), 2);
}

#[test]
fn a_connection_ends_when_a_fragment_begins() {
    let local = local_with(&["close-at-fragment:2"]);
    let read = Producer::of(&local, &[1_000, 2_000]).closed();
    assert_eq!(acks(&read), ALL_OF_ONE);

    let local = local_with(&["reset-at-fragment:2"]);
    Producer::of(&local, &[1_000, 2_000]).reset();
    assert_eq!(stored(&local), [1_000]);
    assert!(local.ledger("cam1")[0].persisted_ack_ms().is_some());
}

#[test]
fn what_is_not_read_fills_the_buffers() {
    let local = local_with(&["stop-reading-at-byte:100"]);
    let mut producer = Producer::of(&local, &[1_000]);
    wait_until_struck(&local);
    let stream = producer.wire.stream.get_mut();
    stream.set_nonblocking(true).unwrap();
    let much = vec![0; 1 << 20];
    let full = (0..256).find_map(|_| stream.write(&much).err()).unwrap();
    assert_eq!(full.kind(), ErrorKind::WouldBlock);
    stream.set_nonblocking(false).unwrap();
    // The stream is not kept from others by what does not listen.
    Producer::start(&local);
    local.clear_faults();
    producer.reset();
}

#[test]
fn slow_reading_ends_when_it_is_cleared() {
    let local = local_with(&["read-slowly:1"]);
    let mut producer = Producer::of(&local, &[1_000]);
    wait_until_struck(&local);
    producer.end();
    local.clear_faults();
    assert_eq!(producer.summary(), kinds(&[1_000]));
}

#[test]
fn an_answer_ends_before_the_body_does() {
    let local = local_with(&["end-after:10"]);
    let mut producer = Producer::start(&local);
    assert_eq!(producer.summary(), []);
    // Also a session that runs already is meant.
    let mut producer = Producer::of(&local, &[1_000]);
    producer.ack().unwrap();
    local.inject("end-after:0".parse().unwrap());
    assert_eq!(producer.summary(), []);
}

#[test]
fn a_half_closed_session_reads_to_nowhere() {
    let local = local_with(&["half-close"]);
    let mut producer = Producer::of(&local, &[1_000, 2_000]);
    assert_eq!(producer.summary(), kinds(&[1_000]));
    for timecode in 3..100 {
        producer.send(&cluster(timecode * 1_000));
    }
    Producer::start(&local);
    producer.end();
    assert_eq!(producer.wire.stream.read(&mut [0]).unwrap(), 0);
    assert_eq!(stored(&local), [1_000]);
}

#[test]
fn fragments_are_stored_without_a_word() {
    let local = local_with(&["never-ack"]);
    let mut producer = Producer::of(&local, &[1_000, 2_000]);
    producer.end();
    assert_eq!(producer.summary(), []);
    assert_eq!(stored(&local), [1_000, 2_000]);
    assert_eq!(local.ledger("cam1")[0].persisted_ack_ms(), None);
}

#[test]
fn an_error_is_not_told_either() {
    let local = local_with(&["never-ack:2", "error-ack:5000:1"]);
    let mut producer = Producer::of(&local, &[1_000, 2_000]);
    assert_eq!(producer.summary(), []);
    assert_eq!(struck(&local), [1, 1]);
}

#[test]
fn late_acks_come_in_order() {
    let local = local_with(&["delay-acks:20"]);
    let mut producer = Producer::of(&local, &[1_000, 2_000]);
    producer.end();
    assert_eq!(producer.summary(), kinds(&[1_000, 2_000]));
    assert_eq!(struck(&local), [1]);
}

#[test]
fn a_fragment_is_refused_on_demand() {
    for id in ErrorId::ALL {
        let local = local_with(&[&format!("error-ack:{}:2", id.id())]);
        let mut producer = Producer::of(&local, &[1_000, 2_000, 3_000]);
        let mut acks: Vec<Value> = std::iter::from_fn(|| producer.ack()).collect();
        let error = acks.pop().unwrap();
        assert_eq!(
            (
                &error["ErrorId"],
                &error["ErrorCode"],
                &error["FragmentTimecode"]
            ),
            (&json!(id.id()), &json!(id.code()), &json!(2_000))
        );
        assert_eq!(acks.len(), 4);
        assert_eq!(error["FragmentNumber"], acks[3]["FragmentNumber"]);
        assert_eq!(stored(&local), [1_000]);
    }
}

#[test]
fn poison_stays_poison() {
    let local = local_with(&["poison:4006:2:always"]);
    let mut producer = Producer::of(&local, &[1_000, 2_000, 3_000]);
    assert_eq!(producer.summary()[4], ("ERROR".to_owned(), 4006));
    let mut producer = Producer::of(&local, &[2_000, 3_000]);
    assert_eq!(producer.summary()[1], ("ERROR".to_owned(), 4006));
    let mut producer = Producer::of(&local, &[3_000, 4_000]);
    producer.end();
    assert_eq!(producer.summary(), kinds(&[3_000, 4_000]));
    assert_eq!(struck(&local), [2]);
}

#[test]
fn garbage_comes_before_the_acks() {
    let local = local_with(&["garbage-acks:9"]);
    let mut producer = Producer::of(&local, &[1_000]);
    producer.end();
    let read = producer.wire.rest();
    let lines: Vec<&[u8]> = read.split_inclusive(|byte| *byte == b'\n').collect();
    assert_eq!(lines[0], lines[8]);
    assert_eq!(lines.len(), 12);
    assert_eq!(
        acks(&String::from_utf8_lossy(&lines[9..].concat())),
        ALL_OF_ONE
    );
}

#[test]
fn acks_are_lost_and_the_fragment_is_not() {
    let local = local_with(&["lose-acks"]);
    let read = Producer::of(&local, &[1_000, 2_000]).closed();
    assert_eq!(acks(&read), ["BUFFERING"]);
    assert_eq!(stored(&local), [1_000]);
    let mut again = Producer::of(&local, &[1_000]);
    again.end();
    assert_eq!(again.summary(), kinds(&[1_000]));
    let entry = local.ledger("cam1").remove(0);
    assert_eq!((entry.times_persisted(), entry.receptions.len()), (2, 2));
    assert!(entry.is_always_the_same() && !entry.was_resent_after_persisted());
}

#[test]
fn idle_is_said_between_acks() {
    let local = local_with(&["idle-ack"]);
    let mut producer = Producer::of(&local, &[1_000, 2_000]);
    producer.end();
    let acks = producer.summary().into_iter().map(|(kind, _)| kind);
    let one = [&["IDLE"], &ALL_OF_ONE[..]].concat();
    assert_eq!(acks.collect::<Vec<_>>(), one.repeat(2));
}

#[test]
fn acks_come_twice() {
    let local = local_with(&["duplicate-acks"]);
    let mut producer = Producer::of(&local, &[1_000]);
    producer.end();
    let acks = producer.summary();
    let twice: Vec<_> = kinds(&[1_000])
        .into_iter()
        .flat_map(|ack| [ack.clone(), ack])
        .collect();
    assert_eq!(acks, twice);
}

#[test]
fn acks_come_in_pieces() {
    let local = local_with(&["ack-split:7"]);
    let mut producer = Producer::of(&local, &[1_000, 2_000]);
    producer.end();
    let pieces: Vec<Vec<u8>> = std::iter::from_fn(|| producer.wire.chunk()).collect();
    assert!(pieces.iter().all(|piece| piece.len() <= 7));
    assert_eq!(
        acks(&String::from_utf8(pieces.concat()).unwrap()),
        ALL_OF_ONE.repeat(2)
    );
}

#[test]
fn the_ledger_knows_what_came_and_which_acks_left() {
    let local = local_with_stream();
    for _ in 0..2 {
        let mut producer = Producer::of(&local, &[1_000]);
        producer.end();
        assert_eq!(producer.summary(), kinds(&[1_000]));
    }
    // The last ack is in our hands perhaps before it is in the ledger.
    let noted = |local: &Local| {
        let entries = local.ledger("cam1");
        let mut receptions = entries[0].receptions.iter();
        receptions.all(|reception| reception.persisted_ack_ms().is_some())
    };
    assert!(local.wait_for(LIMIT, noted));
    let [entry] = &local.ledger("cam1")[..] else {
        panic!("one fragment")
    };
    assert_eq!((entry.timecode_ms, entry.times_persisted()), (1_000, 2));
    assert!(entry.is_always_the_same() && entry.was_resent_after_persisted());
    for reception in &entry.receptions {
        let acks: Vec<AckKind> = reception.acks.iter().map(|(kind, _)| *kind).collect();
        assert_eq!(
            acks,
            [AckKind::Buffering, AckKind::Received, AckKind::Persisted]
        );
        assert_eq!((reception.frames, reception.persisted), (10, true));
        let times: Vec<u64> = reception.acks.iter().map(|(_, at_ms)| *at_ms).collect();
        assert!(times.is_sorted() && reception.begun_ms <= times[0]);
    }
    assert_eq!(local.attempts("cam1").len(), 2);
}

fn control(local: &Local, method: &str, body: &str) -> (u16, Value) {
    let mut stream = connect(local);
    stream.set_read_timeout(Some(LIMIT)).unwrap();
    let head = format!(
        "{method} /kvs-local/faults HTTP/1.1\r\nhost: x\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{body}",
        body.len()
    );
    stream.write_all(head.as_bytes()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    let status = head.split(' ').nth(1).unwrap().parse().unwrap();
    (status, serde_json::from_str(body).unwrap())
}

#[test]
fn faults_are_injected_by_a_call() {
    let local = local_with_stream();
    let (status, list) = control(&local, "POST", "http:ListStreams:500:3\nnever-ack@cam1\n");
    assert_eq!((status, list["faults"].as_array().unwrap().len()), (200, 2));
    assert_eq!(call(&local, "/listStreams", &json!({})).0, 500);
    let (_, list) = control(&local, "GET", "");
    let expected = json!([
        {"fault": "http:ListStreams:500:3", "struck": 1, "left": 2},
        {"fault": "never-ack@cam1", "struck": 0, "left": 1},
    ]);
    assert_eq!(list["faults"], expected);
    let (status, refused) = control(&local, "POST", "idle-ack\nidel-ack");
    assert_eq!(status, 400);
    assert!(
        refused["message"]
            .as_str()
            .unwrap()
            .contains("'idel-ack' is no fault")
    );
    assert_eq!(control(&local, "PUT", "").0, 405);
    assert_eq!(control(&local, "DELETE", "").1["faults"], json!([]));
    // It is no call of the service.
    assert!(
        local
            .requests()
            .iter()
            .all(|request| !request.api.contains("faults"))
    );
}

/// A fault that is injected and has nothing to strike changes nothing.
#[test]
fn faults_of_another_stream_change_nothing() {
    let local = local_with_stream();
    let streams = Fault::examples().filter(|fault| fault.kind.knows_streams());
    streams.for_each(|fault| local.inject(fault.always().on("cam2")));
    let mut producer = Producer::of(&local, &[1_000, 2_000]);
    producer.end();
    assert_eq!(producer.summary(), kinds(&[1_000, 2_000]));
    assert!(struck(&local).iter().all(|struck| *struck == 0));
    assert_eq!(struck(&local).len(), Fault::FORMS.len() - 4);
}

/// The tests of this file, by the names of the faults in them: none is forgotten.
#[test]
fn every_kind_has_been_seen_on_the_wire() {
    let tests = include_str!("fault_tests.rs");
    for form in Fault::FORMS {
        let name = form.form.split([':', '[']).next().unwrap();
        assert!(tests.contains(&format!("\"{name}")), "{name}");
    }
}
