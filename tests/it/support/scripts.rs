//! Child processes: `gst-launch-1.0` and the scripts with the plugin file of this build, and a camera.

use std::{
    fs,
    io::{BufRead, BufReader, Read},
    os::unix::fs::symlink,
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Stdio},
    sync::mpsc::{self, Receiver, RecvTimeoutError, Sender},
    thread,
};

use gstkvssink::local::{DEFAULT_ACCESS_KEY, DEFAULT_SECRET_KEY, Local};

use super::PATIENCE;

/// The folder of the repository.
pub(crate) fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// The plugin as a file. Cargo makes it together with the library that this test is linked to, and puts it beside the test.
pub(crate) fn plugin_file() -> PathBuf {
    let name = format!(
        "{}gstkvssink{}",
        std::env::consts::DLL_PREFIX,
        std::env::consts::DLL_SUFFIX
    );
    let file = std::env::current_exe().unwrap().with_file_name(name);
    assert!(file.is_file(), "{} is missing", file.display());
    file
}

/// The environment in which a program of GStreamer finds this plugin, and nobody's settings of AWS, TLS or proxies.
pub(crate) fn with_plugin(mut command: Command) -> Command {
    // A folder of its own: beside the plugin lie libraries that are none.
    let temporary = Path::new(env!("CARGO_TARGET_TMPDIR"));
    let plugins = temporary.join("plugin");
    fs::create_dir_all(&plugins).unwrap();
    let file = plugin_file();
    // Other tests do the same at the same time.
    let link = plugins.join(format!(
        ".{}-{:?}",
        std::process::id(),
        thread::current().id()
    ));
    symlink(&file, &link).unwrap();
    fs::rename(&link, plugins.join(file.file_name().unwrap())).unwrap();
    for (name, _) in std::env::vars_os() {
        let shown = name.to_string_lossy();
        let is_setting = ["AWS_", "SSL_CERT_", "KVSSINK_CA_"]
            .iter()
            .any(|prefix| shown.starts_with(prefix));
        if is_setting || shown.to_ascii_lowercase().ends_with("_proxy") {
            command.env_remove(name);
        }
    }
    command
        .current_dir(root())
        .env_remove("GST_PLUGIN_PATH_1_0")
        .env_remove("GST_REGISTRY_1_0")
        .env("GST_PLUGIN_PATH", plugins)
        // As [`super::init`] has it.
        .env("G_DEBUG", "fatal-warnings")
        .env("GST_REGISTRY", temporary.join("gst-registry.bin"))
        // It looks when GStreamer ends, as at the end of gst-launch-1.0, and warns: see `assert_success`.
        .env("GST_TRACERS", "leaks")
        .env("GST_DEBUG", "GST_TRACER:7")
        .env("GST_DEBUG_NO_COLOR", "1");
    command
}

/// As [`with_plugin`], and what the comments of the scripts name: the stream, credentials, region and endpoint.
pub(crate) fn with_service(command: Command, local: &Local, stream: &str) -> Command {
    let mut command = with_plugin(command);
    command
        .env("STREAM_NAME", stream)
        .env("AWS_ACCESS_KEY_ID", DEFAULT_ACCESS_KEY)
        .env("AWS_SECRET_ACCESS_KEY", DEFAULT_SECRET_KEY)
        .env("AWS_DEFAULT_REGION", "eu-central-1")
        .env("CONTROL_PLANE_URI", local.endpoint());
    command
}

/// A script of `pipelines/`.
pub(crate) fn script(name: &str) -> Command {
    Command::new(root().join("pipelines").join(name))
}

/// A running program; ended when dropped.
pub(crate) struct Process {
    child: Child,
    said: Receiver<Said>,
    ended: Ended,
}

/// What ends a program that would go on.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Signal {
    Interrupt,
    Terminate,
}

enum Said {
    Out(String),
    Err(String),
}

/// What a program said until its end, and how it ended.
#[derive(Debug, Default)]
pub(crate) struct Ended {
    pub(crate) status: Option<ExitStatus>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Process {
    pub(crate) fn start(mut command: Command) -> Self {
        let mut child = command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap_or_else(|error| panic!("{command:?}: {error}"));
        let (sender, said) = mpsc::channel();
        tell_lines(child.stdout.take().unwrap(), sender.clone(), Said::Out);
        tell_lines(child.stderr.take().unwrap(), sender, Said::Err);
        Self {
            child,
            said,
            ended: Ended::default(),
        }
    }

    /// Its next line on the standard output.
    pub(crate) fn line(&mut self) -> String {
        loop {
            match self.heard() {
                Some(Said::Out(line)) => return line,
                Some(Said::Err(_)) => {}
                None => panic!("it has ended: {:?}", self.ended),
            }
        }
    }

    /// Ctrl-C.
    pub(crate) fn interrupt(&self) {
        self.signal(Signal::Interrupt);
    }

    /// Sends it a signal.
    pub(crate) fn signal(&self, signal: Signal) {
        let name = match signal {
            Signal::Interrupt => "INT",
            Signal::Terminate => "TERM",
        };
        let sent = Command::new("sh")
            .args(["-c", &format!("kill -{name} {}", self.child.id())])
            .status()
            .unwrap();
        assert!(sent.success());
    }

    /// Waits for its end.
    pub(crate) fn end(mut self) -> Ended {
        while self.heard().is_some() {}
        self.ended.status = Some(self.child.wait().unwrap());
        std::mem::take(&mut self.ended)
    }

    /// Its next line; none when it has closed both outputs.
    fn heard(&mut self) -> Option<Said> {
        let said = match self.said.recv_timeout(PATIENCE) {
            Ok(said) => said,
            Err(RecvTimeoutError::Disconnected) => return None,
            Err(RecvTimeoutError::Timeout) => panic!("it says nothing more: {:?}", self.ended),
        };
        let (so_far, line) = match &said {
            Said::Out(line) => (&mut self.ended.stdout, line),
            Said::Err(line) => (&mut self.ended.stderr, line),
        };
        so_far.push_str(line);
        so_far.push('\n');
        Some(said)
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // Nothing happens when it has ended.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Ended {
    /// It ended with status 0, and GStreamer's tracer `leaks` has found nothing, if it was told to look.
    pub(crate) fn assert_success(&self) {
        let left = self
            .stderr
            .lines()
            .find(|line| line.contains(" TRACE ") && line.contains(" object-alive, "));
        assert_eq!(left, None, "it leaves that behind");
        assert!(
            self.status.is_some_and(|status| status.success()),
            "{self:#?}"
        );
    }
}

fn tell_lines(pipe: impl Read + Send + 'static, to: Sender<Said>, wrap: fn(String) -> Said) {
    thread::spawn(move || {
        for line in BufReader::new(pipe).split(b'\n') {
            let Ok(line) = line else { return };
            let line = String::from_utf8_lossy(&line).into_owned();
            if to.send(wrap(line)).is_err() {
                return;
            }
        }
    });
}
