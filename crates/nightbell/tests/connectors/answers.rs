//! What each answer is said to mean, and the exit code that follows.

use std::time::Duration;

use fake_xmatters::Answer;
use serde_json::Value;

use crate::support::{Site, check, fake};

async fn check_answer(answer: Answer, code: i32, words: &[&str]) {
    let fake = fake(None).await;
    fake.script([answer]);
    let site = Site::new(&fake.trigger_url(), "timeout = \"2s\"");
    let ended = site.test();
    check(&ended, code, words);
    assert!(ended.stderr.contains("the test alert for `payments` was not accepted"), "{ended:?}");
    assert_eq!(fake.summary().requests, 1, "a test is one request");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_login_that_is_not_known() {
    check_answer(Answer::status(401), 77, &["unauthorized (HTTP 401)", "disabled or locked user"]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_user_who_may_not_send() {
    check_answer(Answer::status(403), 77, &["(HTTP 403)", "lacks permission on the form"]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_trigger_that_is_not_there() {
    check_answer(Answer::status(404), 78, &["(HTTP 404)", "wrong function id", "the trigger was deleted"])
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn too_many_requests() {
    let answer = Answer::status(429).retry_after("7");
    check_answer(answer, 75, &["throttled (HTTP 429)", "Retry-After 7 s", "the plan's requests per minute"])
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_that_the_trigger_does_not_take() {
    let answer = Answer::status(400).text("no such recipient; the URL is corr3ct-horse-battery");
    check_answer(answer, 78, &["refused (HTTP 400)", "no such recipient", "***", "what the flow expects"])
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_redirect() {
    let answer = Answer::status(302).header("Location", "https://login.example.com/");
    check_answer(answer, 78, &["(HTTP 302)", "never followed"]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_in_trouble() {
    check_answer(Answer::html_error(503), 69, &["unavailable (HTTP 503)", "in trouble or overloaded"]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_that_does_not_come() {
    check_answer(Answer::hang(), 69, &["timed out after", "no whole answer within `timeout`"]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_that_is_no_http() {
    check_answer(Answer::garbage(), 69, &["the answer is no HTTP"]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_success_that_is_not_of_xmatters() {
    let fake = fake(None).await;
    fake.script([Answer::status(200).text("hello").after(Duration::from_millis(50))]);
    let ended = Site::new(&fake.trigger_url(), "").connectors(&["test", "payments", "--json"]);
    check(&ended, 0, &["the answer has no requestId"]);
    let answer: Value = serde_json::from_str(&ended.stdout).unwrap();
    assert!(answer["took_ms"].as_u64().unwrap() >= 50, "{answer}");
}
