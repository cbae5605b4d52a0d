//! Requests that are answered as they should be.

use std::time::Duration;

use fake_xmatters::{Answer, Auth, FakeXmatters, REQUEST_BYTES_MAX, Settings, StartError, Summary};

use crate::raw::{Raw, SOON, alert, form, post, request, started, target};

#[tokio::test]
async fn an_alert_is_taken_and_its_request_recorded() {
    let fake = started().await;
    let seen = alert(&fake, "a").await;
    assert_eq!(seen.status, 202);
    let requests = fake.requests();
    let [recorded] = requests.as_slice() else { panic!("{requests:?}") };
    assert_eq!(seen.body, format!("{{\"requestId\":\"{}\"}}", recorded.request_id.as_deref().unwrap()));
    assert_eq!(recorded.body, form("a").as_bytes());
    assert_eq!((recorded.alert_id.as_deref(), recorded.test.as_deref()), (Some("a"), Some("t")));
    assert_eq!((recorded.priority.as_deref(), recorded.attempt), (Some("LOW"), Some(1)));
    assert_eq!((recorded.recipients.as_slice(), &*recorded.function), (["r".to_owned()].as_slice(), "f"));
    assert!(recorded.accepted && !recorded.suppressed);
}

#[tokio::test]
async fn losses_and_repeats_show_in_the_counts() {
    let fake = started().await;
    for alert_id in ["a", "b", "a", "a"] {
        alert(&fake, alert_id).await;
    }
    fake.script([Answer::status(503)]);
    assert_eq!(alert(&fake, "c").await.status, 503);
    let want = Summary { requests: 5, accepted: 4, alerts: 2, repeats: 2, suppressed: 0, connections: 5 };
    assert_eq!(fake.summary(), want);
    assert_eq!((fake.accepted_count(), fake.repeats()), (4, 2));
    assert_eq!(fake.accepted_by_alert(), [("a".to_owned(), 3), ("b".to_owned(), 1)].into());
}

#[tokio::test]
async fn a_connection_is_used_again_even_for_requests_sent_at_once() {
    let fake = started().await;
    let mut raw = Raw::connect(fake.addr()).await;
    let one = request("POST", &target("f"), "Content-Type: application/json\r\n", &form("a"));
    raw.say(&format!("{one}{one}")).await;
    raw.answer().await;
    raw.answer().await;
    raw.post(&target("f"), &form("b")).await;
    assert_eq!(raw.answer().await.status, 202);
    assert_eq!((fake.summary().requests, fake.summary().connections), (3, 1));
}

#[tokio::test]
async fn a_caller_who_says_close_is_left() {
    let fake = started().await;
    let mut raw = Raw::connect(fake.addr()).await;
    let headers = "Content-Type: application/json\r\nConnection: close\r\n";
    raw.say(&request("POST", &target("f"), headers, &form("a"))).await;
    let whole = String::from_utf8(raw.read_to_end().await.unwrap()).unwrap();
    assert!(whole.starts_with("HTTP/1.1 202 Accepted\r\n"), "{whole}");
    assert!(whole.contains("\r\nConnection: close\r\n"), "{whole}");
}

#[tokio::test]
async fn scripted_answers_come_in_order_and_per_function() {
    let fake = started().await;
    fake.script([Answer::status(500), Answer::status(429).retry_after("7")]);
    fake.script_for("g", [Answer::status(400)]);
    assert_eq!(fake.script_left(), 3);
    assert_eq!(post(&fake, &target("g"), "{}").await.status, 400);
    assert_eq!(alert(&fake, "a").await.status, 500);
    let throttled = alert(&fake, "a").await;
    assert_eq!(throttled.status, 429);
    assert!(throttled.head.contains("\r\nRetry-After: 7\r\n"), "{}", throttled.head);
    assert_eq!(alert(&fake, "a").await.status, 202);
    fake.set_default(Answer::html_error(502));
    fake.set_default_for("g", Answer::status(404));
    assert!(alert(&fake, "a").await.body.starts_with("<html>"));
    assert_eq!(post(&fake, &target("g"), "{}").await.status, 404);
}

#[tokio::test]
async fn what_is_no_alert_is_turned_away_and_uses_no_script() {
    let fake =
        FakeXmatters::start(Settings { functions: vec!["f".into()], ..Settings::default() }).await.unwrap();
    fake.script([Answer::status(503)]);
    assert_eq!(post(&fake, &target("f"), "[1]").await.status, 400);
    assert_eq!(post(&fake, &target("unknown"), "{}").await.status, 404);
    assert_eq!(post(&fake, "/", "{}").await.status, 404);
    let mut raw = Raw::connect(fake.addr()).await;
    raw.say(&request("PUT", &target("f"), "", "{}")).await;
    assert_eq!(raw.answer().await.status, 405);
    raw.say(&request("POST", &target("f"), "Content-Type: text/plain\r\n", "{}")).await;
    assert_eq!(raw.answer().await.status, 415);
    assert_eq!((fake.summary().requests, fake.accepted_count(), fake.script_left()), (5, 0, 1));
}

#[tokio::test]
async fn wrong_credentials_are_turned_away() {
    let auth = Auth::Basic { user: "u".into(), password: "p".into() };
    let fake = FakeXmatters::start(Settings { auth, ..Settings::default() }).await.unwrap();
    let mut raw = Raw::connect(fake.addr()).await;
    for (header, status) in [("Basic dTpx", 401), ("Basic dTpw", 202)] {
        let headers = format!("Content-Type: application/json\r\nAuthorization: {header}\r\n");
        raw.say(&request("POST", &target("f"), &headers, "{}")).await;
        assert_eq!(raw.answer().await.status, status, "{header}");
    }
}

