//! A TCP connection that can be ended in other ways than HTTP would.
//!
//! Belongs here: RST, FIN. Does not belong here: when (`session`, `listen`).

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, ReadBuf};
use tokio::net::TcpStream;
use tokio::sync::{Notify, watch};
use tokio::time::timeout;

/// How long the peer may go on sending after a FIN, so that it can read what was sent before: a socket that is
/// closed with unread bytes is reset.
const LINGER: Duration = Duration::from_secs(2);

/// How a connection is ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Cut {
    /// RST.
    Reset,
    /// FIN, without an end of what is being said.
    Close,
    /// As when the process ends: what the kernel makes of it.
    Drop,
}

/// Asks for the end of a connection.
#[derive(Debug, Default)]
pub(crate) struct Hangup {
    gently: Notify,
    cut: watch::Sender<Option<Cut>>,
}

impl Hangup {
    /// After the answer that is being given.
    pub(crate) fn gently(&self) {
        self.gently.notify_one();
    }

    /// Now.
    pub(crate) fn cut(&self, cut: Cut) {
        self.cut.send_replace(Some(cut));
    }

    /// Waits for [`Self::gently`].
    pub(crate) async fn is_asked_gently(&self) {
        self.gently.notified().await;
    }

    /// Waits for [`Self::cut`].
    pub(crate) async fn is_cut(&self) -> Cut {
        let mut cut = self.cut.subscribe();
        // We hold the sender: it does not close.
        cut.wait_for(Option::is_some)
            .await
            .ok()
            .and_then(|cut| *cut)
            .unwrap_or(Cut::Drop)
    }
}

/// The connection, shared by what speaks on it and by who may cut it. Nobody else ever waits for the lock.
#[derive(Debug, Clone)]
pub(crate) struct Line(Arc<Mutex<TcpStream>>);

impl Line {
    pub(crate) fn new(tcp: TcpStream) -> Self {
        Self(Arc::new(Mutex::new(tcp)))
    }

    /// Ends the connection; all clones must be gone.
    pub(crate) async fn cut(self, cut: Cut) {
        let Ok(tcp) = Arc::try_unwrap(self.0) else {
            return;
        };
        let mut tcp = tcp.into_inner().unwrap_or_else(PoisonError::into_inner);
        // A peer that is gone already needs no end.
        match cut {
            Cut::Drop => {}
            Cut::Reset => drop(tcp.set_zero_linger()),
            Cut::Close => {
                let _ = tcp.shutdown().await;
                let mut nowhere = [0; 4096];
                let rest =
                    async { while tcp.read(&mut nowhere).await.is_ok_and(|read| read > 0) {} };
                let _ = timeout(LINGER, rest).await;
            }
        }
    }

    /// Up to `len` of the bytes that have come, which stay to be read; waits for the first.
    pub(crate) async fn peek(&self, len: usize) -> Vec<u8> {
        let mut bytes = vec![0; len];
        let peeked = std::future::poll_fn(|context| {
            let mut buffer = ReadBuf::new(&mut bytes);
            self.lock().poll_peek(context, &mut buffer)
        });
        let len = peeked.await.unwrap_or(0);
        bytes.truncate(len);
        bytes
    }

    fn lock(&self) -> MutexGuard<'_, TcpStream> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl AsyncRead for Line {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut *self.lock()).poll_read(context, buffer)
    }
}

impl AsyncWrite for Line {
    fn poll_write(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut *self.lock()).poll_write(context, bytes)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut *self.lock()).poll_write_vectored(context, slices)
    }

    fn is_write_vectored(&self) -> bool {
        self.lock().is_write_vectored()
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut *self.lock()).poll_flush(context)
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut *self.lock()).poll_shutdown(context)
    }
}
