//! The page `docs/performance.md`.

use std::fmt::Write;
use std::fs;
use std::process::Command;

use super::media;
use super::results::{Results, Run, Spread};
use super::size::Size;
use super::targets;

/// The whole page.
pub(crate) fn page(results: &Results) -> String {
    let mut page = "# Performance\n\n\
        What a stream costs, as `make bench` measured it; the program that did (`benches/whole`) wrote this page, too. \
        Figures are of one machine: only their ratios say something about another one.\n\n"
        .to_owned();
    if results.quick {
        page += "**`BENCH_QUICK`: one run of little media, to prove that the benchmark works. Its figures mean nothing.**\n\n";
    }
    page += &circumstances(results);
    page += "\n![CPU time for a GB, net of fakesink](performance.svg)\n\n## Targets\n\n\
        | what | target | measured | |\n|---|---|---|---|\n";
    for target in targets::all(results) {
        let (measured, verdict) = match &target.measured {
            None => ("not measured", "–"),
            Some(text) if target.is_met => (text.as_str(), "ok"),
            Some(text) => (text.as_str(), "**miss**"),
        };
        // A string takes everything.
        let _ = writeln!(
            page,
            "| {} | {} | {measured} | {verdict} |",
            target.what, target.wanted
        );
    }
    for realtime in [false, true] {
        page += &comparison(results, realtime);
    }
    page += &latencies(results);
    page += &results.size.as_ref().map_or(String::new(), size);
    page
}

fn said(program: &str, arguments: &[&str]) -> String {
    let output = Command::new(program).args(arguments).output();
    let text = output.map(|output| String::from_utf8_lossy(&output.stdout).trim().to_owned());
    text.unwrap_or_else(|_| "unknown".to_owned())
}

fn circumstances(results: &Results) -> String {
    let cpu = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = cpu.lines().find_map(|line| line.strip_prefix("model name"));
    let model = model.map_or("unknown", |model| {
        model.trim_start_matches([' ', '\t', ':'])
    });
    let cores = std::thread::available_parallelism().map_or(0, std::num::NonZero::get);
    let kernel = said("uname", &["-sr"]);
    let changed = said("git", &["status", "--porcelain", "--untracked-files=no"]);
    let changed = if changed.is_empty() {
        ""
    } else {
        ", and changes"
    };
    let commit = said("git", &["rev-parse", "--short", "HEAD"]);
    let (major, minor, micro, _) = gst::version();
    let runs = results.runs.values().map(Vec::len).max().unwrap_or(0);
    let [before, after] = results.load;
    format!(
        "- Machine: {model}, {cores} cores, {kernel}; load average {before:.1} before and {after:.1} after. Whatever else ran \
         disturbs wall times and latencies the most.\n\
         - Versions: kvssink {} at {commit}{changed}, {}, GStreamer {major}.{minor}.{micro}, release profile.\n\
         - Command: `make bench`, {runs} runs of each case in turns, {:.0} s. Figures are medians with [least–most].\n\
         - Media: {}.\n\
         - Service: `kvs-local --sink` in a process of its own, on the same cores, over loopback; with TLS 1.3 for https, whose CA \
         is the `ca-file` (without one, for http, kvssink looks whether the machine has CAs).\n\
         - Shapes: `filesrc ! qtdemux !` before `fakesink`, `matroskamux ! filesink location=/dev/null` and `kvssink`; \
         before `queue ! tcpclientsink` it is the least that GStreamer itself needs to hand these buffers to another thread \
         and into a socket, without any protocol; `reqwest` is the HTTP client alone with the settings of `kvssink`, a chunk for each frame, from memory, with a \
         thread and a runtime for each upload. Offline, N sinks share 600 s of media; realtime, each is a camera of 8 Mbit/s \
         (`clocksync`), and their phases are spread over a second.\n\
         - CPU time is that of the kernel for the whole process (CLOCK_PROCESS_CPUTIME_ID), from NULL to NULL; realtime, in \
         the middle of the run, when all cameras stream. Net: less the median of `fakesink`.\n",
        env!("CARGO_PKG_VERSION"),
        said("rustc", &["--version"]),
        results.took_s,
        media::WHAT,
    )
}

fn comparison(results: &Results, realtime: bool) -> String {
    let (title, last) = if realtime {
        ("Realtime", "wake-ups per frame, net")
    } else {
        ("Offline", "service, CPU s")
    };
    let mut table = format!(
        "\n## {title}\n\n| sinks | shape | CPU s/GB | net, s/GB | wall, s | peak RSS, MiB | threads | start, ms | stop, ms | {last} |\n\
         |---|---|---|---|---|---|---|---|---|---|\n"
    );
    let cases = results.runs.keys().filter(|case| case.realtime == realtime);
    for case in cases.copied() {
        let spread = |figure: &dyn Fn(&Run) -> f64| results.spread(case, figure);
        let last = if realtime {
            results.wakes_per_frame(case)
        } else {
            spread(&|run| run.service_cpu_s)
        };
        let _ = writeln!(
            table,
            "| {} | {} | {} | {} | {} | {} | {} | {} | {} | {} |",
            case.sinks,
            case.name(),
            cell(results.cpu_per_gb(case), 2),
            cell(results.net_per_gb(case), 2),
            cell(spread(&|run| run.figures.wall_s), 2),
            cell(spread(&|run| run.figures.peak_kib as f64 / 1024.0), 1),
            cell(spread(&|run| run.threads as f64), 0),
            cell(spread(&|run| run.figures.start_s * 1e3), 1),
            cell(spread(&|run| run.figures.stop_s * 1e3), 1),
            cell(last, 2),
        );
    }
    table
}

fn latencies(results: &Results) -> String {
    let mut table = "\n## Latency of a frame\n\n\
        From the buffer at the element to the last byte of the frame at the service, both by CLOCK_MONOTONIC; the first second \
        of each camera is left out.\n\n\
        | cameras | | p50, ms | p99, ms | most, ms |\n|---|---|---|---|---|\n"
        .to_owned();
    for (case, latencies) in &results.latencies {
        let of = |figure: fn(&super::latency::Latency) -> f64| {
            cell(Spread::of(latencies.iter().map(figure)), 2)
        };
        let _ = writeln!(
            table,
            "| {} | {} | {} | {} | {} |",
            case.sinks,
            case.name(),
            of(|latency| latency.p50_ms),
            of(|latency| latency.p99_ms),
            of(|latency| latency.max_ms),
        );
    }
    table
}

fn size(size: &Size) -> String {
    let mut table = format!(
        "\n## Size\n\n`libgstkvssink.so`, stripped: {} bytes. By crate (functions and constants with a symbol, `nm`; generic \
         code of the standard library counts as its own):\n\n| crate | kB |\n|---|---|\n",
        size.stripped
    );
    for (name, bytes) in &size.crates {
        let _ = writeln!(table, "| {name} | {:.0} |", *bytes as f64 / 1e3);
    }
    table
}

fn cell(spread: Option<Spread>, digits: usize) -> String {
    match spread {
        None => "–".to_owned(),
        Some(Spread { median, min, max }) if min == max => format!("{median:.digits$}"),
        Some(Spread { median, min, max }) => {
            format!("{median:.digits$} [{min:.digits$}–{max:.digits$}]")
        }
    }
}
