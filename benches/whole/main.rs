//! Whole processes, side by side: what a stream costs with `kvssink`, and what it must cost at least. `make bench`.
//!
//! ```text
//! plan ─▶ a child for each run (child, upload) ─▶ one line of JSON ─▶ results ─▶ targets, report, plot
//!      └▶ service: kvs-local --sink, in processes of its own
//! ```
//!
//! A child runs one shape once, and says what the kernel accounts to it: CPU time of the whole process by
//! CLOCK_PROCESS_CPUTIME_ID, peak memory, voluntary switches. Runs of all shapes take turns, so that a machine that becomes
//! slower does so for all. Nothing here goes another way than users do: the element by its launch line, against a
//! service in another process.
//!
//! `BENCH_QUICK=1`: small files and one run of few cases, to prove that it works; it writes to `target/bench` only.
//! Linux only: much comes from `/proc`.

#![allow(clippy::print_stderr, clippy::print_stdout, reason = "it is a program")]

mod child;
mod clock;
mod far;
mod first_ack;
mod latency;
mod media;
mod plan;
mod plot;
mod process;
mod recovery;
mod report;
mod results;
mod service;
mod sign;
mod size;
mod targets;
mod task;
mod upload;

use std::fs;

use anyhow::Context;

fn main() -> anyhow::Result<()> {
    if let Some(task) = task::Task::of_this_process()? {
        let figures = match task.shape {
            task::Shape::Upload => upload::run(&task)?,
            _ => child::run(&task)?,
        };
        println!("{}", serde_json::to_string(&figures)?);
        return Ok(());
    }
    let quick = std::env::var_os("BENCH_QUICK").is_some_and(|value| value != "0");
    let results = plan::run(&plan::Plan::new(quick))?;
    let (page, plot) = (report::page(&results), plot::svg(&results));
    println!("{page}");
    let folder = if quick { "target/bench" } else { "docs" };
    for (name, text) in [("performance.md", page), ("performance.svg", plot)] {
        let path = format!("{folder}/{name}");
        fs::write(&path, text).with_context(|| format!("cannot write {path}"))?;
        eprintln!("bench: {path} is written");
    }
    Ok(())
}
