//! Conversations with a shard and what follows from them, as text.
//!
//! A line that begins in the first column is said to the shard, an indented one is what follows. The
//! test fails where something else follows; `UPDATE=1` writes down what does.
use std::{fs, path::Path};

#[cfg(test)]
#[path = "support/conversation.rs"]
mod conversation;

#[test]
fn every_conversation_goes_as_written() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/scripts");
    let mut paths: Vec<_> = fs::read_dir(&folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    paths.sort();
    assert!(paths.len() >= 5, "the scripts are in {}", folder.display());
    let mut wrong = Vec::new();
    for path in paths {
        let written = fs::read_to_string(&path).unwrap();
        let spoken = conversation::retell(&written);
        if std::env::var_os("UPDATE").is_some() {
            fs::write(&path, spoken).unwrap();
        } else if spoken != written {
            wrong.push(format!(
                "{}:\n{}",
                path.display(),
                difference(&written, &spoken)
            ));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

fn difference(written: &str, spoken: &str) -> String {
    let mut lines = written.lines().zip(spoken.lines()).enumerate();
    match lines.find(|(_, (written, spoken))| written != spoken) {
        Some((at, (written, spoken))) => {
            format!(
                "line {}\n  written: {written}\n  happened: {spoken}",
                at + 1
            )
        }
        None => "one is longer than the other".to_owned(),
    }
}
