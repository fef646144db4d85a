//! An IP camera: `tests/tools/rtsp_camera.py` as a process, and what it says of the frames that it sends.

use std::{collections::HashMap, process::Command};

use super::scripts::{Ended, Process, root};

/// A camera that sends so many pictures, 25 a second, and its URI.
pub(crate) fn start(frames: u32, arguments: &[&str]) -> (Process, String) {
    let mut command = Command::new("/usr/bin/python3");
    command
        .arg(root().join("tests/tools/rtsp_camera.py"))
        .args(["--frames", &frames.to_string()])
        .args(arguments)
        // It is not what is tested.
        .env_remove("G_DEBUG");
    let mut camera = Process::start(command);
    let line = camera.line();
    let uri = line.strip_prefix("READY ").unwrap().to_owned();
    (camera, uri)
}

/// When frames were taken by the camera's clock, in ns since 1970, by their hashes ([`super::packets::hash`]); video first.
#[derive(Debug)]
pub(crate) struct Taken(pub(crate) [HashMap<String, u64>; 2]);

impl Taken {
    /// What a camera with `--tell` has said until its end.
    pub(crate) fn of(camera: &Ended) -> Self {
        let of = |kind: &str| {
            let lines = camera.stdout.lines();
            let told = lines.filter_map(|line| line.strip_prefix(kind)?.trim().split_once(' '));
            told.map(|(hash, at)| (hash.to_owned(), at.parse().unwrap()))
                .collect()
        };
        Self(["video ", "audio "].map(of))
    }
}
