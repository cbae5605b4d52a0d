//! The stand-in as a program, for demos, benchmarks and tests by hand.

mod show;

use std::error::Error;
use std::io::{self, Write as _};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use clap::Parser;
use fake_xmatters::{
    Answer, Auth, Authority, BadAnswer, FakeProxy, FakeXmatters, OAuth2, ProxySettings, Rates, Recorded,
    Settings, StartError, Tls, answers_from_json,
};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::{broadcast, oneshot};
use tokio::time::timeout;

/// Exit codes of sysexits.h.
const EX_DATAERR: u8 = 65;
const EX_NOINPUT: u8 = 66;
const EX_UNAVAILABLE: u8 = 69;
const EX_OSERR: u8 = 71;
const EX_CANTCREAT: u8 = 73;

/// How long a slow terminal may take for the last lines.
const LAST_LINES_MAX: Duration = Duration::from_secs(2);

/// A stand-in for the inbound triggers of xMatters.
///
/// Takes POST requests to /api/integration/1/functions/ID/triggers and answers 202 with a requestId, or what it is
/// told to. Prints one line per request; Ctrl-C prints the counts and ends it. Other programs read the counts with
/// GET /_fake/summary and GET /_fake/accepted, and change the answers with POST /_fake/script and /_fake/default.
#[derive(Debug, Parser)]
#[command(version)]
struct Args {
    /// Where to listen; port 0 takes a free one
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:8480")]
    listen: SocketAddr,

    /// Ask for this user, by HTTP Basic
    #[arg(long, requires = "password", conflicts_with = "api_key")]
    user: Option<String>,

    /// The user's password
    #[arg(long, requires = "user", env = "FAKE_XMATTERS_PASSWORD", hide_env_values = true)]
    password: Option<String>,

    /// Ask for this key in the URL
    #[arg(long, value_name = "KEY", env = "FAKE_XMATTERS_API_KEY", hide_env_values = true)]
    api_key: Option<String>,

    /// Give OAuth2 tokens to this client id, for --user and --password, and ask for them in place of the password
    #[arg(long, value_name = "ID", requires = "user")]
    oauth2_client: Option<String>,

    /// How long a token is said to be good, in seconds
    #[arg(long, value_name = "SECONDS", default_value_t = 3600, requires = "oauth2_client")]
    token_life: u64,

    /// Speak TLS with certificates that are made for this run; puts ca.pem and client.pem into this folder
    #[arg(long, value_name = "FOLDER")]
    tls: Option<PathBuf>,

    /// Ask callers for a certificate of the same authority, such as client.pem
    #[arg(long, requires = "tls")]
    client_certificates: bool,

    /// Be a proxy as well, at this address; port 0 takes a free one
    #[arg(long, value_name = "ADDRESS")]
    proxy: Option<SocketAddr>,

    /// Ask the proxy's callers for this user, by HTTP Basic
    #[arg(long, value_name = "USER", requires_all = ["proxy", "proxy_password"])]
    proxy_user: Option<String>,

    /// The proxy user's password
    #[arg(
        long,
        value_name = "PASSWORD",
        requires = "proxy_user",
        env = "FAKE_XMATTERS_PROXY_PASSWORD",
        hide_env_values = true
    )]
    proxy_password: Option<String>,

    /// A function that exists; may be repeated. Without it all do
    #[arg(long = "function", value_name = "ID")]
    functions: Vec<String>,

    /// The part of the requests to answer 503, from 0 to 1
    #[arg(long, value_name = "PART", default_value_t = 0.0, value_parser = part)]
    fail_rate: f64,

    /// The part of the requests to cut off without an answer, from 0 to 1
    #[arg(long, value_name = "PART", default_value_t = 0.0, value_parser = part)]
    cut_rate: f64,

    /// The seed of the chance behind the rates
    #[arg(long, default_value_t = 0)]
    seed: u64,

    /// The first answers, from a file with a JSON array such as [{"status":503,"retry_after":"5"},{"kind":"reset"}]
    ///
    /// Each is an object with any of: status, headers, retry_after, body, delay_ms, kind, and taken (whether it counts
    /// as accepted whatever the caller sees). A kind is one of whole, half_then_close, half_head_then_close, close,
    /// reset, garbage, hang, and slow_bytes with slow_bytes and slow_every_ms.
    #[arg(long, value_name = "FILE")]
    script: Option<PathBuf>,

    /// Swallow, as xMatters does, more than 4 alerts a minute of one trigger for the same recipients
    #[arg(long)]
    flood_control: bool,

    /// Print no line per request
    #[arg(long, short)]
    quiet: bool,
}

