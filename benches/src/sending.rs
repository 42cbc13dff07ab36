//! The ways a process can put memory on a TCP socket, and a peer on the loopback that does nothing but receive.
//!
//! All of them send the same pages out of a [`Pool`] in a file, which is also mapped. (That of a copy by `writev` has
//! anonymous pages.)

use std::io::{IoSlice, Read};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::os::fd::{AsRawFd, BorrowedFd, OwnedFd};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::Duration;

use arrow_buffer::Buffer;
use nix::errno::Errno;
use nix::fcntl::{FcntlArg, SpliceFFlags, fcntl, splice};
use nix::libc;
use nix::sys::sendfile::sendfile64;
use nix::sys::socket::sockopt::SetBool;
use nix::sys::socket::{ControlMessage, MsgFlags, SockaddrStorage, recvmsg, sendmsg, setsockopt};
use nix::sys::uio::writev;
use nix::time::{ClockId, clock_gettime};
use nix::unistd::{pipe, write};
use zenith_memory::Pool;

/// A way to send.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Path {
    /// `write`: the kernel copies.
    Write,
    /// `writev` of slices of 32 KiB, about the size of a column: the kernel copies.
    Writev,
    /// `sendfile` from the memfd: the kernel takes the pages.
    Sendfile,
    /// `splice` from the memfd into a pipe and from there to the socket: the kernel takes the pages.
    Splice,
    /// `sendmsg` with `MSG_ZEROCOPY`: the kernel takes the pages, but copies them after all if the peer is local.
    ZeroCopy,
}

impl Path {
    /// All ways.
    pub const ALL: [Path; 5] = [Path::Write, Path::Writev, Path::Sendfile, Path::Splice, Path::ZeroCopy];

    /// The name of the system call or flag.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Path::Write => "write",
            Path::Writev => "writev",
            Path::Sendfile => "sendfile",
            Path::Splice => "splice",
            Path::ZeroCopy => "MSG_ZEROCOPY",
        }
    }
}

// nix knows the option's flag but has no type for it; its macro makes one.
#[derive(Clone)]
struct ZeroCopyOption;
nix::setsockopt_impl!(ZeroCopyOption, libc::SOL_SOCKET, libc::SO_ZEROCOPY, bool, SetBool);

/// Bytes of one slice of a `writev`.
const SLICE_BYTES: usize = 32 * 1024;
/// Memory the buffers are taken from in turn: more than the caches hold, as in a copy.
const MEMORY_BYTES: usize = 32 << 20;
const PIPE_BYTES: i32 = 1 << 20;

/// What it took to send.
#[derive(Clone, Copy, Debug, Default)]
pub struct Cost {
    /// Until the peer had received everything.
    pub wall: Duration,
    /// Processor time of the sending thread. On the loopback the kernel's work for the receiver is part of it, except for
    /// the copying out of the socket.
    pub sender_cpu: Duration,
}

/// A connection and the buffers to send on it.
pub struct Connection {
    stream: TcpStream,
    peer: Peer,
    pool: Pool,
    buffers: Vec<Buffer>,
    pipe: (OwnedFd, OwnedFd),
}

/// A thread that receives as many bytes as it is told and says when it has them.
struct Peer {
    expected: Sender<u64>,
    received: Receiver<()>,
}

impl Connection {
    /// Connects to a peer of its own and fills buffers of this size.
    ///
    /// # Panics
    ///
    /// If the system has no loopback, no memory or no zero-copy sockets.
    #[must_use]
    pub fn new(buffer_bytes: usize) -> Connection {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a listener");
        let stream = TcpStream::connect(listener.local_addr().expect("an address")).expect("a connection");
        let (peer, _) = listener.accept().expect("a peer");
        stream.set_nodelay(true).expect("no delay");
        setsockopt(&stream, ZeroCopyOption, &true).expect("SO_ZEROCOPY, since Linux 4.14");
        let pool = Pool::in_file(MEMORY_BYTES.max(buffer_bytes)).expect("a pool");
        let mut reservation = pool.try_reserve(pool.budget()).expect("the whole pool");
        let mut buffers = Vec::new();
        while reservation.left() >= buffer_bytes {
            let mut buffer = reservation.allocate(buffer_bytes).expect("a part of it");
            buffer.fill(0x5a);
            buffers.push(buffer.freeze(buffer_bytes));
        }
        let pipe = pipe().expect("a pipe");
        fcntl(&pipe.1, FcntlArg::F_SETPIPE_SZ(PIPE_BYTES)).expect("a large pipe");
        Connection { stream, peer: Peer::receiving(peer), pool, buffers, pipe }
    }

