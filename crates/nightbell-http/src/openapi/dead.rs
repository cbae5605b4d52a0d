//! The description of the dead letters' routes, which are handed to the server.

use nightbell_core::dead::Reason;
use serde_json::{Map, Value, json};

use super::schemas::TIME_PATTERN;
use super::{answer, forbidden, guarded, members, operation, unauthorized};

pub(super) fn paths() -> Map<String, Value> {
    let verb = |id: &str, summary: &str| {
        let mut described = operation(
            id,
            summary,
            json!({
                "200": {
                    "description": "One JSON object a line; one with `error` alone says that no more can be read",
                    "content": { "application/x-ndjson": { "schema": { "type": "string" } } }
                },
                "400": answer("The query can't be read, names no dead letters, or a body came with it", "Problem"),
                "401": unauthorized(),
                "403": forbidden(),
                "503": answer("The queue can't be reached", "Problem")
            }),
        );
        described["parameters"] = selectors();
        guarded("admin", described)
    };
    let paths = json!({
        "/v1/dead-letters": { "get": verb("dead-list", "Lists dead letters") },
        "/v1/dead-letters/replay": { "post": verb("dead-replay", "Puts dead letters back into their queues") },
        "/v1/dead-letters/discard": { "post": verb("dead-discard", "Removes dead letters for good") }
    });
    members(paths)
}

/// What picks dead letters out; all of it must hold.
fn selectors() -> Value {
    let moment = format!("{TIME_PATTERN}|^0$|^[1-9][0-9]{{0,3}}[smhd]$");
    let time = || json!({ "type": "string", "pattern": moment });
    let all = [
        ("connector", "Of this connector", json!({ "type": "string", "pattern": "^[a-z0-9-]{1,32}$" })),
        ("reason", "Of this reason", json!({ "enum": Reason::ALL.map(Reason::as_str) })),
        // Classes and alternatives are read too, if they are whole.
        (
            "project",
            "Of projects that this pattern names: `shop-*`",
            json!({ "type": "string", "maxLength": 4096, "pattern": "^[^{}\\[\\\\]*$" }),
        ),
        ("since", "That died at or after this time, or at most so long ago: `90m`, `2d`", time()),
        ("until", "That died before this time, or more than so long ago", time()),
        ("id", "Of these ids, or that begin so, separated by commas", ids()),
        (
            "all",
            "All of them: to replay or discard without a condition, this has to be said",
            json!({ "type": "boolean" }),
        ),
        ("limit", "No more than so many", json!({ "type": "integer", "minimum": 0, "maximum": usize::MAX })),
    ];
    all.into_iter()
        .map(|(name, description, schema)| {
            json!({ "name": name, "in": "query", "description": description, "schema": schema })
        })
        .collect()
}

/// One or more ids, each whole or its start.
fn ids() -> Value {
    json!({ "type": "string", "pattern": "^[0-9A-Fa-f]{1,32}(,[0-9A-Fa-f]{1,32})*$" })
}
