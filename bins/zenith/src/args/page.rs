//! The page docs/cli.md, made of the definitions of the arguments and held equal to them.

use std::path::Path;
use std::{env, fs};

use clap::{Arg, Command, CommandFactory};

/// Writes the page instead of comparing it.
const WRITE: &str = "ZENITH_WRITE_DOCS";

const HEAD: &str = "\
# The command

Every command and its arguments, as `zenith COMMAND --help` and the manual pages have them. `zenith manual FOLDER` writes \
the manual pages, `zenith completions bash` a completion script.

Arguments of every command: `-v`, `--verbose` (twice for more) and `-h`, `--help`.

## A server in place of a state

With `--server URL`, or `ZENITH_SERVER`, a running `zenith serve` does what the command would do beside its state, and the \
output and the exit codes are the same.

```sh
ZENITH_TOKEN=3f9c1f0f5b0e4a7e zenith --server https://zenith.example:8470 status
```

| argument | meaning |
| --- | --- |
| `--server URL` | The server, as in `http://127.0.0.1:8470`. Also `ZENITH_SERVER`, which `--state` outweighs. |
| `--server-token-file FILE` | A file with the token, which must not be readable by everybody. `ZENITH_TOKEN` may have the token itself. |
| `--server-ca FILE` | The certificate authorities to trust, a PEM file, in place of the public ones. Also `ZENITH_SERVER_CA`. |

`copy`, `run`, `serve`, `init` and `check` work on this machine: they refuse `--server`, and `ZENITH_SERVER` is not for them. \
`apply` sends the file; secrets and files that it refers to are those of the server. `reload`, `reset`, `schema promote --apply` \
and `verify` show how far the server is, and Ctrl-C cancels them. What each command needs: `read` to look, `operate` to pause, \
resume, reload, verify, promote and retry, `admin` for the rest.

## Errors

An error has a code, as in `error[ZEN-2004]: …`; with `--json` it is also printed as `{\"error\": {\"code\": …, \"message\": …}}`. \
`zenith explain ZEN-2004` says what it means and what to do, and so does the [page of all errors](errors.md).
";

#[test]
fn the_page_of_the_command_is_that_of_the_definitions() {
    let mut command = super::Arguments::command();
    command.build();
    let mut page = HEAD.to_owned();
    for command in command.get_subcommands().filter(|command| command.get_name() != "help") {
        add(command, "zenith", &mut page);
    }
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/cli.md");
    if env::var_os(WRITE).is_some() {
        fs::write(&path, &page).unwrap();
    }
    let found = fs::read_to_string(&path).unwrap();
    assert!(page == found, "docs/cli.md is not up to date: {WRITE}=1 cargo test -p zenith --bin zenith page");
}

/// A command with its arguments and examples, and the commands below it.
fn add(command: &Command, above: &str, page: &mut String) {
    let name = format!("{above} {}", command.get_name());
    let about = command.get_long_about().or(command.get_about()).map(ToString::to_string).unwrap_or_default();
    let visible = |argument: &&Arg| {
        !argument.is_hide_set()
            && !["help", "verbose", "version", "server", "server_token_file", "server_ca"]
                .contains(&argument.get_id().as_str())
    };
    let inner: Vec<_> = command.get_subcommands().filter(|command| command.get_name() != "help").collect();
    let arguments: Vec<_> = command.get_arguments().filter(visible).collect();
    *page += &format!("\n## `{name}`\n\n{}\n", about.trim());
    if inner.is_empty() {
        let usage = command.clone().render_usage().to_string();
        *page += &format!("\n```text\n{}\n```\n", usage.trim_start_matches("Usage: ").trim());
    }
    if inner.is_empty() && !arguments.is_empty() {
        *page += "\n| argument | meaning |\n| --- | --- |\n";
        arguments.iter().for_each(|argument| *page += &row(argument));
    }
    if let Some(more) = command.get_after_help() {
        *page += &format!("\n```text\n{}\n```\n", more.to_string().trim());
    }
    inner.iter().for_each(|command| add(command, &name, page));
}

fn row(argument: &Arg) -> String {
    let values = argument.get_value_names().filter(|_| argument.get_action().takes_values());
    let values = values.unwrap_or_default().join(" ");
    let mut names: Vec<_> = argument.get_short().map(|short| format!("-{short}")).into_iter().collect();
    names.extend(argument.get_long().map(|long| format!("--{long}")));
    let mut shown = if argument.is_positional() { values } else { format!("{} {values}", names.join(", ")) };
    shown.truncate(shown.trim_end().len());
    let help = argument.get_long_help().or(argument.get_help()).map(ToString::to_string).unwrap_or_default();
    let mut meaning = help.split_whitespace().collect::<Vec<_>>().join(" ");
    if !meaning.ends_with('.') {
        meaning.push('.');
    }
    if argument.get_action().takes_values() {
        let values: Vec<_> =
            argument.get_possible_values().iter().map(|value| format!("`{}`", value.get_name())).collect();
        if !values.is_empty() {
            meaning += &format!(" One of {}.", values.join(", "));
        }
    }
    let default: Vec<_> = argument.get_default_values().iter().map(|value| value.to_string_lossy()).collect();
    if !default.is_empty() && argument.get_action().takes_values() {
        meaning += &format!(" Default: `{}`.", default.join(" "));
    }
    format!("| `{}` | {} |\n", shown.replace('|', "\\|"), meaning.replace('|', "\\|"))
}
