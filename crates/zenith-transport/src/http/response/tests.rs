//! The decoder against well-formed and arbitrary bytes, cut arbitrarily.

use proptest::prelude::*;

use super::*;

const BODY_MAX: usize = 1000;

/// Feeds `pieces` and then the end of the stream.
fn decode<'a>(pieces: impl IntoIterator<Item = &'a [u8]>) -> Result<(bool, Response), Malformed> {
    let mut decoder = Decoder::new(BODY_MAX);
    for piece in pieces {
        decoder.feed(piece)?;
    }
    let done = decoder.end();
    Ok((done, decoder.into_response()))
}

fn whole(bytes: &[u8]) -> Result<(bool, Response), Malformed> {
    decode([bytes])
}

#[test]
fn bodies_of_every_framing() {
    let (done, response) = whole(b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\nX-A: b\r\n\r\nabc").unwrap();
    assert!(done && response.reusable);
    assert_eq!(
        (response.status, &response.body[..], response.headers.get("x-a")),
        (200, &b"abc"[..], Some("b"))
    );
    let (done, response) = whole(
        b"HTTP/1.1 500 No\r\nTransfer-Encoding: chunked\r\n\r\n3;x=y\r\nabc\r\n1\r\nd\r\n0\r\nT: t\r\n\r\n",
    )
    .unwrap();
    assert!(done && response.reusable);
    assert_eq!((response.status, &response.body[..]), (500, &b"abcd"[..]));
    let (done, response) = whole(b"HTTP/1.0 200 OK\r\n\r\nabc").unwrap();
    assert!(done && !response.reusable);
    assert_eq!(response.body, b"abc");
}

#[test]
fn an_interim_response_is_passed_over() {
    let (done, response) = whole(b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 204 No Content\r\n\r\n").unwrap();
    assert!(done && response.reusable);
    assert_eq!(response.status, 204);
}

#[test]
fn incomplete_and_surplus_responses_are_not_reusable() {
    let (done, response) = whole(b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nab").unwrap();
    assert!(!done && !response.reusable);
    let (done, response) = whole(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\nHTTP").unwrap();
    assert!(done && !response.reusable);
    let (done, _) = whole(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n").unwrap();
    assert!(!done);
    let (_, response) = whole(b"HTTP/1.1 200 OK\r\nConnection: Close\r\nContent-Length: 0\r\n\r\n").unwrap();
    assert!(!response.reusable);
}

#[test]
fn limits_hold() {
    let long = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", BODY_MAX + 1);
    assert_eq!(whole(long.as_bytes()), Err(Malformed::BodyTooLong(BODY_MAX)));
    let chunked = format!("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nfff\r\n{}", "x".repeat(2000));
    assert_eq!(whole(chunked.as_bytes()), Err(Malformed::BodyTooLong(BODY_MAX)));
    let endless = format!("HTTP/1.1 200 OK\r\nX: {}", "x".repeat(HEAD_BYTES_MAX));
    assert_eq!(whole(endless.as_bytes()), Err(Malformed::HeadTooLong));
    let huge = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nfffffffffffffffff\r\n";
    assert_eq!(whole(huge), Err(Malformed::Chunk));
    assert_eq!(whole(b"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n"), Err(Malformed::ContentLength));
    assert!(matches!(whole(b"SSH-2.0-OpenSSH_9.2\r\n"), Err(Malformed::Head(_))));
}

/// Bytes that are mostly responses, with mistakes.
fn responses() -> impl Strategy<Value = Vec<u8>> {
    let part = prop_oneof![
        Just(b"HTTP/1.1 200 OK\r\n".to_vec()),
        Just(b"HTTP/1.1 100 Continue\r\n\r\n".to_vec()),
        Just(b"HTTP/1.0 500 x\r\n".to_vec()),
        Just(b"Transfer-Encoding: chunked\r\n".to_vec()),
        Just(b"Connection: close\r\n".to_vec()),
        (0..2000_usize).prop_map(|n| format!("Content-Length: {n}\r\n").into_bytes()),
        Just(b"\r\n".to_vec()),
        Just(b"\n".to_vec()),
        Just(b"0\r\n\r\n".to_vec()),
        (0..300_usize).prop_map(|n| format!("{n:x}\r\n{}\r\n", "y".repeat(n)).into_bytes()),
        proptest::collection::vec(any::<u8>(), 0..40),
    ];
    proptest::collection::vec(part, 0..12).prop_map(|parts| parts.concat())
}

proptest! {
    #[test]
    fn arbitrary_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..600)) {
        let _ = whole(&bytes);
    }

    #[test]
    fn how_bytes_are_cut_makes_no_difference(
        bytes in responses(),
        cuts in proptest::collection::vec(0..3000_usize, 0..20),
    ) {
        let mut cuts: Vec<usize> = cuts.into_iter().map(|cut| cut.min(bytes.len())).collect();
        cuts.extend([0, bytes.len()]);
        cuts.sort_unstable();
        let pieces = cuts.windows(2).map(|pair| &bytes[pair[0]..pair[1]]);
        prop_assert_eq!(decode(pieces), whole(&bytes));
        prop_assert_eq!(decode(bytes.chunks(1)), whole(&bytes));
    }
}
