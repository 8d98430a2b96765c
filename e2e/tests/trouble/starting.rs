//! Directories that cannot be had, each with a line that says which, why, and what to do.

use crate::{PATIENCE, acknowledged, client, gateway, refusal, with_store};
use anyhow::{Result, ensure};
use kop_e2e::gateway::Gateway;
use kop_e2e::install;
use kop_e2e::process::Process;
use kop_e2e::scratch::{Scratch, tell};
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;

fn says(line: &str, words: &[&str], store: &Path) -> Result<()> {
    let path = store.display().to_string();
    for wanted in words.iter().chain([&path.as_str()]) {
        ensure!(line.contains(wanted), "no {wanted:?} in: {line}");
    }
    Ok(())
}

#[test]
fn a_directory_in_use_is_refused_and_its_user_goes_on() {
    tell("trouble-in-use", |scratch| {
        let mut first = Gateway::embedded(scratch, "first")?;
        let mut client = client(&first)?;
        client.create(crate::TOPIC, 1)?;
        let store = scratch.data("first");
        let line = refusal(scratch, "second", gateway(&store)?)?;
        says(&line, &["in use by another process"], &store)?;
        acknowledged(&mut client, 0, "still here")?;
        first.kill()?;
        // The dead process's lock is in nobody's way.
        first.begin_again()?;
        first.ready()?;
        first.stop()
    });
}

#[test]
fn a_directory_that_is_no_store_is_refused_and_left_alone() {
    tell("trouble-no-store", |scratch| {
        let file = scratch.data("file");
        fs::write(&file, "text")?;
        let line = refusal(scratch, "file", gateway(&file)?)?;
        says(&line, &["cannot be used"], &file)?;

        let foreign = scratch.data("foreign");
        fs::create_dir(&foreign)?;
        fs::write(foreign.join("thesis.tex"), "text")?;
        let line = refusal(scratch, "foreign", gateway(&foreign)?)?;
        says(&line, &["no kop store", "empty"], &foreign)?;
        ensure!(fs::read_dir(&foreign)?.count() == 1, "it left something");

        let newer = scratch.data("newer");
        fs::create_dir(&newer)?;
        fs::write(newer.join("format"), "kop embedded store 4711\n")?;
        let line = refusal(scratch, "newer", gateway(&newer)?)?;
        says(&line, &["kop embedded store 4711", "cannot read"], &newer)
    });
}

#[test]
fn a_directory_without_permission_is_refused() {
    tell("trouble-permission", |scratch| {
        let closed = scratch.data("closed");
        fs::create_dir(&closed)?;
        fs::set_permissions(&closed, fs::Permissions::from_mode(0o000))?;
        let line = refusal(scratch, "closed", without_privileges(scratch, &closed)?);
        fs::set_permissions(&closed, fs::Permissions::from_mode(0o700))?;
        says(&line?, &["cannot be used", "ermission denied"], &closed)
    });
}

/// Root may do everything, so root gives that up.
fn without_privileges(scratch: &Scratch, store: &Path) -> Result<Command> {
    let root = fs::metadata(scratch.path())?;
    if std::os::unix::fs::MetadataExt::uid(&root) != 0 {
        return gateway(store);
    }
    let mut command = Command::new("setpriv");
    command
        .args(["--bounding-set", "-dac_override,-dac_read_search", "--"])
        .arg(install::binary("kop-gateway")?);
    with_store(&mut command, store);
    Ok(command)
}

#[test]
fn folders_above_a_new_store_are_made() {
    tell("trouble-folders", |scratch| {
        let store = scratch.data("some").join("where").join("new");
        let mut process = Process::start("gateway", gateway(&store)?, scratch.path())?;
        process.wait_for_line("ready line", PATIENCE, |line| {
            line.starts_with("ready ").then_some(())
        })?;
        process.signal("TERM")?;
        process.succeed(PATIENCE)
    });
}
