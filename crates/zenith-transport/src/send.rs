//! The system calls that put a request on a socket.
//!
//! | path | large buffers of a pool in a file | everything else |
//! | --- | --- | --- |
//! | [`SendPath::Writev`] | `writev`: the kernel copies | `writev` |
//! | [`SendPath::Sendfile`] | `sendfile` from the file: the kernel takes the pages, no copy | `writev` |
//! | [`SendPath::Splice`] | `splice` from the file into a pipe and on into the socket: no copy either | `writev` |
//!
//! Pages given to the kernel are read when the peer reads them, not when the call returns. The sender must
//! keep them unchanged until the peer has answered; see `socket::in_flight`.
//!
//! This module and no other of this crate makes raw system calls.
#![allow(unsafe_code)]

use std::io::{self, IoSlice};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::time::Duration;

use nix::fcntl::{FcntlArg, OFlag, SpliceFFlags, fcntl, splice};
use nix::libc;
use nix::sys::sendfile::sendfile64;
use nix::time::{ClockId, clock_gettime};
use nix::unistd::pipe2;
use tokio::io::Interest;
use tokio::net::TcpStream;

use crate::frame::Piece;
use crate::socket::SendPath;

/// Entries of one `writev`; the kernel's limit is 1,024.
const VECTOR_LEN_MAX: usize = 256;
/// Bytes of one `sendfile`, so that a call ends even if the peer reads as fast as we write.
const SENDFILE_BYTES_MAX: usize = 4 * 1024 * 1024;
/// Bytes of a pipe, which is how much one `splice` moves. Users may have pipes as large as this by default.
const PIPE_BYTES: i32 = 1024 * 1024;

/// How the pieces of one request go out.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Route<'a> {
    path: SendPath,
    /// The file that pieces of kind `File` lie in, if the kernel takes its pages.
    file: Option<BorrowedFd<'a>>,
    /// Whether the processor time of the system calls is of interest.
    pub(crate) is_measured: bool,
}

impl<'a> Route<'a> {
    /// By `path` from `file`; without a file everything is copied.
    pub(crate) fn new(path: SendPath, file: Option<BorrowedFd<'a>>, is_measured: bool) -> Route<'a> {
        let file = file.filter(|_| path != SendPath::Writev);
        Route { path: if file.is_some() { path } else { SendPath::Writev }, file, is_measured }
    }

    pub(crate) fn path(&self) -> SendPath {
        self.path
    }

    /// Whether the kernel is given pages, which must stay as they are until the peer has read them.
    pub(crate) fn lends(&self) -> bool {
        self.file.is_some()
    }
}

/// Where in a list of pieces sending has got to.
#[derive(Debug, Default)]
pub(crate) struct Cursor {
    piece: usize,
    /// Bytes of that piece already sent.
    offset: usize,
}

impl Cursor {
    pub(crate) fn is_at_end(&self, pieces: &[Piece]) -> bool {
        self.piece >= pieces.len()
    }

    /// The unsent bytes in memory, as many as one `writev` takes.
    pub(crate) fn slices<'a>(&self, pieces: &'a [Piece], files_too: bool) -> Vec<IoSlice<'a>> {
        pieces[self.piece..]
            .iter()
            .take_while(|piece| files_too || matches!(piece, Piece::Memory(_)))
            .take(VECTOR_LEN_MAX)
            .enumerate()
            .map(|(index, piece)| IoSlice::new(&piece.buffer()[if index == 0 { self.offset } else { 0 }..]))
            .collect()
    }

    pub(crate) fn advance(&mut self, pieces: &[Piece], mut bytes: usize) {
        while bytes > 0 && self.piece < pieces.len() {
            let left = pieces[self.piece].buffer().len() - self.offset;
            if bytes < left {
                self.offset += bytes;
                return;
            }
            bytes -= left;
            self.piece += 1;
            self.offset = 0;
        }
    }
}

/// What stands between file and socket when bytes are spliced.
#[derive(Debug)]
pub(crate) struct Pipe {
    out: OwnedFd,
    into: OwnedFd,
    /// Bytes that are in the pipe and not yet on the socket: those the cursor stands at.
    filled: usize,
}

