//! The targets, each beside what was measured.

use super::first_ack::First;
use super::recovery::Loss;
use super::results::{Case, Results, Spread};
use super::task::Shape;

const MIB: f64 = 1024.0;

/// A target.
pub(crate) struct Target {
    pub(crate) what: String,
    pub(crate) wanted: String,
    /// None: it was not measured.
    pub(crate) measured: Option<String>,
    pub(crate) is_met: bool,
}

fn target(
    what: impl Into<String>,
    wanted: impl Into<String>,
    measured: Option<(String, bool)>,
) -> Target {
    let (measured, is_met) = measured.unzip();
    Target {
        what: what.into(),
        wanted: wanted.into(),
        measured,
        is_met: is_met == Some(true),
    }
}

fn case(realtime: bool, sinks: usize, shape: Shape, tls: Option<bool>) -> Case {
    Case {
        realtime,
        sinks,
        shape,
        tls,
    }
}

/// All of them.
pub(crate) fn all(results: &Results) -> Vec<Target> {
    let mut targets = Vec::new();
    let sinks = sinks(results);
    for tls in [false, true] {
        for &count in &sinks {
            targets.push(offline_cpu(results, count, tls));
        }
    }
    targets.extend([
        offline_memory(results, false),
        offline_memory(results, true),
    ]);
    targets.extend(sinks.iter().map(|count| threads(results, *count)));
    let several = sinks.iter().copied().filter(|count| *count <= 16).max();
    let several = several.unwrap_or(1);
    targets.extend([wall(results, several), stop(results, several)]);
    targets.push(realtime_cpu(results));
    let most = sinks.iter().copied().max().unwrap_or(1);
    targets.push(cameras(results, most));
    targets.push(camera_memory(results, most));
    for &count in &sinks {
        targets.extend(latency(results, count));
    }
    targets.extend([
        recovery(results, Loss::Reset, "0", 0.1),
        // By then it has waited twice or thrice, at most 0.5 s, 1 s and 2 s: the next step is at most 4 s.
        recovery(results, Loss::Away, "at most 4 s here", 4.1),
    ]);
    targets.extend([start(results, true), start(results, false)]);
    targets.push(first_ack(results));
    let size = results.size.as_ref().map(|size| {
        let megabytes = size.stripped as f64 / 1e6;
        (format!("{megabytes:.2} MB"), megabytes <= 8.0)
    });
    targets.push(target("`libgstkvssink.so`, stripped", "≤ 8 MB", size));
    targets
}

/// How many sinks were run at a time.
pub(crate) fn sinks(results: &Results) -> Vec<usize> {
    let mut sinks: Vec<usize> = results.runs.keys().map(|case| case.sinks).collect();
    sinks.sort_unstable();
    sinks.dedup();
    sinks
}

fn offline_cpu(results: &Results, count: usize, tls: bool) -> Target {
    let of = |shape| results.net_per_gb(case(false, count, shape, Some(tls)));
    let bare = results.net_per_gb(case(false, count, Shape::Tcp, None));
    let bare = bare.filter(|_| !tls).map_or(String::new(), |bare| {
        format!("; queue ! tcpclientsink {:.2}", bare.median)
    });
    let measured = of(Shape::Kvssink)
        .zip(of(Shape::Upload))
        .map(|(kvssink, upload)| {
            let ratio = kvssink.median / upload.median;
            let text = format!(
                "{ratio:.2} × ({:.2} / {:.2} s/GB{bare})",
                kvssink.median, upload.median
            );
            (text, ratio <= 1.25)
        });
    let scheme = if tls { "https" } else { "http" };
    let what = format!("offline {scheme}, {count} sink(s): CPU net of fakesink");
    target(what, "≤ 1.25 × reqwest", measured)
}

