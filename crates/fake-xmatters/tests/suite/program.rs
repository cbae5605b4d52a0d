//! The program.

use std::io::{BufRead as _, BufReader, Read as _};
use std::process::{Child, ChildStdout, Command, Output, Stdio};

use rustix::process::{Pid, Signal, kill_process};

use crate::raw::{Raw, form};

struct Program {
    child: Child,
    out: BufReader<ChildStdout>,
}

impl Program {
    fn start(arguments: &[&str]) -> Self {
        let mut child = command(arguments).stdout(Stdio::piped()).spawn().unwrap();
        let out = BufReader::new(child.stdout.take().unwrap());
        Self { child, out }
    }

    fn line(&mut self) -> String {
        let mut line = String::new();
        self.out.read_line(&mut line).unwrap();
        line.trim_end().to_owned()
    }

    /// Reads the greeting and gives the address and the path of the trigger URL.
    fn trigger(&mut self) -> (std::net::SocketAddr, String) {
        assert!(self.line().starts_with("listening on 127.0.0.1:"));
        let url = self.line();
        let (host, path) = url.trim().strip_prefix("http://").unwrap().split_once('/').unwrap();
        (host.parse().unwrap(), format!("/{path}"))
    }

    /// Asks it to end, and gives the rest of its output.
    fn stop(mut self, signal: Signal) -> String {
        let pid = Pid::from_raw(self.child.id().try_into().unwrap()).unwrap();
        kill_process(pid, signal).unwrap();
        let mut rest = String::new();
        self.out.read_to_string(&mut rest).unwrap();
        assert_eq!(self.child.wait().unwrap().code(), Some(0), "{rest}");
        rest
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        // It has ended already unless the test failed.
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

fn command(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_fake-xmatters"));
    command
        .env_remove("FAKE_XMATTERS_PASSWORD")
        .env_remove("FAKE_XMATTERS_API_KEY")
        .env_remove("FAKE_XMATTERS_PROXY_PASSWORD")
        .args(arguments);
    command
}

fn run(arguments: &[&str]) -> Output {
    command(arguments).output().unwrap()
}

#[tokio::test]
async fn it_prints_each_request_and_the_counts_at_the_end() {
    let mut program = Program::start(&["--listen", "127.0.0.1:0", "--api-key", "k"]);
    let (addr, path) = program.trigger();
    assert!(path.ends_with("/triggers?apiKey=k"), "{path}");
    let mut raw = Raw::connect(addr).await;
    raw.post(&path, &form("0123456789")).await;
    assert_eq!(raw.answer().await.status, 202);
    let line = program.line();
    assert!(line.ends_with("Z  202 accepted    01234567 #1   LOW     t  -> r"), "{line}");
    let rest = program.stop(Signal::TERM);
    assert_eq!(rest, "requests 1 on 1 connections; accepted 1 of 1 alerts; repeats 0; suppressed 0\n");
}

#[tokio::test]
async fn it_is_quiet_when_told_and_ends_on_ctrl_c() {
    let mut program = Program::start(&["--listen", "127.0.0.1:0", "--quiet"]);
    let (addr, path) = program.trigger();
    let mut raw = Raw::connect(addr).await;
    raw.post(&path, &form("a")).await;
    raw.answer().await;
    assert!(program.stop(Signal::INT).starts_with("requests 1 "));
}

#[tokio::test]
async fn it_follows_a_script_from_a_file() {
    let script = std::env::temp_dir().join(format!("fake-xmatters-script-{}.json", std::process::id()));
    std::fs::write(&script, r#"[{"status":429,"retry_after":"3"}]"#).unwrap();
    let mut program = Program::start(&["--listen", "127.0.0.1:0", "--script", script.to_str().unwrap()]);
    let (addr, path) = program.trigger();
    std::fs::remove_file(&script).unwrap();
    let mut raw = Raw::connect(addr).await;
    raw.post(&path, "{}").await;
    assert_eq!(raw.answer().await.status, 429);
    program.stop(Signal::TERM);
}

#[tokio::test]
async fn it_speaks_tls_and_is_a_proxy_when_told() {
    let folder = std::env::temp_dir().join(format!("fake-xmatters-tls-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    let tls = ["--tls", folder.to_str().unwrap(), "--client-certificates"];
    let proxy = ["--proxy", "127.0.0.1:0", "--proxy-user", "u", "--proxy-password", "p"];
    let mut program = Program::start(&[&["--listen", "127.0.0.1:0"][..], &tls, &proxy].concat());
    assert!(program.line().starts_with("listening on 127.0.0.1:"));
    let url = program.line();
    assert!(url.starts_with("  https://127.0.0.1:"), "{url}");
    let authority = std::fs::read_to_string(folder.join("ca.pem")).unwrap();
    let client = std::fs::read_to_string(folder.join("client.pem")).unwrap();
    std::fs::remove_dir_all(&folder).unwrap();
    assert!(authority.starts_with("-----BEGIN CERTIFICATE-----") && client.contains("BEGIN PRIVATE KEY"));
    let proxy = program.line();
    let mut raw = Raw::connect(proxy.strip_prefix("the proxy is http://").unwrap().parse().unwrap()).await;
    raw.say("CONNECT 127.0.0.1:1 HTTP/1.1\r\n\r\n").await;
    assert_eq!(raw.answer().await.status, 407);
    program.stop(Signal::TERM);
}

#[test]
fn mistakes_are_named_with_their_cure() {
    #[track_caller]
    fn check(arguments: &[&str], code: i32, words: &[&str]) {
        let output = run(arguments);
        let text = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(code), "{text}");
        assert!(words.iter().all(|word| text.contains(word)), "{text}");
    }
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let addr = taken.local_addr().unwrap().to_string();
    check(&["--listen", &addr], 69, &["another program listens on", &addr, "--listen"]);
    check(&["--script", "/does/not/exist"], 66, &["cannot read the script /does/not/exist", "No such file"]);
    let no_script = concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml");
    check(&["--script", no_script], 65, &["is not usable", "line 1"]);
    check(&["--user", "u"], 2, &["--password"]);
    check(
        &["--listen", "127.0.0.1:0", "--tls", "/does/not/exist"],
        73,
        &["cannot write /does/not/exist/ca.pem"],
    );
    check(&["--fail-rate", "2"], 2, &["not between 0 and 1"]);
}
