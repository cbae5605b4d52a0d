//! A private RabbitMQ node for tests: its own name, ports, folder and Erlang port mapper, on loopback only.
//! It is killed when dropped, and by a small shell when the test process ends in any other way.
//!
//! The RabbitMQ is the one that is installed, or the one of another system's folder: see [`ROOT`].

use std::io;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;
use tokio::process::{Child, ChildStdin, Command};
use tokio::time::timeout;

/// Names the variable with the root folder of another system, whose RabbitMQ is run by `chroot`; only root can. Such a
/// folder is made by `debootstrap --include=rabbitmq-server trixie FOLDER`.
pub const ROOT: &str = "NIGHTBELL_RABBITMQ_ROOT";

/// The longest that a node may take to start.
const START_WAIT_MAX: Duration = Duration::from_secs(90);

/// The longest that one call of `rabbitmqctl` may take.
const CTL_WAIT_MAX: Duration = Duration::from_secs(60);

/// The longest that a killed process may take to end.
const END_WAIT_MAX: Duration = Duration::from_secs(10);

/// How often a start is tried; a port that was free a moment ago can be taken.
const STARTS_MAX: u32 = 3;

/// Waits for its standard input to end, which it does when the test process ends, however it ends; then kills
/// what the pid files name. Removing the files calls it off.
const GUARD: &str = r#"cat >/dev/null
for file in "$0"/*.pid; do [ -f "$file" ] && kill -9 "$(cat "$file")"; done
rm -rf "$0""#;

/// Whether the nodes are those of another system than this one, which are of RabbitMQ 4.
#[must_use]
pub fn is_rabbitmq_4() -> bool {
    std::env::var_os(ROOT).is_some()
}

static STARTED: AtomicU32 = AtomicU32::new(0);

/// A node's definitions, in its folder.
const DEFINITIONS: &str = "definitions.json";

/// What a node has besides the tests' own settings.
#[derive(Debug, Clone)]
pub struct Extras {
    /// Its plugins, as an Erlang list with a dot at the end.
    pub plugins: String,
    /// Further lines of `rabbitmq.conf`, which go before the tests' own; `FOLDER` there is the node's folder, as it sees it.
    pub settings: String,
    /// Further files in its folder, by their names.
    pub files: Vec<(&'static str, String)>,
    /// A file of definitions that it loads. It gets a copy, since a node in another root sees no folder but its own.
    pub definitions: Option<PathBuf>,
}

impl Default for Extras {
    fn default() -> Self {
        Self { plugins: "[].\n".to_owned(), settings: String::new(), files: Vec::new(), definitions: None }
    }
}

/// A running node.
pub struct RabbitNode {
    folder: TempDir,
    root: Option<PathBuf>,
    ports: Ports,
    name: String,
    broker: Option<Child>,
    mapper: Option<Child>,
    guard: Option<(Child, ChildStdin)>,
}

#[derive(Debug, Clone, Copy)]
struct Ports {
    amqp: u16,
    distribution: u16,
    mapper: u16,
}

impl RabbitNode {
    /// Starts a node and waits until it answers.
    ///
    /// # Errors
    /// RabbitMQ is not installed, or did not start; the text says which, with the end of the node's log.
    pub async fn start() -> io::Result<Self> {
        Self::start_with(&Extras::default()).await
    }

    /// Starts a node with plugins and settings of the caller's.
    ///
    /// # Errors
    /// As [`RabbitNode::start`].
    pub async fn start_with(extras: &Extras) -> io::Result<Self> {
        let mut last = None;
        for _ in 0..STARTS_MAX {
            match Self::try_start(extras).await {
                Ok(node) => return Ok(node),
                Err(cause) if cause.kind() == io::ErrorKind::NotFound => return Err(cause),
                Err(cause) => last = Some(cause),
            }
        }
        Err(last.unwrap_or_else(|| io::Error::other("never tried")))
    }

    async fn try_start(extras: &Extras) -> io::Result<Self> {
        let number = STARTED.fetch_add(1, Ordering::Relaxed);
        let root = std::env::var_os(ROOT).map(PathBuf::from);
        let parent = root.as_ref().map_or_else(std::env::temp_dir, |root| root.join("tmp"));
        let folder = tempfile::Builder::new().prefix("nightbell-rabbit-").tempdir_in(parent)?;
        let name = format!("nightbell-{}-{number}@localhost", std::process::id());
        let ports = Ports { amqp: free_port()?, distribution: free_port()?, mapper: free_port()? };
        let guard = guard(folder.path())?;
        let mut node = Self { folder, root, ports, name, broker: None, mapper: None, guard: Some(guard) };
        node.write_settings(extras)?;
        node.mapper = Some(node.start_mapper()?);
        node.start_broker().await?;
        Ok(node)
    }

    /// The node's AMQP URL for a virtual host, as its default user.
    #[must_use]
    pub fn url(&self, vhost: &str) -> String {
        self.url_for("guest", "guest", vhost)
    }

    /// The node's AMQP URL for a virtual host, as some user.
    #[must_use]
    pub fn url_for(&self, user: &str, password: &str, vhost: &str) -> String {
        let vhost = vhost.replace('/', "%2f");
        format!("amqp://{user}:{password}@127.0.0.1:{}/{vhost}", self.ports.amqp)
    }

    /// The node's AMQP port on 127.0.0.1.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.ports.amqp
    }

    /// The node's folder, for files that a command shall read.
    #[must_use]
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Runs `rabbitmqctl` on the node and gives its output.
    ///
    /// # Errors
    /// The command failed; the text holds what it said.
    pub async fn ctl(&self, arguments: &[&str]) -> io::Result<String> {
        let mut command = self.command("rabbitmqctl");
        command.arg("--quiet").args(arguments).stdin(Stdio::null()).kill_on_drop(true);
        let output = timeout(CTL_WAIT_MAX, command.output()).await??;
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        if output.status.success() {
            return Ok(text);
        }
        let complaint = String::from_utf8_lossy(&output.stderr);
        Err(io::Error::other(format!("rabbitmqctl {arguments:?}: {}\n{text}{complaint}", output.status)))
    }

    /// Makes the node write down which quorum queues it has. RabbitMQ 3.10 does so a while after a queue was
    /// declared; one that was declared shortly before a kill never finds a leader again.
    ///
    /// # Errors
    /// As [`RabbitNode::ctl`].
    pub async fn note_queues(&self) -> io::Result<()> {
        self.ctl(&["eval", "lists:foreach(fun dets:sync/1, dets:all())."]).await.map(drop)
    }

    /// Kills the node at once, as a power cut would; [`RabbitNode::restart`] brings it back with what was on
    /// its disk.
    ///
    /// # Errors
    /// It could not be signalled.
    pub async fn kill9(&mut self) -> io::Result<()> {
        self.signal(Signal::KILL)?;
        if let Some(mut broker) = self.broker.take() {
            timeout(END_WAIT_MAX, broker.wait()).await??;
        }
        std::fs::remove_file(self.pid_file())
    }

    /// Starts the node again, on the same port and the same data, killing it first if it runs.
    ///
    /// # Errors
    /// As [`RabbitNode::start`].
    pub async fn restart(&mut self) -> io::Result<()> {
        if self.broker.is_some() {
            self.kill9().await?;
        }
        self.start_broker().await
    }

    /// Stops the node's process where it stands: its sockets stay open and nothing answers.
    ///
    /// # Errors
    /// It could not be signalled.
    pub fn pause(&self) -> io::Result<()> {
        self.signal(Signal::STOP)
    }

    /// Lets a paused node go on.
    ///
    /// # Errors
    /// It could not be signalled.
    pub fn resume(&self) -> io::Result<()> {
        self.signal(Signal::CONT)
    }

    /// The id of the node's process, from its pid file.
    ///
    /// # Errors
    /// There is no such file, or no id in it.
    pub fn pid(&self) -> io::Result<u32> {
        let text = std::fs::read_to_string(self.pid_file())?;
        text.trim().parse().map_err(io::Error::other)
    }

    fn signal(&self, signal: Signal) -> io::Result<()> {
        let raw = i32::try_from(self.pid()?).map_err(io::Error::other)?;
        let pid = Pid::from_raw(raw).ok_or_else(|| io::Error::other("no process id"))?;
        Ok(kill_process(pid, signal)?)
    }

    fn write_settings(&self, extras: &Extras) -> io::Result<()> {
        let mut settings = format!(
            "{}\nlisteners.tcp.1 = 127.0.0.1:{}\nloopback_users = none\nlog.console = false\n\
             log.file.level = info\n\
             disk_free_limit.absolute = 1MB\n",
            extras.settings.replace("FOLDER", &self.path_within("").display().to_string()),
            self.ports.amqp
        );
        for (name, content) in &extras.files {
            std::fs::write(self.path(name), content)?;
        }
        if let Some(definitions) = &extras.definitions {
            std::fs::copy(definitions, self.path(DEFINITIONS))?;
            settings += &format!("load_definitions = {}\n", self.path_within(DEFINITIONS).display());
        }
        std::fs::write(self.path("rabbitmq.conf"), settings)?;
        std::fs::write(self.path("enabled_plugins"), &extras.plugins)
    }

    /// The Erlang port mapper would else be started by the node, as a daemon that outlives it.
    fn start_mapper(&self) -> io::Result<Child> {
        let mut command = self.program("epmd");
        command.args(["-address", "127.0.0.1", "-port"]).arg(self.ports.mapper.to_string());
        command
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .process_group(0)
            .kill_on_drop(true);
        let child = command.spawn().map_err(|cause| missing("epmd", &cause))?;
        std::fs::write(self.path("epmd.pid"), child.id().unwrap_or_default().to_string())?;
        Ok(child)
    }

    async fn start_broker(&mut self) -> io::Result<()> {
        let output = std::fs::File::create(self.path("output"))?;
        let mut command = self.command("rabbitmq-server");
        // Makes the start script replace itself by the Erlang VM, so that no shell stays between us and it.
        command.env("RUNNING_UNDER_SYSTEMD", "true");
        command
            .stdin(Stdio::null())
            .stderr(output.try_clone()?)
            .stdout(output)
            .process_group(0)
            .kill_on_drop(true);
        self.broker = Some(command.spawn().map_err(|cause| missing("rabbitmq-server", &cause))?);
        let seconds = START_WAIT_MAX.as_secs().to_string();
        let file = self.path_within("broker.pid");
        let file = file.to_str().ok_or_else(|| io::Error::other("the folder's name is no text"))?;
        let up = timeout(START_WAIT_MAX, self.ctl(&["wait", "--timeout", &seconds, file])).await;
        match up {
            Ok(Ok(_)) => Ok(()),
            Ok(Err(cause)) => Err(io::Error::other(format!("{cause}\n{}", self.log_end()))),
            Err(cause) => {
                Err(io::Error::other(format!("the node did not start: {cause}\n{}", self.log_end())))
            }
        }
    }

    fn command(&self, name: &str) -> Command {
        let mut command = self.program(name);
        command.envs([
            ("RABBITMQ_NODENAME", self.name.clone()),
            ("RABBITMQ_NODE_PORT", self.ports.amqp.to_string()),
            ("RABBITMQ_NODE_IP_ADDRESS", "127.0.0.1".to_owned()),
            ("RABBITMQ_DIST_PORT", self.ports.distribution.to_string()),
            ("ERL_EPMD_PORT", self.ports.mapper.to_string()),
            ("ERL_EPMD_ADDRESS", "127.0.0.1".to_owned()),
            ("RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS", "-kernel inet_dist_use_interface {127,0,0,1}".to_owned()),
        ]);
        let folders = [
            ("HOME", ""),
            ("RABBITMQ_MNESIA_BASE", "mnesia"),
            ("RABBITMQ_LOG_BASE", "log"),
            ("RABBITMQ_ENABLED_PLUGINS_FILE", "enabled_plugins"),
            ("RABBITMQ_CONFIG_FILE", "rabbitmq.conf"),
            ("RABBITMQ_PID_FILE", "broker.pid"),
        ];
        command.envs(folders.map(|(name, file)| (name, self.path_within(file))));
        command
    }

    /// A program of the installation that the node is of.
    fn program(&self, name: &str) -> Command {
        let root = self.root.as_deref();
        // The script itself where a Debian package puts it: the one on the path there insists on another user.
        let packaged = Path::new("/usr/lib/rabbitmq/bin").join(name);
        let outside = root.unwrap_or(Path::new("/")).join(packaged.strip_prefix("/").unwrap_or(&packaged));
        let program = if outside.exists() { packaged } else { PathBuf::from(name) };
        let Some(root) = root else { return Command::new(program) };
        let mut command = Command::new("chroot");
        command.arg(root).arg(program);
        command
    }

    /// The path of a file in the node's folder, as the node and its commands see it.
    #[must_use]
    pub fn path_within(&self, file: &str) -> PathBuf {
        let path = self.path(file);
        let within = self.root.as_ref().and_then(|root| path.strip_prefix(root).ok());
        within.map(|path| Path::new("/").join(path)).unwrap_or(path)
    }

    fn path(&self, file: &str) -> PathBuf {
        self.folder.path().join(file)
    }

    fn pid_file(&self) -> PathBuf {
        self.path("broker.pid")
    }

    fn log_end(&self) -> String {
        let log = self.path("log").join(format!("{}.log", self.name));
        let text = |path| std::fs::read_to_string(path).unwrap_or_default();
        let all = text(self.path("output")) + &text(log);
        let lines: Vec<&str> = all.lines().collect();
        lines[lines.len().saturating_sub(30)..].join("\n")
    }
}

impl Drop for RabbitNode {
    /// Kills the node and its port mapper, and calls the guard off.
    fn drop(&mut self) {
        // A stopped process takes SIGKILL too. There may be no pid file, when the node is down; then there is
        // no node.
        drop(self.signal(Signal::KILL));
        for mut child in [self.broker.take(), self.mapper.take()].into_iter().flatten() {
            drop(child.start_kill());
        }
        for file in ["broker.pid", "epmd.pid"] {
            drop(std::fs::remove_file(self.path(file)));
        }
        // The guard finds no pid file and removes what the dying node may still write into the folder.
        drop(self.guard.take());
    }
}

fn guard(folder: &Path) -> io::Result<(Child, ChildStdin)> {
    let mut command = Command::new("sh");
    command.arg("-c").arg(GUARD).arg(folder);
    command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null()).process_group(0);
    let mut child = command.spawn()?;
    let stdin = child.stdin.take().ok_or_else(|| io::Error::other("the guard has no standard input"))?;
    Ok((child, stdin))
}

fn free_port() -> io::Result<u16> {
    Ok(TcpListener::bind("127.0.0.1:0")?.local_addr()?.port())
}

fn missing(name: &str, cause: &io::Error) -> io::Error {
    io::Error::new(
        cause.kind(),
        format!("{name} can't be run ({cause}); these tests need RabbitMQ installed"),
    )
}
