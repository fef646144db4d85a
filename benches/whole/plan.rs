//! What is run, in which order.

use std::collections::BTreeMap;
use std::fs;
use std::io::Read;
use std::net::TcpListener;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use anyhow::{Context, ensure};

use super::clock;
use super::first_ack::{self, First};
use super::latency;
use super::media;
use super::process;
use super::recovery::{self, Loss};
use super::results::{Case, Results, Run};
use super::service::Service;
use super::size;
use super::task::{FPS, Figures, Peer, Shape, Task, VARIABLE, seconds};

/// How often threads of a child are counted.
const SAMPLE: Duration = Duration::from_millis(10);

/// Media of a run in which the service is lost: three fragments before, and time to come back.
const RECOVERY_S: u32 = 9;

/// How much is run.
pub(crate) struct Plan {
    quick: bool,
    /// Of each case.
    runs: usize,
    sinks: Vec<usize>,
    /// Media of an offline run, in seconds of 8 Mbit/s, of all its sinks together.
    offline_s: u32,
    realtime_s: u32,
}

impl Plan {
    pub(crate) fn new(quick: bool) -> Self {
        if quick {
            Self {
                quick,
                runs: 1,
                sinks: vec![1, 2],
                offline_s: 20,
                realtime_s: 2,
            }
        } else {
            Self {
                quick,
                runs: 5,
                sinks: vec![1, 16, 64],
                offline_s: 600,
                realtime_s: 6,
            }
        }
    }

    fn cases(&self) -> Vec<Case> {
        let shapes = [
            (Shape::Fakesink, None),
            (Shape::Matroskamux, None),
            (Shape::Tcp, None),
            (Shape::Upload, Some(false)),
            (Shape::Upload, Some(true)),
            (Shape::Kvssink, Some(false)),
            (Shape::Kvssink, Some(true)),
            (Shape::Spool, Some(true)),
        ];
        let mut cases = Vec::new();
        for realtime in [false, true] {
            for &sinks in &self.sinks {
                for (shape, tls) in shapes {
                    let case = Case {
                        realtime,
                        sinks,
                        shape,
                        tls,
                    };
                    // It says what is the least that GStreamer can do as fast as it can.
                    if !realtime || shape != Shape::Tcp {
                        cases.push(case);
                    }
                }
            }
        }
        cases
    }

    fn task(&self, case: Case, peer: Option<&Peer>) -> anyhow::Result<Task> {
        let each_s = self.offline_s.div_ceil(case.sinks as u32);
        let length_s = if case.realtime {
            self.realtime_s
        } else {
            each_s
        };
        Ok(Task {
            shape: case.shape,
            peer: peer.cloned(),
            file: media::seconds(length_s)?,
            frames: frames(length_s),
            sinks: case.sinks,
            realtime_s: case.realtime.then(|| length_s.into()),
            first_s: 0.0,
            proxy: None,
        })
    }
}

fn frames(length_s: u32) -> usize {
    length_s as usize * FPS as usize
}

/// Starts a child.
pub(crate) fn start(task: &Task) -> anyhow::Result<Child> {
    let child = Command::new(std::env::current_exe()?)
        .env(VARIABLE, serde_json::to_string(task)?)
        // They are settings, which not everybody has: by them the CAs would not be those of the machine.
        .env_remove("SSL_CERT_FILE")
        .env_remove("SSL_CERT_DIR")
        .stdout(Stdio::piped())
        .spawn()?;
    Ok(child)
}

/// Runs a child; what it says.
pub(crate) fn child(task: &Task) -> anyhow::Result<Figures> {
    let output = start(task)?.wait_with_output()?;
    ensure!(output.status.success(), "{}", output.status);
    Ok(serde_json::from_slice(&output.stdout)?)
}

