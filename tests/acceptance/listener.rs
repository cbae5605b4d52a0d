//! The HTTP listener under those who hold it, listen in its place, or look for what is not theirs; and over TLS.

use std::fs::Permissions;
use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use fake_xmatters::{Answer, Authority, Identity};
use nightbell_tests::program::Worker;
use nightbell_tests::site::{EMBEDDED, Site, ids};
use nightbell_tests::wait;
use rustix::process::{Resource, Rlimit, Signal, getrlimit, setrlimit};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::sync::Mutex;
use tokio::time::timeout;

const JSON: &str = "application/json";
const TOKENS: [&str; 2] = ["9f86d081884c7d659a2feaa0c55ad015", "k3J9xQ2mVb7LwZ1pTn"];
/// What somebody begins a request with who does not mean to end it.
const BEGUN: [&str; 3] =
    ["", "POST /v1/events HTTP/1.1\r\nhost: x", "GET /healthz HTTP/1.1\r\nhost: localhost\r\n\r\n"];
const HELD: usize = 2000;

pub(crate) async fn two_thousand_idle_connections_and_few_file_handles_stop_nothing(
    url: String,
) -> Result<()> {
    let Rlimit { maximum, .. } = getrlimit(Resource::Nofile);
    setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum })?;
    let site = Site::new(&url).await?;
    let worker = Worker::start_with_handles(site.folder(), "nightbell.toml", "worker.log", 128)?;
    site.is_ready().await?;
    let at = address(&site)?;
    for (round, many) in [false, true].into_iter().enumerate() {
        let mut held = Vec::new();
        for number in 0..HELD {
            let host = if many { u8::try_from(2 + number % 200)? } else { 1 };
            held.push(hold(at, host, BEGUN[number % BEGUN.len()]).await?);
        }
        let ids = ids(&format!("held-{round}"), 20);
        for id in &ids {
            let event = format!(r#"{{"project":"shop","test":"{id}","id":"{id}"}}"#);
            let posted = timeout(Duration::from_secs(5), site.post("/v1/events", JSON, event));
            ensure!(posted.await.context("ingest starves")??.0 == 202);
            for path in ["/healthz", "/metrics", "/readyz"] {
                let asked = timeout(Duration::from_secs(5), site.get(path));
                ensure!(asked.await.with_context(|| format!("{path} starves"))??.0 == 200, "{path}");
            }
        }
        site.all_accepted(&ids).await?;
        site.accepted_once(&ids)?;
        ensure!(held.len() == HELD);
    }
    ensure!(!worker.log()?.contains("could not be accepted"), "{}", worker.log()?);
    ensure!(worker.terminate().await?.success());
    if url == EMBEDDED { Ok(()) } else { site.close().await }
}

/// A connection from 127.0.0.HOST with this much of a request on it.
async fn hold(at: SocketAddr, host: u8, begun: &str) -> Result<TcpStream> {
    let socket = TcpSocket::new_v4()?;
    socket.bind(SocketAddr::from(([127, 0, 0, host], 0)))?;
    let mut stream = socket.connect(at).await?;
    // It may have had to make room before it says anything.
    drop(stream.write_all(begun.as_bytes()).await);
    Ok(stream)
}

fn address(site: &Site) -> Result<SocketAddr> {
    site.url("").trim_start_matches("http://").parse().context("an address")
}

/// Puts these lines into the configuration's table `[http]`.
fn configure(site: &Site, lines: &str) -> Result<()> {
    let file = site.folder().join("nightbell.toml");
    let text = std::fs::read_to_string(&file)?;
    std::fs::write(&file, text.replace("[http]", &format!("[http]\n{lines}")))?;
    Ok(())
}

fn with_tokens(site: &Site) -> Result<()> {
    configure(site, &format!("ingest_token = \"{}\"\nadmin_token = \"{}\"", TOKENS[0], TOKENS[1]))
}

/// Listens where a worker would, answers everything with 200, and keeps what it hears.
async fn listen_as_a_stranger(at: SocketAddr) -> Result<Arc<Mutex<String>>> {
    let (listener, heard) = (TcpListener::bind(at).await?, Arc::new(Mutex::new(String::new())));
    let hears = Arc::clone(&heard);
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let hears = Arc::clone(&hears);
            tokio::spawn(async move {
                let mut scratch = [0; 4096];
                while let Ok(length @ 1..) = stream.read(&mut scratch).await {
                    hears.lock().await.push_str(&String::from_utf8_lossy(&scratch[..length]));
                    drop(stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 3\r\n\r\nok\n").await);
                }
            });
        }
    });
    Ok(heard)
}

