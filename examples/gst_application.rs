//! A GStreamer application in Rust with kvssink built in: `gst_application STREAM [frames]`.
//!
//! What kvssink tells comes as element messages on the bus, as for any element, and its property `stats` has the numbers.
//! Credentials, region and CONTROL_PLANE_URI come from the environment, as for the element everywhere; the README has all
//! properties, messages and fields.
#![allow(clippy::print_stdout, reason = "a program for a terminal")]

use std::{env, error::Error};

use gst::{MessageView, prelude::*};

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<_> = env::args().skip(1).collect();
    let (name, frames) = match &arguments[..] {
        [name] => (name, 250),
        [name, frames] => (name, frames.parse()?),
        _ => return Err("usage: gst_application STREAM [frames]".into()),
    };
    gst::init()?;
    // The element is part of this program: no plugin file is looked for.
    gstkvssink::plugin_register_static()?;

    let pipeline = gst::Pipeline::new();
    let source = gst::ElementFactory::make("videotestsrc")
        .property("is-live", true)
        .property("num-buffers", frames)
        .build()?;
    // A key frame each second: each begins a fragment.
    let encoder = gst::ElementFactory::make("x264enc")
        .property_from_str("tune", "zerolatency")
        .property_from_str("speed-preset", "ultrafast")
        .property_from_str("option-string", "scenecut=0")
        .property("key-int-max", 25_u32)
        .build()?;
    let parser = gst::ElementFactory::make("h264parse").build()?;
    let sink = gst::ElementFactory::make("kvssink")
        .property("stream-name", name)
        .build()?;
    pipeline.add_many([&source, &encoder, &parser, &sink])?;
    let picture = gst::Caps::builder("video/x-raw")
        .field("format", "I420")
        .field("width", 320)
        .field("height", 240)
        .field("framerate", gst::Fraction::new(25, 1))
        .build();
    source.link_filtered(&encoder, &picture)?;
    gst::Element::link_many([&encoder, &parser, &sink])?;

    pipeline.set_state(gst::State::Playing)?;
    let outcome = watch(&pipeline);
    // Sends what is left, within `stop-stream-timeout`. At EOS nothing is.
    pipeline.set_state(gst::State::Null)?;
    let stats = sink.property::<gst::Structure>("stats");
    for field in ["frames-in", "frames-persisted", "frames-dropped"] {
        println!("{field} {}", stats.get::<u64>(field)?);
    }
    println!(
        "persisted-latency {} ms",
        stats.get::<u64>("persisted-latency")?
    );
    for (reason, frames) in stats.get::<gst::Structure>("dropped")?.iter() {
        println!("dropped {} {reason}", frames.get::<u64>()?);
    }
    outcome
}

/// Prints what comes on the bus, until EOS, when everything is PERSISTED, or an error.
fn watch(pipeline: &gst::Pipeline) -> Result<(), Box<dyn Error>> {
    let bus = pipeline.bus().ok_or("the pipeline has no bus")?;
    for message in bus.iter_timed(gst::ClockTime::NONE) {
        match message.view() {
            MessageView::Eos(_) => return Ok(()),
            MessageView::Error(error) => return Err(error.error().to_string().into()),
            MessageView::Warning(warning) => println!("warning: {}", warning.error()),
            MessageView::Element(element) => {
                if let Some(told) = element.structure() {
                    tell(told)?;
                }
            }
            _ => {}
        }
    }
    Ok(())
}

fn tell(told: &gst::StructureRef) -> Result<(), Box<dyn Error>> {
    match told.name().as_str() {
        "kvs-fragment-ack" => {
            let kind = told.get::<&str>("type")?;
            let timecode = told.get::<u64>("timecode")?;
            let number = told.get::<&str>("fragment-number")?;
            println!("ack {kind} {timecode} {number}");
        }
        "kvs-frames-dropped" => {
            let frames = told.get::<u64>("frames")?;
            println!("dropped {frames} {}", told.get::<&str>("reason")?);
        }
        "kvs-stream-ready" => println!("ready {}", told.get::<&str>("stream-name")?),
        // kvs-connection-lost, kvs-storage-pressure …, and what other elements tell.
        other => println!("{other}"),
    }
    Ok(())
}
