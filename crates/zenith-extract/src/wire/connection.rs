//! One connection: requests go out, replies land in memory of the pool.
//!
//! A reply's size is known from its header before its bytes are read, so exactly that much is reserved; while the pool
//! has none left nothing is read, the socket fills, and the server waits.

use std::collections::VecDeque;
use std::io;
use std::ops::Range;

use bson::{RawDocument, RawDocumentBuf};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use zenith_memory::PoolBuf;
use zenith_net::{Address, Stream};

use super::compression::{COMPRESSED_HEADER_BYTES, CompressedHeader, Compressor};
use super::cursor_reply::check_ok;
use super::handshake::Greeting;
use super::header::{HEADER_BYTES, Header, MessageError, OP_COMPRESSED, OP_MSG};
use super::op_msg::OpMsg;
use super::{ReplyError, WireError};
use crate::reply_budget::{BudgetPermit, ReplyBudget};

/// The largest message before the server has said what it takes; its default.
const MESSAGE_BYTES_MAX: usize = 48_000_000;
/// The largest reply to a command that is no read: those of handshakes are below a kilobyte.
const SMALL_REPLY_BYTES_MAX: usize = 1024 * 1024;

/// A connection to one server.
#[derive(Debug)]
pub(crate) struct Connection {
    stream: Stream,
    address: Address,
    message_bytes_max: usize,
    compressor: Option<Compressor>,
    member: Option<String>,
    last_request_id: i32,
    /// Numbers of the messages that replies will answer, in order.
    awaited: VecDeque<i32>,
    /// Compressed bytes on their way into the pool; kept for the next reply.
    compressed: Vec<u8>,
}

/// A reply in memory of the pool.
#[derive(Debug)]
pub(crate) struct Landed {
    pub(crate) bytes: PoolBuf,
    pub(crate) share: BudgetPermit,
    /// Where the reply's document lies in `bytes`.
    pub(crate) body: Range<usize>,
}

impl Connection {
    pub(super) fn new(stream: Stream, address: Address) -> Connection {
        Connection {
            stream,
            address,
            message_bytes_max: MESSAGE_BYTES_MAX,
            compressor: None,
            member: None,
            last_request_id: 0,
            awaited: VecDeque::new(),
            compressed: Vec::new(),
        }
    }

    /// Uses what the handshake agreed on.
    pub(super) fn agree(&mut self, greeting: Greeting) {
        self.message_bytes_max = greeting.message_bytes_max;
        self.compressor = greeting.compressor;
        self.member = greeting.member;
    }

    /// Where the server is.
    pub(crate) fn address(&self) -> &Address {
        &self.address
    }

    /// The member of a replica set that answers: an address may lead to several.
    pub(crate) fn member(&self) -> Option<&str> {
        self.member.as_deref()
    }

    /// Whether another command may be sent on it: it is open, and nothing is to come.
    pub(crate) fn is_quiet(&self) -> bool {
        self.awaited.is_empty() && self.stream.is_quiet()
    }

    /// Replies that have been asked for and not come.
    pub(crate) fn awaited(&self) -> usize {
        self.awaited.len()
    }

    /// Sends a command. Several may be under way: the server answers them one after the other.
    pub(crate) async fn send(&mut self, command: &RawDocument) -> Result<(), WireError> {
        let payload = OpMsg::request(command.as_bytes());
        let (op_code, payload) = match self.compressor {
            Some(compressor) => (OP_COMPRESSED, compressor.compress(&payload)?),
            None => (OP_MSG, payload),
        };
        self.write(op_code, &payload).await
    }

