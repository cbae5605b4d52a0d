//! The way to a broker: TLS, several hosts, a user of its own; and what is said when it is blocked.

use std::net::Ipv4Addr;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use fake_xmatters::{Authority, Identity};
use nightbell_tests::node::{Extras, RabbitNode};
use nightbell_tests::program::Ended;
use nightbell_tests::site::{EMBEDDED, Site, free_port, ids};
use nightbell_tests::wait;
use tokio::net::{TcpSocket, TcpStream};
use tokio::time::{Instant, timeout};

/// Where brokers are reached.
const HERE: &[&str] = &["127.0.0.1"];

/// A port that accepts a TCP connection at once does so within this time.
const ACCEPTS_WITHIN: Duration = Duration::from_millis(500);

/// A node with a TLS port besides the plain one, and that port.
async fn node_with_tls(
    authority: &Authority,
    identity: &Identity,
    is_demanding: bool,
) -> Result<(RabbitNode, u16)> {
    let port = free_port()?;
    let verify = if is_demanding { "verify_peer" } else { "verify_none" };
    let settings = format!(
        "listeners.ssl.1 = 127.0.0.1:{port}\n\
         ssl_options.cacertfile = FOLDER/ca.pem\n\
         ssl_options.certfile = FOLDER/server.pem\n\
         ssl_options.keyfile = FOLDER/server-key.pem\n\
         ssl_options.verify = {verify}\n\
         ssl_options.fail_if_no_peer_cert = {is_demanding}\n"
    );
    let files = vec![
        ("ca.pem", authority.pem()),
        ("server.pem", identity.certificate_pem()),
        ("server-key.pem", identity.key_pem()),
    ];
    Ok((RabbitNode::start_with(&Extras { settings, files, ..Extras::default() }).await?, port))
}

fn url(scheme: &str, host: &str, port: u16) -> String {
    format!("{scheme}://guest:guest@{host}:{port}/%2f")
}

/// The examination fails with this and its cure, once, and with no line of a library's.
async fn fails_with(site: &Site, said: &str) -> Result<()> {
    let ended = site.nightbell(&["check", "--online"]).await?;
    ensure!(ended.code == Some(69), "{ended:?}");
    for part in said.split("; ") {
        ensure!(ended.stdout.matches(part).count() == 1, "`{part}` is not once in {ended:?}");
    }
    ensure!(!ended.stdout.contains("does not speak AMQP") && !ended.stderr.contains("verif"), "{ended:?}");
    Ok(())
}

/// A worker delivers, a publisher publishes, and an operator reads the dead letters.
async fn works(site: &Site, event: &str) -> Result<()> {
    let worker = site.worker().await?;
    let ids = ids(event, 3);
    site.publish(&ids).await?;
    site.all_accepted(&ids).await?;
    ensure!(site.dead().await?.is_empty());
    let checked = site.nightbell(&["check", "--online"]).await?;
    ensure!(checked.stdout.contains("ok    topology"), "{checked:?}");
    ensure!(worker.terminate().await?.success());
    Ok(())
}

pub(crate) async fn a_broker_of_a_private_authority_is_reached_by_its_ca_file(_: String) -> Result<()> {
    let authority = Authority::new()?;
    let (_node, port) = node_with_tls(&authority, &authority.server(HERE)?, false).await?;
    let site = Site::new(&url("amqps", "127.0.0.1", port)).await?;
    let cure = "shows a certificate that no trusted authority signed; name a file with its authority's certificate as \
                `queue.ca_file`";
    fails_with(&site, cure).await?;
    let worker = site.start("")?;
    wait::until("a worker that says the cure", || async { worker.log().ok()?.contains(cure).then_some(()) })
        .await?;
    let log = worker.log()?;
    ensure!(
        !log.contains("platform_verifier") && !log.contains("failed to verify"),
        "a library's line: {log}"
    );
    worker.kill9().await?;
    std::fs::write(site.folder().join("ca.pem"), authority.pem())?;
    let site = site.with_queue("ca_file = \"ca.pem\"")?;
    works(&site, "private").await?;

    // Without a configuration file; and from the embedded queue.
    let to = url("amqps", "127.0.0.1", port);
    let flags = ["--queue-url", &to, "--queue-ca-file", "ca.pem", "--prefix", site.prefix()];
    let publish =
        [&["publish", "--project", "shop", "--test", "by flags", "--timeout", "5s"], &flags[..]].concat();
    site.nightbell(&publish).await?.success()?;
    let embedded = Site::new(EMBEDDED).await?;
    embedded.nightbell(&["publish", "--project", "shop", "--test", "moved"]).await?.success()?;
    std::fs::write(embedded.folder().join("ca.pem"), authority.pem())?;
    let drain = ["queue", "drain", "--to", &to, "--queue-ca-file", "ca.pem", "--prefix", site.prefix()];
    let moved = embedded.nightbell(&drain).await?.success()?;
    ensure!(moved.contains("moved 1 alert"), "{moved}");
    Ok(())
}

