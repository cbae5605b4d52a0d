//! Between the broker's socket and lapin: every frame is looked at before lapin reads it, and what a publisher may not put
//! into it is taken out (see [`crate::content`]).
//!
//! lapin takes any stream whose runtime says so; this is lapin's own runtime, with this stream.

use std::collections::HashMap;
use std::io::{self, Read, Write};
use std::net::SocketAddr;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant};

use async_rs::traits::Reactor;
use async_rs::util::RuntimeParts;
use async_rs::{Runtime, Tokio};
use futures::Stream;
use futures::io::{AsyncRead, AsyncWrite};
use lapin::tcp::AsyncTcpStream;

use crate::content::{self, OTHERS_BYTES_MAX};
use crate::limits::{FRAME_BYTES_MAX, HEADERS_READ_BYTES_MAX};

const METHOD: u8 = 1;
const HEADER: u8 = 2;
const BODY: u8 = 3;
const FRAME_END: u8 = 0xce;

/// Type, channel and size.
const HEAD_BYTES: usize = 7;

/// How much is read from the socket at once.
const CHUNK_BYTES: usize = 64 * 1024;

/// A socket that is open, with TLS or without.
type Socket = AsyncTcpStream<<Tokio as Reactor>::TcpStream>;

/// The stream that lapin reads.
pub(crate) type Sieved = AsyncTcpStream<Sieve<Socket>>;

/// Gives a socket to lapin, by way of the sieve. `frame_max` is what the URL asks for, if it does.
pub(crate) fn sieved(socket: Socket, frame_max: Option<u32>) -> Sieved {
    AsyncTcpStream::Plain(Sieve { socket, frames: Frames::new(frame_max), chunk: vec![0; CHUNK_BYTES] })
}

/// The runtime under which lapin takes such a stream.
pub(crate) fn runtime() -> Runtime<RuntimeParts<Tokio, Clockwork>> {
    Runtime::new(RuntimeParts::new(Tokio::current(), Clockwork(Tokio::current())))
}

/// A stream that gives whole frames only where they are changed.
pub(crate) struct Sieve<S> {
    socket: S,
    frames: Frames,
    chunk: Vec<u8>,
}

/// The bytes of a connection, cut into frames.
#[derive(Debug)]
struct Frames {
    /// The beginning of a frame that is not looked at yet.
    held: Vec<u8>,
    /// How many bytes of the frame that comes may pass as they are.
    passing: usize,
    /// Whether they go nowhere instead.
    is_left_out: bool,
    /// By channel, how much of a body is still to come that is not read.
    left_out: HashMap<[u8; 2], u64>,
    /// What lapin has not read yet, from `read` on.
    sifted: Vec<u8>,
    read: usize,
    /// How many bytes the headers of a message may take.
    room: usize,
}

impl Frames {
    fn new(frame_max: Option<u32>) -> Self {
        let (held, sifted) = (Vec::new(), Vec::new());
        let room = HEADERS_READ_BYTES_MAX;
        let left_out = HashMap::new();
        let mut frames = Self { held, passing: 0, is_left_out: false, left_out, sifted, read: 0, room };
        frames.shrink(frame_max.unwrap_or_default());
        frames
    }

    /// Makes a message's properties fit a frame of this size; 0: there is no limit.
    fn shrink(&mut self, frame_max: u32) {
        if let Ok(most @ 1..) = usize::try_from(frame_max) {
            self.room = self.room.min((most / 4 * 3).saturating_sub(OTHERS_BYTES_MAX));
        }
    }

    fn take(&mut self, mut bytes: &[u8]) -> io::Result<()> {
        while !bytes.is_empty() {
            let wanted = if self.passing > 0 { self.passing } else { self.missing()? };
            let (now, rest) = bytes.split_at(wanted.min(bytes.len()));
            bytes = rest;
            if self.passing > 0 {
                self.passing -= now.len();
                if !self.is_left_out {
                    self.sifted.extend_from_slice(now);
                }
                self.is_left_out &= self.passing > 0;
            } else {
                self.held.extend_from_slice(now);
                self.look()?;
            }
        }
        Ok(())
    }

    /// The size of the frame that is held, if its head is.
    fn size(&self) -> io::Result<Option<usize>> {
        let Some(size) = self.held.get(3..HEAD_BYTES).and_then(|size| size.try_into().ok()) else {
            return Ok(None);
        };
        let size = usize::try_from(u32::from_be_bytes(size)).unwrap_or(usize::MAX);
        if size > FRAME_BYTES_MAX {
            return Err(io::Error::new(io::ErrorKind::InvalidData, format!("a frame of {size} bytes")));
        }
        Ok(Some(HEAD_BYTES + size + 1))
    }

    /// How many bytes are missing: of the head, or of the frame.
    fn missing(&self) -> io::Result<usize> {
        Ok(self.size()?.unwrap_or(HEAD_BYTES).saturating_sub(self.held.len()))
    }

