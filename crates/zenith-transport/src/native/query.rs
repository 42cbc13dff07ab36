//! The query packet: a statement with its settings, and the end of the tables sent along, of which there are
//! none.

use super::compress;
use super::packet;
use super::wire::{put_len, put_text, put_varint};
use super::{CLIENT_NAME, CLIENT_VERSION};
use crate::ddl::literal;
use crate::statement::Statement;
use crate::{Compression, Target};

/// A setting that the server must know.
const IMPORTANT: u64 = 1;
/// The flag that parameters of queries have.
const CUSTOM: u64 = 2;
/// The first query of a client, as opposed to one that a server passes on.
const INITIAL_QUERY: u8 = 1;
const INTERFACE_TCP: u8 = 1;
/// The query is run to its end.
const STAGE_COMPLETE: u64 = 2;
/// What a result must not have: dictionaries have a layout of their own, and ClickHouse makes plain columns
/// of them if asked.
const PLAIN_COLUMNS: (&str, &str) = ("low_cardinality_allow_in_native_format", "0");

/// The packet for a statement, with the end of tables after it.
pub(super) fn query(
    statement: &Statement,
    target: &Target,
    revision: u64,
    compression: Compression,
) -> Vec<u8> {
    let mut out = vec![packet::CLIENT_QUERY];
    put_text(&mut out, &statement.query_id);
    client_info(&mut out, &statement.query_id, revision);
    let settings = target.settings.iter().chain(&statement.settings);
    let settings = settings.map(|(name, value)| (name.as_str(), value.as_str()));
    for (name, value) in settings.chain([PLAIN_COLUMNS]) {
        put_text(&mut out, name);
        put_varint(&mut out, IMPORTANT);
        put_text(&mut out, value);
    }
    put_text(&mut out, "");
    // Between servers a secret would stand here.
    put_text(&mut out, "");
    put_varint(&mut out, STAGE_COMPLETE);
    put_varint(&mut out, u64::from(compression != Compression::None));
    put_text(&mut out, &statement.sql);
    for (name, value) in &statement.parameters {
        put_text(&mut out, name);
        put_varint(&mut out, CUSTOM);
        put_text(&mut out, literal(value));
    }
    put_text(&mut out, "");
    out.extend_from_slice(&empty_block(compression));
    out
}

/// The client information; fields for other interfaces and for queries passed on are empty.
fn client_info(out: &mut Vec<u8>, query_id: &str, revision: u64) {
    out.push(INITIAL_QUERY);
    let (initial_user, initial_address) = ("", "0.0.0.0:0");
    put_text(out, initial_user);
    put_text(out, query_id);
    put_text(out, initial_address);
    let initial_start_microseconds = [0; 8];
    out.extend_from_slice(&initial_start_microseconds);
    out.push(INTERFACE_TCP);
    let (os_user, host_name) = ("", "");
    put_text(out, os_user);
    put_text(out, host_name);
    put_text(out, CLIENT_NAME);
    put_varint(out, CLIENT_VERSION.0);
    put_varint(out, CLIENT_VERSION.1);
    put_varint(out, revision);
    let (quota_key, distributed_depth, patch) = ("", 0, 0);
    put_text(out, quota_key);
    put_varint(out, distributed_depth);
    put_varint(out, patch);
    let open_telemetry = 0;
    out.push(open_telemetry);
    let parallel_replicas = [0; 3];
    out.extend_from_slice(&parallel_replicas);
}

/// The beginning of a data packet, before its block: the table's name, which is empty.
pub(super) fn data_packet() -> Vec<u8> {
    let mut out = vec![packet::CLIENT_DATA];
    put_text(&mut out, "");
    out
}

/// The beginning of a block of so many columns and rows.
pub(super) fn block_head(columns: usize, rows: usize) -> Vec<u8> {
    // Fields by number: 1, whether these are overflowing totals; 2, the bucket of an aggregation; 0, the end.
    let mut out = vec![1, 0, 2];
    out.extend_from_slice(&(-1_i32).to_le_bytes());
    out.push(0);
    put_len(&mut out, columns);
    put_len(&mut out, rows);
    out
}

/// A data packet without columns, which ends tables and data.
pub(super) fn empty_block(compression: Compression) -> Vec<u8> {
    let mut out = data_packet();
    let block = block_head(0, 0);
    match compression {
        Compression::None => out.extend_from_slice(&block),
        compression => compress::frame(compression, &block, &mut out),
    }
    out
}

/// A ping.
pub(super) fn ping() -> Vec<u8> {
    vec![packet::CLIENT_PING]
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The bytes that a client of that revision sends, put down by hand.
    #[test]
    fn a_query_is_spelled_out() {
        let target = Target::parse("clickhouse://h/d?priority=3").unwrap();
        let statement = Statement::new("asking", "SELECT {p:String}")
            .query_id("q".to_owned())
            .set("async_insert", "0")
            .parameter("p", "a'\t");
        let packet = query(&statement, &target, 54464, Compression::None);
        let mut expected: Vec<u8> = b"\x01\x01q\x01\x00\x01q\x090.0.0.0:0".to_vec();
        expected.extend_from_slice(&[0; 8]);
        expected.extend_from_slice(b"\x01\x00\x00\x06zenith\x00\x01\xc0\xa9\x03\x00\x00\x00\x00\x00\x00\x00");
        expected.extend_from_slice(b"\x08priority\x01\x013\x0casync_insert\x01\x010");
        expected.extend_from_slice(b"\x26low_cardinality_allow_in_native_format\x01\x010");
        expected.extend_from_slice(b"\x00\x00\x02\x00\x11SELECT {p:String}\x01p\x02\x08'a\\'\\\\t'\x00");
        expected.extend_from_slice(b"\x02\x00\x01\x00\x02\xff\xff\xff\xff\x00\x00\x00");
        assert_eq!(packet, expected);
    }
}
