//! The way to a destination: TLS with a private authority, client certificates, proxies, tokens; in the working form and in
//! each broken one.

use anyhow::{Context as _, Result, ensure};
use fake_xmatters::{
    Answer, Auth, Authority, FakeProxy, FakeXmatters, OAuth2, ProxySettings, Settings, Tls, TokenCounts,
};
use nightbell_tests::program::Worker;
use nightbell_tests::site::{EMBEDDED, PASSWORD, Site, USER, alert, ids};
use nightbell_tests::wait;
use rustix::process::Signal;

/// Where stand-ins are reached.
const HERE: &[&str] = &["127.0.0.1"];

fn basic() -> Auth {
    Auth::Basic { user: USER.into(), password: PASSWORD.into() }
}

fn by_token() -> Auth {
    Auth::OAuth2(OAuth2 {
        client_id: "nightbell-client".into(),
        username: USER.into(),
        password: PASSWORD.into(),
        refresh_token: "a-refresh-token".into(),
        expires_in_s: 3_600,
        rotates: false,
    })
}

/// A site whose stand-in speaks TLS.
async fn site(tls: Tls) -> Result<Site> {
    let settings = Settings { auth: basic(), tls: Some(tls), ..Settings::default() };
    Site::with(EMBEDDED, FakeXmatters::start(settings).await?)
}

/// Writes a file beside the configuration, and gives `key = "its path"`.
fn file(site: &Site, key: &str, name: &str, text: &str) -> Result<String> {
    let path = site.folder().join(name);
    std::fs::write(&path, text)?;
    Ok(format!("{key} = \"{}\"\n", path.display()))
}

/// An alert that can't be delivered says so in the log; and arrives once the configuration is mended.
async fn is_mended(site: &Site, broken: &str, said: &str, sound: &str) -> Result<()> {
    site.configure_more(broken)?;
    let worker = site.worker().await?;
    let ids = ids(&format!("mended-after-{}", site.fake.accepted_count()), 1);
    site.publish(&ids).await?;
    logged(&worker, said).await?;
    ensure!(site.accepted(&ids)[&ids[0]] == 0);
    site.configure_more(sound)?;
    worker.signal(Signal::HUP)?;
    logged(&worker, "was reloaded").await?;
    site.all_accepted(&ids).await?;
    site.conserves(&ids, 0).await?;
    ensure!(site.accepted(&ids)[&ids[0]] == 1);
    ensure!(worker.terminate().await?.success());
    Ok(())
}

async fn logged(worker: &Worker, said: &str) -> Result<()> {
    let heard = wait::until("a log line", || async { worker.log().ok()?.contains(said).then_some(()) }).await;
    heard.with_context(|| format!("`{said}` is not in:\n{}", worker.log().unwrap_or_default()))
}

pub(crate) async fn a_private_authority_is_trusted_when_it_is_named(_: String) -> Result<()> {
    let authority = Authority::new()?;
    let site = site(Tls::new(&authority.server(HERE)?)?).await?;
    let other = file(&site, "ca_file", "other.pem", &Authority::new()?.pem())?;
    let own = file(&site, "ca_file", "ca.pem", &authority.pem())?;
    let said = "certificate not trusted: its issuer is not known";
    is_mended(&site, "", said, &own).await?;
    is_mended(&site, &other, said, &own).await
}

pub(crate) async fn an_authority_that_can_not_be_read_is_an_error_at_the_start(_: String) -> Result<()> {
    let site = Site::new(EMBEDDED).await?;
    let empty = file(&site, "ca_file", "empty.pem", "")?;
    for (more, said) in [("ca_file = \"missing.pem\"", "missing.pem"), (&empty, "empty.pem")] {
        site.configure_more(more)?;
        let ended = site.nightbell(&["run"]).await?;
        ensure!(ended.code == Some(78), "{ended:?}");
        ensure!(ended.stderr.contains("ca_file") && ended.stderr.contains(said), "{ended:?}");
    }
    Ok(())
}

