//! The schemas that the description refers to.

use nightbell_core::event::{ApiFortress, Event};
use schemars::generate::SchemaSettings;
use serde_json::{Map, Value, json};

use crate::status::Status;

/// A time as text, as far as a pattern can say it. It leaves out 29 February, which is read.
pub(super) const TIME_PATTERN: &str = "^2[0-9]{3}-((0[13578]|1[02])-(0[1-9]|[12][0-9]|3[01])|(0[469]|11)-(0[1-9]|[12][0-9]|30)|\
                            02-(0[1-9]|1[0-9]|2[0-8]))T([01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9](\\.[0-9]{1,9})?\
                            (Z|[+-](0[0-9]|1[0-3]):?[0-5][0-9])$";

/// All schemas by name.
pub(super) fn all() -> Map<String, Value> {
    let settings = SchemaSettings::draft2020_12()
        .with(|settings| settings.definitions_path = "/components/schemas".into());
    let mut generator = settings.into_generator();
    generator.subschema_for::<Event>();
    generator.subschema_for::<ApiFortress>();
    generator.subschema_for::<Status>();
    let mut schemas = generator.take_definitions(true);
    sharpen_event(&mut schemas);
    schemas.extend(answers());
    schemas.insert("JunitReport".into(), junit_report());
    schemas
}

/// Says what the event's own schema leaves to the reader: what is blank counts as empty, `null` as absent.
fn sharpen_event(schemas: &mut Map<String, Value>) {
    for name in ["project", "test"] {
        schemas["Event"]["properties"][name]["pattern"] = "\\S".into();
    }
    for name in ["status", "severity", "tags", "labels"] {
        let field = &mut schemas["Event"]["properties"][name];
        let own = field.take();
        *field = json!({ "anyOf": [own, { "type": "null" }] });
    }
    schemas["When"]["oneOf"][0]["pattern"] = TIME_PATTERN.into();
}

fn answers() -> Map<String, Value> {
    let index = json!({ "type": "integer", "minimum": 0, "description": "Its place in the request, from 0" });
    let list =
        |item: &str| json!({ "type": "array", "items": { "$ref": format!("#/components/schemas/{item}") } });
    let problem = json!({
        "type": "object",
        "required": ["error", "hint"],
        "properties": {
            "error": { "type": "string", "description": "What is wrong" },
            "hint": { "type": "string", "description": "What would put it right" }
        }
    });
    let mut not_taken = problem.clone();
    not_taken["properties"]["accepted"] = list("Accepted");
    not_taken["properties"]["rejected"] = list("Rejected");
    let schemas = json!({
        "Problem": problem,
        "NotTaken": not_taken,
        "Taken": {
            "type": "object",
            "required": ["accepted", "rejected"],
            "properties": { "accepted": list("Accepted"), "rejected": list("Rejected") }
        },
        "Accepted": {
            "type": "object",
            "required": ["index", "id"],
            "properties": {
                "index": index,
                "id": { "type": "string", "description": "The event's own id, or the one it was given" }
            }
        },
        "Rejected": {
            "type": "object",
            "required": ["index", "error"],
            "properties": {
                "index": index,
                "error": { "type": "string", "description": "What is wrong with it, and where" },
                "at": { "type": "string", "description": "The field at fault" },
                "line": { "type": "integer", "minimum": 1, "description": "Its line, where each is an event" },
                "id": { "type": "string", "description": "Its id, if it was valid; send it with this id again" }
            }
        },
        "Ready": {
            "type": "object",
            "required": ["ready", "missing"],
            "properties": {
                "ready": { "type": "boolean" }, "missing": { "type": "array", "items": { "type": "string" } }
            }
        }
    });
    super::members(schemas)
}

/// A JUnit report, as far as an XML schema of OpenAPI can say it.
fn junit_report() -> Value {
    let attribute =
        || json!({ "type": "string", "pattern": "^[A-Za-z0-9 ._-]+$", "xml": { "attribute": true } });
    let failure = json!({
        "type": "object", "additionalProperties": false, "properties": { "message": attribute(), "type": attribute() }
    });
    json!({
        "type": "object",
        "xml": { "name": "testsuite" },
        "additionalProperties": false,
        "required": ["name", "testcase"],
        "properties": {
            "name": attribute(),
            "testcase": { "type": "array", "minItems": 1, "items": {
                "type": "object",
                "xml": { "name": "testcase" },
                "additionalProperties": false,
                "required": ["name"],
                "properties": { "name": attribute(), "classname": attribute(), "failure": failure }
            } }
        }
    })
}
