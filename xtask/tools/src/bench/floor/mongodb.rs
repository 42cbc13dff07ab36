//! A reader of MongoDB that cannot be cheaper: one blocking socket, one buffer, nothing decoded.
//!
//! The protocol is OP_MSG (MongoDB Wire Protocol, "OP_MSG"). `find` opens a cursor in natural order, one `getMore` allows
//! the server to go on by itself (`exhaustAllowed`), and every reply says in its flags whether another one follows
//! (`moreToCome`). The documents are received into the same buffer over and over.

use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, TcpStream};

use bson::{Document, RawDocument, doc};
use zenith_testkit::data::bson_writer::DocumentWriter;
use zenith_testkit::{Error, Result};

use crate::bench::process::thread_cpu_seconds;

const OP_MSG: u32 = 2013;
const MORE_TO_COME: u32 = 1 << 1;
const EXHAUST_ALLOWED: u32 = 1 << 16;
/// Length, request, response to, operation code, flags, kind of the only section.
const HEADER_BYTES: usize = 21;
/// Size of the replies asked for. From 512 KiB to 4 MiB the server pays the same; much larger replies leave its caches,
/// smaller ones cost it more each.
const REPLY_BYTES: u64 = 1024 * 1024;

/// The last change is looked for in so many bytes at the end of a reply.
const MARKER_WITHIN: usize = 4096;

/// What was read.
pub(super) struct Drained {
    pub(super) replies: u64,
    /// Of all replies, which is a little more than the documents have.
    pub(super) bytes: u64,
    pub(super) reader_cpu_seconds: f64,
}

/// What is known of a reply without looking into it.
struct Reply {
    flags: u32,
    bytes: usize,
}

/// Reads a whole collection of documents of this average size.
pub(super) fn drain(port: u16, database: &str, collection: &str, document_bytes: u64) -> Result<Drained> {
    drain_all(port, database, collection, document_bytes).map_err(Error::io(format!("drain {collection}")))
}

fn drain_all(port: u16, database: &str, collection: &str, document_bytes: u64) -> io::Result<Drained> {
    let cpu_before = thread_cpu_seconds();
    let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port))?;
    stream.set_nodelay(true)?;
    let mut buffer = Vec::new();
    send(&mut stream, 0, |find| {
        find.string("find", collection);
        find.document("hint", |hint| hint.int32("$natural", 1));
        find.int32("batchSize", 0);
        find.string("$db", database);
    })?;
    let reply = receive(&mut stream, &mut buffer)?;
    let cursor = cursor_of(&buffer[..reply.bytes])?;
    let reply_documents = i32::try_from(REPLY_BYTES / document_bytes.max(1)).unwrap_or(i32::MAX).max(1);
    send(&mut stream, EXHAUST_ALLOWED, |more| {
        more.int64("getMore", cursor);
        more.string("collection", collection);
        more.int32("batchSize", reply_documents);
        more.string("$db", database);
    })?;
    let mut drained = Drained { replies: 0, bytes: 0, reader_cpu_seconds: 0.0 };
    loop {
        let reply = receive(&mut stream, &mut buffer)?;
        drained.replies += 1;
        drained.bytes += u64::try_from(reply.bytes).unwrap_or_default();
        if reply.flags & MORE_TO_COME == 0 {
            break;
        }
    }
    drained.reader_cpu_seconds = thread_cpu_seconds() - cpu_before;
    Ok(drained)
}

/// Reads the changes of a collection after `token` until one holds `marker`; nothing else of them is looked at.
pub(super) fn drain_changes(
    port: u16,
    database: &str,
    collection: &str,
    token: &Document,
    marker: &str,
) -> Result<Drained> {
    let drained = drain_stream(port, database, collection, token, marker);
    drained.map_err(Error::io(format!("drain the changes of {collection}")))
}

