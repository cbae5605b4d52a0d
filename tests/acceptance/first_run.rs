//! The first minutes: a configuration that `init` writes, used as it is.

use std::net::TcpListener;
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use fake_xmatters::{Auth, FakeXmatters, Settings};
use nightbell_tests::program;
use nightbell_tests::wait::{self, WAIT_MAX};
use rustix::process::{Pid, Signal, kill_process_group};
use tempfile::TempDir;
use tokio::process::{Child, Command};
use tokio::sync::Mutex;
use tokio::time::{interval, timeout};

/// Where a worker listens unless its configuration says otherwise.
const PORT: u16 = 9464;

/// The one variable that the smallest configuration needs.
const VARIABLE: &str = "NIGHTBELL_TRIGGER_URL";

/// What somebody types who has just unpacked the program.
const COMMANDS: &str = "nightbell init && nightbell check && exec nightbell run";

/// Only one of these tests can listen at a time.
static LISTENER: Mutex<()> = Mutex::const_new(());

pub(crate) async fn init_check_and_run_deliver_with_one_variable_and_no_rabbitmq(_: String) -> Result<()> {
    for is_terminal in [false, true] {
        let _alone = LISTENER.lock().await;
        port_is_free().await?;
        let auth = Auth::Url { api_key: "planted-key".to_owned() };
        let fake = FakeXmatters::start(Settings { auth, ..Settings::default() }).await?;
        let folder = tempfile::tempdir()?;
        let mut child = start(&folder, is_terminal, &fake.trigger_url())?;
        let published = async {
            wait::until("a worker that is ready", || async {
                let answer = reqwest::get(format!("http://127.0.0.1:{PORT}/readyz")).await.ok()?;
                answer.status().is_success().then_some(())
            })
            .await?;
            let event = ["publish", "--project", "shop", "--test", "buys", "--message", "HTTP 500"];
            program::run("nightbell", folder.path(), &event, b"").await?.success()?;
            fake.wait_until(|seen| seen.requests().count() == 1, WAIT_MAX).await?;
            anyhow::Ok(())
        };
        let published = published.await;
        let said = stop(&mut child, &folder).await?;
        published.with_context(|| said.clone())?;
        ensure!(fake.accepted_count() == 1, "{said}");
        ensure!(said.contains("wrote nightbell.toml") && !said.contains("planted-key"), "{said}");
        ensure!(folder.path().join("nightbell-data/queue.redb").exists(), "{said}");
    }
    Ok(())
}

pub(crate) async fn a_variable_that_is_not_set_is_one_clear_error(_: String) -> Result<()> {
    let folder = tempfile::tempdir()?;
    program::run("nightbell", folder.path(), &["init"], b"").await?.success()?;
    for command in ["check", "run"] {
        let ended = program::run("nightbell", folder.path(), &[command], b"").await?;
        ensure!(ended.code == Some(78), "{ended:?}");
        let said = format!("the environment variable `{VARIABLE}` is not set; set it");
        let errors: Vec<_> = ended.stderr.lines().filter(|line| line.contains("is not set")).collect();
        ensure!(errors.len() == 1 && errors[0].contains(&said), "{ended:?}");
    }
    Ok(())
}

pub(crate) async fn init_full_has_every_key_and_is_for_its_owner_alone(_: String) -> Result<()> {
    use std::os::unix::fs::PermissionsExt as _;

    let folder = tempfile::tempdir()?;
    for (flags, table) in [(&["init"][..], "[[connectors]]"), (&["init", "--full", "--force"], "[queue]")] {
        program::run("nightbell", folder.path(), flags, b"").await?.success()?;
        let path = folder.path().join("nightbell.toml");
        ensure!(std::fs::read_to_string(&path)?.lines().any(|line| line == table));
        ensure!(path.metadata()?.permissions().mode() & 0o777 == 0o600);
    }
    Ok(())
}

/// Runs the commands in a shell, through pipes or in a terminal; their output goes to a file.
fn start(folder: &TempDir, is_terminal: bool, trigger_url: &str) -> Result<Child> {
    let programs = program::path("nightbell")?;
    let programs = programs.parent().context("a folder")?.to_str().context("a path in UTF-8")?;
    let path = format!("{programs}:{}", std::env::var("PATH")?);
    let output = std::fs::File::create(folder.path().join("output"))?;
    let mut command = if is_terminal {
        let mut command = Command::new("script");
        command.args(["-qec", COMMANDS, "/dev/null"]).env("TERM", "xterm-256color");
        command
    } else {
        let mut command = Command::new("sh");
        command.args(["-c", COMMANDS]);
        command
    };
    command.env("PATH", path).env(VARIABLE, trigger_url).current_dir(folder.path()).process_group(0);
    command.stdin(Stdio::null()).stdout(output.try_clone()?).stderr(output).kill_on_drop(true);
    command.spawn().context("run the commands")
}

/// Stops them, and gives what they said.
async fn stop(child: &mut Child, folder: &TempDir) -> Result<String> {
    if let Some(group) = child.id().and_then(|id| i32::try_from(id).ok()).and_then(Pid::from_raw) {
        // It may have ended by itself.
        let _ = kill_process_group(group, Signal::TERM);
    }
    timeout(WAIT_MAX, child.wait()).await.context("it does not end")??;
    port_is_free().await?;
    Ok(std::fs::read_to_string(folder.path().join("output"))?)
}

/// Waits until nobody listens where a worker does by default: other programs of this machine may, for a while.
async fn port_is_free() -> Result<()> {
    let mut beat = interval(Duration::from_millis(50));
    let free = async {
        while TcpListener::bind(("127.0.0.1", PORT)).is_err() {
            beat.tick().await;
        }
    };
    timeout(WAIT_MAX, free).await.with_context(|| format!("somebody listens on port {PORT}"))
}
