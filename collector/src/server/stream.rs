//! A TCP connection that is served and, meanwhile, asked about its path.

use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant};

use rustix::net::sockopt;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;

use super::tcp_info;
use crate::store::Observed;

/// The kernel is asked about a path when something came on it, at most this often.
const ASK_EVERY: Duration = Duration::from_secs(1);

/// A connection whose path is looked at.
pub struct WatchedStream {
    stream: TcpStream,
    asked: Option<Instant>,
    path: Path,
}

/// What a connection's path showed last.
#[derive(Clone, Default)]
pub struct Path(Arc<Mutex<Observed>>);

impl Path {
    /// What it showed when something came on it last, or within the second before.
    pub fn observed(&self) -> Observed {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl WatchedStream {
    /// Takes a connection, and has the kernel notice within some two minutes that the other end is gone.
    pub fn new(stream: TcpStream) -> Self {
        if let Err(error) = keep_alive(&stream) {
            tracing::debug!(%error, "cannot set a connection's options");
        }
        Self { stream, asked: None, path: Path::default() }
    }

    /// Its path, for whoever serves it.
    pub fn path(&self) -> Path {
        self.path.clone()
    }

    fn ask(&mut self) {
        let now = Instant::now();
        if self.asked.is_some_and(|asked| now.duration_since(asked) < ASK_EVERY) {
            return;
        }
        self.asked = Some(now);
        *self.path.0.lock().unwrap_or_else(PoisonError::into_inner) = tcp_info::observe(&self.stream);
    }
}

fn keep_alive(stream: &TcpStream) -> io::Result<()> {
    stream.set_nodelay(true)?;
    sockopt::set_socket_keepalive(stream, true)?;
    sockopt::set_tcp_keepidle(stream, Duration::from_mins(1))?;
    sockopt::set_tcp_keepintvl(stream, Duration::from_secs(15))?;
    sockopt::set_tcp_keepcnt(stream, 4)?;
    // Also for what was sent and not taken: a peer that reads nothing goes after two minutes.
    sockopt::set_tcp_user_timeout(stream, 120_000)?;
    Ok(())
}

impl AsyncRead for WatchedStream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let read = ready!(Pin::new(&mut self.stream).poll_read(cx, buffer));
        self.ask();
        Poll::Ready(read)
    }
}

impl AsyncWrite for WatchedStream {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(cx, slices)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
