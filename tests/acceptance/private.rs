//! What is for the worker alone: its files, its secrets, and what a command can do without them.

use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use anyhow::{Context as _, Result, ensure};
use fake_xmatters::Answer;
use nightbell_tests::program::{self, Worker};
use nightbell_tests::site::{CONNECTOR, EMBEDDED, PASSWORD, Site, ids};
use nightbell_tests::wait;
use rustix::process::Signal;

pub(crate) async fn data_dir_and_all_in_it_are_for_their_owner_alone_whatever_the_umask(
    _: String,
) -> Result<()> {
    let site = Site::new(EMBEDDED).await?;
    let ids = ids("private", 3);
    site.fake.script([Answer::status(503)]);
    let (first, second) =
        ("umask 000; exec \"$0\" publish --project shop --test buys", "umask 022; exec \"$0\" run");
    let nightbell = program::path("nightbell")?;
    let shell = |line: &str| {
        let mut command = tokio::process::Command::new("sh");
        command.args(["-c", line]).arg(&nightbell).current_dir(site.folder()).kill_on_drop(true);
        command
    };
    ensure!(shell(first).status().await?.success());
    let mut worker = shell(second).spawn()?;
    site.is_ready().await?;
    site.publish(&ids).await?;
    site.all_accepted(&ids).await?;
    let data = site.folder().join("data");
    ensure!(data.join("queue.redb").exists() && data.join("ledger").is_dir());
    are_private(&data)?;
    worker.kill().await?;
    Ok(())
}

/// Checks that nobody else may do anything with what is there.
fn are_private(path: &Path) -> Result<()> {
    let about = path.symlink_metadata()?;
    let mode = about.permissions().mode() & 0o777;
    let want = if about.is_dir() { 0o700 } else { 0o600 };
    ensure!(mode == want, "{} has mode {mode:o}", path.display());
    if about.is_dir() {
        for entry in path.read_dir()? {
            are_private(&entry?.path())?;
        }
    }
    Ok(())
}

pub(crate) async fn a_wide_data_dir_and_a_readable_configuration_are_warned_of(_: String) -> Result<()> {
    let site = Site::new(EMBEDDED).await?;
    let (file, data) = (site.folder().join("nightbell.toml"), site.folder().join("data"));
    let mode = |path: &Path, mode: u32| std::fs::set_permissions(path, Permissions::from_mode(mode));
    std::fs::create_dir(&data)?;
    mode(&data, 0o755)?;
    mode(&file, 0o644)?;
    let said = site.nightbell(&["check"]).await?.success()?;
    ensure!(
        said.contains("warn  data folder: others may look into") && said.contains("chmod -R go="),
        "{said}"
    );
    ensure!(said.contains("warn  configuration: every user") && said.contains("chmod 600"), "{said}");
    ensure!(said.contains("connectors[0].password") && !said.contains(PASSWORD), "{said}");
    let worker = site.worker().await?;
    worker.signal(Signal::HUP)?;
    wait::until("a reload", || async {
        worker.log().ok()?.contains("nothing in it has changed").then_some(())
    })
    .await?;
    ensure!(worker.log()?.matches("others may look into").count() == 1, "{}", worker.log()?);
    ensure!(worker.terminate().await?.success());
    mode(&data, 0o700)?;
    mode(&file, 0o600)?;
    let said = site.nightbell(&["check"]).await?.success()?;
    ensure!(!said.contains("warn  "), "{said}");
    Ok(())
}

pub(crate) async fn a_worker_and_its_commands_leave_no_core_dump(_: String) -> Result<()> {
    let site = Site::new(EMBEDDED).await?;
    let worker = site.worker().await?;
    let id = worker.id().context("it runs")?;
    let limits = std::fs::read_to_string(format!("/proc/{id}/limits"))?;
    let core = limits.lines().find(|line| line.starts_with("Max core file size")).context("no limit")?;
    ensure!(core.split_whitespace().rev().skip(1).take(2).all(|limit| limit == "0"), "{core}");
    ensure!(worker.terminate().await?.success());
    Ok(())
}

/// What only a unit can read: files that systemd hands to it, and variables of its own.
const SECRETS: &str = "trigger_url = \"${file:/run/credentials/nightbell.service/secrets_trigger-url}\"\n\
                       username = \"svc\"\npassword = \"${OF_THE_UNIT_ALONE}\"";