fn drain_stream(
    port: u16,
    database: &str,
    collection: &str,
    token: &Document,
    marker: &str,
) -> io::Result<Drained> {
    let cpu_before = thread_cpu_seconds();
    let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port))?;
    stream.set_nodelay(true)?;
    let mut buffer = Vec::new();
    let open = doc! {
        "aggregate": collection, "pipeline": [{ "$changeStream": { "startAfter": token } }],
        "cursor": { "batchSize": 0 }, "$db": database,
    };
    send_bytes(&mut stream, 0, &open.to_vec().map_err(io::Error::other)?)?;
    let reply = receive(&mut stream, &mut buffer)?;
    let cursor = cursor_of(&buffer[..reply.bytes])?;
    let mut drained = Drained { replies: 0, bytes: 0, reader_cpu_seconds: 0.0 };
    loop {
        send(&mut stream, 0, |more| {
            more.int64("getMore", cursor);
            more.string("collection", collection);
            more.string("$db", database);
        })?;
        let reply = receive(&mut stream, &mut buffer)?;
        drained.replies += 1;
        drained.bytes += u64::try_from(reply.bytes).unwrap_or_default();
        // It is the last change, so that it stands at the end of its reply.
        let body = &buffer[..reply.bytes];
        let end = &body[body.len().saturating_sub(MARKER_WITHIN)..];
        if end.windows(marker.len()).any(|part| part == marker.as_bytes()) {
            drained.reader_cpu_seconds = thread_cpu_seconds() - cpu_before;
            return Ok(drained);
        }
    }
}

fn send(stream: &mut TcpStream, flags: u32, write: impl FnOnce(&mut DocumentWriter<'_>)) -> io::Result<()> {
    let mut body = Vec::new();
    let mut command = DocumentWriter::begin(&mut body);
    write(&mut command);
    command.end();
    send_bytes(stream, flags, &body)
}

fn send_bytes(stream: &mut TcpStream, flags: u32, body: &[u8]) -> io::Result<()> {
    let mut message = vec![0; HEADER_BYTES];
    message.extend_from_slice(body);
    let length = u32::try_from(message.len()).map_err(io::Error::other)?;
    for (place, value) in [(0, length), (12, OP_MSG), (16, flags)] {
        message[place..place + 4].copy_from_slice(&value.to_le_bytes());
    }
    stream.write_all(&message)
}

/// Receives the document of a reply into the beginning of the buffer.
fn receive(stream: &mut TcpStream, buffer: &mut Vec<u8>) -> io::Result<Reply> {
    let mut header = [0; HEADER_BYTES];
    stream.read_exact(&mut header)?;
    let number = |place: usize| {
        u32::from_le_bytes([header[place], header[place + 1], header[place + 2], header[place + 3]])
    };
    let length = usize::try_from(number(0)).map_err(io::Error::other)?;
    let body = length.checked_sub(HEADER_BYTES).ok_or_else(|| io::Error::other("a reply without a body"))?;
    // It only ever grows, so that memory is touched for the first time, and cleared, only once.
    if buffer.len() < body {
        buffer.resize(body, 0);
    }
    stream.read_exact(&mut buffer[..body])?;
    Ok(Reply { flags: number(16), bytes: body })
}

/// The cursor in the answer to `find`.
fn cursor_of(reply: &[u8]) -> io::Result<i64> {
    let reply = RawDocument::from_bytes(reply).map_err(io::Error::other)?;
    let cursor = reply.get_document("cursor").and_then(|cursor| cursor.get_i64("id"));
    let reason = || reply.get_str("errmsg").unwrap_or("no reason given");
    cursor.map_err(|_| io::Error::other(format!("find was refused: {}", reason())))
}

#[cfg(test)]
mod tests {
    use super::*;
    use bson::rawdoc;

    #[test]
    fn the_cursor_is_found_or_the_refusal_shown() {
        let reply = rawdoc! { "cursor": { "firstBatch": [], "id": 77_i64, "ns": "a.b" }, "ok": 1.0 };
        assert_eq!(cursor_of(reply.as_bytes()).unwrap(), 77);
        let refusal = rawdoc! { "ok": 0.0, "errmsg": "no such hint" };
        assert!(cursor_of(refusal.as_bytes()).unwrap_err().to_string().contains("no such hint"));
    }
}