    /// Sends so many buffers.
    ///
    /// # Panics
    ///
    /// If the connection breaks.
    pub fn send(&mut self, path: Path, count: u64) -> Cost {
        let length = u64::try_from(self.buffers[0].len()).expect("a size");
        let cpu = thread_cpu();
        let started = std::time::Instant::now();
        self.peer.expected.send(count * length).expect("the peer waits");
        for number in 0..count {
            let next = usize::try_from(number).expect("a count") % self.buffers.len();
            self.send_buffer(path, &self.buffers[next]).expect("the peer receives");
        }
        let sender_cpu = thread_cpu() - cpu;
        self.peer.received.recv().expect("the peer has it");
        let wall = started.elapsed();
        if path == Path::ZeroCopy {
            self.take_completions().expect("completions");
        }
        Cost { wall, sender_cpu }
    }

    fn send_buffer(&self, path: Path, buffer: &Buffer) -> Result<(), Errno> {
        let mut sent = 0;
        while sent < buffer.len() {
            sent += match path {
                Path::Write => write(&self.stream, &buffer[sent..])?,
                Path::Writev => {
                    let slices: Vec<IoSlice<'_>> =
                        buffer[sent..].chunks(SLICE_BYTES).map(IoSlice::new).collect();
                    writev(&self.stream, &slices)?
                }
                Path::Sendfile => {
                    let mut offset = self.offset(&buffer[sent..]);
                    sendfile64(&self.stream, self.file(), Some(&mut offset), buffer.len() - sent)?
                }
                Path::Splice => self.splice(&buffer[sent..])?,
                Path::ZeroCopy => self.send_zero_copy(&buffer[sent..])?,
            };
        }
        Ok(())
    }

    /// As much as the pipe takes.
    fn splice(&self, bytes: &[u8]) -> Result<usize, Errno> {
        let mut offset = self.offset(bytes);
        let flags = SpliceFFlags::SPLICE_F_MOVE | SpliceFFlags::SPLICE_F_MORE;
        let (out, into) = &self.pipe;
        let taken = splice(self.file(), Some(&mut offset), into, None, bytes.len(), flags)?;
        let mut passed = 0;
        while passed < taken {
            passed += splice(out, None, &self.stream, None, taken - passed, flags)?;
        }
        Ok(taken)
    }

    fn send_zero_copy(&self, bytes: &[u8]) -> Result<usize, Errno> {
        let flags = MsgFlags::from_bits_retain(libc::MSG_ZEROCOPY);
        let nothing: &[ControlMessage<'_>] = &[];
        loop {
            let socket = self.stream.as_raw_fd();
            match sendmsg::<SockaddrStorage>(socket, &[IoSlice::new(bytes)], nothing, flags, None) {
                // So many notices lie unread that the kernel keeps no more.
                Err(Errno::ENOBUFS) => self.take_completions()?,
                outcome => return outcome,
            }
        }
    }

    /// Reads the notices that pages are free again, which a program that wants to use them again has to do anyway.
    fn take_completions(&self) -> Result<(), Errno> {
        let mut space = nix::cmsg_space!(libc::sock_extended_err, SockaddrStorage);
        let flags = MsgFlags::MSG_ERRQUEUE | MsgFlags::MSG_DONTWAIT;
        loop {
            match recvmsg::<()>(self.stream.as_raw_fd(), &mut [], Some(&mut space), flags) {
                Ok(_) => {}
                Err(Errno::EAGAIN) => return Ok(()),
                Err(errno) => return Err(errno),
            }
        }
    }

    fn file(&self) -> BorrowedFd<'_> {
        self.pool.file().expect("a pool in a file")
    }

    fn offset(&self, bytes: &[u8]) -> i64 {
        let offset = self.pool.locate(bytes).expect("a part of the pool");
        i64::try_from(offset).expect("an offset in a file")
    }
}

impl Peer {
    fn receiving(mut stream: TcpStream) -> Peer {
        let (expected, orders) = channel::<u64>();
        let (done, received) = channel();
        std::thread::spawn(move || {
            let mut buffer = vec![0; 1 << 20];
            for mut left in orders {
                while left > 0 {
                    match stream.read(&mut buffer) {
                        Ok(0) | Err(_) => return,
                        Ok(bytes) => left -= u64::try_from(bytes).unwrap_or(left),
                    }
                }
                if done.send(()).is_err() {
                    return;
                }
            }
        });
        Peer { expected, received }
    }
}

/// Processor time of the calling thread.
fn thread_cpu() -> Duration {
    clock_gettime(ClockId::CLOCK_THREAD_CPUTIME_ID).map_or(Duration::ZERO, Duration::from)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_way_sends_everything() {
        let mut connection = Connection::new(100_000);
        for path in Path::ALL {
            let cost = connection.send(path, 40);
            assert!(cost.wall > Duration::ZERO && cost.sender_cpu > Duration::ZERO, "{path:?}: {cost:?}");
        }
    }
}
