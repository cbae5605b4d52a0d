//! The program, run in a folder with some reports.

use std::net::TcpListener;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use tempfile::TempDir;

/// One failing test.
pub(crate) const FAILED: &str =
    r#"<testsuite name="s"><testcase classname="c" name="t"><failure message="no"/></testcase></testsuite>"#;

/// One test that passed.
pub(crate) const PASSED: &str = r#"<testsuite name="s"><testcase classname="c" name="t"/></testsuite>"#;

/// How the program ended.
#[derive(Debug)]
pub(crate) struct Ended {
    pub(crate) code: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
    pub(crate) took: Duration,
}

/// A folder to run the program in.
pub(crate) struct Site {
    folder: TempDir,
}

impl Site {
    /// A folder with these files.
    pub(crate) fn new(files: &[(&str, &str)]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        for (name, text) in files {
            std::fs::write(folder.path().join(name), text).unwrap();
        }
        Self { folder }
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Runs `nightbell publish`, with nothing on standard input.
    pub(crate) fn publish(&self, flags: &[&str]) -> Ended {
        self.publish_from(Stdio::null(), flags)
    }

    pub(crate) fn publish_from(&self, stdin: impl Into<Stdio>, flags: &[&str]) -> Ended {
        let start = Instant::now();
        let mut command = Command::new(env!("CARGO_BIN_EXE_nightbell"));
        command.current_dir(self.folder.path()).stdin(stdin).arg("publish").args(flags);
        for name in ["NIGHTBELL_CONFIG", "NIGHTBELL_QUEUE_URL", "NIGHTBELL_LOG", "NIGHTBELL_LOG_FORMAT"] {
            command.env_remove(name);
        }
        let output = command.output().unwrap();
        Ended {
            code: output.status.code(),
            stdout: String::from_utf8(output.stdout).unwrap(),
            stderr: String::from_utf8(output.stderr).unwrap(),
            took: start.elapsed(),
        }
    }
}

/// The URL of a broker that is not there.
pub(crate) fn nowhere() -> String {
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    format!("amqp://guest:guest@127.0.0.1:{port}/%2f")
}
