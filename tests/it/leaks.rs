//! Each test that uses GStreamer is watched (`support/leaks.rs`): that the watch is awake.

use std::process::ExitStatus;

use gst::prelude::*;
use test_case::test_case;

use super::support::{alone, init, scripts::Ended};

/// What is left behind ends the process of the test and is named: an element that refers to itself, with what it has.
#[test_case("buffer", &["GstBuffer"])]
#[test_case("element", &["KvsSink", "GstPad"])]
fn what_a_test_leaves_behind_ends_it(what: &str, named: &[&str]) {
    if alone::task().is_some() {
        init();
        match what {
            "buffer" => std::mem::forget(gst::Buffer::from_slice([1])),
            _ => {
                let sink = gst::ElementFactory::make("kvssink").build().unwrap();
                let itself = sink.clone();
                sink.connect_notify(None, move |_, _| drop(itself.name()));
            }
        }
        return;
    }
    let Ended { status, stderr, .. } = alone::run(what);
    assert!(!status.as_ref().is_some_and(ExitStatus::success));
    for name in named {
        let line = format!("object-alive, type-name=(string){name},");
        assert!(stderr.contains(&line), "no {name} in {stderr}");
    }
}

/// A test that leaves nothing behind goes on to its end.
#[test]
fn a_test_that_leaves_nothing_behind_is_not_ended() {
    if alone::task().is_some() {
        init();
        drop(gst::Buffer::from_slice([1]));
        return;
    }
    alone::run("").assert_success();
}
