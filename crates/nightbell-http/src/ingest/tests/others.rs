//! Reports, API Fortress, and what is common to all routes.

use nightbell_core::event::read;
use serde_json::json;

use super::world::{World, gzip};

const XML: &str = "content-type: application/xml\r\n";
const REPORT: &str = r#"<testsuite name="s"><testcase name="ok"/><testcase name="a"><failure message="no"/></testcase>
    <testcase name="b"><error message="crash">trace</error></testcase></testsuite>"#;
const FORTRESS: &str = r#"{"eventId":"e-1","companyId":1,"test":{"name":"book","id":"123a"},"projectName":"shop",
    "failuresCount":1}"#;

#[tokio::test]
async fn a_reports_failures_are_published() {
    let world = World::new().await;
    let target =
        "/v1/junit?project=shop&environment=prod&run_id=7&severity=critical&label=team%3Dpay&label=k=v&tag=x";
    let answer = world.post(target, XML, REPORT).await;
    assert_eq!(answer.status, 202, "{answer:?}");
    let mut taken = world.queue.taken();
    taken.sort_by_key(|(_, message)| read(&message.body).unwrap().test);
    let events = taken.iter().map(|(_, message)| read(&message.body).unwrap()).collect::<Vec<_>>();
    let tests = events.iter().map(|event| event.test.as_str()).collect::<Vec<_>>();
    assert_eq!(tests, ["a", "b"]);
    for (event, (routing_key, message)) in events.iter().zip(&taken) {
        assert_eq!((event.project.as_str(), routing_key.as_str()), ("shop", "event.shop"));
        assert_eq!((event.environment.as_deref(), event.severity.as_str()), (Some("prod"), "critical"));
        assert_eq!((event.labels["team"].as_str(), event.tags.join(",").as_str()), ("pay", "x"));
        assert_eq!(event.id, message.message_id);
    }
    let again = world.post(target, XML, REPORT).await;
    assert_eq!(again.json(), answer.json(), "ids are stable for a run");
    assert_eq!(world.count("junit", 202), 2);
}

#[tokio::test]
async fn a_report_without_failures_is_nothing_to_publish() {
    let world = World::new().await;
    let answer = world.post("/v1/junit?project=p", XML, "<testsuite><testcase name='a'/></testsuite>").await;
    assert_eq!((answer.status, answer.json()), (202, json!({ "accepted": [], "rejected": [] })));
}

#[tokio::test]
async fn what_is_no_report_is_refused_with_its_line() {
    let world = World::new().await;
    for body in ["", "{}", "<html></html>"] {
        let text = world.post("/v1/junit?project=p", XML, body).await.error(422);
        assert!(text.starts_with("report:1: "), "{text}");
    }
    assert!(world.post("/v1/junit", XML, REPORT).await.error(422).contains("`project`"));
    let text = world.post("/v1/reports?project=p", "", "prose").await.error(422);
    assert!(text.contains("no report that is known"), "{text}");
    assert!(world.queue.taken().is_empty());
}

#[tokio::test]
async fn of_a_damaged_report_what_is_sound_is_published_and_the_answer_says_so() {
    let world = World::new().await;
    let cut = REPORT.replace("</testsuite>", "\n<testcase name='c'>");
    for route in ["junit", "reports"] {
        let answer = world.post(&format!("/v1/{route}?project=p&run_id={route}"), XML, cut.clone()).await;
        let text = answer.error(422);
        assert!(
            text.starts_with("report:3: it ends before `</testcase>`; what is sound in it was published"),
            "{text}"
        );
        assert_eq!(answer.json()["accepted"].as_array().unwrap().len(), 3, "{answer:?}");
    }
    let taken = world.queue.taken();
    let told: Vec<_> =
        taken.iter().map(|(_, message)| read(&message.body).unwrap().message.unwrap()).collect();
    assert!(
        told.contains(&"report damaged at line 3: 3 cases read: it ends before `</testcase>`".to_owned()),
        "{told:?}"
    );
    assert_eq!(taken.len(), 6);
}

