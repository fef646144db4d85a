//! The signals of the C++ element, with arguments that every language can read.

use std::sync::mpsc::{Receiver, channel};

use gst::{glib, prelude::*};
use test_case::test_case;

use crate::support::{
    accounts,
    bus::is_error,
    feed::{Clip, Fed},
    log::eventually,
    properties, service,
};

/// The argument of each emission from here on.
fn listen<T>(fed: &Fed, signal: &str) -> Receiver<T>
where
    T: for<'v> glib::value::FromValue<'v> + Send + 'static,
{
    let (sender, arguments) = channel();
    fed.pipeline
        .element("sink")
        .connect(signal, false, move |values| {
            let [_, argument] = values else {
                panic!("{values:?}")
            };
            // The test may have ended.
            let _ = sender.send(argument.get().unwrap());
            None
        });
    arguments
}

/// `fragment-ack` has the structure of the message, for each ack.
#[test]
fn fragment_ack_has_a_structure() {
    let local = service();
    let clip = Clip::small(20, 10);
    let mut fed = Fed::new(&format!("stream-name=cam {}", properties(&local)));
    let acks = listen::<gst::Structure>(&fed, "fragment-ack");
    fed.begin(&clip);
    fed.put_all(&clip.buffers);
    fed.finish();
    let acks: Vec<_> = acks.try_iter().collect();
    let told: Vec<_> = fed.heard.told("kvs-fragment-ack");
    assert_eq!(
        acks.iter().map(|ack| &**ack).collect::<Vec<_>>(),
        told,
        "the same, in the same order"
    );
    let timecodes = local.fragments("cam");
    let timecodes: Vec<_> = timecodes
        .iter()
        .map(|fragment| fragment.timecode_ms)
        .collect();
    let persisted = acks
        .iter()
        .filter(|ack| ack.get::<&str>("type").unwrap() == "PERSISTED");
    let persisted = persisted.map(|ack| ack.get::<u64>("timecode").unwrap());
    assert_eq!(persisted.collect::<Vec<_>>(), timecodes);
}

/// A handler that blocks delays no upload: everything is PERSISTED while it is still in its first call.
#[test]
fn a_handler_that_blocks_delays_no_upload() {
    let local = service();
    let clip = Clip::small(40, 10);
    let mut fed = Fed::new(&format!("stream-name=cam {}", properties(&local)));
    let (let_go, may_go) = channel::<()>();
    let (told, calls) = channel();
    let may_go = std::sync::Mutex::new(Some(may_go));
    fed.pipeline
        .element("sink")
        .connect("fragment-ack", false, move |_| {
            if let Some(may_go) = may_go.lock().unwrap().take() {
                // The test may have ended.
                let _ = may_go.recv();
            }
            let _ = told.send(());
            None
        });
    fed.begin(&clip);
    fed.put_all(&clip.buffers);
    let persisted = || accounts(&fed.stats())[1];
    assert!(eventually(|| persisted() >= 30), "{}", fed.stats());
    assert!(calls.try_recv().is_err(), "the first call has not ended");
    let_go.send(()).unwrap();
    fed.finish();
    assert_eq!(calls.try_iter().count(), 12);
}

/// `stream-error` has the status that ended the stream: that of the call, as a number.
#[test_case("allow-create-stream=false", "", 404; "no such stream")]
#[test_case("", "http:GetDataEndpoint:403/AccessDeniedException:1000", 403; "not allowed")]
fn stream_error_has_a_number(more: &str, fault: &str, status: u64) {
    let local = service();
    if !fault.is_empty() {
        local.inject(fault.parse().unwrap());
    }
    let clip = Clip::small(20, 10);
    let mut fed = Fed::new(&format!("stream-name=cam {more} {}", properties(&local)));
    let errors = listen::<u64>(&fed, "stream-error");
    fed.begin(&clip);
    fed.until(|message| is_error(message, "sink"));
    fed.heard.stop(&fed.pipeline);
    assert_eq!(errors.try_iter().collect::<Vec<_>>(), [status]);
}

/// `stats` has what is buffered as a time, the rates, and for each kind of ack how many came and how long they took; so
/// has `stream-client-metric`.
#[test]
fn stats_have_rates_and_the_latency_of_acks() {
    let local = service();
    let clip = Clip::small(30, 10);
    let mut fed = Fed::new(&format!(
        "stream-name=cam get-kvs-metrics=true {}",
        properties(&local)
    ));
    let metrics = listen::<gst::Structure>(&fed, "stream-client-metric");
    fed.begin(&clip);
    fed.put_all(&clip.buffers);
    fed.finish();
    let stats = fed.stats();
    let [acks, latencies] = ["acks", "ack-latency"].map(|name| {
        let nested = stats.get::<gst::Structure>(name);
        nested.unwrap_or_else(|error| panic!("{error}: {stats}"))
    });
    for kind in ["BUFFERING", "RECEIVED", "PERSISTED"] {
        assert_eq!(acks.get::<u64>(kind).unwrap(), 3, "{stats}");
        let latency = latencies.get::<gst::Structure>(kind).unwrap();
        assert_eq!(latency.get::<u64>("count").unwrap(), 3, "{stats}");
        let [p50, p90, p99, max] =
            ["p50", "p90", "p99", "max"].map(|name| latency.get::<u64>(name).unwrap());
        assert!(p50 <= p90 && p90 <= p99 && p99 <= max, "{stats}");
    }
    for kind in ["ERROR", "IDLE", "UNKNOWN"] {
        assert_eq!(acks.get::<u64>(kind).unwrap(), 0, "{stats}");
    }
    assert_eq!(stats.get::<u64>("buffered-duration").unwrap(), 0);
    assert_eq!(stats.get::<u64>("fragments-dropped").unwrap(), 0);
    let last = metrics.try_iter().last().unwrap();
    assert!(last.get::<f64>("frame-rate").unwrap() > 0.0, "{last}");
    assert!(last.get::<f64>("transfer-rate").unwrap() >= 0.0, "{last}");
    assert!(last.has_field("ack-latency"), "{last}");
}

/// `stream-client-metric` has `stats` at each key frame, if that is asked for.
#[test_case(true)]
#[test_case(false)]
fn stream_client_metric_has_a_structure(wanted: bool) {
    let local = service();
    let clip = Clip::small(30, 10);
    let mut fed = Fed::new(&format!(
        "stream-name=cam get-kvs-metrics={wanted} {}",
        properties(&local)
    ));
    let metrics = listen::<gst::Structure>(&fed, "stream-client-metric");
    fed.begin(&clip);
    fed.put_all(&clip.buffers);
    fed.finish();
    let frames: Vec<u64> = metrics
        .try_iter()
        .map(|stats| accounts(&stats)[0])
        .collect();
    match wanted {
        true => assert_eq!(frames, [1, 11, 21]),
        false => assert_eq!(frames, [0_u64; 0]),
    }
}
