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

#[tokio::test]
async fn the_manual_has_a_page_for_each_command() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().to_str().unwrap();
    run(zenith(&["manual", path])).await.succeeded();
    for (page, part) in [
        ("zenith.1", "zenith\\-copy(1)"),
        ("zenith-copy.1", "create\\-database"),
        ("zenith-pipeline-pause.1", ".TH"),
    ] {
        let text = std::fs::read_to_string(folder.path().join(page)).unwrap();
        assert!(text.contains(part), "{page}: {text}");
    }
    let ended = run(zenith(&["manual", "/nowhere/at/all"])).await;
    assert_eq!(ended.code, Some(2));
    assert!(ended.stderr.contains("cannot write the manual to /nowhere/at/all"), "{ended:?}");
}
