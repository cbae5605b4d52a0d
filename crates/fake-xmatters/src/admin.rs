//! The stand-in's own routes, for tests in other processes.

use crate::answer::{Answer, BadAnswer, answer_from_json, answers_from_json};
use crate::serve::Shared;
use crate::wire::{Method, Request};

const PREFIX: &str = "/_fake/";

/// Answers a request below `/_fake/`; none: it is not one.
pub(crate) fn answer(shared: &Shared, request: &Request) -> Option<Answer> {
    let route = request.target.strip_prefix(PREFIX)?;
    Some(match (request.method, route) {
        (Method::Get, "summary") => json(&shared.book().snapshot().summary()),
        (Method::Get, "accepted") => json(shared.book().snapshot().accepted_by_alert()),
        (Method::Post, "script") => {
            set(answers_from_json(&request.body).map(|answers| shared.script().extend(answers)))
        }
        (Method::Post, "default") => {
            set(answer_from_json(&request.body).map(|answer| shared.script().set_default(answer)))
        }
        (_, "summary" | "accepted" | "script" | "default") => Answer::status(405),
        (_, _) => Answer::status(404),
    })
}

fn json(value: &impl serde::Serialize) -> Answer {
    let text = serde_json::to_string(value).expect("counts are plain data");
    Answer::status(200).text(text)
}

fn set(read: Result<(), BadAnswer>) -> Answer {
    match read {
        Ok(()) => Answer::status(204),
        Err(error) => {
            let why =
                std::error::Error::source(&error).map(|source| format!(": {source}")).unwrap_or_default();
            Answer::status(400).header("Content-Type", "text/plain").text(format!("{error}{why}\n"))
        }
    }
}
