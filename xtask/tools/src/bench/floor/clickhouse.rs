//! Sends a finished Arrow stream to ClickHouse out of a file: one insert, no client that could cost anything.
//!
//! HTTP/1.0 on purpose: the server closes after its answer and uses no chunks, so that nothing needs to be parsed.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::Path;

use url::form_urlencoded;
use zenith_testkit::{Error, Result};

/// As Zenith sends it: plain strings, nothing compressed, and large record batches.
const OUTPUT: [(&str, &str); 5] = [
    ("output_format_arrow_string_as_string", "1"),
    ("output_format_arrow_low_cardinality_as_dictionary", "0"),
    ("output_format_arrow_compression_method", "none"),
    ("max_block_size", "131072"),
    ("preferred_block_size_bytes", "0"),
];
const INPUT: [(&str, &str); 2] = [("async_insert", "0"), ("wait_end_of_query", "1")];

/// Writes a table to a file as one Arrow stream.
pub(super) fn fetch(host: &str, port: u16, database: &str, table: &str, file: &Path) -> Result<()> {
    let sql = format!("SELECT * FROM `{table}` ORDER BY _id FORMAT ArrowStream");
    let begin = |settings: &[(&str, &str)]| -> io::Result<()> {
        let mut stream = TcpStream::connect((host, port))?;
        stream.write_all(head(&path(database, &sql, settings), 0).as_bytes())?;
        let mut answer = answer(stream)?;
        let mut output = File::create(file)?;
        io::copy(&mut answer, &mut output)?;
        output.sync_all()
    };
    begin(&OUTPUT).map_err(Error::io(format!("fetch {table} from ClickHouse")))
}

/// Inserts the file into a table; the bytes sent.
pub(super) fn insert(host: &str, port: u16, database: &str, table: &str, file: &Path) -> Result<u64> {
    let sql = format!("INSERT INTO `{table}` FORMAT ArrowStream");
    let send = || -> io::Result<u64> {
        let mut input = File::open(file)?;
        let length = input.metadata()?.len();
        let mut stream = TcpStream::connect((host, port))?;
        stream.set_nodelay(true)?;
        stream.write_all(head(&path(database, &sql, &INPUT), length).as_bytes())?;
        // From file to socket the standard library uses sendfile: the bytes do not pass through here.
        let sent = io::copy(&mut input, &mut stream);
        // A server that refuses early closes before it has read everything; its answer says why.
        answer(stream)?;
        sent
    };
    send().map_err(Error::io(format!("insert into {table}")))
}

fn path(database: &str, sql: &str, settings: &[(&str, &str)]) -> String {
    let mut pairs = form_urlencoded::Serializer::new(String::new());
    pairs.append_pair("database", database).append_pair("query", sql).extend_pairs(settings);
    format!("/?{}", pairs.finish())
}

fn head(path: &str, length: u64) -> String {
    format!("POST {path} HTTP/1.0\r\nContent-Length: {length}\r\n\r\n")
}

/// The body of the answer, if its status is 200.
fn answer(stream: TcpStream) -> io::Result<impl Read> {
    let mut reader = BufReader::with_capacity(1 << 20, stream);
    let mut status = String::new();
    reader.read_line(&mut status)?;
    let mut line = String::from("-");
    while !line.trim_end().is_empty() {
        line.clear();
        reader.read_line(&mut line)?;
    }
    if status.split(' ').nth(1) == Some("200") {
        return Ok(reader);
    }
    let mut message = String::new();
    reader.take(1_000).read_to_string(&mut message)?;
    Err(io::Error::other(format!("{} {}", status.trim_end(), message.trim_end())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn statements_are_encoded() {
        assert_eq!(path("b", "SELECT '+ &'", &[("a", "0")]), "/?database=b&query=SELECT+%27%2B+%26%27&a=0");
    }
}