pub(crate) async fn an_expired_certificate_and_a_wrong_name_are_refused(_: String) -> Result<()> {
    let authority = Authority::new()?;
    let expired = site(Tls::new(&authority.expired_server(HERE)?)?).await?;
    let ca = file(&expired, "ca_file", "ca.pem", &authority.pem())?;
    // Without any check it is taken, and that is said.
    let unchecked = "tls = { verification = \"none\" }";
    is_mended(&expired, &ca, "expired", unchecked).await?;

    let misnamed = site(Tls::new(&authority.server(&["xmatters.example"])?)?).await?;
    let ca = file(&misnamed, "ca_file", "ca.pem", &authority.pem())?;
    let by_chain = format!("{ca}tls = {{ verification = \"certificate\" }}");
    is_mended(&misnamed, &ca, "it is made out to another name", &by_chain).await?;
    let worker = misnamed.worker().await?;
    logged(&worker, "WARN").await?;
    let series = "nightbell_tls_verification{connector=\"sre\",mode=\"certificate\"}";
    ensure!(misnamed.metric(series).await? > 0.5, "{}", misnamed.get("/metrics").await?.1);
    Ok(())
}

pub(crate) async fn the_end_of_a_certificate_shows_before_an_alert_needs_it(_: String) -> Result<()> {
    const DAY_S: f64 = 86_400.0;
    let series = "nightbell_tls_certificate_expiry_timestamp_seconds{connector=\"sre\"}";
    let authority = Authority::new()?;
    let cases = [(authority.server_until(HERE, 5)?, 4.0, 6.0), (authority.expired_server(HERE)?, -1e6, 0.0)];
    for (identity, from, to) in cases {
        let site = site(Tls::new(&identity)?).await?;
        site.configure_more(&file(&site, "ca_file", "ca.pem", &authority.pem())?)?;
        let worker = site.worker().await?;
        let seen = wait::until("the certificate's end", || async {
            site.metric(series).await.ok().filter(|end| *end > 0.5)
        });
        let end = seen.await?;
        let days = (end - site.metric("process_start_time_seconds").await?) / DAY_S;
        ensure!((from..to).contains(&days), "{days} days");
        ensure!(site.fake.requests().is_empty(), "nothing was asked");
        drop(worker);
    }
    Ok(())
}

pub(crate) async fn a_client_certificate_is_shown_where_it_is_demanded(_: String) -> Result<()> {
    let (authority, stranger) = (Authority::new()?, Authority::new()?);
    let site = site(Tls::demanding(&authority.server(HERE)?, &authority)?).await?;
    let ca = file(&site, "ca_file", "ca.pem", &authority.pem())?;
    let own = file(&site, "client_certificate", "client.pem", &authority.client("nightbell")?.pem())?;
    let other = file(&site, "client_certificate", "other.pem", &stranger.client("nightbell")?.pem())?;
    let with = |certificate: &str| format!("{ca}{certificate}");
    // With TLS 1.3 the refusal may come behind the handshake, as a connection that is closed.
    is_mended(&site, &ca, "outcome=\"unavailable\"", &with(&own)).await?;
    is_mended(&site, &with(&other), "outcome=\"unavailable\"", &with(&own)).await?;

    // A certificate without its key is said before anything is sent.
    let lone = authority.client("nightbell")?.certificate_pem();
    site.configure_more(&with(&file(&site, "client_certificate", "lone.pem", &lone)?))?;
    let ended = site.nightbell(&["run"]).await?;
    ensure!(ended.code == Some(78) && ended.stderr.contains("lone.pem"), "{ended:?}");
    Ok(())
}