/// Gives the site's connector secrets that nobody but a unit can read.
fn hide_secrets(site: &Site) -> Result<()> {
    let file = site.folder().join("nightbell.toml");
    let text = std::fs::read_to_string(&file)?;
    let keys = ["trigger_url", "username", "password"];
    let is_secret = |line: &&str| !keys.iter().any(|key| line.starts_with(&format!("{key} = ")));
    let text = text.lines().filter(is_secret).collect::<Vec<_>>().join("\n");
    let text = text.replace(
        "[http]",
        "[http]\nadmin_token = \"${file:/run/credentials/nightbell.service/secrets_admin}\"",
    );
    Ok(std::fs::write(file, text.replace("auth = \"basic\"", &format!("auth = \"basic\"\n{SECRETS}")))?)
}

pub(crate) async fn commands_read_only_what_they_need(url: String) -> Result<()> {
    let site = Site::new(&url).await?;
    site.fake.set_default(Answer::status(400));
    let worker = site.worker().await?;
    site.publish(&ids("needs", 1)).await?;
    wait::until("a dead letter", || async { (site.dead().await.ok()?.len() == 1).then_some(()) }).await?;
    ensure!(worker.terminate().await?.success());
    hide_secrets(&site)?;

    ensure!(site.dead().await?.len() == 1);
    for (arguments, code) in [
        (&["dead", "groups"][..], 0),
        (&["dead", "replay", "--dry-run"], 0),
        (&["publish", "--project", "shop", "--test", "t"], 0),
        (&["status"], 69),
        (&["health"], 69),
    ] {
        let ended = site.nightbell(arguments).await?;
        ensure!(ended.code == Some(code), "{arguments:?}: {ended:?}");
    }
    let ended = site.nightbell(&["check"]).await?;
    for said in [
        "connectors[0].trigger_url: can't read",
        "connectors[0].password: the environment variable",
        "http.admin_token: can't read",
    ] {
        ensure!(ended.stdout.contains(said), "{said}: {ended:?}");
    }
    ensure!(
        ended.code == Some(78) && ended.stdout.contains("FAIL  ") && ended.stdout.contains("warn  "),
        "{ended:?}"
    );
    // What needs them says so, and does nothing.
    for arguments in [&["run"][..], &["connectors", "test", CONNECTOR]] {
        let ended = site.nightbell(arguments).await?;
        ensure!(ended.code == Some(78) && ended.stderr.contains("connectors[0].password"), "{ended:?}");
    }
    // With the one variable that is missing, what is left are systemd's own.
    let ended =
        program::run_in("nightbell", site.folder(), &[("OF_THE_UNIT_ALONE", "x")], &["check"], b"").await?;
    ensure!(ended.code == Some(0) && ended.stdout.contains("warn  "), "{ended:?}");
    site.close().await
}

pub(crate) async fn a_reload_says_what_changed_and_what_needs_a_restart(_: String) -> Result<()> {
    let site = Site::new(EMBEDDED).await?;
    let worker = site.worker().await?;
    reload(&worker, "and nothing in it has changed").await?;

    // As an editor writes it: a new file under the old name.
    let replace = |from: &str, to: &str| -> Result<()> {
        let (old, new) = (site.folder().join("nightbell.toml"), site.folder().join("new.toml"));
        std::fs::write(&new, std::fs::read_to_string(&old)?.replace(from, to))?;
        Ok(std::fs::rename(new, old)?)
    };
    replace("\"on-call\"", "\"on-call\", \"second\"")?;
    replace(PASSWORD, "another-planted-password")?;
    let log = reload(&worker, "the configuration was reloaded").await?;
    ensure!(log.contains("connectors[0].password, connectors[0].recipients"), "{log}");
    replace("another-planted-password", PASSWORD)?;
    replace(
        "[http]",
        "[retry]\nmax = \"9m\"\n[telemetry]\nsample_percent = 50\n[http]\nadmin_token = \"planted-0123456789\"",
    )?;
    let log = reload(&worker, "need a restart").await?;
    ensure!(
        log.contains("these changes need a restart: http.admin_token, telemetry.sample_percent"),
        "{log}"
    );
    ensure!(!log.contains("planted"), "{log}");
    ensure!(worker.terminate().await?.success());
    Ok(())
}

/// Asks for a reload, waits for what it says of it, and gives the log.
async fn reload(worker: &Worker, says: &str) -> Result<String> {
    worker.signal(Signal::HUP)?;
    wait::until(says, || async { worker.log().ok().filter(|log| log.contains(says)) }).await
}