    /// Lets the frame that is held go as far as it is there.
    fn look(&mut self) -> io::Result<()> {
        let is_looked_at = matches!(self.held[0], METHOD | HEADER);
        if self.held[0] == b'A' {
            // The broker refuses our version and names its own: no frame, and nothing follows.
            self.passing = usize::MAX;
        } else if let Some(size) = self.size()? {
            if is_looked_at && self.held.len() < size {
                return Ok(());
            }
            self.passing = size - self.held.len();
            if self.is_of_unread_body(size) {
                // The end of its frame is still to come.
                (self.is_left_out, self.held) = (true, Vec::new());
                return Ok(());
            }
        } else {
            return Ok(());
        }
        let held = std::mem::take(&mut self.held);
        match is_looked_at.then(|| self.changed(&held)).flatten() {
            Some(payload) => {
                let size = u32::try_from(payload.len()).map_err(io::Error::other)?;
                self.sifted.extend_from_slice(&held[..3]);
                self.sifted.extend_from_slice(&size.to_be_bytes());
                self.sifted.extend_from_slice(&payload);
                self.sifted.push(FRAME_END);
            }
            None => self.sifted.extend_from_slice(&held),
        }
        Ok(())
    }

    /// Whether the frame that is held has a part of a body that is not read.
    fn is_of_unread_body(&mut self, size: usize) -> bool {
        let [kind, one, two, ..] = self.held[..] else { return false };
        let Some(left) = self.left_out.get_mut(&[one, two]).filter(|_| kind == BODY) else { return false };
        *left = left.saturating_sub((size - HEAD_BYTES - 1) as u64);
        if *left == 0 {
            self.left_out.remove(&[one, two]);
        }
        true
    }

    /// Another payload for a whole frame, if it needs one.
    fn changed(&mut self, frame: &[u8]) -> Option<Vec<u8>> {
        let payload = &frame[HEAD_BYTES..frame.len() - 1];
        if frame[0] == HEADER {
            match content::unread_body(payload) {
                Some(size) => drop(self.left_out.insert([frame[1], frame[2]], size)),
                // The one before ended before its time.
                None => drop(self.left_out.remove(&[frame[1], frame[2]])),
            }
            return Some(content::header(payload, self.room));
        }
        if let Some(frame_max) = content::frame_max(payload) {
            self.shrink(frame_max);
        }
        content::method(payload)
    }

    /// Gives what is ready.
    fn give(&mut self, buffer: &mut [u8]) -> usize {
        let ready = &self.sifted[self.read..];
        let count = ready.len().min(buffer.len());
        buffer[..count].copy_from_slice(&ready[..count]);
        self.read += count;
        if self.read == self.sifted.len() {
            self.read = 0;
            self.sifted.clear();
        }
        count
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Sieve<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut [u8],
    ) -> Poll<io::Result<usize>> {
        let Self { socket, frames, chunk } = &mut *self;
        loop {
            let count = frames.give(buffer);
            if count > 0 || buffer.is_empty() {
                return Poll::Ready(Ok(count));
            }
            let count = ready!(Pin::new(&mut *socket).poll_read(context, chunk))?;
            if count == 0 {
                return Poll::Ready(Ok(0));
            }
            frames.take(&chunk[..count])?;
        }
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Sieve<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.socket).poll_write(context, buffer)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffers: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.socket).poll_write_vectored(context, buffers)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.socket).poll_flush(context)
    }

    fn poll_close(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.socket).poll_close(context)
    }
}

/// tokio's timers and sockets, the latter behind a sieve.
#[derive(Debug, Clone)]
pub(crate) struct Clockwork(Tokio);

impl Reactor for Clockwork {
    type TcpStream = Sieve<Socket>;
    type Sleep = <Tokio as Reactor>::Sleep;

    /// lapin never asks for it.
    fn register<H: Read + Write + Send + 'static>(
        &self,
        _socket: H,
    ) -> io::Result<impl AsyncRead + AsyncWrite + Send + Unpin + 'static> {
        Err::<Self::TcpStream, _>(io::ErrorKind::Unsupported.into())
    }

    fn sleep(&self, time: Duration) -> Self::Sleep {
        self.0.sleep(time)
    }

    fn interval(&self, time: Duration) -> impl Stream<Item = Instant> + Send + 'static {
        self.0.interval(time)
    }

    fn tcp_connect_addr(
        &self,
        address: SocketAddr,
    ) -> impl Future<Output = io::Result<Self::TcpStream>> + Send + 'static {
        let connecting = self.0.tcp_connect_addr(address);
        async move {
            let socket = AsyncTcpStream::Plain(connecting.await?);
            Ok(Sieve { socket, frames: Frames::new(None), chunk: vec![0; CHUNK_BYTES] })
        }
    }
}

#[cfg(test)]
mod tests;