    /// Sends a command uncompressed, as handshakes must be, and takes the reply, which has to be small, onto the heap.
    pub(crate) async fn call(&mut self, command: &RawDocument) -> Result<RawDocumentBuf, WireError> {
        self.write(OP_MSG, &OpMsg::request(command.as_bytes())).await?;
        let header = self.receive_header().await?;
        if header.op_code != OP_MSG {
            return Err(MessageError::OpCode(header.op_code).into());
        }
        if header.payload_bytes > SMALL_REPLY_BYTES_MAX {
            return Err(MessageError::Length(i32::try_from(header.payload_bytes).unwrap_or(i32::MAX)).into());
        }
        let mut payload = vec![0; header.payload_bytes];
        self.stream.read_exact(&mut payload).await?;
        let body = OpMsg::parse(&payload)?.body;
        let malformed = |error: bson::error::Error| ReplyError::Malformed(error.to_string());
        let reply = RawDocumentBuf::from_bytes(payload[body].to_vec()).map_err(malformed)?;
        check_ok(&reply)?;
        Ok(reply)
    }

    async fn write(&mut self, op_code: i32, payload: &[u8]) -> Result<(), WireError> {
        self.last_request_id = self.last_request_id.wrapping_add(1);
        let message = Header::frame(self.last_request_id, op_code, payload)?;
        self.stream.write_all(&message).await?;
        self.stream.flush().await?;
        self.awaited.push_back(self.last_request_id);
        Ok(())
    }

    async fn receive_header(&mut self) -> Result<Header, WireError> {
        let mut bytes = [0; HEADER_BYTES];
        self.stream.read_exact(&mut bytes).await?;
        let header = Header::parse(&bytes, self.message_bytes_max)?;
        match self.awaited.pop_front() {
            Some(expected) if expected == header.response_to => Ok(header),
            expected => {
                let (found, expected) = (header.response_to, expected.unwrap_or_default());
                Err(MessageError::ResponseTo { found, expected }.into())
            }
        }
    }

    /// Takes the next reply into memory of the pool, waiting for both if need be.
    pub(crate) async fn receive(&mut self, reply_budget: &ReplyBudget) -> Result<Landed, WireError> {
        let header = self.receive_header().await?;
        let (bytes, share, len) = match header.op_code {
            OP_MSG => self.land(header.payload_bytes, reply_budget).await?,
            OP_COMPRESSED => self.land_compressed(header.payload_bytes, reply_budget).await?,
            other => return Err(MessageError::OpCode(other).into()),
        };
        let body = OpMsg::parse(bytes.get(..len).unwrap_or_default())?.body;
        Ok(Landed { bytes, share, body })
    }

    async fn land(
        &mut self,
        len: usize,
        reply_budget: &ReplyBudget,
    ) -> Result<(PoolBuf, BudgetPermit, usize), WireError> {
        let mut share = reply_budget.reserve(len).await?;
        let mut bytes = share.allocate(len)?;
        self.stream.read_exact(bytes.get_mut(..len).unwrap_or_default()).await?;
        Ok((bytes, share, len))
    }

    async fn land_compressed(
        &mut self,
        payload_bytes: usize,
        reply_budget: &ReplyBudget,
    ) -> Result<(PoolBuf, BudgetPermit, usize), WireError> {
        let compressed_bytes =
            payload_bytes.checked_sub(COMPRESSED_HEADER_BYTES).ok_or(MessageError::Truncated)?;
        let mut header = [0; COMPRESSED_HEADER_BYTES];
        self.stream.read_exact(&mut header).await?;
        let header = CompressedHeader::parse(&header, self.message_bytes_max)?;
        let len = header.uncompressed_bytes;
        let mut share = reply_budget.reserve(len).await?;
        let mut bytes = share.allocate(len)?;
        let mut compressed = std::mem::take(&mut self.compressed);
        compressed.resize(compressed_bytes, 0);
        self.stream.read_exact(&mut compressed).await?;
        // Milliseconds of computing, which the runtime's own threads should not be kept by.
        let done = tokio::task::spawn_blocking(move || {
            let result = header.decompress(&compressed, bytes.get_mut(..len).unwrap_or_default());
            (bytes, compressed, result)
        });
        let (bytes, compressed, result) = done.await.map_err(io::Error::other)?;
        self.compressed = compressed;
        result?;
        Ok((bytes, share, len))
    }
}
