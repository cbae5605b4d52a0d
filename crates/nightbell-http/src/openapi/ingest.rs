//! The description of the ways in.

use serde_json::{Map, Value, json};

use super::{answer, come_again, forbidden, guarded, members, operation, unauthorized};
use crate::ingest::{EVENTS_BODY_BYTES_MAX, ITEMS_MAX, MADE_BYTES_MIN, REPORT_BODY_BYTES_MAX};

pub(super) fn paths() -> Map<String, Value> {
    let paths = json!({
        "/v1/events": { "post": events() },
        "/v1/reports": { "post": reports() },
        "/v1/junit": { "post": junit() },
        "/v1/apifortress": { "post": api_fortress() }
    });
    members(paths)
}

fn events() -> Value {
    let event = json!({ "anyOf": [
        { "$ref": "#/components/schemas/Event" }, { "$ref": "#/components/schemas/ApiFortress" }
    ] });
    let many = json!({ "type": "array", "items": event });
    let content = json!({
        "application/json": { "schema": { "anyOf": [event, many] } },
        "application/x-ndjson": { "schema": { "type": "string", "description": "One event a line" } }
    });
    let mut operation =
        way_in("events", "Takes one event, an array of events, or one event a line", &content);
    operation["description"] = format!(
        "At most {ITEMS_MAX} events and {EVENTS_BODY_BYTES_MAX} bytes, plain or unpacked. An event that has no id is \
         given one, which the answer names."
    )
    .into();
    operation["parameters"] = json!([parameter(
        "partial",
        "Publish the valid events though others are not valid; without it nothing is published then",
        json!({ "type": "boolean", "default": false }),
    )]);
    operation
}

fn reports() -> Value {
    let report = json!({ "schema": { "type": "string", "format": "binary" } });
    let content = json!({
        "application/octet-stream": report,
        "application/xml": { "schema": { "$ref": "#/components/schemas/JunitReport" } }
    });
    let what = "Its content tells its form: JUnit, CTRF, TRX, NUnit, xUnit, TestNG, the lines of `go test -json`, TAP, Cucumber \
                JSON, a result of Allure, or Playwright's or Jest's JSON. The type of the body is not looked at.";
    of_report("reports", "Takes the failures of a test runner's report", &content, what)
}

fn junit() -> Value {
    let content = json!({ "application/xml": {
        "schema": { "$ref": "#/components/schemas/JunitReport" },
        "example": "<testsuite name=\"shop\"><testcase name=\"buys a book\"><failure message=\"no book\"/></testcase>\
                    </testsuite>"
    } });
    of_report(
        "junit",
        "Takes the failures of a JUnit XML report",
        &content,
        "As `/v1/reports`, for JUnit XML alone.",
    )
}

fn of_report(id: &str, summary: &str, content: &Value, what: &str) -> Value {
    let mut operation = way_in(id, summary, content);
    operation["description"] = format!(
        "{what} Each result that failed is an event, and so is a suite that failed by itself. Of a damaged report what is sound \
         is published, with an event that says so; the answer is a 422 that names what was accepted. At most {ITEMS_MAX} \
         failures and {REPORT_BODY_BYTES_MAX} bytes, plain or unpacked. The events made of it may come to {MADE_BYTES_MIN} \
         bytes, or to twice its length if that is more."
    )
    .into();
    let text = || json!({ "type": "string" });
    let several = |items: Value| json!({ "type": "array", "items": items });
    let mut project = parameter("project", "The project", json!({ "type": "string", "pattern": "\\S" }));
    project["required"] = true.into();
    operation["parameters"] = json!([
        project,
        parameter("environment", "Where the tests ran", text()),
        parameter("run_id", "The run; with it, an event's id depends on run and test alone", text()),
        parameter("suite", "The suite, instead of what the report calls it", text()),
        parameter("severity", "How grave a failure is", json!({ "$ref": "#/components/schemas/Severity" })),
        parameter("report_url", "A link to the whole report", text()),
        parameter(
            "exit_status",
            "What the test runner ended with; if that is neither empty nor 0, and the report shows no failure, an event says so",
            text(),
        ),
        parameter(
            "label",
            "A label as NAME=VALUE",
            several(json!({ "type": "string", "pattern": "^[^=]+=" }))
        ),
        parameter("tag", "A tag", several(text())),
    ]);
    operation
}

fn api_fortress() -> Value {
    let content = json!({ "application/json": { "schema": { "$ref": "#/components/schemas/ApiFortress" } } });
    way_in("apifortress", "Takes one event as API Fortress hands it to its connectors", &content)
}

fn parameter(name: &str, description: &str, schema: Value) -> Value {
    json!({ "name": name, "in": "query", "description": description, "schema": schema })
}

fn way_in(id: &str, summary: &str, content: &Value) -> Value {
    let mut described = operation(
        id,
        summary,
        json!({
            "202": answer("The queue has what is listed as accepted", "Taken"),
            "400": answer("The body can't be read to its end", "Problem"),
            "401": unauthorized(),
            "403": forbidden(),
            "408": answer("The body did not come in time", "Problem"),
            "413": answer("The body or an event is too long; nothing was published", "NotTaken"),
            "415": answer("The body's type, charset or coding is not known", "Problem"),
            "422": answer("Not all of it is valid; what is listed as accepted was published", "NotTaken"),
            "429": come_again("The queue pushes back", "NotTaken"),
            "500": answer("A fault of Nightbell", "Problem"),
            "503": come_again("The queue can't be reached, or too many requests are under way", "NotTaken")
        }),
    );
    described["requestBody"] = json!({ "required": true, "content": content });
    guarded("ingest", described)
}
