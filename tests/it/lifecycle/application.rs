//! Applications: many elements, one that runs tokio, two that mean the same stream.

use gst::prelude::*;

use crate::support::{
    Pipeline, accounts,
    bus::{Heard, is_eos, is_error, is_warning},
    properties, service, test_source,
};

/// Sixteen elements in one pipeline send into sixteen streams.
#[test]
fn sixteen_elements_send_into_sixteen_streams() {
    let local = service();
    let sinks: String = (0..16)
        .map(|n| {
            format!(
                " t. ! queue ! kvssink name=sink{n} stream-name=cam{n} {}",
                properties(&local)
            )
        })
        .collect();
    let pipeline = Pipeline::new(&format!(
        "{} ! tee name=t {sinks}",
        test_source(50, 25, true)
    ));
    pipeline.run().assert_clean();
    for n in 0..16 {
        assert_eq!(
            accounts(&pipeline.stats(&format!("sink{n}"))),
            [50, 50, 0, 0],
            "{n}"
        );
        let frames: u32 = local
            .fragments(&format!("cam{n}"))
            .iter()
            .map(|f| f.frames)
            .sum();
        assert_eq!(frames, 50, "{n}");
    }
}

/// Two elements that mean the same stream: the service takes one connection, so the other one keeps trying, which is
/// no error, and gets through when the first has ended.
#[test]
fn the_second_of_two_elements_with_one_stream_keeps_trying() {
    let local = service();
    let pipeline = Pipeline::new(&format!(
        "{} ! tee name=t  t. ! queue ! kvssink name=first stream-name=cam {}",
        test_source(50, 25, true),
        properties(&local)
    ));
    let mut heard = Heard::of(&pipeline);
    pipeline.0.set_state(gst::State::Playing).unwrap();
    assert!(local.wait_for(crate::support::PATIENCE, |local| {
        local.describe("cam").is_some_and(|stream| stream.connected)
    }));
    let other = Pipeline::new(&format!(
        "{} ! kvssink name=second stream-name=cam {}",
        test_source(25, 25, true),
        properties(&local)
    ));
    let mut other_heard = Heard::of(&other);
    other.0.set_state(gst::State::Playing).unwrap();
    other_heard.until(&other, is_warning);
    heard.until(&pipeline, |message| {
        is_eos(message) || is_error(message, "first")
    });
    heard.stop(&pipeline);
    other_heard.until(&other, |message| {
        is_eos(message) || is_error(message, "second")
    });
    other_heard.stop(&other);
    assert!(
        heard.eos() && other_heard.eos(),
        "{heard:#?} {other_heard:#?}"
    );
    assert_eq!(accounts(&pipeline.stats("first")), [50, 50, 0, 0]);
    assert_eq!(accounts(&other.stats("second")), [25, 25, 0, 0]);
    assert_eq!(other_heard.warnings("second").len(), 1, "{other_heard:#?}");
    assert!(heard.warnings("first").is_empty(), "{heard:#?}");
}

/// What an application does inside of tokio: start, read the bus, pause, go on, stop, and do it again.
async fn drive() {
    let local = service();
    let pipeline = Pipeline::new(&format!(
        "{} ! kvssink name=sink stream-name=cam {}",
        test_source(50, 10, true),
        properties(&local)
    ));
    let mut total = 0;
    for round in 1..=2 {
        pipeline.0.set_state(gst::State::Playing).unwrap();
        let bus = pipeline.0.bus().unwrap();
        let mut paused = false;
        loop {
            // Polled, as an application with other tasks does.
            let Some(message) = bus.pop() else {
                tokio::task::yield_now().await;
                continue;
            };
            match message.view() {
                gst::MessageView::Eos(_) => break,
                gst::MessageView::Error(error) => panic!("{error:?}"),
                gst::MessageView::Element(_) if !paused => {
                    paused = true;
                    pipeline.0.set_state(gst::State::Paused).unwrap();
                    pipeline.0.set_state(gst::State::Playing).unwrap();
                }
                _ => {}
            }
        }
        let [frames, persisted, dropped, pending] = accounts(&pipeline.stats("sink"));
        // A live source makes a frame less for each pause.
        assert!(frames >= 49, "{round}: {frames}");
        assert_eq!((persisted, dropped, pending), (frames, 0, 0), "{round}");
        pipeline.0.set_state(gst::State::Null).unwrap();
        total += frames;
        let stored: u32 = local.fragments("cam").iter().map(|f| f.frames).sum();
        assert_eq!(u64::from(stored), total, "{round}");
    }
    // In mid-stream, and dropped inside of tokio.
    pipeline.0.set_state(gst::State::Playing).unwrap();
    drop(pipeline);
}

fn in_tokio<T>(run: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap()
        .block_on(run)
}

/// An application inside `#[tokio::main]` drives the element: nothing panics, nothing hangs.
#[test]
fn an_application_inside_tokio_drives_it() {
    in_tokio(drive());
}

/// The same in a task, and on a thread of the pool for what blocks.
#[test]
fn a_task_inside_tokio_drives_it() {
    in_tokio(async {
        tokio::spawn(drive()).await.unwrap();
        let on_the_pool = || tokio::runtime::Handle::current().block_on(drive());
        tokio::task::spawn_blocking(on_the_pool).await.unwrap();
    });
}
