//! The system calls that put a request on a socket.
//!
//! | strategy | large buffers of a pool in a file | everything else |
//! | --- | --- | --- |
//! | [`WriteStrategy::Sendfile`] | `sendfile` from the file: the kernel takes the pages, no copy | `writev` |
//! | [`WriteStrategy::Writev`] | `writev`: the kernel copies | `writev` |
//!
//! Pages given by `sendfile` are read when the peer reads them, not when the call returns. Who sends must
//! keep them unchanged until the peer has answered; see `socket::lent`.
//!
//! This module and no other of this crate makes raw system calls.
#![allow(unsafe_code)]

use std::io::{self, IoSlice};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};

use nix::libc;
use nix::sys::sendfile::sendfile64;
use tokio::io::Interest;
use tokio::net::TcpStream;

use crate::frame::Piece;

/// How bodies are put on the socket.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum WriteStrategy {
    /// `sendfile` for large buffers of a pool that is a file ([`Pool::in_file`]), `writev` for the rest.
    ///
    /// [`Pool::in_file`]: zenith_memory::Pool::in_file
    Sendfile,
    /// `writev` for everything.
    #[default]
    Writev,
}

/// Entries of one `writev`; the kernel's limit is 1,024.
const VECTOR_LEN_MAX: usize = 256;
/// Bytes of one `sendfile`, so that a call ends even if the peer reads as fast as we write.
const SENDFILE_BYTES_MAX: usize = 4 * 1024 * 1024;

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

/// Makes one system call for the next pieces and moves the cursor; `WouldBlock` if the socket is full.
///
/// `file` is the one the pieces of kind `File` lie in.
pub(crate) fn try_send(
    stream: &TcpStream,
    file: Option<BorrowedFd<'_>>,
    pieces: &[Piece],
    cursor: &mut Cursor,
) -> io::Result<usize> {
    let sent = match (&pieces[cursor.piece], file) {
        (Piece::File { offset, buffer }, Some(file)) => stream.try_io(Interest::WRITABLE, || {
            let done = u64::try_from(cursor.offset).map_err(io::Error::other)?;
            let mut from = libc::off64_t::try_from(offset + done).map_err(io::Error::other)?;
            let count = (buffer.len() - cursor.offset).min(SENDFILE_BYTES_MAX);
            Ok(sendfile64(stream.as_fd(), file, Some(&mut from), count)?)
        })?,
        _ => stream.try_write_vectored(&cursor.slices(pieces, file.is_none()))?,
    };
    if sent == 0 {
        return Err(io::ErrorKind::WriteZero.into());
    }
    cursor.advance(pieces, sent);
    Ok(sent)
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

/// Whether an idle socket is still open and has nothing to say.
///
/// Asks the kernel itself: the runtime may not have heard of the end yet.
pub(crate) fn is_quiet(stream: &TcpStream) -> bool {
    use nix::sys::socket::{MsgFlags, recv};
    let peeked = recv(stream.as_raw_fd(), &mut [0], MsgFlags::MSG_PEEK | MsgFlags::MSG_DONTWAIT);
    peeked == Err(nix::Error::EAGAIN)
}
