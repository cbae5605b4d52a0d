//! A configuration with one connector, and the program run with it.

use std::net::TcpListener;
use std::path::PathBuf;
use std::process::Command;

use fake_xmatters::{Auth, FakeXmatters, Settings, Tls};
use tempfile::TempDir;

pub(crate) const FUNCTION: &str = "6f2d8c1e-0b7a-4c55-9d3e-2a1f0e9b8c7d";
pub(crate) const PASSWORD: &str = "corr3ct-horse-battery";

/// How the program ended. Neither output ever has a secret in it.
#[derive(Debug)]
pub(crate) struct Ended {
    pub(crate) code: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

/// A folder with a configuration.
pub(crate) struct Site {
    folder: TempDir,
}

impl Site {
    /// The connector `payments` posts to `url`; `lines` are added to it.
    pub(crate) fn new(url: &str, lines: &str) -> Self {
        let login = format!("username = \"svc\"\npassword = \"{PASSWORD}\"");
        let login = if lines.contains("auth = ") { String::new() } else { login };
        Self::with(&format!(
            "[[connectors]]\nname = \"payments\"\ntrigger_url = \"{url}\"\nrecipients = [\"primary\"]\n{login}\n{lines}\n"
        ))
    }

    pub(crate) fn with(config: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("nightbell.toml"), config).unwrap();
        Self { folder }
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub(crate) fn write(&self, name: &str, text: &str) {
        std::fs::write(self.path(name), text).unwrap();
    }

    /// `nightbell`, as it would be run in this folder.
    pub(crate) fn command(&self, flags: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_nightbell"));
        command.current_dir(self.folder.path()).args(flags);
        for name in ["NIGHTBELL_CONFIG", "NIGHTBELL_QUEUE_URL", "NIGHTBELL_LOG", "NIGHTBELL_LOG_FORMAT"] {
            command.env_remove(name);
        }
        command
    }

    /// Runs `nightbell connectors …`, and looks for secrets in what it says.
    pub(crate) fn connectors(&self, flags: &[&str]) -> Ended {
        let output = self.command(&["connectors"]).args(flags).output().unwrap();
        let ended = Ended {
            code: output.status.code(),
            stdout: String::from_utf8(output.stdout).unwrap(),
            stderr: String::from_utf8(output.stderr).unwrap(),
        };
        for secret in [FUNCTION, PASSWORD, "/functions/"] {
            assert!(!ended.stdout.contains(secret) && !ended.stderr.contains(secret), "{ended:?}");
        }
        ended
    }

    /// Runs `nightbell connectors test payments`.
    pub(crate) fn test(&self) -> Ended {
        self.connectors(&["test", "payments"])
    }
}

/// A stand-in that asks for our user and password.
pub(crate) async fn fake(tls: Option<Tls>) -> FakeXmatters {
    let auth = Auth::Basic { user: "svc".into(), password: PASSWORD.into() };
    FakeXmatters::start(Settings { auth, tls, functions: vec![FUNCTION.into()], ..Settings::default() })
        .await
        .unwrap()
}

/// A port on which nothing listens.
pub(crate) fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

/// Whether the program ended with this code and said these words on standard output.
#[track_caller]
pub(crate) fn check(ended: &Ended, code: i32, words: &[&str]) {
    assert_eq!(ended.code, Some(code), "{ended:?}");
    for word in words {
        assert!(ended.stdout.contains(word), "`{word}` is missing: {ended:?}");
    }
}