/// Why it could not run.
#[derive(Debug, thiserror::Error)]
enum Failure {
    #[error("cannot read the script {}", path.display())]
    ReadScript { path: PathBuf, source: io::Error },
    #[error("the script {} is not usable", path.display())]
    BadScript { path: PathBuf, source: BadAnswer },
    #[error("{source}; choose another place with --listen")]
    Start { source: StartError },
    #[error("cannot make certificates")]
    Certificates { source: Box<dyn Error> },
    #[error("cannot write {}", path.display())]
    WritePem { path: PathBuf, source: io::Error },
    #[error("cannot wait for signals")]
    Signals { source: io::Error },
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    match run(Args::parse()).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            let deepest = |error: &dyn Error| show::deepest(error);
            match &failure {
                // Its own text has the cause already, but for what the system said.
                Failure::Start { source } => eprintln!("fake-xmatters: {failure} ({})", deepest(source)),
                Failure::ReadScript { .. }
                | Failure::BadScript { .. }
                | Failure::Certificates { .. }
                | Failure::WritePem { .. }
                | Failure::Signals { .. } => {
                    eprintln!("fake-xmatters: {failure}: {}", deepest(&failure));
                }
            }
            ExitCode::from(failure.exit_code())
        }
    }
}

impl Failure {
    fn exit_code(&self) -> u8 {
        match self {
            Self::ReadScript { .. } => EX_NOINPUT,
            Self::BadScript { .. } => EX_DATAERR,
            Self::Start { .. } => EX_UNAVAILABLE,
            Self::WritePem { .. } => EX_CANTCREAT,
            Self::Certificates { .. } | Self::Signals { .. } => EX_OSERR,
        }
    }
}

async fn run(args: Args) -> Result<(), Failure> {
    let script = read_script(args.script.clone())?;
    let quiet = args.quiet;
    let mut terminate = signal(SignalKind::terminate()).map_err(|source| Failure::Signals { source })?;
    let mut interrupt = signal(SignalKind::interrupt()).map_err(|source| Failure::Signals { source })?;
    let proxy = proxy(&args).await?;
    let tls = tls(&args)?;
    let settings = Settings { tls, ..settings(args) };
    let fake = FakeXmatters::start(settings).await.map_err(|source| Failure::Start { source })?;
    fake.script(script);
    say(&format!("listening on {}; the trigger URL is\n  {}", fake.addr(), fake.trigger_url()));
    if let Some(proxy) = &proxy {
        say(&format!("the proxy is {}", proxy.url()));
    }
    let printer = (!quiet).then(|| print_requests(fake.subscribe()));
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
    let summary = fake.stop().await;
    if let Some(printer) = printer {
        timeout(LAST_LINES_MAX, printer).await.ok();
    }
    say(&show::summary(&summary));
    Ok(())
}

async fn proxy(args: &Args) -> Result<Option<FakeProxy>, Failure> {
    let Some(listen) = args.proxy else { return Ok(None) };
    let credentials = args.proxy_user.clone().zip(args.proxy_password.clone());
    let proxy = FakeProxy::start(ProxySettings { listen, credentials, ..ProxySettings::default() }).await;
    Ok(Some(proxy.map_err(|source| Failure::Start { source })?))
}

/// Makes an authority and its certificates, and writes down what callers need of them.
fn tls(args: &Args) -> Result<Option<Tls>, Failure> {
    let Some(folder) = &args.tls else { return Ok(None) };
    let make = || -> Result<_, Box<dyn Error>> {
        let authority = Authority::new()?;
        let listen = args.listen.ip().to_string();
        let server = authority.server(&["localhost", "127.0.0.1", &listen])?;
        let tls =
            if args.client_certificates { Tls::demanding(&server, &authority)? } else { Tls::new(&server)? };
        Ok((tls, authority.pem(), authority.client("caller")?.pem()))
    };
    let (tls, ca, client) = make().map_err(|source| Failure::Certificates { source })?;
    for (name, pem) in [("ca.pem", ca), ("client.pem", client)] {
        let path = folder.join(name);
        std::fs::write(&path, pem).map_err(|source| Failure::WritePem { path, source })?;
    }
    Ok(Some(tls))
}