pub(crate) async fn a_proxy_with_credentials_is_gone_through(_: String) -> Result<()> {
    let authority = Authority::new()?;
    let site = site(Tls::new(&authority.server(HERE)?)?).await?;
    let ca = file(&site, "ca_file", "ca.pem", &authority.pem())?;
    let credentials = Some(("us".to_owned(), "proxy-password".to_owned()));
    let proxy = FakeProxy::start(ProxySettings { credentials, ..ProxySettings::default() }).await?;
    let through = |url: &str, password: &str, more: &str| {
        let user = format!("username = \"us\", password = \"{password}\"");
        format!("{ca}proxy = {{ url = \"{url}\", {user}{more} }}")
    };
    let sound = through(&proxy.url(), "proxy-password", "");
    let nobody = format!("http://127.0.0.1:{}", nightbell_tests::site::free_port()?);
    is_mended(&site, &through(&nobody, "proxy-password", ""), "through the proxy", &sound).await?;
    ensure!(proxy.counts().tunnels > 0, "{:?}", proxy.counts());

    // Wrong credentials: nothing is sent, no attempt is counted, and a worker with the right ones delivers.
    site.configure_more(&through(&proxy.url(), "wrong", ""))?;
    let worker = site.worker().await?;
    let ids = ids("proxy", 3);
    site.publish(&ids).await?;
    logged(&worker, "the proxy does not take our credentials").await?;
    ensure!(!worker.log()?.contains("proxy-password"));
    worker.kill9().await?;
    site.configure_more(&sound)?;
    let worker = site.worker().await?;
    site.all_accepted(&ids).await?;
    let alerts: Vec<_> = ids.iter().map(|id| alert(id)).collect();
    let requests = site.fake.requests();
    let own =
        requests.iter().filter(|request| request.alert_id.as_ref().is_some_and(|id| alerts.contains(id)));
    ensure!(
        own.clone().count() == 3 && own.clone().all(|request| request.attempt == Some(1)),
        "{requests:?}"
    );
    ensure!(worker.terminate().await?.success());

    // A host that is bypassed is reached straight.
    let tunnels = proxy.counts().tunnels;
    let bypassed = through(&nobody, "proxy-password", ", bypass_hosts = [\"127.0.0.0/8\"]");
    site.configure_more(&bypassed)?;
    let worker = site.worker().await?;
    let ids = nightbell_tests::site::ids("bypassed", 1);
    site.publish(&ids).await?;
    site.all_accepted(&ids).await?;
    ensure!(proxy.counts().tunnels == tunnels);
    ensure!(worker.terminate().await?.success());
    Ok(())
}

pub(crate) async fn a_token_is_fetched_once_and_again_when_it_is_refused(_: String) -> Result<()> {
    let settings = Settings { auth: by_token(), ..Settings::default() };
    let site = Site::with(EMBEDDED, FakeXmatters::start(settings).await?)?;
    let config = site.folder().join("nightbell.toml");
    let with_token = "auth = \"oauth2\"\nclient_id = \"nightbell-client\"";
    let text = std::fs::read_to_string(&config)?;
    std::fs::write(&config, text.replace("auth = \"basic\"", with_token))?;
    let worker = site.worker().await?;
    let first = ids("token", 20);
    site.publish(&first).await?;
    site.all_accepted(&first).await?;
    let TokenCounts { by_password, refused, .. } = site.fake.token_counts();
    ensure!((by_password, refused) == (1, 0), "one token for all: {:?}", site.fake.token_counts());
    site.fake.revoke_tokens();
    let second = ids("revoked", 20);
    site.publish(&second).await?;
    site.all_accepted(&second).await?;
    ensure!(site.fake.token_counts().by_password == 2, "{:?}", site.fake.token_counts());
    let token = site.fake.latest_token().context("a token")?;
    ensure!(!worker.log()?.contains(&token) && !worker.log()?.contains(PASSWORD));
    ensure!(site.metric("nightbell_breaker_open{connector=\"sre\"}").await? < 0.5);
    ensure!(worker.terminate().await?.success());
    Ok(())
}

pub(crate) async fn a_host_that_is_not_allowed_is_refused_at_the_start(_: String) -> Result<()> {
    let site = Site::new(EMBEDDED).await?;
    site.configure_more("[network]\nallowed_hosts = [\"acme.xmatters.com\"]")?;
    let ended = site.nightbell(&["run"]).await?;
    ensure!(ended.code == Some(78) && ended.stderr.contains("allowed_hosts"), "{ended:?}");
    ensure!(!ended.stderr.contains(&site.fake.trigger_url()), "{ended:?}");
    // A connector may have hosts of its own.
    site.configure_more(
        "allowed_hosts = [\"127.0.0.1\"]\n[network]\nallowed_hosts = [\"acme.xmatters.com\"]",
    )?;
    let worker = site.worker().await?;
    let ids = ids("allowed", 1);
    site.publish(&ids).await?;
    site.all_accepted(&ids).await?;
    ensure!(worker.terminate().await?.success());
    Ok(())
}