pub(crate) async fn a_broker_that_wants_a_client_certificate_gets_ours(_: String) -> Result<()> {
    let (authority, stranger) = (Authority::new()?, Authority::new()?);
    let (_node, port) = node_with_tls(&authority, &authority.server(HERE)?, true).await?;
    let site = Site::new(&url("amqps", "127.0.0.1", port)).await?;
    std::fs::write(site.folder().join("ca.pem"), authority.pem())?;
    let site = site.with_queue("ca_file = \"ca.pem\"")?;
    let wants =
        "asks for a certificate of ours; name files with it and its key as `queue.client_certificate`";
    fails_with(&site, wants).await?;
    let worker = site.start("")?;
    wait::until("a worker that says the cure", || async { worker.log().ok()?.contains(wants).then_some(()) })
        .await
        .with_context(|| worker.log().unwrap_or_default())?;
    worker.kill9().await?;

    let site = site.with_queue("client_certificate = \"client.pem\"\nclient_key = \"client-key.pem\"")?;
    let show = |identity: &Identity| -> Result<()> {
        std::fs::write(site.folder().join("client.pem"), identity.certificate_pem())?;
        Ok(std::fs::write(site.folder().join("client-key.pem"), identity.key_pem())?)
    };
    show(&stranger.client("nightbell")?)?;
    fails_with(&site, "does not take the certificate in `queue.client_certificate`").await?;
    show(&authority.client("nightbell")?)?;
    works(&site, "demanding").await
}

pub(crate) async fn tls_on_a_plain_port_and_the_reverse_are_named(_: String) -> Result<()> {
    let authority = Authority::new()?;
    let (node, port) = node_with_tls(&authority, &authority.server(HERE)?, false).await?;
    for (url, said) in [
        (url("amqps", "127.0.0.1", node.port()), "does not speak TLS; write its TLS port into `queue.url`"),
        (url("amqp", "127.0.0.1", port), "speaks TLS; write `amqps://` in place of `amqp://`"),
    ] {
        let site = Site::new(&url).await?;
        fails_with(&site, said).await?;
        let worker = site.start("")?;
        wait::until(said, || async { worker.log().ok()?.contains(said).then_some(()) })
            .await
            .with_context(|| worker.log().unwrap_or_default())?;
        worker.kill9().await?;
    }
    Ok(())
}

pub(crate) async fn a_certificate_for_another_name_is_named(_: String) -> Result<()> {
    let authority = Authority::new()?;
    for (identity, said) in [
        (authority.server(&["rabbit.example"])?, "shows a certificate for another name"),
        (authority.expired_server(HERE)?, "shows a certificate that is not valid at this time"),
    ] {
        let (_node, port) = node_with_tls(&authority, &identity, false).await?;
        let site = Site::new(&url("amqps", "127.0.0.1", port)).await?;
        std::fs::write(site.folder().join("ca.pem"), authority.pem())?;
        let site = site.with_queue("ca_file = \"ca.pem\"")?;
        fails_with(&site, said).await?;
    }
    Ok(())
}

/// A port whose backlog is full: the kernel lets every further connection wait without an answer.
struct Swallowing {
    port: u16,
    _listener: tokio::net::TcpListener,
    _waiting: Vec<TcpStream>,
}

impl Swallowing {
    async fn start() -> Result<Self> {
        let socket = TcpSocket::new_v4()?;
        socket.bind((Ipv4Addr::LOCALHOST, 0).into())?;
        let listener = socket.listen(0)?;
        let port = listener.local_addr()?.port();
        let mut waiting = Vec::new();
        while let Ok(accepted) =
            timeout(ACCEPTS_WITHIN, TcpStream::connect((Ipv4Addr::LOCALHOST, port))).await
        {
            waiting.push(accepted?);
        }
        Ok(Self { port, _listener: listener, _waiting: waiting })
    }
}

