//! The programs of this workspace, as processes.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Output, Stdio};
use std::sync::OnceLock;

use anyhow::{Context as _, Result, bail, ensure};
use rustix::process::{Pid, Signal, kill_process};
use tokio::io::AsyncWriteExt as _;
use tokio::process::Child;

/// The user and the group without any rights.
const NOBODY: u32 = 65_534;

/// Builds the programs in the profile that this test was built in, with their fail points, and says where they are.
///
/// # Errors
/// They do not build.
pub fn build() -> Result<()> {
    // One of the tests besides, so that the dependencies have the features that they have in the test run, and nothing is
    // built twice.
    cargo(&["--workspace", "--bins", "--test", "simulation", "--features", "nightbell/failpoints"])
}

/// Builds `nightbell` as a user would, without fail points.
///
/// # Errors
/// It does not build.
pub fn build_plain() -> Result<()> {
    cargo(&["--package", "nightbell"])
}

fn cargo(arguments: &[&str]) -> Result<()> {
    let mut cargo = Command::new(env!("CARGO"));
    cargo.current_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join(".."));
    cargo.args(["build", "--quiet", "--locked"]).args(arguments);
    if let Some(profile) = folder()?.file_name().filter(|profile| *profile != "debug") {
        cargo.arg("--profile").arg(profile);
    }
    let built = cargo.status().context("run cargo")?;
    ensure!(built.success(), "the programs do not build");
    Ok(())
}

/// Where the programs are: beside this one, or beside the folder of this test.
fn folder() -> Result<PathBuf> {
    static FOLDER: OnceLock<Option<PathBuf>> = OnceLock::new();
    let find = || {
        let own = std::env::current_exe().ok()?.parent()?.to_owned();
        if own.ends_with("deps") { Some(own.parent()?.to_owned()) } else { Some(own) }
    };
    FOLDER.get_or_init(find).clone().context("find the target folder")
}

/// Cargo's target folder.
///
/// # Errors
/// It can't be found.
pub fn target_folder() -> Result<PathBuf> {
    Ok(folder()?.parent().context("a folder above the programs'")?.to_owned())
}

/// The path of a program.
///
/// # Errors
/// The target folder can't be found.
pub fn path(name: &str) -> Result<PathBuf> {
    Ok(folder()?.join(name))
}

/// Runs a program to its end.
///
/// # Errors
/// It can't be run.
pub async fn run(name: &str, folder: &Path, arguments: &[&str], stdin: &[u8]) -> Result<Ended> {
    run_in(name, folder, &[], arguments, stdin).await
}

/// Runs a program to its end, with more in its environment.
///
/// # Errors
/// It can't be run.
pub async fn run_in(
    name: &str,
    folder: &Path,
    environment: &[(&str, &str)],
    arguments: &[&str],
    stdin: &[u8],
) -> Result<Ended> {
    let mut command = tokio::process::Command::new(path(name)?);
    command.current_dir(folder).args(arguments).env_remove("NIGHTBELL_QUEUE_URL");
    command.envs(environment.iter().copied());
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
    let mut child = command.spawn().with_context(|| format!("run {name}"))?;
    let mut input = child.stdin.take().context("its standard input")?;
    let write = async {
        // A program that does not read its input may end before it is written.
        drop(input.write_all(stdin).await);
        drop(input);
    };
    let (output, ()) = tokio::join!(child.wait_with_output(), write);
    Ok(output?.into())
}

/// What a program came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ended {
    /// Its exit code; none if a signal ended it.
    pub code: Option<i32>,
    /// What it printed.
    pub stdout: String,
    /// What it complained about.
    pub stderr: String,
}

impl From<Output> for Ended {
    fn from(Output { status, stdout, stderr }: Output) -> Self {
        let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
        Self { code: status.code(), stdout: text(stdout), stderr: text(stderr) }
    }
}

impl Ended {
    /// Its output, if it succeeded.
    ///
    /// # Errors
    /// It did not.
    pub fn success(self) -> Result<String> {
        if self.code != Some(0) {
            bail!("it ended with {:?}\n{}{}", self.code, self.stdout, self.stderr);
        }
        Ok(self.stdout)
    }
}

/// A worker that runs. It is killed when dropped.
#[derive(Debug)]
pub struct Worker {
    child: Child,
    log: PathBuf,
}

impl Worker {
    /// Starts `nightbell run` in `folder`; `fail_points` is its `FAILPOINTS`. Its log goes to `log`, after what is there.
    ///
    /// # Errors
    /// It can't be run.
    pub fn start(folder: &Path, config: &str, log: &str, fail_points: &str) -> Result<Self> {
        Self::spawn(folder, config, log, &[], fail_points)
    }

    /// Starts `nightbell run` with further flags.
    ///
    /// # Errors
    /// It can't be run.
    pub fn start_with(folder: &Path, config: &str, log: &str, flags: &[&str]) -> Result<Self> {
        Self::spawn(folder, config, log, flags, "")
    }