#[tokio::test]
async fn a_report_of_any_form_is_told_by_its_content() {
    let world = World::new().await;
    let ctrf = r#"{"results":{"tests":[{"name":"a","status":"failed"},{"name":"b","status":"failed"}]}}"#;
    let tap = "1..2\nnot ok 1 - a\nnot ok 2 - b\n";
    let forms: [(&str, &[u8]); 4] = [
        ("content-type: text/plain\r\n", REPORT.as_bytes()),
        ("content-type: application/json\r\n", ctrf.as_bytes()),
        ("", tap.as_bytes()),
        ("content-encoding: gzip\r\n", &gzip(REPORT.as_bytes())),
    ];
    for (head, body) in forms {
        let answer = world.post("/v1/reports?project=shop", head, body).await;
        assert_eq!(
            (answer.status, answer.json()["accepted"].as_array().unwrap().len()),
            (202, 2),
            "{answer:?}"
        );
    }
    let packed = world.post("/v1/reports?project=shop", "", gzip(tap.as_bytes())).await;
    assert_eq!((packed.status, world.count("reports", 202)), (202, 5));
}

#[tokio::test]
async fn a_run_that_failed_without_a_failure_in_its_report_is_an_event() {
    let world = World::new().await;
    let green = "<testsuite><testcase name='a'/></testsuite>";
    let answer = world.post("/v1/reports?project=p&run_id=7&exit_status=137", XML, green).await;
    assert_eq!((answer.status, world.queue.taken().len()), (202, 1), "{answer:?}");
    let event = read(&world.queue.taken()[0].1.body).unwrap();
    assert_eq!(event.message.as_deref(), Some("the run failed with 137 and its report shows no failure"));
    world.post("/v1/reports?project=p&exit_status=0", XML, green).await;
    world.post("/v1/reports?project=p&exit_status=1", XML, REPORT).await;
    assert_eq!(world.queue.taken().len(), 3);
    world.post("/v1/reports?project=p&exit_status=timed%20out", XML, green).await;
    let event = read(&world.queue.taken()[3].1.body).unwrap();
    assert_eq!(
        event.message.as_deref(),
        Some("the run failed with timed out and its report shows no failure")
    );
}

#[tokio::test]
async fn an_event_of_api_fortress_is_published_as_it_came() {
    let world = World::new().await;
    let answer = world.post_json("/v1/apifortress", FORTRESS).await;
    assert_eq!((answer.status, world.queue.ids()), (202, vec!["e-1".to_owned()]), "{answer:?}");
    assert_eq!(world.queue.taken()[0].1.body, FORTRESS);
    // It is taken where any event is.
    assert_eq!(world.post_json("/v1/events", FORTRESS).await.status, 202);
    assert_eq!((world.count("apifortress", 202), world.count("events", 202)), (1, 1));
}

#[tokio::test]
async fn only_one_event_of_api_fortress_is_taken_there() {
    let world = World::new().await;
    for body in
        ["[]", r#"{"project":"p","test":"t"}"#, &format!("[{FORTRESS}]"), &format!("{FORTRESS}\n{FORTRESS}")]
    {
        let answer = world.post_json("/v1/apifortress", body).await;
        answer.error(422);
        assert_eq!(answer.json()["rejected"].as_array().unwrap().len(), 1, "{answer:?}");
    }
    world.post_json("/v1/apifortress?partial=true", FORTRESS).await.error(422);
    assert!(world.queue.taken().is_empty());
}

#[tokio::test]
async fn unknown_routes_and_methods_are_told_in_json() {
    let world = World::new().await;
    world.send("GET /v1/nothing", "", b"").await.error(404);
    world.send("GET /", "", b"").await.error(404);
    for (request, allow) in [
        ("GET /v1/events", "post"),
        ("DELETE /v1/junit", "post"),
        ("OPTIONS /v1/events", "post"),
        ("POST /metrics", "get,head"),
        ("PUT /v1/status", "get,head"),
    ] {
        let answer = world.send(request, "origin: https://evil.example\r\n", b"").await;
        answer.error(405);
        assert!(answer.head.contains(&format!("allow: {allow}\r\n")), "{answer:?}");
        assert!(!answer.head.contains("access-control"), "{answer:?}");
    }
}

#[tokio::test]
async fn every_series_is_there_from_the_start() {
    let world = World::new().await;
    for route in ["events", "reports", "junit", "apifortress"] {
        for code in [202, 400, 401, 403, 408, 413, 415, 422, 429, 500, 503] {
            assert_eq!(world.count(route, code), 0);
        }
    }
    let text = world.metrics.render();
    assert_eq!(text.matches("nightbell_ingest_requests_total{").count(), 44);
    assert!(text.contains("# HELP nightbell_ingest_requests_total "), "{text}");
}