pub(crate) async fn connectors_test_says_what_happened_and_what_it_means(_: String) -> Result<()> {
    let site = Site::new(EMBEDDED).await?;
    let test = ["connectors", "test", "sre"];
    let said = site.nightbell(&test).await?.success()?;
    ensure!(said.contains("accepted") && said.contains("requestId"), "{said}");
    ensure!(site.fake.accepted_count() == 1);
    for (status, code) in [(401, 77), (403, 77), (404, 78), (503, 69)] {
        site.fake.script([Answer::status(status)]);
        let ended = site.nightbell(&test).await?;
        ensure!(ended.code == Some(code), "{status}: {ended:?}");
        ensure!(!ended.stdout.contains(PASSWORD) && !ended.stderr.contains(PASSWORD));
    }
    let dry = site.nightbell(&[&test[..], &["--dry-run"]].concat()).await?.success()?;
    ensure!(!dry.contains(&site.fake.trigger_url()) && dry.contains("127.0.0.1"), "{dry}");
    ensure!(site.fake.requests().len() == 5, "a dry run sends nothing");
    Ok(())
}

pub(crate) async fn each_payload_profile_arrives_as_its_workflow_expects(_: String) -> Result<()> {
    let site = Site::new(EMBEDDED).await?;
    let template = site.folder().join("alert.json.j2");
    std::fs::write(&template, r#"{"id": {{ alert_id }}, "what": {{ summary }}, "who": {{ recipients }}}"#)?;
    for (payload, keys) in [
        ("payload = \"form\"", &["priority", "properties", "recipients"][..]),
        (
            "payload = \"elastic\"",
            &["alertActionGroupName", "date", "ruleName", "severity", "signalId", "spaceId", "tags"],
        ),
        ("payload = \"apifortress\"", &["Message", "Recipients", "Summary"]),
        ("payload = \"template\"\ntemplate = \"alert.json.j2\"", &["id", "what", "who"]),
    ] {
        site.configure_more(payload)?;
        let worker = site.worker().await?;
        let sent = site.fake.requests().len();
        let id = format!("profile-{sent}");
        let publish = ["publish", "--project", "shop", "--test", &id, "--id", &id, "--tag", "night"];
        site.nightbell(&publish).await?.success()?;
        wait::until("the request", || async { (site.fake.requests().len() > sent).then_some(()) }).await?;
        let body: serde_json::Value = serde_json::from_slice(&site.fake.requests()[sent].body)?;
        let got: Vec<_> = body.as_object().context("an object")?.keys().collect();
        ensure!(keys.iter().all(|key| got.iter().any(|own| own == key)), "{payload}: {body:#}");

        // An event without a time has all the same keys; its time is that of its acceptance.
        site.publish(&ids(&format!("bare-{sent}"), 1)).await?;
        wait::until("the request", || async { (site.fake.requests().len() > sent + 1).then_some(()) })
            .await?;
        let bare: serde_json::Value = serde_json::from_slice(&site.fake.requests()[sent + 1].body)?;
        let own: Vec<_> = bare.as_object().context("an object")?.keys().collect();
        ensure!(own == got, "{payload}: {bare:#}");
        ensure!(worker.terminate().await?.success());
    }
    Ok(())
}

pub(crate) async fn an_acceptance_without_a_request_id_is_delivered_counted_and_warned_of_once(
    _: String,
) -> Result<()> {
    let site = Site::new(EMBEDDED).await?;
    let series = "nightbell_accepted_without_request_id_total{connector=\"sre\"}";
    let warned = |log: &str| log.matches("the answer has no requestId").count();
    let worker = site.worker().await?;
    ensure!(site.get("/metrics").await?.1.contains(&format!("{series} 0\n")));
    let portal = || Answer::html_error(200);
    let wrong_trigger = || Answer::status(200).text("{\"status\":\"ok\"}");
    let empty = || Answer::status(204).text("");
    // Two spells of them, with a proper answer between.
    for (round, answers) in
        [vec![portal(), wrong_trigger(), empty()], vec![Answer::accepted(), portal()]].into_iter().enumerate()
    {
        let ids = ids(&format!("round-{round}"), answers.len());
        for (id, answer) in ids.iter().zip(answers) {
            site.fake.script([answer]);
            site.publish(std::slice::from_ref(id)).await?;
            site.all_accepted(std::slice::from_ref(id)).await?;
        }
        site.conserves(&ids, 0).await?;
    }
    ensure!(site.get("/metrics").await?.1.contains(&format!("{series} 4\n")));
    let told = || async { worker.log().is_ok_and(|log| warned(&log) > 1).then_some(()) };
    wait::until("the second warning", told).await?;
    ensure!(warned(&worker.log()?) == 2, "{}", worker.log()?);
    ensure!(worker.terminate().await?.success());
    Ok(())
}

pub(crate) async fn no_secret_shows_behind_tls_proxy_and_tokens(_: String) -> Result<()> {
    let authority = Authority::new()?;
    let identity = authority.client("nightbell")?;
    let tls = Some(Tls::demanding(&authority.server(HERE)?, &authority)?);
    let settings = Settings { auth: by_token(), tls, ..Settings::default() };
    let site = Site::with(EMBEDDED, FakeXmatters::start(settings).await?)?;
    let credentials = Some(("us".to_owned(), "planted-proxy-password".to_owned()));
    let proxy = FakeProxy::start(ProxySettings { credentials, ..ProxySettings::default() }).await?;
    site.configure_more(&format!(
        "{}{}proxy = {{ url = \"{}\", username = \"us\", password = \"planted-proxy-password\" }}",
        file(&site, "ca_file", "ca.pem", &authority.pem())?,
        file(&site, "client_certificate", "client.pem", &identity.pem())?,
        proxy.url(),
    ))?;
    let config = site.folder().join("nightbell.toml");
    let with_token = "auth = \"oauth2\"\nclient_id = \"nightbell-client\"";
    let http = "[http]\ningest_token = \"planted-ingest-token\"\nadmin_token = \"planted-admin-token\"";
    let text = std::fs::read_to_string(&config)?.replace("auth = \"basic\"", with_token);
    std::fs::write(&config, text.replace("[http]", http))?;
    std::fs::write(site.folder().join("event.json"), r#"{"project":"shop","test":"t"}"#)?;

    let echo =
        format!("{USER} {PASSWORD} a-refresh-token planted-proxy-password {}", site.fake.trigger_url());
    site.fake.script_tokens([Answer::status(500).text(echo.clone()), Answer::garbage(), Answer::reset()]);
    site.fake.script([Answer::status(503).text(echo.clone()), Answer::half_head(), Answer::html_error(502)]);
    site.fake.set_default(Answer::status(400).text(echo.clone()));
    let worker = Worker::start_with(site.folder(), "nightbell.toml", "worker.log", &["--log", "trace"])?;
    site.is_ready().await?;
    site.publish(&ids("quiet", 2)).await?;
    wait::until("dead letters", || async { (site.dead().await.ok()?.len() == 2).then_some(()) }).await?;
    proxy.answer_with(Some(502));
    let mut all = String::new();
    for command in [
        &["--log", "trace", "connectors", "test", "sre"][..],
        &["connectors", "test", "sre", "--dry-run"],
        &["connectors", "list"],
        &["route", "event.json"],
        &["route", "event.json", "--json"],
        &["check"],
        &["check", "--online"],
        &["status", "--json"],
        &["dead", "export"],
        &["dead", "list"],
    ] {
        let ended = site.nightbell(command).await?;
        all += &ended.stdout;
        all += &ended.stderr;
    }
    for path in ["/metrics", "/readyz", "/openapi.json", "/v1/status"] {
        all += &site.get(path).await?.1;
    }
    all += &worker.log()?;
    ensure!(worker.terminate().await?.success());
    ensure!(all.contains("delivery attempted") && all.contains("token endpoint"), "the failures happened");
    let token = site.fake.latest_token().context("a token")?;
    let key = identity.key_pem();
    let key = key.lines().nth(1).context("a line of the key")?;
    let path = "/api/integration/1/functions/";
    let planted = [PASSWORD, "planted-", "a-refresh-token", &token, key, path];
    for secret in planted {
        let line = all.lines().find(|line| line.contains(secret));
        ensure!(line.is_none(), "`{secret}` shows in: {line:?}");
    }
    Ok(())
}