pub(crate) async fn who_listens_in_a_dead_workers_place_hears_neither_token_nor_event(
    _: String,
) -> Result<()> {
    let site = Site::new(EMBEDDED).await?;
    with_tokens(&site)?;
    let worker = site.worker().await?;
    let ids = ids("own", 1);
    site.publish(&ids).await?;
    site.all_accepted(&ids).await?;
    ensure!(worker.terminate().await?.success());
    let heard = listen_as_a_stranger(address(&site)?).await?;
    // No worker has the file, so that it is opened, and nobody is asked.
    let publish = ["publish", "--project", "shop", "--test", "pays", "--timeout", "1s"];
    site.nightbell(&publish).await?.success()?;
    site.nightbell(&["dead", "list"]).await?.success()?;
    let ended = site.nightbell(&["status"]).await?;
    ensure!(ended.code == Some(69) && ended.stdout.contains("dead letters"), "{ended:?}");
    ensure!(heard.lock().await.is_empty(), "{heard:?}");
    // A worker has it that listens elsewhere, which makes a key anew.
    let elsewhere = nightbell_tests::site::free_port()?;
    site.configure("elsewhere.toml", "data", elsewhere, "")?;
    let worker = Worker::start(site.folder(), "elsewhere.toml", "elsewhere.log", "")?;
    wait::until("a worker elsewhere", || async {
        let ended = site.nightbell(&["--config", "elsewhere.toml", "health", "--ready"]).await.ok()?;
        (ended.code == Some(0)).then_some(())
    })
    .await?;
    for command in
        [&publish[..], &["dead", "list"], &["dead", "discard", "--yes"], &["status"], &["health", "--ready"]]
    {
        let ended = site.nightbell(command).await?;
        ensure!(matches!(ended.code, Some(69 | 75)), "{command:?}: {ended:?}");
        ensure!(ended.stderr.contains("is not known to be the worker of this configuration"), "{ended:?}");
    }
    let heard = heard.lock().await.clone();
    ensure!(heard.contains("GET /v1/proof"), "{heard}");
    for secret in [TOKENS[0], TOKENS[1], "pays", "discard"] {
        ensure!(!heard.contains(secret), "{secret} in {heard}");
    }
    ensure!(worker.terminate().await?.success());
    Ok(())
}

