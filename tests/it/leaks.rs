//! Each test that uses GStreamer is watched (`support/leaks.rs`), and no warning passes: that the watch is awake.

use std::{os::unix::process::ExitStatusExt, process::ExitStatus};

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

/// A warning of GLib ends the process of a test, also when nobody has set `G_DEBUG`.
#[test]
fn a_warning_ends_a_test() {
    if alone::task().is_some() {
        init();
        gst::glib::g_warning!("a test", "something is odd");
        println!("it goes on");
        return;
    }
    let mut command = alone::command("warn");
    command.env_remove("G_DEBUG");
    let Ended {
        status,
        stdout,
        stderr,
    } = alone::end(command);
    assert!(stderr.contains("something is odd"), "{stderr}");
    let signal = status.and_then(|status| status.signal());
    assert!(signal.is_some(), "{status:?}: {stdout}");
    assert!(!stdout.contains("it goes on"), "{stdout}");
}
