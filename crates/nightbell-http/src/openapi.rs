//! The description of all routes, as OpenAPI 3.1. Events are described by the schema that `nightbell schema` prints.

mod dead;
mod ingest;
mod schemas;

use serde_json::{Map, Value, json};

use crate::proof::NONCE_HEADER;

/// The description of the routes of a server with or without ways in for events, and with or without dead letters.
pub(crate) fn document(has_ingest: bool, has_dead_letters: bool) -> Value {
    let mut paths = watching();
    if has_ingest {
        paths.extend(ingest::paths());
    }
    if has_dead_letters {
        paths.extend(dead::paths());
    }
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "Nightbell",
            "version": env!("CARGO_PKG_VERSION"),
            "description": "Carries failure alerts from test runners to on-call people through xMatters."
        },
        "paths": paths,
        "components": {
            "schemas": schemas::all(),
            "securitySchemes": {
                "ingest": { "type": "http", "scheme": "bearer", "description": "http.ingest_token" },
                "admin": { "type": "http", "scheme": "bearer", "description": "http.admin_token" }
            }
        }
    })
}

/// The routes that only show something.
fn watching() -> Map<String, Value> {
    let text = |what: &str| json!({ "description": what, "content": { "text/plain": { "schema": { "type": "string" } } } });
    let ready = |what: &str| answer(what, "Ready");
    let paths = json!({
        "/metrics": { "get": operation("metrics", "Metrics in Prometheus' text format", json!({
            "200": text("The metrics"), "403": forbidden(), "500": answer("They could not be put together", "Problem")
        })) },
        "/healthz": { "get": operation("healthz", "Whether the process runs", json!({ "200": text("It does") })) },
        "/readyz": { "get": operation("readyz", "Whether the worker is ready, and what is missing; why, for the admin token", json!({
            "200": ready("It is"), "503": ready("It is not")
        })) },
        "/v1/proof": { "get": proof() },
        "/openapi.json": { "get": operation("openapi", "This description", json!({
            "200": { "description": "It", "content": { "application/json": { "schema": { "type": "object" } } } }
        })) },
        "/v1/status": { "get": guarded("admin", operation("status", "The worker's state", json!({
            "200": answer("It", "WorkerState"), "400": answer("It came with a query or a body", "Problem"), "401": unauthorized(), "403": forbidden(),
            "503": come_again("Too many requests are under way", "Problem")
        }))) }
    });
    members(paths)
}

/// With what the commands of the same machine make sure of whom they ask.
fn proof() -> Value {
    let summary = "Proves to a command that can read the worker's key who the worker is";
    let mut described = operation(
        "proof",
        summary,
        json!({
            "200": { "description": "A code of the number", "content": { "text/plain": { "schema": { "type": "string" } } } },
            "400": answer("There is no number", "Problem"),
            "404": answer("This worker has no key", "Problem")
        }),
    );
    let number = json!({ "type": "string", "pattern": "^[0-9a-f]{64}$" });
    described["parameters"] = json!([{
        "name": NONCE_HEADER, "in": "header", "required": true, "description": "A new random number", "schema": number
    }]);
    described
}

fn operation(id: &str, summary: &str, responses: Value) -> Value {
    json!({ "operationId": id, "summary": summary, "responses": responses })
}

fn guarded(token: &str, mut operation: Value) -> Value {
    operation["security"] = json!([{ token: [] }]);
    operation
}

/// An answer in JSON, by a schema of this description.
fn answer(description: &str, schema: &str) -> Value {
    let schema = json!({ "$ref": format!("#/components/schemas/{schema}") });
    json!({ "description": description, "content": { "application/json": { "schema": schema } } })
}

fn unauthorized() -> Value {
    let mut answer = answer("The token is missing or wrong", "Problem");
    answer["headers"] = json!({ "WWW-Authenticate": { "schema": { "type": "string" } } });
    answer
}

fn forbidden() -> Value {
    let description =
        "No token is set, and the request comes from a web page or names another host than this one";
    answer(description, "Problem")
}

/// An answer that says when to come again.
fn come_again(description: &str, schema: &str) -> Value {
    let mut answer = answer(description, schema);
    answer["headers"] = json!({
        "Retry-After": { "description": "Seconds", "schema": { "type": "integer", "minimum": 1 } }
    });
    answer
}

fn members(object: Value) -> Map<String, Value> {
    match object {
        Value::Object(members) => members,
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Array(_) => Map::new(),
    }
}

#[cfg(test)]
mod tests;