fn settings(args: Args) -> Settings {
    let auth = match (args.user, args.password, args.api_key) {
        (Some(username), Some(password), _) if args.oauth2_client.is_some() => Auth::OAuth2(OAuth2 {
            client_id: args.oauth2_client.unwrap_or_default(),
            username,
            password,
            refresh_token: "refresh".into(),
            expires_in_s: args.token_life,
            rotates: true,
        }),
        (Some(user), Some(password), _) => Auth::Basic { user, password },
        (_, _, Some(api_key)) => Auth::Url { api_key },
        (_, _, None) => Auth::None,
    };
    Settings {
        listen: args.listen,
        auth,
        functions: args.functions,
        rates: Rates { fail: args.fail_rate, cut: args.cut_rate, seed: args.seed },
        flood_control: args.flood_control,
        ..Settings::default()
    }
}

fn read_script(path: Option<PathBuf>) -> Result<Vec<Answer>, Failure> {
    let Some(path) = path else { return Ok(Vec::new()) };
    match std::fs::read(&path) {
        Ok(json) => answers_from_json(&json).map_err(|source| Failure::BadScript { path, source }),
        Err(source) => Err(Failure::ReadScript { path, source }),
    }
}

/// Prints on a thread of its own: a slow terminal must not slow the answers. The receiver is told when it is done.
fn print_requests(mut feed: broadcast::Receiver<Arc<Recorded>>) -> oneshot::Receiver<()> {
    let (done, printed) = oneshot::channel();
    std::thread::spawn(move || {
        loop {
            match feed.blocking_recv() {
                Ok(request) => say(&show::request(&request)),
                Err(broadcast::error::RecvError::Lagged(missed)) => {
                    say(&format!("… {missed} more requests, which came faster than they could be printed"));
                }
                Err(broadcast::error::RecvError::Closed) => break,
            }
        }
        // It fails only when nobody waits for it any more.
        done.send(()).ok();
    });
    printed
}

/// Prints a line and flushes it. Nobody may be listening any more, and that is no reason to stop answering.
fn say(line: &str) {
    let mut out = io::stdout().lock();
    writeln!(out, "{line}").and_then(|()| out.flush()).ok();
}

fn part(text: &str) -> Result<f64, String> {
    let part: f64 = text.parse().map_err(|_| "not a number".to_owned())?;
    if (0.0..=1.0).contains(&part) { Ok(part) } else { Err("not between 0 and 1".to_owned()) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory as _;

    #[test]
    fn the_arguments_fit_together() {
        Args::command().debug_assert();
        for bad in [
            "--user=u",
            "--user=u --password=p --api-key=k",
            "--oauth2-client=c",
            "--proxy-user=u",
            "--client-certificates",
            "--fail-rate=1.5",
            "--cut-rate=x",
            "--listen=a",
        ] {
            let words = std::iter::once("fake-xmatters").chain(bad.split(' '));
            assert!(Args::try_parse_from(words).is_err(), "{bad}");
        }
    }

    #[test]
    fn the_arguments_become_settings() {
        let words = [
            "fake-xmatters",
            "--user=u",
            "--password=p",
            "--fail-rate=0.5",
            "--function=f",
            "--flood-control",
        ];
        let settings = settings(Args::try_parse_from(words).unwrap());
        assert_eq!(settings.auth, Auth::Basic { user: "u".into(), password: "p".into() });
        assert_eq!((settings.rates.fail, settings.functions.len(), settings.flood_control), (0.5, 1, true));
        let words = ["fake-xmatters", "--user=u", "--password=p", "--oauth2-client=c", "--token-life=9"];
        let tokens = super::settings(Args::try_parse_from(words).unwrap()).auth;
        assert!(matches!(tokens, Auth::OAuth2(OAuth2 { expires_in_s: 9, .. })), "{tokens:?}");
    }
}
