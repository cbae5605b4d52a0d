//! `nightbell demo`, as somebody meets it who has never seen Nightbell.

use std::path::Path;
use std::process::Stdio;

use anyhow::{Context as _, Result, ensure};
use nightbell_tests::program::{self, Ended};
use nightbell_tests::wait::WAIT_MAX;
use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt as _, BufReader, Lines};
use tokio::process::{Child, ChildStdout, Command};
use tokio::time::timeout;

/// The widest line that fits everywhere.
const COLUMNS_MAX: usize = 80;

pub(crate) async fn the_demo_shows_every_ending_and_ends_with_0(_: String) -> Result<()> {
    let folder = folder()?;
    let text = once(&folder, "").await?.success()?;
    for said in [
        "503  sent again later",
        "400  dead letter",
        "202  delivered",
        "attempt 3",
        "5 repeats were suppressed",
    ] {
        ensure!(text.contains(said), "`{said}` is missing:\n{text}");
    }
    // Delivered, suppressed, filtered, dead letters.
    ensure!(
        has_row(&text, &["shop", "4", "4", "0", "0"]) && has_row(&text, &["sre", "1", "1", "6", "1"]),
        "{text}"
    );
    is_empty(&folder)
}

pub(crate) async fn the_demo_is_plain_through_a_pipe(_: String) -> Result<()> {
    let folder = folder()?;
    let ended = once(&folder, "").await?;
    ensure!(ended.stderr.is_empty(), "{ended:?}");
    let text = ended.success()?;
    ensure!(!text.contains(['\u{1b}', '\r', '┌']), "{text:?}");
    ensure!(too_long(&text).is_empty(), "{:#?}", too_long(&text));
    Ok(())
}

pub(crate) async fn the_demo_fits_eighty_columns_in_a_terminal(_: String) -> Result<()> {
    let folder = folder()?;
    let text = once(&folder, "script").await?.success()?;
    ensure!(text.contains('┌') && text.contains("\u{1b}[32m") && text.contains(" of 5 alerts"), "{text}");
    let seen = without_escapes(&text);
    ensure!(too_long(&seen).is_empty(), "{:#?}", too_long(&seen));
    // No frame is broken: each line that begins one ends it.
    for line in seen.lines().map(str::trim).filter(|line| line.starts_with(['┌', '│', '╞', '└'])) {
        ensure!(line.ends_with(['┐', '│', '╡', '┘']), "{line}");
    }
    ensure!(has_row(&seen.replace(['│', '┆'], " "), &["sre", "1", "1", "6", "1"]), "{seen}");
    Ok(())
}

pub(crate) async fn the_demo_stays_up_until_it_is_interrupted_and_metrics_answers(_: String) -> Result<()> {
    let folder = folder()?;
    let mut demo = Demo::start(&folder)?;
    let line = demo.line("metrics are at http://").await?;
    let url = line.split_whitespace().find(|word| word.starts_with("http://")).context("a link")?.to_owned();
    demo.line("a repeat of the first").await?;
    let metrics = reqwest::get(&url).await?.error_for_status()?.text().await?;
    let delivered = "nightbell_alerts_settled_total{connector=\"shop\",result=\"delivered\"} 4";
    ensure!(metrics.contains(delivered), "{metrics}");

    // What somebody publishes meanwhile is delivered, and seen.
    let events = url.replace("/metrics", "/v1/events");
    let body = r#"{"project":"shop","test":"test_opens"}"#;
    let post = reqwest::Client::new().post(events).header("content-type", "application/json").body(body);
    ensure!(post.send().await?.status() == 202);
    let line = demo.line("test_opens").await?;
    ensure!(line.ends_with("delivered"), "{line}");

    ensure!(demo.stop(Signal::INT).await? == Some(0));
    is_empty(&folder)
}

pub(crate) async fn a_demo_that_is_stopped_midway_leaves_nothing_behind(_: String) -> Result<()> {
    let folder = folder()?;
    let mut demo = Demo::start(&folder)?;
    demo.line("sent again later").await?;
    ensure!(demo.stop(Signal::TERM).await? == Some(75));
    is_empty(&folder)
}

/// A demo that stays up.
struct Demo {
    child: Child,
    lines: Lines<BufReader<ChildStdout>>,
}

impl Demo {
    fn start(folder: &TempDir) -> Result<Self> {
        let mut command = Command::new(program::path("nightbell")?);
        command.arg("demo").env("TMPDIR", folder.path()).current_dir(folder.path());
        command.stdin(Stdio::null()).stdout(Stdio::piped()).kill_on_drop(true);
        let mut child = command.spawn().context("run nightbell")?;
        let lines = BufReader::new(child.stdout.take().context("its output")?).lines();
        Ok(Self { child, lines })
    }

    /// The next line with this text.
    async fn line(&mut self, text: &str) -> Result<String> {
        let found = async {
            while let Some(line) = self.lines.next_line().await? {
                if line.contains(text) {
                    return Ok(line);
                }
            }
            None.with_context(|| format!("it ended without `{text}`"))
        };
        timeout(WAIT_MAX, found).await.with_context(|| format!("it does not say `{text}`"))?
    }

    /// Sends a signal, and gives the exit code.
    async fn stop(mut self, signal: Signal) -> Result<Option<i32>> {
        let raw = self.child.id().and_then(|id| i32::try_from(id).ok());
        kill_process(raw.and_then(Pid::from_raw).context("it has ended")?, signal)?;
        // It goes on to print, and must not meet a closed pipe.
        let rest = async { while let Ok(Some(_)) = self.lines.next_line().await {} };
        timeout(WAIT_MAX, rest).await.context("it does not end")?;
        Ok(self.child.wait().await?.code())
    }
}

/// Runs it to its end, its folder within `folder`: through pipes, or in a terminal of 80 columns if `through` is `script`.
async fn once(folder: &TempDir, through: &str) -> Result<Ended> {
    let program = program::path("nightbell")?;
    let mut command = if through.is_empty() {
        let mut command = Command::new(program);
        command.args(["demo", "--once"]);
        command
    } else {
        let line = format!("stty cols {COLUMNS_MAX}; exec '{}' demo --once", program.display());
        let mut command = Command::new(through);
        command.args(["-qec", &line, "/dev/null"]).env("TERM", "xterm-256color").env_remove("NO_COLOR");
        command
    };
    command.env("TMPDIR", folder.path()).current_dir(folder.path());
    command.stdin(Stdio::null()).kill_on_drop(true);
    Ok(timeout(WAIT_MAX, command.output()).await.context("it does not end")??.into())
}

fn folder() -> Result<TempDir> {
    Ok(tempfile::Builder::new().prefix("nightbell-demo-test-").tempdir()?)
}

fn is_empty(folder: &TempDir) -> Result<()> {
    let left: Vec<_> = Path::read_dir(folder.path())?.flatten().map(|entry| entry.path()).collect();
    ensure!(left.is_empty(), "left behind: {left:?}");
    Ok(())
}

fn has_row(text: &str, row: &[&str]) -> bool {
    text.lines().any(|line| line.split_whitespace().eq(row.iter().copied()))
}

fn too_long(text: &str) -> Vec<&str> {
    text.split(['\n', '\r']).filter(|line| line.chars().count() > COLUMNS_MAX).collect()
}

/// The text without the sequences that move the cursor or set colours.
fn without_escapes(text: &str) -> String {
    let mut parts = text.split("\u{1b}[");
    let mut seen = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let end =
            part.find(|character: char| character.is_ascii_alphabetic()).map_or(part.len(), |at| at + 1);
        seen += &part[end..];
    }
    seen
}
