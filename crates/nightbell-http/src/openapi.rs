//! The description of all routes, as OpenAPI 3.1: `openapi.json`, with what other code knows put into its places. Events are
//! described by the schema that `nightbell schema` prints.

use nightbell_core::event::{ApiFortress, Event};
use schemars::generate::SchemaSettings;
use serde_json::{Map, Value, json};

use crate::ingest::{EVENTS_BODY_BYTES_MAX, ITEMS_MAX, MADE_BYTES_MIN, REPORT_BODY_BYTES_MAX, Route};
use crate::proof::NONCE_HEADER;
use crate::status::Status;

/// What is written by hand. `parts` are what stands in several places, by name: see [`expand`].
const SOURCE: &str = include_str!("openapi.json");

/// The description of the routes of a server with or without ways in for events, and with these admin routes.
pub(crate) fn document(has_ingest: bool, admin: Map<String, Value>) -> Value {
    let mut document: Map<String, Value> =
        serde_json::from_str(SOURCE).expect("the description is JSON, as the tests of it show");
    let parts = parts(document.remove("parts").unwrap_or_default());
    if let Some(paths) = document["paths"].as_object_mut() {
        paths.retain(|path, _| has_ingest || Route::ALL.iter().all(|route| route.path() != path));
        paths.extend(admin);
    }
    if let Some(schemas) = document["components"]["schemas"].as_object_mut() {
        schemas.extend(generated());
    }
    let mut document = Value::Object(document);
    expand(&mut document, &parts);
    document
}

/// The parts, and the limits and names that texts have in their places.
fn parts(mut parts: Value) -> Value {
    for (name, number) in [
        ("ITEMS_MAX", ITEMS_MAX),
        ("EVENTS_BODY_BYTES_MAX", EVENTS_BODY_BYTES_MAX),
        ("REPORT_BODY_BYTES_MAX", REPORT_BODY_BYTES_MAX),
        ("MADE_BYTES_MIN", MADE_BYTES_MIN),
    ] {
        parts[name] = number.to_string().into();
    }
    parts["NONCE_HEADER"] = NONCE_HEADER.into();
    parts["VERSION"] = env!("CARGO_PKG_VERSION").into();
    parts
}

/// Puts a part where `{"$part": NAME}` stands, and the text of one where a text has `{NAME}`.
fn expand(value: &mut Value, parts: &Value) {
    if let Some(part) = value.get("$part").and_then(Value::as_str).and_then(|name| parts.get(name)) {
        *value = part.clone();
    }
    match value {
        Value::Object(members) => members.values_mut().for_each(|member| expand(member, parts)),
        Value::Array(values) => values.iter_mut().for_each(|value| expand(value, parts)),
        Value::String(text) => {
            for (name, part) in parts.as_object().into_iter().flatten() {
                if let (Some(part), place) = (part.as_str(), format!("{{{name}}}"))
                    && text.contains(&place)
                {
                    *text = text.replace(&place, part);
                    return expand(value, parts);
                }
            }
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

/// The schemas of our own types.
fn generated() -> Map<String, Value> {
    let settings = SchemaSettings::draft2020_12()
        .with(|settings| settings.definitions_path = "/components/schemas".into());
    let mut generator = settings.into_generator();
    generator.subschema_for::<Event>();
    generator.subschema_for::<ApiFortress>();
    generator.subschema_for::<Status>();
    let mut schemas = generator.take_definitions(true);
    sharpen_event(&mut schemas);
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
    schemas["When"]["oneOf"][0]["pattern"] = "{time}".into();
}

#[cfg(test)]
mod tests;
