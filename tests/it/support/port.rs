//! Ports where nobody listens, yet or at all.

use std::{
    net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream},
    path::Path,
    sync::mpsc::{Receiver, channel},
    time::Duration,
};

use gstkvssink::local::{DEFAULT_ACCESS_KEY, DEFAULT_SECRET_KEY, Local, Options};

/// A port that refuses connections, and that no other process gets: it is bound, and listening on it is still possible.
pub(crate) struct Reserved {
    address: SocketAddr,
    _bound: tokio::net::TcpSocket,
}

impl Reserved {
    pub(crate) fn new() -> Self {
        let bound = tokio::net::TcpSocket::new_v4().unwrap();
        bound.set_reuseaddr(true).unwrap();
        bound.bind((Ipv4Addr::LOCALHOST, 0).into()).unwrap();
        Self {
            address: bound.local_addr().unwrap(),
            _bound: bound,
        }
    }

    pub(crate) fn endpoint(&self) -> String {
        format!("http://{}", self.address)
    }

    /// The properties that make kvssink talk to whoever listens there.
    pub(crate) fn properties(&self) -> String {
        properties_at(self.address)
    }

    /// A service there, which keeps its media below `dir`.
    pub(crate) fn serve(&self, dir: &Path) -> Local {
        self.serve_with(dir, |_| ())
    }

    /// The same with other options.
    pub(crate) fn serve_with(&self, dir: &Path, change: impl FnOnce(&mut Options)) -> Local {
        let mut options = Options {
            listen: self.address,
            dir: Some(dir.into()),
            activation_delay: Duration::from_millis(50),
            ..Options::default()
        };
        change(&mut options);
        Local::start(options).unwrap()
    }
}

/// A server that takes connections and never answers.
pub(crate) struct Mute {
    address: SocketAddr,
    /// One for each connection.
    pub(crate) accepted: Receiver<()>,
}

impl Mute {
    pub(crate) fn start() -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let address = listener.local_addr().unwrap();
        let (sender, accepted) = channel();
        // It ends with the process, or with the first connection after the test.
        std::thread::spawn(move || {
            let mut open: Vec<TcpStream> = Vec::new();
            for stream in listener.incoming() {
                open.extend(stream);
                if sender.send(()).is_err() {
                    return;
                }
            }
        });
        Self { address, accepted }
    }

    pub(crate) fn properties(&self) -> String {
        properties_at(self.address)
    }
}

fn properties_at(address: SocketAddr) -> String {
    format!(
        "endpoint=http://{address} access-key={DEFAULT_ACCESS_KEY} secret-key={DEFAULT_SECRET_KEY}"
    )
}
