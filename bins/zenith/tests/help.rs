//! What the command says about itself.

use crate::harness::{run, zenith};

#[tokio::test]
async fn help_has_examples() {
    for arguments in [
        &["--help"][..],
        &["copy", "--help"],
        &["copy", "-h"],
        &["completions", "--help"],
        &["help", "copy"],
        &["run", "--help"],
        &["pipeline", "--help"],
        &["pipeline", "pause", "--help"],
        &["reset", "-h"],
    ] {
        let ended = run(zenith(arguments)).await.succeeded();
        assert!(ended.stdout.contains("Example"), "{arguments:?}: {}", ended.stdout);
        assert_eq!(ended.stderr, "");
    }
    let ended = run(zenith(&["copy", "--help"])).await.succeeded();
    assert!(
        ended.stdout.contains("Exit codes") && ended.stdout.contains("ZENITH_TARGET"),
        "{}",
        ended.stdout
    );
}

#[tokio::test]
async fn without_arguments_there_is_help_and_an_error_code() {
    let ended = run(zenith(&[])).await;
    assert_eq!(ended.code, Some(2));
    assert!(ended.stderr.contains("Usage: zenith"), "{ended:?}");
}

#[tokio::test]
async fn completions_are_scripts() {
    for (shell, part) in
        [("bash", "complete -F _zenith"), ("zsh", "#compdef zenith"), ("fish", "complete -c zenith")]
    {
        let ended = run(zenith(&["completions", shell])).await.succeeded();
        assert!(ended.stdout.contains(part) && ended.stdout.contains("create-database"), "{shell}");
        assert_eq!(ended.stderr, "");
    }
    assert_eq!(run(zenith(&["completions", "cmd"])).await.code, Some(2));
}