impl Pipe {
    fn new() -> io::Result<Pipe> {
        let (out, into) = pipe2(OFlag::O_CLOEXEC | OFlag::O_NONBLOCK)?;
        // Whoever has too many pipes has smaller ones, and needs more calls.
        let _ = fcntl(&into, FcntlArg::F_SETPIPE_SZ(PIPE_BYTES));
        Ok(Pipe { out, into, filled: 0 })
    }

    /// Takes pages of `file` into the pipe, if it is empty.
    fn fill(&mut self, file: BorrowedFd<'_>, mut from: i64, count: usize) -> io::Result<()> {
        if self.filled == 0 {
            let flags = SpliceFFlags::SPLICE_F_NONBLOCK;
            self.filled = splice(file, Some(&mut from), &self.into, None, count, flags)?;
        }
        Ok(())
    }

    /// Passes what is in the pipe on, as much as the socket takes.
    fn drain(&mut self, stream: &TcpStream) -> io::Result<usize> {
        let flags = SpliceFFlags::SPLICE_F_NONBLOCK | SpliceFFlags::SPLICE_F_MORE;
        let sent = splice(&self.out, None, stream.as_fd(), None, self.filled, flags)?;
        self.filled -= sent;
        Ok(sent)
    }
}

/// Makes the system call for the next pieces (two if they are spliced) and moves the cursor; `WouldBlock` if the socket is
/// full.
pub(crate) fn try_send(
    stream: &TcpStream,
    pipe: &mut Option<Pipe>,
    route: Route<'_>,
    pieces: &[Piece],
    cursor: &mut Cursor,
) -> io::Result<usize> {
    let sent = match (&pieces[cursor.piece], route.file) {
        (Piece::File { offset, buffer }, Some(file)) => {
            let done = u64::try_from(cursor.offset).map_err(io::Error::other)?;
            let mut from = libc::off64_t::try_from(offset + done).map_err(io::Error::other)?;
            let count = buffer.len() - cursor.offset;
            if route.path == SendPath::Splice {
                let pipe = match pipe {
                    Some(pipe) => pipe,
                    None => pipe.insert(Pipe::new()?),
                };
                // An error of the pipe says nothing of the socket: it must not be waited for.
                pipe.fill(file, from, count).map_err(io::Error::other)?;
                stream.try_io(Interest::WRITABLE, || pipe.drain(stream))?
            } else {
                let count = count.min(SENDFILE_BYTES_MAX);
                stream.try_io(Interest::WRITABLE, || {
                    Ok(sendfile64(stream.as_fd(), file, Some(&mut from), count)?)
                })?
            }
        }
        _ => stream.try_write_vectored(&cursor.slices(pieces, route.file.is_none()))?,
    };
    if sent == 0 {
        return Err(io::ErrorKind::WriteZero.into());
    }
    cursor.advance(pieces, sent);
    Ok(sent)
}

/// Processor time of the calling thread so far, that of the kernel for it included.
pub(crate) fn thread_cpu() -> Duration {
    // Where the system does not count it, all paths cost the same.
    clock_gettime(ClockId::CLOCK_THREAD_CPUTIME_ID).map(Duration::from).unwrap_or_default()
}

/// Holds back segments that are not full, or lets them go.
///
/// A request alternates between small and large pieces; without a cork every small one would be a packet
/// of its own, and with Nagle's algorithm instead its end would wait for an acknowledgement.
pub(crate) fn set_cork(stream: &TcpStream, on: bool) -> io::Result<()> {
    let value = libc::c_int::from(on);
    let length = libc::socklen_t::try_from(size_of::<libc::c_int>()).map_err(io::Error::other)?;
    // SAFETY: the descriptor is open as long as `stream` is borrowed, and the option's value is an int
    // that lives across the call, with its size given.
    let result = unsafe {
        libc::setsockopt(
            stream.as_raw_fd(),
            libc::IPPROTO_TCP,
            libc::TCP_CORK,
            (&raw const value).cast(),
            length,
        )
    };
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}
