//! Prints the document that describes the API.
//!
//! `cargo run -p zenith-server --example openapi > openapi.json`

fn main() -> Result<(), Box<dyn std::error::Error>> {
    serde_json::to_writer_pretty(std::io::stdout(), &zenith_server::api::document())?;
    Ok(())
}