pub(crate) async fn a_host_that_swallows_everything_keeps_nobody_from_the_next(url: String) -> Result<()> {
    let (swallowing, rest) = (Swallowing::start().await?, url.split_once('@').context("a user")?.1);
    let dead = format!("127.0.0.1:{}", swallowing.port);
    let both = format!("amqp://guest:guest@{dead},{rest}");
    let site = Site::new(&both).await?;
    let worker = site.worker().await?;
    // In any order: one of these begins with the host that swallows, as good as surely.
    for number in 0..6 {
        let (start, test) = (Instant::now(), format!("test {number}"));
        site.nightbell(&["publish", "--project", "shop", "--test", &test]).await?.success()?;
        ensure!(start.elapsed() < Duration::from_secs(15), "{:?}", start.elapsed());
    }
    let checked = site.nightbell(&["check", "--online"]).await?;
    ensure!(checked.code == Some(0), "{checked:?}");
    ensure!(checked.stdout.contains(&format!("warn  broker: no connection to {dead}")), "{checked:?}");
    ensure!(
        checked.stdout.contains(&format!("at {}", rest.split('/').next().unwrap_or_default())),
        "{checked:?}"
    );
    ensure!(worker.terminate().await?.success());
    site.moved_to(&url)?.close().await
}

/// How long it takes until the worker's readiness is this.
async fn until_ready(site: &Site, ready: bool) -> Result<Duration> {
    let start = Instant::now();
    wait::until(if ready { "a ready worker" } else { "a worker that is not ready" }, || async {
        let status = site.get("/readyz").await.ok()?.0;
        ((status == 200) == ready).then_some(())
    })
    .await?;
    Ok(start.elapsed())
}

pub(crate) async fn a_frozen_broker_shows_in_readyz_and_is_left_for_the_next_host(_: String) -> Result<()> {
    let (node, mut other) = (RabbitNode::start().await?, RabbitNode::start().await?);
    let both = format!("amqp://guest:guest@127.0.0.1:{},127.0.0.1:{}/%2f", node.port(), other.port());
    let site = Site::new(&both).await?;
    other.kill9().await?;
    let worker = site.worker().await?;

    node.pause()?;
    let told = until_ready(&site, false).await.with_context(|| worker.log().unwrap_or_default())?;
    ensure!(told < Duration::from_secs(15), "{told:?}");
    let body = site.get("/readyz").await?.1;
    ensure!(body.contains("the broker has not answered for") || body.contains("eartbeat"), "{body}");
    node.resume()?;
    let back = until_ready(&site, true).await?;

    other.restart().await?;
    node.pause()?;
    let start = Instant::now();
    until_ready(&site, false).await?;
    until_ready(&site, true).await.with_context(|| worker.log().unwrap_or_default())?;
    let moved = start.elapsed();
    let ids = ids("moved", 2);
    site.publish(&ids).await?;
    site.all_accepted(&ids).await?;
    println!("told after {told:?}, back after {back:?}, on the next host after {moved:?}");
    ensure!(moved < Duration::from_secs(40), "{moved:?}");
    ensure!(worker.terminate().await?.success());
    Ok(())
}

pub(crate) async fn a_password_of_its_own_needs_no_escaping_and_one_that_breaks_the_url_is_told(
    _: String,
) -> Result<()> {
    const PASSWORD: &str = "pl/an%41te#d?@:pass";
    let node = RabbitNode::start().await?;
    node.ctl(&["add_user", "odd", PASSWORD]).await?;
    node.ctl(&["set_permissions", "odd", ".*", ".*", ".*"]).await?;
    let place = format!("127.0.0.1:{}/%2f", node.port());
    let site = Site::new(&format!("amqp://{place}")).await?;
    let site = site.with_queue(&format!("username = \"odd\"\npassword = \"{PASSWORD}\""))?;
    works(&site, "odd").await?;

    let shows_nothing = |ended: &Ended| {
        let said = format!("{ended:?}");
        ["pl/an", "41te", "pass\""].iter().all(|part| !said.contains(part))
    };
    let broken = Site::new(&format!("amqp://odd:{PASSWORD}@{place}")).await?;
    let told = broken.nightbell(&["check"]).await?;
    ensure!(told.code == Some(78) && told.stderr.contains("`queue.password`"), "{told:?}");
    ensure!(shows_nothing(&told), "{told:?}");
    let url = format!("amqp://odd:{PASSWORD}@{place}");
    let told = broken.nightbell(&["publish", "--project", "p", "--test", "t", "--queue-url", &url]).await?;
    ensure!(told.code == Some(78) && told.stderr.contains("%2F"), "{told:?}");
    ensure!(shows_nothing(&told), "{told:?}");
    Ok(())
}
