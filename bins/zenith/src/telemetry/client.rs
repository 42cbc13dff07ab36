//! Sends what the exporter of traces has made, by a thread of its own: the exporter's has no runtime.

use std::path::PathBuf;

use opentelemetry_http::{Bytes, HttpClient, HttpError, Request, Response};
use tokio::runtime::{Builder, Runtime};
use zenith_control::post::Endpoint;

/// A client with its thread.
#[derive(Debug)]
pub struct Client {
    runtime: Runtime,
    ca_file: Option<PathBuf>,
}

impl Client {
    /// One that trusts these authorities.
    ///
    /// # Errors
    /// If the system has no thread.
    pub fn new(ca_file: Option<PathBuf>) -> std::io::Result<Client> {
        let runtime = Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
        Ok(Client { runtime, ca_file })
    }
}

#[async_trait::async_trait]
impl HttpClient for Client {
    async fn send_bytes(&self, request: Request<Bytes>) -> Result<Response<Bytes>, HttpError> {
        let (head, body) = request.into_parts();
        let what = "the endpoint of OpenTelemetry";
        let endpoint = Endpoint::new(&head.uri.to_string(), self.ca_file.as_deref(), what)?;
        let text = |value: &str| value.to_owned();
        let mut content_type = text("application/x-protobuf");
        let mut headers = Vec::new();
        for (name, value) in &head.headers {
            let Ok(value) = value.to_str() else { continue };
            match name.as_str() {
                "content-type" => content_type = text(value),
                // What the client says itself.
                "host" | "user-agent" | "content-length" => {}
                name => headers.push((text(name), text(value))),
            }
        }
        let sending = async move { endpoint.post(&content_type, &headers, body.to_vec()).await };
        self.runtime.spawn(sending).await??;
        Ok(Response::new(Bytes::new()))
    }
}