    /// Starts `nightbell run` with more in its environment.
    ///
    /// # Errors
    /// It can't be run.
    pub fn start_in<V: AsRef<OsStr>>(
        folder: &Path,
        config: &str,
        log: &str,
        environment: &[(&str, V)],
        flags: &[&str],
    ) -> Result<Self> {
        let mut program = tokio::process::Command::new(path("nightbell")?);
        program.envs(environment.iter().map(|(name, value)| (name, value)));
        let fail_points = environment.iter().find(|(name, _)| *name == "FAILPOINTS");
        let fail_points = fail_points.map_or(OsStr::new(""), |(_, points)| points.as_ref());
        Self::launch(program, folder, config, log, flags, fail_points)
    }

    /// Starts `nightbell run` as on a disk that is nearly full: no file may grow beyond so many bytes.
    ///
    /// # Errors
    /// It can't be run.
    pub fn start_limited(folder: &Path, config: &str, log: &str, file_bytes_max: u64) -> Result<Self> {
        let mut shell = tokio::process::Command::new("sh");
        // The signal that would kill it is ignored, so that its writes fail.
        let script = format!(r#"trap "" XFSZ; ulimit -f {}; exec "$0" "$@""#, file_bytes_max / 512);
        shell.arg("-c").arg(script).arg(path("nightbell")?);
        Self::launch(shell, folder, config, log, &[], "")
    }

    /// Starts `nightbell run` in a mount namespace of its own, in which `data` of `folder` is a file system of so many MiB.
    /// It is reached from here by `/proc/ID/root`.
    ///
    /// # Errors
    /// It can't be run.
    pub fn start_on_small_disk(folder: &Path, config: &str, log: &str, data: &str, mib: u32) -> Result<Self> {
        let mut unshare = tokio::process::Command::new("unshare");
        if !rustix::process::geteuid().is_root() {
            unshare.args(["--user", "--map-root-user"]);
        }
        let script = format!(r#"mount -t tmpfs -o size={mib}m tmpfs {data} && exec "$0" "$@""#);
        unshare.args(["--mount", "sh", "-c"]).arg(script).arg(path("nightbell")?);
        Self::launch(unshare, folder, config, log, &[], "")
    }

    /// Starts `nightbell run` as a process that may have so many file handles and no more.
    ///
    /// # Errors
    /// It can't be run.
    pub fn start_with_handles(folder: &Path, config: &str, log: &str, handles: u32) -> Result<Self> {
        let mut shell = tokio::process::Command::new("sh");
        shell.arg("-c").arg(format!(r#"ulimit -n {handles}; exec "$0" "$@""#)).arg(path("nightbell")?);
        Self::launch(shell, folder, config, log, &[], "")
    }

    /// Starts `nightbell run` as a user whom the permissions of files bind, which root is not.
    ///
    /// # Errors
    /// It can't be run.
    pub fn start_unprivileged(folder: &Path, config: &str, log: &str) -> Result<Self> {
        let mut program = tokio::process::Command::new(path("nightbell")?);
        if rustix::process::geteuid().is_root() {
            program.uid(NOBODY).gid(NOBODY);
        }
        Self::launch(program, folder, config, log, &[], "")
    }

    fn spawn(folder: &Path, config: &str, log: &str, flags: &[&str], fail_points: &str) -> Result<Self> {
        let program = tokio::process::Command::new(path("nightbell")?);
        Self::launch(program, folder, config, log, flags, fail_points)
    }

    fn launch(
        mut command: tokio::process::Command,
        folder: &Path,
        config: &str,
        log: &str,
        flags: &[&str],
        fail_points: impl AsRef<OsStr>,
    ) -> Result<Self> {
        let log = folder.join(log);
        let file = std::fs::File::options().create(true).append(true).open(&log)?;
        command
            .current_dir(folder)
            .args(["--config", config])
            .args(flags)
            .arg("run")
            .env("FAILPOINTS", fail_points);
        command.stdin(Stdio::null()).stdout(file.try_clone()?).stderr(file).kill_on_drop(true);
        let child = command.spawn().context("run nightbell")?;
        Ok(Self { child, log })
    }

    /// Kills it at once and waits for its end.
    ///
    /// # Errors
    /// It can't be killed.
    pub async fn kill9(mut self) -> Result<()> {
        self.child.kill().await.context("kill the worker")
    }

    /// Waits for its end.
    ///
    /// # Errors
    /// It does not end.
    pub async fn ended(&mut self) -> Result<ExitStatus> {
        let wait = tokio::time::timeout(crate::wait::WAIT_MAX, self.child.wait()).await;
        wait.context("the worker does not end")?.context("wait for the worker")
    }

    /// Sends it a signal.
    ///
    /// # Errors
    /// It has ended.
    pub fn signal(&self, signal: Signal) -> Result<()> {
        let raw = self.child.id().and_then(|id| i32::try_from(id).ok());
        let pid = raw.and_then(Pid::from_raw).context("the worker has ended")?;
        kill_process(pid, signal).context("signal the worker")
    }

    /// Asks it to stop and waits for its end.
    ///
    /// # Errors
    /// It does not end.
    pub async fn terminate(mut self) -> Result<ExitStatus> {
        self.signal(Signal::TERM)?;
        self.ended().await
    }

    /// What it has logged so far, by this and by earlier workers of the same log.
    ///
    /// # Errors
    /// The log can't be read.
    pub fn log(&self) -> Result<String> {
        std::fs::read_to_string(&self.log).context("read the worker's log")
    }

    /// The process's id.
    #[must_use]
    pub fn id(&self) -> Option<u32> {
        self.child.id()
    }
}
