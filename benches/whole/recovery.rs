//! How long it takes until media flows again.

use std::time::Duration;

use anyhow::{Context, ensure};

use super::clock;
use super::plan::start;
use super::service::Service;
use super::task::{Task, seconds};

/// A way to lose the service.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Loss {
    /// The connection is reset when the third fragment begins.
    Reset,
    /// The service is away for a second.
    Away,
}

/// One recovery.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Recovery {
    pub(crate) loss: Loss,
    /// From when the service could be reached again to the first byte of the next fragment there.
    pub(crate) took_s: f64,
}

/// A camera streams, the service is lost and comes back.
pub(crate) fn measure(loss: Loss, service: &Service, task: &Task) -> anyhow::Result<Recovery> {
    let (from, before_ns) = (service.log_end()?, clock::monotonic_ns());
    if loss == Loss::Reset {
        service.inject("reset-at-fragment:3")?;
    }
    let child = start(task)?;
    if loss == Loss::Away {
        std::thread::sleep(Duration::from_millis(2500));
        service.inject("away:1s")?;
    }
    let output = child.wait_with_output()?;
    ensure!(output.status.success(), "{}", output.status);
    let arrived = service.arrived(from)?;
    let fragments = || arrived.iter().filter(|line| !line.is_frame);
    let first = fragments().next().context("a fragment came")?.session;
    // A session of an attempt that failed has no fragment.
    let again = fragments().find(|line| line.session > first);
    let again = again.context("media flowed again")?.at_ns;
    let back = match loss {
        // At once: it could be reached all the time.
        Loss::Reset => fragments()
            .rfind(|line| line.session == first)
            .map(|line| line.at_ns),
        Loss::Away => service.said("the port is open again", before_ns),
    };
    let back = back.context("the service was lost")?;
    Ok(Recovery {
        loss,
        took_s: seconds(again.saturating_sub(back)),
    })
}
