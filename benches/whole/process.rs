//! What the kernel says of processes.

use std::fs;

/// A number of `/proc/<pid>/status`.
fn status(process: &str, field: &str) -> Option<u64> {
    let status = fs::read_to_string(format!("/proc/{process}/status")).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix(field))?;
    line.split_whitespace().next()?.parse().ok()
}

/// The most memory that this process had since its start, in KiB.
pub(crate) fn peak_kib() -> u64 {
    status("self", "VmHWM:").unwrap_or(0)
}

/// Threads of a process, while it is there.
pub(crate) fn threads(process: u32) -> Option<u64> {
    status(&process.to_string(), "Threads:")
}

/// How often the threads of this process had to wait, of those that are there.
pub(crate) fn voluntary_switches() -> u64 {
    let Ok(tasks) = fs::read_dir("/proc/self/task") else {
        return 0;
    };
    tasks
        .filter_map(|task| {
            let name = task.ok()?.file_name();
            let task = format!("self/task/{}", name.to_str()?);
            status(&task, "voluntary_ctxt_switches:")
        })
        .sum()
}

/// CPU time of the threads of a process that are there, in seconds.
pub(crate) fn cpu_s(process: u32) -> f64 {
    let Ok(tasks) = fs::read_dir(format!("/proc/{process}/task")) else {
        return 0.0;
    };
    let nanos: u64 = tasks
        .filter_map(|task| fs::read_to_string(task.ok()?.path().join("schedstat")).ok())
        .filter_map(|text| text.split_whitespace().next()?.parse::<u64>().ok())
        .sum();
    super::task::seconds(nanos)
}