fn offline_memory(results: &Results, tls: bool) -> Target {
    let peak = |shape, tls| {
        results.spread(case(false, 1, shape, tls), |run| {
            run.figures.peak_kib as f64
        })
    };
    let fakesink = peak(Shape::Fakesink, None);
    let measured = peak(Shape::Kvssink, Some(tls))
        .zip(fakesink)
        .map(|(kvssink, fakesink)| {
            let more = (kvssink.median - fakesink.median) / MIB;
            (format!("fakesink + {more:.1} MiB"), more <= 16.0)
        });
    let scheme = if tls { "https" } else { "http" };
    target(
        format!("offline {scheme}: peak RSS"),
        "≤ fakesink + 16 MiB",
        measured,
    )
}

fn threads(results: &Results, count: usize) -> Target {
    let of = |shape, tls| results.spread(case(true, count, shape, tls), |run| run.threads as f64);
    let kvssink = of(Shape::Kvssink, Some(true));
    let measured = kvssink
        .zip(of(Shape::Fakesink, None))
        .map(|(kvssink, fakesink)| {
            let more = kvssink.median - fakesink.median;
            (format!("fakesink + {more:.0}"), more <= count as f64)
        });
    target(
        format!("threads, {count} sink(s)"),
        format!("≤ fakesink + {count}"),
        measured,
    )
}

fn wall(results: &Results, count: usize) -> Target {
    let case = case(false, count, Shape::Kvssink, Some(true));
    let limit = |cpu_s: f64| 1.15 * cpu_s / 2.0 + 0.3;
    let measured = results
        .spread(case, |run| run.figures.wall_s)
        .zip(results.spread(case, |run| run.figures.cpu_s))
        .zip(results.spread(case, |run| run.service_cpu_s))
        .map(|((wall, cpu), service)| {
            let (alone, both) = (limit(cpu.median), limit(cpu.median + service.median));
            let text = format!(
                "{:.2} s of {alone:.2} s ({both:.2} s if the service's CPU counts, which has the same cores)",
                wall.median
            );
            (text, wall.median <= alone)
        });
    let what = format!("offline https, {count} sinks: wall time");
    target(what, "≤ 1.15 × CPU / 2 cores + 0.3 s", measured)
}

fn stop(results: &Results, count: usize) -> Target {
    let case = case(false, count, Shape::Kvssink, Some(true));
    let measured = results
        .spread(case, |run| run.figures.stop_s)
        .map(|stop| (seconds(stop), stop.median <= 0.3));
    target(
        format!("stop of {count} drained sinks"),
        "≤ 0.3 s",
        measured,
    )
}

fn realtime_cpu(results: &Results) -> Target {
    let of = |shape| results.net_per_gb(case(true, 1, shape, Some(true)));
    let measured = of(Shape::Kvssink)
        .zip(of(Shape::Upload))
        .map(|(kvssink, upload)| {
            let text = format!(
                "{:.2} s/GB [{:.2}–{:.2}]; reqwest {:.2}",
                kvssink.median, kvssink.min, kvssink.max, upload.median
            );
            (text, kvssink.median <= 3.0)
        });
    target(
        "realtime https, 1 camera: CPU net of fakesink",
        "≤ 3 s/GB",
        measured,
    )
}

fn cameras(results: &Results, count: usize) -> Target {
    let case = case(true, count, Shape::Kvssink, Some(true));
    let window = |run: &super::results::Run| run.figures.window.unwrap_or_default();
    let cores = results.spread(case, |run| window(run).cpu_s / window(run).wall_s);
    // A frame that is lost fails the run.
    let measured = cores.map(|cores| (format!("nothing lost, {:.2} cores", cores.median), true));
    target(
        format!("{count} cameras of 8 Mbit/s, https, on 2 cores"),
        "hold",
        measured,
    )
}