#[tokio::test]
async fn the_trigger_url_has_the_key_that_it_asks_for() {
    let auth = Auth::Url { api_key: "k y/".into() };
    let settings = Settings { auth, functions: vec!["f".into()], ..Settings::default() };
    let fake = FakeXmatters::start(settings).await.unwrap();
    let url = fake.trigger_url();
    assert_eq!(url, format!("http://{}{}?apiKey=k%20y%2F", fake.addr(), target("f")));
    let target_with_key = url.strip_prefix(&format!("http://{}", fake.addr())).unwrap();
    assert_eq!(post(&fake, target_with_key, "{}").await.status, 202);
    assert_eq!(post(&fake, &target("f"), "{}").await.status, 401);
}

#[tokio::test]
async fn requests_that_can_not_be_read_are_answered_and_left() {
    #[track_caller]
    fn check(whole: &[u8], status: u16) {
        let whole = String::from_utf8_lossy(whole);
        assert!(whole.starts_with(&format!("HTTP/1.1 {status} ")), "{whole}");
    }
    let fake = started().await;
    let too_large = REQUEST_BYTES_MAX + 1;
    let path = target("f");
    for (text, status) in [
        ("\x16\x03\x01\x02\r\n\r\n".to_owned(), 400),
        (format!("POST {path} HTTP/1.1\r\n\r\n"), 411),
        (format!("POST {path} HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{{}}\r\n0\r\n\r\n"), 411),
        (format!("POST {path} HTTP/1.1\r\nContent-Length: {too_large}\r\n\r\n{}", "x".repeat(100_000)), 413),
        (format!("POST {path} HTTP/1.1\r\nA: {}", "x".repeat(40_000)), 431),
    ] {
        let mut raw = Raw::connect(fake.addr()).await;
        raw.say(&text).await;
        check(&raw.read_to_end().await.unwrap(), status);
    }
}

#[tokio::test]
async fn a_body_of_the_largest_size_is_taken() {
    let fake = started().await;
    let filler = "x".repeat(REQUEST_BYTES_MAX - r#"{"alert_id":"a","x":""}"#.len());
    let body = format!(r#"{{"alert_id":"a","x":"{filler}"}}"#);
    assert_eq!(post(&fake, &target("f"), &body).await.status, 202);
    assert_eq!(fake.requests()[0].body.len(), REQUEST_BYTES_MAX);
}

#[tokio::test]
async fn flood_control_answers_202_and_swallows_the_fifth() {
    let fake = FakeXmatters::start(Settings { flood_control: true, ..Settings::default() }).await.unwrap();
    for alert_id in ["a", "b", "c", "d", "e", "f"] {
        assert_eq!(alert(&fake, alert_id).await.status, 202);
    }
    assert_eq!(post(&fake, &target("g"), &form("g")).await.status, 202);
    assert_eq!((fake.accepted_count(), fake.suppressed_count()), (7, 2));
    let swallowed: Vec<_> = fake.requests().iter().map(|request| request.suppressed).collect();
    assert_eq!(swallowed, [false, false, false, false, true, true, false]);
}

#[tokio::test]
async fn a_wait_ends_with_its_condition_or_its_time() {
    let fake = started().await;
    let both = tokio::join!(fake.wait_until(|books| books.accepted("b") == 2, SOON), async {
        for alert_id in ["b", "a", "b"] {
            alert(&fake, alert_id).await;
        }
    });
    assert_eq!(both.0.unwrap().accepted, 3);
    let never = fake.wait_until(|books| books.requests().count() > 3, Duration::from_millis(20)).await;
    assert_eq!(never.unwrap_err().at_end.requests, 3);
}

#[tokio::test]
async fn other_processes_read_the_counts_and_set_the_answers() {
    let fake = started().await;
    let mut raw = Raw::connect(fake.addr()).await;
    for (target, body, status) in [
        ("/_fake/script", r#"[{"status":503,"retry_after":"5"}]"#, 204),
        ("/_fake/default", r#"{"status":200}"#, 204),
        ("/_fake/default", r#"{"status":1}"#, 400),
        ("/_fake/summary", "", 405),
        ("/_fake/other", "", 404),
    ] {
        raw.post(target, body).await;
        assert_eq!(raw.answer().await.status, status, "{target}");
    }
    assert_eq!(alert(&fake, "a").await.status, 503);
    assert_eq!(alert(&fake, "a").await.status, 200);
    raw.say("GET /_fake/summary HTTP/1.1\r\n\r\n").await;
    let summary = raw.answer().await.body;
    assert_eq!(
        summary,
        r#"{"requests":2,"accepted":1,"alerts":1,"repeats":0,"suppressed":0,"connections":3}"#
    );
    raw.say("GET /_fake/accepted HTTP/1.1\r\n\r\n").await;
    assert_eq!(raw.answer().await.body, r#"{"a":1}"#);
}

#[tokio::test]
async fn an_address_is_free_again_after_the_stop_and_not_before() {
    let fake = started().await;
    let settings = || Settings { listen: fake.addr(), ..Settings::default() };
    let (again, later) = (settings(), settings());
    let taken = FakeXmatters::start(again).await.unwrap_err();
    assert!(matches!(taken, StartError::AddressInUse { .. }), "{taken:?}");
    let mut raw = Raw::connect(fake.addr()).await;
    raw.post(&target("f"), "{}").await;
    raw.answer().await;
    assert_eq!(fake.stop().await.requests, 1);
    assert!(raw.read_to_end().await.unwrap().is_empty());
    assert_eq!(alert(&FakeXmatters::start(later).await.unwrap(), "a").await.status, 202);
}
