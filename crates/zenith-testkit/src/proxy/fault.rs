//! The faults a [`FaultProxy`](super::fault_proxy::FaultProxy) can have happen, and on which connections.

use std::time::Duration;

/// The way bytes go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// From the client to the server: requests.
    ToServer,
    /// From the server to the client: answers.
    ToClient,
}

/// What happens on a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// The connection is reset after exactly this many bytes in this direction have been forwarded. The last of them may
    /// be lost in the reset, as on any network: no more than this many ever arrive.
    CutAfter {
        /// Which bytes count.
        direction: Direction,
        /// How many are forwarded.
        bytes: u64,
    },
    /// The request arrives in full, its answer never does: nothing more is forwarded to the client, and when the server
    /// has answered and both sides have been silent for `settle`, the connection is reset.
    ///
    /// So the server has done what it was asked, and the client cannot know. A protocol that answers in the middle of a
    /// request (ClickHouse's native one sends the table's columns first) needs `after_request_bytes`: the answers
    /// begin to be lost once that many bytes of requests have passed since the fault applied to the connection.
    LoseAnswer {
        /// How many bytes of requests pass before answers are lost.
        after_request_bytes: u64,
        /// How long the silence must last.
        settle: Duration,
    },
    /// Every piece of data in this direction is held for this long before it is forwarded.
    Delay {
        /// Which data.
        direction: Direction,
        /// How long.
        duration: Duration,
    },
    /// The connection is reset before anything has been forwarded, as by a server that has ended.
    Refuse,
}

impl Fault {
    /// [`LoseAnswer`](Self::LoseAnswer) for protocols that answer after the whole request, such as HTTP.
    #[must_use]
    pub fn lose_answer() -> Self {
        Self::LoseAnswer { after_request_bytes: 1, settle: Duration::from_millis(100) }
    }
}

/// Which connections a fault happens on: by default, on all that carry data from now on.
#[derive(Clone, Debug)]
pub struct Plan {
    pub(super) fault: Fault,
    pub(super) times: u64,
    pub(super) trigger: Option<Vec<u8>>,
}

impl Plan {
    /// This fault, on every connection.
    #[must_use]
    pub fn new(fault: Fault) -> Self {
        Self { fault, times: u64::MAX, trigger: None }
    }

    /// On this many connections only; then the proxy forwards faithfully.
    #[must_use]
    pub fn times(mut self, times: u64) -> Self {
        self.times = times;
        self
    }

    /// Only once a client has sent these bytes, such as `INSERT INTO`; bytes are counted from the piece that completes
    /// them. The bytes may be spread over several pieces.
    #[must_use]
    pub fn when_client_sends(mut self, bytes: impl Into<Vec<u8>>) -> Self {
        self.trigger = Some(bytes.into());
        self
    }
}

impl From<Fault> for Plan {
    fn from(fault: Fault) -> Self {
        Self::new(fault)
    }
}
