//! How many round trips it takes from the first frame to its first ack.

use std::time::Duration;

use anyhow::{Context, ensure};

use super::far;
use super::plan::child;
use super::task::{Task, seconds};

/// Of the far link. So long that what the machine itself needs is little beside it.
const ROUND_TRIP: Duration = Duration::from_millis(100);
/// By then the control plane has been asked, however far it is.
const PREPARED_S: f64 = 1.5;

/// When the first frame comes.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum First {
    /// As soon as the pipeline plays, as from a file: the control plane is asked meanwhile.
    AtOnce,
    /// A moment later, as from a camera.
    Later,
}

/// The same run over a far link and over a near one, through the same proxy.
#[derive(Clone, Copy, Debug)]
pub(crate) struct FirstAck {
    pub(crate) first: First,
    /// From the first frame to its BUFFERING, over the far link.
    pub(crate) far_s: f64,
    pub(crate) near_s: f64,
}

impl FirstAck {
    /// What the far link adds, in its round trips.
    pub(crate) fn round_trips(self) -> f64 {
        (self.far_s - self.near_s) / ROUND_TRIP.as_secs_f64()
    }
}

/// Measures it; the task is that of one camera.
pub(crate) fn measure(first: First, task: &Task) -> anyhow::Result<FirstAck> {
    let took = |round_trip| {
        let figures = child(&Task {
            proxy: Some(far::proxy(round_trip)?),
            first_s: match first {
                First::AtOnce => 0.0,
                First::Later => PREPARED_S,
            },
            ..task.clone()
        })?;
        let first_ns = figures.rendered_ns.first().and_then(|times| times.first());
        let first_ns = *first_ns.context("a frame came")?;
        let acked_ns = figures.buffering_ns.context("an ack came")?;
        ensure!(acked_ns > first_ns, "an ack before its frame");
        anyhow::Ok(seconds(acked_ns - first_ns))
    };
    Ok(FirstAck {
        first,
        far_s: took(ROUND_TRIP)?,
        near_s: took(Duration::ZERO)?,
    })
}
