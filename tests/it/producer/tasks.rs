//! The forms of what waits for tasks: on a runtime with one thread, which nothing may block.

use std::{future::Future, pin::pin, task::Poll};

use super::*;

fn block_on<T>(task: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap()
        .block_on(task)
}

/// Polls once, and says whether it waits.
async fn waits(future: impl Future) -> bool {
    let mut future = pin!(future);
    std::future::poll_fn(|cx| Poll::Ready(future.as_mut().poll(cx).is_pending())).await
}

/// A whole stream in a task: ready, frames, a drain, the end.
#[test]
fn a_task_does_all_that_a_thread_does() {
    let local = service();
    let media = Media::test(20, 10);
    block_on(async {
        let producer = producer(&local);
        let stream = stream(&producer, definition("cam"), &media);
        stream.wait_ready_in_task().await.unwrap();
        for round in 0..2 {
            for frame in media.frames(START_MS + round * 60_000) {
                stream.put_frame_in_task(frame).await.unwrap();
            }
            stream.drain_in_task().await.unwrap();
            let persisted = stream.metrics().frames_persisted;
            assert_eq!(persisted, (round + 1) * 20);
        }
        stream.stop_in_task().await.unwrap();
        assert_eq!(accounts(&stream.metrics()), [40, 40, 0, 0]);
        let put = stream.put_frame_in_task(media.frames(START_MS).remove(0));
        assert!(matches!(put.await, Err(PutError::Stopped)));
    });
}

/// Offline without a service: a put waits for room and blocks nobody; dropped, its frame was not taken; an interrupt gives
/// the frame back.
#[test]
fn a_put_that_waits_is_cancel_safe() {
    let port = Reserved::new();
    super::super::support::init();
    let media = Media::new(Clip::large(90, 10));
    block_on(async {
        let producer = Producer::builder()
            .service(service_at(&port.endpoint()))
            .build()
            .unwrap();
        let definition = StreamDefinition {
            streaming_type: StreamingType::Offline,
            storage: 1 << 20,
            ..definition("cam")
        };
        let stream = stream(&producer, definition, &media);
        let mut frames = media.frames(START_MS).into_iter();
        let mut taken = 0;
        let waiting = loop {
            let frame = frames.next().expect("90 frames do not fit into 1 MiB");
            if waits(stream.put_frame_in_task(frame.clone())).await {
                break frame;
            }
            taken += 1;
        };
        assert_eq!(accounts(&stream.metrics()), [taken, 0, 0, taken]);
        stream.interrupt(true);
        let put = stream.put_frame_in_task(waiting).await;
        assert!(matches!(put, Err(PutError::Interrupted(_))), "{put:?}");
        stream.interrupt(false);
        assert_eq!(accounts(&stream.metrics()), [taken, 0, 0, taken]);
        assert!(waits(stream.wait_ready_in_task()).await);
        // Forgotten each time: what is put then is not refused.
        for _ in 0..3 {
            assert!(waits(stream.drain_in_task()).await);
        }
        let error = stream.stop_now().unwrap_err();
        assert_eq!(error.missing, taken);
        assert_eq!(stream.stop_in_task().await, Err(error));
    });
}

/// A stop whose future is dropped goes on.
#[test]
fn a_stop_that_nobody_awaits_ends_the_stream() {
    let local = service();
    let media = Media::test(20, 10);
    block_on(async {
        let producer = producer(&local);
        let stream = stream(&producer, definition("cam"), &media);
        put_all(&stream, media.frames(START_MS));
        assert!(waits(stream.stop_in_task()).await);
        let put = stream.put_frame(media.frames(START_MS).remove(0));
        assert!(matches!(put, Err(PutError::Stopped)), "{put:?}");
        stream.stop_in_task().await.unwrap();
        assert_eq!(accounts(&stream.metrics()), [20, 20, 0, 0]);
    });
}
