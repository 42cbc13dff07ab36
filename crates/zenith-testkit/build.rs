//! Compiles the server host with `rustc` alone, so that the library can carry the finished program.
//!
//! Cargo builds a binary target only for the package asked for; the tests of every other crate need it too.

use std::path::PathBuf;
use std::process::Command;

const HOST: &str = "src/bin/zenith-server-host.rs";

fn main() {
    println!("cargo::rerun-if-changed={HOST}");
    let variable = |name: &str| std::env::var_os(name).unwrap_or_else(|| panic!("cargo sets {name}"));
    let output = PathBuf::from(variable("OUT_DIR")).join("zenith-server-host");
    let status = Command::new(variable("RUSTC"))
        .args(["--edition", "2024", "--crate-type", "bin", "-C", "opt-level=1", "-C", "panic=abort"])
        .args(["-C", "strip=symbols", "--target"])
        .arg(variable("TARGET"))
        .arg("-o")
        .args([output.as_os_str(), HOST.as_ref()])
        .status()
        .expect("cargo names a rustc that runs");
    assert!(status.success(), "rustc cannot compile {HOST}: {status}");
}
