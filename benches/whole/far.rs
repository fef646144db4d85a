//! A link to a service that is far away: this kernel has no `netem`.
//!
//! A proxy that stands beside the client, with a long line behind it: `CONNECT` is answered at once, what then comes is
//! passed on half a round trip later, either way. The handshake of TCP would have taken a round trip before that, so the
//! first bytes wait for it, too.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use anyhow::{Context, ensure};

use super::clock;

/// When bytes are at the other end, by CLOCK_MONOTONIC in ns; no bytes: the end.
type Chunk = (u64, Option<Vec<u8>>);

/// Listens until this process ends; its address as a proxy.
pub(crate) fn proxy(round_trip: Duration) -> anyhow::Result<String> {
    let listener = TcpListener::bind(("127.0.0.1", 0))?;
    let address = format!("http://{}", listener.local_addr()?);
    thread::spawn(move || {
        for client in listener.incoming().flatten() {
            thread::spawn(move || {
                if let Err(error) = tunnel(&client, round_trip) {
                    eprintln!("bench: the far link: {error}");
                }
            });
        }
    });
    Ok(address)
}

fn tunnel(client: &TcpStream, round_trip: Duration) -> anyhow::Result<()> {
    let round_trip_ns = u64::try_from(round_trip.as_nanos())?;
    let open_ns = clock::monotonic_ns() + round_trip_ns;
    // The client says nothing more before it has its answer, so nothing stays in the buffer.
    let mut asked = BufReader::new(client);
    let mut line = String::new();
    asked.read_line(&mut line)?;
    let authority = line
        .strip_prefix("CONNECT ")
        .and_then(|line| line.split(' ').next());
    let authority = authority.context(line.clone())?.to_owned();
    while line.trim() != "" {
        line.clear();
        ensure!(asked.read_line(&mut line)? > 0, "it ended in its head");
    }
    let service = TcpStream::connect(&authority)?;
    for socket in [client, &service] {
        socket.set_nodelay(true)?;
    }
    { client }.write_all(b"HTTP/1.1 200 OK\r\n\r\n")?;
    thread::scope(|scope| {
        let there = pass(scope, client, &service, open_ns, round_trip_ns / 2);
        let back = pass(scope, &service, client, open_ns, round_trip_ns / 2);
        there.and(back)
    })
}

/// Passes on what comes, later.
fn pass<'scope>(
    scope: &'scope thread::Scope<'scope, '_>,
    mut from: &'scope TcpStream,
    mut to: &'scope TcpStream,
    open_ns: u64,
    delay_ns: u64,
) -> anyhow::Result<()> {
    let (sender, receiver) = mpsc::channel::<Chunk>();
    thread::Builder::new().spawn_scoped(scope, move || {
        let mut bytes = vec![0; 1 << 16];
        loop {
            // A connection that is reset has ended, too.
            let read = from.read(&mut bytes).unwrap_or(0);
            let due_ns = clock::monotonic_ns().max(open_ns) + delay_ns;
            let chunk = bytes.get(..read).filter(|bytes| !bytes.is_empty());
            let is_end = chunk.is_none();
            if sender.send((due_ns, chunk.map(<[u8]>::to_vec))).is_err() || is_end {
                return;
            }
        }
    })?;
    thread::Builder::new().spawn_scoped(scope, move || {
        for (due_ns, bytes) in receiver {
            let left_ns = due_ns.saturating_sub(clock::monotonic_ns());
            thread::sleep(Duration::from_nanos(left_ns));
            let Some(bytes) = bytes else {
                // It may have ended itself.
                let _ = to.shutdown(Shutdown::Write);
                return;
            };
            if to.write_all(&bytes).is_err() {
                return;
            }
        }
    })?;
    Ok(())
}