fn camera_memory(results: &Results, count: usize) -> Target {
    let peak = |shape, tls| {
        results.spread(case(true, count, shape, tls), |run| {
            run.figures.peak_kib as f64
        })
    };
    let kvssink = peak(Shape::Kvssink, Some(true));
    let measured = kvssink
        .zip(peak(Shape::Fakesink, None))
        .map(|(kvssink, fakesink)| {
            let each = (kvssink.median - fakesink.median) / MIB / count as f64;
            (format!("{each:.2} MiB"), each <= 6.0)
        });
    target(
        format!("{count} cameras: memory of each, over fakesink"),
        "≤ 6 MiB",
        measured,
    )
}

fn latency(results: &Results, count: usize) -> Vec<Target> {
    let latencies = results
        .latencies
        .get(&case(true, count, Shape::Kvssink, Some(true)));
    let of = |figure: fn(&super::latency::Latency) -> f64| {
        Spread::of(latencies.into_iter().flatten().map(figure))
    };
    let row = |name: &str, limit: f64, spread: Option<Spread>| {
        let measured = spread.map(|spread| (milliseconds(spread), spread.median <= limit));
        target(
            format!("frame latency, https, {count} camera(s): {name}"),
            format!("≤ {limit} ms"),
            measured,
        )
    };
    let before = of(|latency| latency.before_next * 100.0);
    vec![
        row("p50", 0.3, of(|latency| latency.p50_ms)),
        row("p99", 2.0, of(|latency| latency.p99_ms)),
        target(
            format!("{count} camera(s): frames that have left before the next one"),
            "100 %",
            before.map(|part| (format!("{:.2} %", part.median), part.median >= 100.0)),
        ),
    ]
}

fn recovery(results: &Results, loss: Loss, step: &str, limit_s: f64) -> Target {
    let times = results
        .recoveries
        .iter()
        .filter(|recovery| recovery.loss == loss);
    let measured = Spread::of(times.map(|recovery| recovery.took_s))
        .map(|took| (seconds(took), took.max <= limit_s));
    let what = match loss {
        Loss::Reset => "recovery after a reset",
        Loss::Away => "recovery after the service was away for a second",
    };
    target(
        what,
        format!("≤ 100 ms + a step of back-off ({step})"),
        measured,
    )
}

fn start(results: &Results, tls: bool) -> Target {
    let of =
        |shape, tls| results.spread(case(true, 1, shape, tls), |run| run.figures.start_s * 1e3);
    let kvssink = of(Shape::Kvssink, Some(tls));
    let measured = kvssink
        .zip(of(Shape::Fakesink, None))
        .map(|(kvssink, fakesink)| {
            let net = kvssink.median - fakesink.median;
            let text = format!(
                "{net:.2} ms ({:.2} ms, less {:.2} ms of fakesink)",
                kvssink.median, fakesink.median
            );
            (text, net <= 5.0)
        });
    let cas = if tls {
        "with `ca-file`"
    } else {
        "with the CAs of the machine"
    };
    target(
        format!("NULL→PLAYING {cas}, net of fakesink"),
        "≤ 5 ms",
        measured,
    )
}

fn first_ack(results: &Results) -> Target {
    let of = |first| {
        let those = results.first_acks.iter().filter(|ack| ack.first == first);
        Spread::of(those.map(|ack| ack.round_trips()))
    };
    let measured = of(First::Later).zip(of(First::AtOnce)).map(|(later, at_once)| {
        let text = format!(
            "{:.2} [{:.2}–{:.2}] (a frame as soon as it plays, while the control plane is asked: {:.2})",
            later.median, later.min, later.max, at_once.median
        );
        // Round trips are whole: what is over is this machine's own.
        (text, later.median.round() <= 4.0)
    });
    target(
        "first frame → BUFFERING, https",
        "≤ 4 round trips",
        measured,
    )
}

fn seconds(spread: Spread) -> String {
    let Spread { median, min, max } = spread;
    format!("{median:.3} s [{min:.3}–{max:.3}]")
}

fn milliseconds(spread: Spread) -> String {
    let Spread { median, min, max } = spread;
    format!("{median:.2} ms [{min:.2}–{max:.2}]")
}
