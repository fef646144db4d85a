//! The signals of the C++ element, with arguments that every language can read.
//!
//! All of it is on the bus, too. They are emitted without a lock: `fragment-ack` and `stream-error` on a thread that is
//! there for them (the producer's, if the handler was connected after READY), `stream-client-metric` on the streaming
//! thread.

use std::sync::LazyLock;

use gst::glib::{
    prelude::*,
    signal::signal_has_handler_pending,
    subclass::{Signal, SignalId},
};

use super::KvsSink;

const ACK: &str = "fragment-ack";
const ERROR: &str = "stream-error";
const METRIC: &str = "stream-client-metric";

pub(super) fn all() -> &'static [Signal] {
    static SIGNALS: LazyLock<Vec<Signal>> = LazyLock::new(|| {
        let structure = || [gst::Structure::static_type()];
        vec![
            Signal::builder(ACK).param_types(structure()).build(),
            Signal::builder(ERROR)
                .param_types([u64::static_type()])
                .build(),
            Signal::builder(METRIC).param_types(structure()).build(),
        ]
    });
    &SIGNALS
}

/// The structure of the message `kvs-fragment-ack`.
pub(super) fn fragment_ack(element: &KvsSink, ack: &gst::Structure) {
    emit(element, ACK, &[ack]);
}

/// The id of the ERROR ack that ended the stream, else the HTTP status, else 0.
pub(super) fn stream_error(element: &KvsSink, status: u64) {
    emit(element, ERROR, &[&status]);
}

/// The structure of the property `stats`.
pub(super) fn stream_client_metric(element: &KvsSink, stats: &gst::Structure) {
    emit(element, METRIC, &[stats]);
}

/// Somebody has connected a handler that is called on the producer's thread: it may be slow, so it needs another.
pub(super) fn are_heard(element: &KvsSink) -> bool {
    [ACK, ERROR].iter().any(|name| {
        SignalId::lookup(name, KvsSink::static_type())
            .is_some_and(|signal| signal_has_handler_pending(element, signal, None, true))
    })
}

fn emit(element: &KvsSink, name: &str, arguments: &[&dyn ToValue]) {
    element.emit_by_name::<()>(name, arguments);
}
