//! Standard output, and questions on the terminal.

use std::io::{self, IsTerminal, Write};

/// Puts text on standard output. A reader that has gone away (`| head`) is no error of ours.
pub fn print(text: &str) {
    let mut out = io::stdout().lock();
    let _ = out.write_all(text.as_bytes()).and_then(|()| out.flush());
}

/// One JSON value on a line of standard output.
pub fn print_json(value: &impl serde::Serialize) {
    // Maps with string keys and plain numbers always serialise.
    let text = serde_json::to_string(value).unwrap_or_else(|error| format!("{{\"error\":\"{error}\"}}"));
    print(&format!("{text}\n"));
}

/// Whether somebody can be asked.
pub fn can_ask() -> bool {
    io::stdin().is_terminal() && io::stderr().is_terminal()
}

/// Asks for a yes on the terminal; anything else is a no.
pub fn ask(question: &str) -> bool {
    let mut answer = String::new();
    let asked = write!(io::stderr(), "{question} [y/N] ").and_then(|()| io::stderr().flush());
    if asked.is_err() || io::stdin().read_line(&mut answer).is_err() {
        return false;
    }
    matches!(answer.trim().to_lowercase().as_str(), "y" | "yes")
}