/// Runs everything.
pub(crate) fn run(plan: &Plan) -> anyhow::Result<Results> {
    let began_ns = clock::monotonic_ns();
    let load = load();
    let most = plan.sinks.iter().copied().max().unwrap_or(1);
    fs::create_dir_all(media::FOLDER)?;
    // By scheme; without a log of frames, and with it.
    let plain = [
        Service::start(false, false, most)?,
        Service::start(true, false, most)?,
    ];
    let noting = [
        Service::start(false, true, most)?,
        Service::start(true, true, most)?,
    ];
    let drain = drain()?;
    let (mut runs, mut latencies) = (
        BTreeMap::<Case, Vec<Run>>::new(),
        BTreeMap::<_, Vec<_>>::new(),
    );
    for round in 1..=plan.runs {
        for case in plan.cases() {
            let services = if case.realtime { &noting } else { &plain };
            let service = case.tls.map(|tls| &services[usize::from(tls)]);
            let bare = (case.shape == Shape::Tcp).then_some(&drain);
            let task = plan.task(case, service.map(|service| &service.peer).or(bare))?;
            let from = service.filter(|_| case.realtime).map(Service::log_end);
            let from = from.transpose()?;
            let run = once(&task, service)
                .with_context(|| format!("{} × {}", case.sinks, case.name()))?;
            eprintln!(
                "bench: {round}/{} {} {} × {}: {:.2} s, CPU {:.2} s",
                plan.runs,
                if case.realtime { "realtime" } else { "offline" },
                case.sinks,
                case.name(),
                run.figures.wall_s,
                run.figures.cpu_s
            );
            if let (Some(from), Some(service)) = (from, service)
                && case.shape.is_kvssink()
            {
                let latency = latency::of(&run.figures, &service.arrived(from)?)?;
                latencies.entry(case).or_default().push(latency);
            }
            runs.entry(case).or_default().push(run);
        }
    }
    let mut recoveries = Vec::new();
    let camera = Case {
        realtime: true,
        sinks: 1,
        shape: Shape::Kvssink,
        tls: Some(false),
    };
    let task = Task {
        file: media::seconds(RECOVERY_S)?,
        frames: frames(RECOVERY_S),
        realtime_s: Some(RECOVERY_S.into()),
        ..plan.task(camera, Some(&noting[0].peer))?
    };
    for _ in 0..plan.runs {
        for loss in [Loss::Reset, Loss::Away] {
            let recovery = recovery::measure(loss, &noting[0], &task)?;
            eprintln!("bench: {recovery:?}");
            recoveries.push(recovery);
        }
    }
    let far = Case {
        tls: Some(true),
        ..camera
    };
    let task = plan.task(far, Some(&plain[1].peer))?;
    let mut first_acks = Vec::new();
    for _ in 0..plan.runs {
        for first in [First::Later, First::AtOnce] {
            let first_ack = first_ack::measure(first, &task)?;
            eprintln!("bench: {first_ack:?}");
            first_acks.push(first_ack);
        }
    }
    Ok(Results {
        quick: plan.quick,
        runs,
        latencies,
        recoveries,
        first_acks,
        size: size::of(&PathBuf::from("target/release/libgstkvssink.so"))?,
        load: [load, self::load()],
        took_s: seconds(clock::monotonic_ns() - began_ns),
    })
}

/// One run in a child; the file is read from memory, whoever read it last.
fn once(task: &Task, service: Option<&Service>) -> anyhow::Result<Run> {
    std::io::copy(&mut fs::File::open(&task.file)?, &mut std::io::sink())?;
    let before_s = service.map_or(0.0, Service::cpu_s);
    let child = start(task)?;
    let id = child.id();
    let (over, most) = (AtomicBool::new(false), AtomicU64::new(0));
    let output = std::thread::scope(|scope| {
        scope.spawn(|| {
            while !over.load(Ordering::Relaxed) {
                if let Some(threads) = process::threads(id) {
                    most.fetch_max(threads, Ordering::Relaxed);
                }
                std::thread::sleep(SAMPLE);
            }
        });
        let output = child.wait_with_output();
        over.store(true, Ordering::Relaxed);
        output
    })?;
    ensure!(output.status.success(), "{}", output.status);
    let figures: Figures = serde_json::from_slice(&output.stdout)?;
    Ok(Run {
        figures,
        threads: most.load(Ordering::Relaxed),
        service_cpu_s: service.map_or(0.0, Service::cpu_s) - before_s,
    })
}

/// Reads from whoever connects, until this process ends.
fn drain() -> anyhow::Result<Peer> {
    let listener = TcpListener::bind(("127.0.0.1", 0))?;
    let endpoint = format!("host=127.0.0.1 port={}", listener.local_addr()?.port());
    std::thread::spawn(move || {
        for mut connection in listener.incoming().flatten() {
            std::thread::spawn(move || {
                let mut bytes = vec![0; 1 << 18];
                while connection.read(&mut bytes).is_ok_and(|read| read > 0) {}
            });
        }
    });
    Ok(Peer {
        endpoint,
        ca_file: None,
    })
}

fn load() -> f64 {
    let text = fs::read_to_string("/proc/loadavg").unwrap_or_default();
    let first = text.split(' ').next().and_then(|load| load.parse().ok());
    first.unwrap_or(0.0)
}
