//! The helpers of all tests, for the protocol of the folder that includes this one.

use tokio::net::TcpListener;
use zenith_memory::Pool;
use zenith_testkit::{ClickHouse, ClickHouseServer, FaultProxy};
use zenith_transport::{
    ClickHouseSink, ConnectionOptions, PreflightRequest, Protocol, Sink, Target, TransportError,
};

pub use super::super::PROTOCOL;
pub use crate::support::*;

/// A sink with a database of its own.
pub async fn sink(label: &str) -> (ClickHouseSink, ClickHouse) {
    sink_over(PROTOCOL, label, ConnectionOptions::default()).await
}

/// A sink for `database` of the shared server.
pub async fn sink_for(
    database: &ClickHouse,
    pool: Option<Pool>,
    options: ConnectionOptions,
) -> ClickHouseSink {
    let target = target_at(PROTOCOL, &address(PROTOCOL).await, database);
    ClickHouseSink::new(target, pool, options).unwrap()
}

/// A sink for the server at an address.
pub fn sink_at(url: &str) -> ClickHouseSink {
    ClickHouseSink::new(Target::parse(url).unwrap(), None, ConnectionOptions::default()).unwrap()
}

/// What is wrong with an address, as the first look says it.
pub async fn preflight_error(url: &str) -> TransportError {
    sink_at(url).preflight(&PreflightRequest::default()).await.unwrap_err()
}

/// A proxy before the shared server, and a database behind it.
pub async fn proxied(label: &str) -> (FaultProxy, Target, ClickHouse) {
    let database = database(label).await;
    let proxy = FaultProxy::start(address(PROTOCOL).await).await.unwrap();
    let target = target_at(PROTOCOL, &format!("127.0.0.1:{}", proxy.port()), &database);
    (proxy, target, database)
}

/// `HOST:PORT` of a server of the test's own.
pub fn own_address(server: &ClickHouseServer) -> String {
    match PROTOCOL {
        Protocol::Http => format!("127.0.0.1:{}", server.http_port()),
        Protocol::Native => server.native_address(),
    }
}

/// Where the test itself is the server, and the target that leads there.
pub async fn silent_server() -> (TcpListener, Target) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    (listener, Target::parse(&format!("{}://{address}/d", scheme(PROTOCOL))).unwrap())
}
