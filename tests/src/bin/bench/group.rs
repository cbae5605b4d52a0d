//! A process with all that it starts.

use anyhow::{Context as _, Result};
use rustix::process::{Pid, Signal, kill_process_group};
use tokio::process::{Child, Command};

/// A process group of its own. Dropping it kills all its processes.
pub(crate) struct Group {
    pub(crate) child: Child,
    pid: Pid,
}

impl Group {
    pub(crate) fn start(mut command: Command) -> Result<Self> {
        command.process_group(0).kill_on_drop(true);
        let child = command.spawn().with_context(|| format!("run {:?}", command.as_std().get_program()))?;
        let raw = child.id().and_then(|id| i32::try_from(id).ok());
        let pid = raw.and_then(Pid::from_raw).context("it has a process id")?;
        Ok(Self { child, pid })
    }

    /// The id of the first process.
    pub(crate) fn id(&self) -> u32 {
        self.pid.as_raw_nonzero().get().unsigned_abs()
    }

    /// Kills all at once and waits for the end of the first.
    pub(crate) async fn kill(mut self) -> Result<()> {
        kill_process_group(self.pid, Signal::KILL).context("kill a process group")?;
        self.child.wait().await.context("wait for its end")?;
        Ok(())
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        // There may be no such group any more.
        let _ended = kill_process_group(self.pid, Signal::KILL);
    }
}
