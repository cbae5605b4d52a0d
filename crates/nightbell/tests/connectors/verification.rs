//! A connector that does not check certificates says so at every start, and in the metrics.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::process::{Child, Stdio};

use crate::support::{Site, free_port};

/// Ends the program whatever the test does.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        drop(self.0.kill());
        drop(self.0.wait());
    }
}

fn metrics(port: u16) -> String {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
    stream.write_all(b"GET /metrics HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n").unwrap();
    let mut text = String::new();
    stream.read_to_string(&mut text).unwrap();
    text
}

#[test]
fn a_mode_other_than_full_warns_at_the_start_and_shows_in_the_metrics() {
    let port = free_port();
    let connector = |name: &str, mode: &str| {
        format!(
            "[[connectors]]\nname = \"{name}\"\ntrigger_url = \"https://acme.xmatters.com/x\"\nusername = \"u\"\n\
             password = \"p\"\nrecipients = []\ntls.verification = \"{mode}\"\n"
        )
    };
    let connectors =
        ["full", "certificate", "none"].map(|mode| connector(&format!("to-{mode}"), mode)).concat();
    let site = Site::with(&format!("[http]\nlisten = \"127.0.0.1:{port}\"\n{connectors}"));
    let mut command = site.command(&["run"]);
    let mut running = Running(command.stderr(Stdio::piped()).spawn().unwrap());
    let log = BufReader::new(running.0.stderr.take().unwrap()).lines().map(Result::unwrap);
    let mut lines = Vec::new();
    for line in log {
        let is_up = line.contains("nightbell runs");
        lines.push(line);
        if is_up {
            break;
        }
    }
    let warned =
        |name: &str| lines.iter().filter(|line| line.contains("WARN") && line.contains(name)).count();
    assert_eq!(["to-full", "to-certificate", "to-none"].map(warned), [0, 1, 1], "{lines:#?}");

    let metrics = metrics(port);
    for (connector, mode, value) in [
        ("to-full", "full", 1),
        ("to-full", "none", 0),
        ("to-certificate", "certificate", 1),
        ("to-none", "none", 1),
        ("to-none", "full", 0),
    ] {
        let line =
            format!("nightbell_tls_verification{{connector=\"{connector}\",mode=\"{mode}\"}} {value}\n");
        assert!(metrics.contains(&line), "`{line}` is missing: {metrics}");
    }
    assert!(metrics.contains("# HELP nightbell_tls_verification "), "{metrics}");
}
