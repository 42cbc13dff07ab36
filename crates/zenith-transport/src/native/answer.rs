//! The answer to a query: packets until the end of the stream or an exception.

use arrow_array::RecordBatch;

use super::packet::{Dialect, Exception, Packet, packet};
use super::wire::{Reader, WireError};
use crate::socket::exchange::{Answer, Failure};

/// Bytes of a packet that is no part of a result.
const PACKET_BYTES_MAX: usize = 16 * 1024 * 1024;
/// Bytes of packets already read that are kept before the rest is moved.
const READ_BYTES_KEPT: usize = 256 * 1024;

/// What the server says to a query or a ping.
#[derive(Debug)]
pub(super) struct QueryAnswer {
    dialect: Dialect,
    /// Bytes as they came, of which `read` have been read, and at least `needed` more make a packet.
    bytes: Vec<u8>,
    read: usize,
    needed: usize,
    /// Bytes of the result so far.
    result_bytes: usize,
    /// Whether the server has sent the sample of the block it expects.
    pub(super) expects_data: bool,
    pub(super) batches: Vec<RecordBatch>,
    pub(super) exception: Option<Exception>,
    ended: bool,
}

impl QueryAnswer {
    pub(super) fn new(dialect: Dialect) -> QueryAnswer {
        QueryAnswer {
            dialect,
            bytes: Vec::new(),
            read: 0,
            needed: 1,
            result_bytes: 0,
            expects_data: false,
            batches: Vec::new(),
            exception: None,
            ended: false,
        }
    }

    /// Whether the connection may carry another query: this one is through, and nothing came after its end.
    pub(super) fn is_clean(&self) -> bool {
        self.ended && self.exception.is_none() && self.read == self.bytes.len()
    }

    /// Reads a packet, if all of it is there.
    fn step(&mut self) -> Result<bool, Failure> {
        let mut reader = Reader::new(&self.bytes[self.read..]);
        if reader.left() < self.needed {
            return Ok(false);
        }
        let limit = self.dialect.bytes_max.max(PACKET_BYTES_MAX);
        let packet = match packet(&mut reader, self.dialect) {
            Ok(packet) => packet,
            Err(WireError::Short(needed)) if needed <= limit => {
                self.needed = needed;
                return Ok(false);
            }
            Err(WireError::Short(_)) => {
                return Err(Failure::Malformed(format!("it is longer than {limit} bytes")));
            }
            Err(stop) => return Err(stop.into()),
        };
        let bytes = reader.at();
        self.read += bytes;
        self.needed = 1;
        match packet {
            Packet::Data(None) => self.expects_data = true,
            Packet::Data(Some(batch)) => {
                self.result_bytes += bytes;
                if self.result_bytes > self.dialect.bytes_max {
                    let bytes_max = self.dialect.bytes_max;
                    return Err(Failure::Unreadable(format!("it is longer than {bytes_max} bytes")));
                }
                self.batches.push(batch);
            }
            Packet::Exception(exception) => {
                self.exception = Some(exception);
                self.ended = true;
            }
            Packet::EndOfStream | Packet::Pong => self.ended = true,
            Packet::Other => {}
        }
        Ok(true)
    }
}

impl Answer for QueryAnswer {
    fn feed(&mut self, bytes: &[u8]) -> Result<(), Failure> {
        if self.read > READ_BYTES_KEPT || self.read == self.bytes.len() {
            self.bytes.drain(..self.read);
            self.read = 0;
        }
        self.bytes.extend_from_slice(bytes);
        while !self.ended && self.step()? {}
        Ok(())
    }

    fn is_done(&self) -> bool {
        self.ended
    }

    fn refuses(&self) -> bool {
        self.ended
    }
}

#[cfg(test)]
mod tests {
    use super::super::query;
    use super::*;
    use crate::Compression;

    const DIALECT: Dialect = Dialect { revision: 54464, compressed: false, binary: true, bytes_max: 100 };

    /// A data packet with one column of `count` bytes; data packets of both sides look the same except for their kind.
    fn numbers(count: u8) -> Vec<u8> {
        let mut bytes = query::data_packet();
        bytes[0] = 1;
        bytes.extend_from_slice(&query::block_head(1, count.into()));
        bytes.extend_from_slice(b"\x01n\x05UInt8\x00");
        bytes.extend(0..count);
        bytes
    }

    fn sample() -> Vec<u8> {
        let mut bytes = query::empty_block(Compression::None);
        bytes[0] = 1;
        bytes
    }

    #[test]
    fn how_the_bytes_are_cut_makes_no_difference() {
        let stream = [sample(), numbers(10), vec![3, 1, 1, 1, 0, 0, 0, 9], numbers(30), vec![5]].concat();
        for cut in 1..stream.len() {
            let mut answer = QueryAnswer::new(DIALECT);
            for bytes in stream.chunks(cut) {
                assert!(!answer.is_done());
                answer.feed(bytes).unwrap();
            }
            let rows: Vec<usize> = answer.batches.iter().map(RecordBatch::num_rows).collect();
            assert_eq!((rows, answer.is_clean(), answer.expects_data), (vec![10, 30], true, true));
        }
    }

    #[test]
    fn a_result_has_its_bound_and_an_end() {
        let mut answer = QueryAnswer::new(DIALECT);
        answer.feed(&numbers(60)).unwrap();
        let failure = answer.feed(&numbers(60)).unwrap_err();
        assert!(matches!(failure, Failure::Unreadable(reason) if reason.contains("longer than 100 bytes")));
        let mut answer = QueryAnswer::new(DIALECT);
        answer.feed(b"\x05x").unwrap();
        assert!(answer.is_done() && !answer.is_clean());
        let endless = b"\x01\xff\xff\xff\xff\xff\xff\xff\xff\x7f";
        let failure = QueryAnswer::new(DIALECT).feed(endless).unwrap_err();
        assert!(matches!(failure, Failure::Malformed(reason) if reason.contains("longer than")));
    }
}