pub(crate) async fn dead_letters_are_discarded_only_when_they_are_named_or_all_are_meant(
    _: String,
) -> Result<()> {
    let site = Site::new(EMBEDDED).await?;
    site.fake.set_default(Answer::status(400));
    let worker = site.worker().await?;
    site.publish(&ids("dead", 2)).await?;
    wait::until("dead letters", || async { (site.dead().await.ok()?.len() == 2).then_some(()) }).await?;
    let discard = "/v1/dead-letters/discard";
    for (path, body) in [
        (discard.to_owned(), ""),
        (format!("{discard}?limit=1"), ""),
        (format!("{discard}?every=true"), ""),
        (format!("{discard}?all=true&reason=refused"), ""),
        (discard.to_owned(), r#"{"id":["none"]}"#),
        (format!("{discard}?all=true"), r#"{"id":["none"]}"#),
        ("/v1/dead-letters/replay".to_owned(), ""),
    ] {
        let (status, answer) = site.post(&path, JSON, body).await?;
        ensure!(status == 400 && answer.contains("hint"), "{path} {body}: {status} {answer}");
    }
    ensure!(site.dead().await?.len() == 2, "nothing was done");
    let (status, answer) = site.post(&format!("{discard}?all=true&limit=1"), JSON, "").await?;
    ensure!(status == 200 && answer.lines().count() == 1, "{status} {answer}");
    let said = site.nightbell(&["dead", "discard", "--yes"]).await?.success()?;
    ensure!(said == "discarded 1 dead letter\n", "{said}");
    ensure!(worker.terminate().await?.success());
    Ok(())
}

pub(crate) async fn weak_tokens_are_warned_of_by_check_and_once_by_run(_: String) -> Result<()> {
    let site = Site::new(EMBEDDED).await?;
    configure(&site, "ingest_token = \"changeme-changeme\"\nadmin_token = \"changeme-changeme\"")?;
    let ended = site.nightbell(&["check"]).await?;
    let warned = ended.stdout.matches("warn  http.").count();
    ensure!(ended.code == Some(0) && warned == 3, "{ended:?}");
    let worker = site.worker().await?;
    ensure!(worker.log()?.matches("it is the ingest token too").count() == 1, "{}", worker.log()?);
    ensure!(!worker.log()?.contains("changeme"), "{}", worker.log()?);
    ensure!(worker.terminate().await?.success());
    Ok(())
}

/// Writes a pair for the listener, as its configuration names it.
fn write_pair(folder: &Path, certificate: &str, key: &str) -> Result<()> {
    std::fs::write(folder.join("listener.pem"), certificate)?;
    std::fs::write(folder.join("listener-key.pem"), key)?;
    std::fs::set_permissions(folder.join("listener-key.pem"), Permissions::from_mode(0o600))?;
    Ok(())
}

pub(crate) async fn the_listener_speaks_tls_and_a_reload_takes_a_new_certificate(_: String) -> Result<()> {
    let site = Site::new(EMBEDDED).await?;
    with_tokens(&site)?;
    configure(&site, "tls = { certificate = \"listener.pem\", key = \"listener-key.pem\" }")?;
    let authority = Authority::new()?;
    let pair = |identity: &Identity| (identity.certificate_pem() + &authority.pem(), identity.key_pem());
    let [first, second] = [1, 2].map(|_| authority.server(&["worker.example"]));
    let ((certificate, key), (next, next_key)) = (pair(&first?), pair(&second?));
    write_pair(site.folder(), &certificate, &key)?;
    let worker = site.start("")?;
    let is_ready =
        async || site.nightbell(&["health", "--ready"]).await.ok().filter(|ended| ended.code == Some(0));
    wait::until("a worker that is ready", &is_ready)
        .await
        .with_context(|| worker.log().unwrap_or_default())?;
    let ids = ids("tls", 3);
    site.publish(&ids).await?;
    site.all_accepted(&ids).await?;
    for command in [&["status"][..], &["dead", "list"], &["check"]] {
        site.nightbell(command).await?.success()?;
    }
    // Whoever knows the authority is served, by name, and nobody is in plain text.
    let client = reqwest::Client::builder()
        .tls_certs_only([reqwest::Certificate::from_pem(authority.pem().as_bytes())?])
        .resolve("worker.example", address(&site)?)
        .build()?;
    let metrics = client.get(format!("https://worker.example:{}/metrics", address(&site)?.port()));
    let metrics = metrics.bearer_auth(TOKENS[1]).send().await?;
    ensure!(metrics.status() == 200, "{metrics:?}");
    ensure!(site.get("/healthz").await.is_err());

    // A key of another certificate changes nothing, and is said.
    write_pair(site.folder(), &certificate, &next_key)?;
    worker.signal(Signal::HUP)?;
    wait::until("a refusal", || async {
        worker.log().ok()?.contains("is not the key of the first certificate").then_some(())
    })
    .await?;
    site.nightbell(&["status"]).await?.success()?;
    // With a right pair, new connections have it.
    write_pair(site.folder(), &next, &next_key)?;
    let refused = site.nightbell(&["status"]).await?;
    ensure!(refused.code == Some(69) && refused.stderr.contains("shows another certificate"), "{refused:?}");
    worker.signal(Signal::HUP)?;
    wait::until("the new certificate", &is_ready).await?;
    ensure!(worker.terminate().await?.success());
    Ok(())
}

pub(crate) async fn a_certificate_that_can_not_be_served_is_named_with_its_cure(_: String) -> Result<()> {
    let site = Site::new(EMBEDDED).await?;
    configure(&site, "tls = { certificate = \"listener.pem\", key = \"listener-key.pem\" }")?;
    let authority = Authority::new()?;
    let [one, other, ended] = [
        authority.server(&["worker.example"])?,
        authority.server(&["worker.example"])?,
        authority.expired_server(&["worker.example"])?,
    ];
    let key_file = site.folder().join("listener-key.pem");
    let check = async |wants: [&str; 3]| -> Result<()> {
        let found = site.nightbell(&["check"]).await?;
        let said = format!("{}{}", found.stdout, found.stderr);
        let is_said = wants.iter().all(|want| said.contains(want));
        ensure!(found.code == Some(78) && is_said, "{wants:?}: {found:?}");
        Ok(())
    };
    check(["http.tls.certificate", "listener.pem", "can't be read"]).await?;
    write_pair(site.folder(), &one.certificate_pem(), &other.key_pem())?;
    check(["http.tls.key", "listener-key.pem", "issued together"]).await?;
    write_pair(site.folder(), &one.certificate_pem(), "no key")?;
    check(["http.tls.key", "listener-key.pem", "no private key"]).await?;
    write_pair(site.folder(), "no certificate", &one.key_pem())?;
    check(["http.tls.certificate", "listener.pem", "no certificate"]).await?;
    write_pair(site.folder(), &one.certificate_pem(), &one.key_pem())?;
    std::fs::set_permissions(&key_file, Permissions::from_mode(0o644))?;
    check(["http.tls.key", "listener-key.pem", "chmod 600"]).await?;
    write_pair(site.folder(), &ended.certificate_pem(), &ended.key_pem())?;
    check(["FAIL  http.tls.certificate", "has ended", "SIGHUP"]).await?;
    // A certificate without its intermediates is served, and warned of.
    write_pair(site.folder(), &one.certificate_pem(), &one.key_pem())?;
    let found = site.nightbell(&["check"]).await?;
    ensure!(found.code == Some(0) && found.stdout.contains("append the intermediate"), "{found:?}");
    Ok(())
}
