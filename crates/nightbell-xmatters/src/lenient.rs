//! JSON of foreign servers, read as its writer must have meant it.

use serde_json::{Map, Value};

/// The object that an answer is, or the first one of a list.
pub(crate) fn object(body: &[u8]) -> Option<Map<String, Value>> {
    let body = body.strip_prefix("\u{feff}".as_bytes()).unwrap_or(body);
    match serde_json::from_slice(body).ok()? {
        Value::Object(object) => Some(object),
        Value::Array(items) => items.into_iter().find_map(|item| match item {
            Value::Object(object) => Some(object),
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Array(_) => None,
        }),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => None,
    }
}

/// A member by its name in lower case, however its writer separates words: `requestid` is `requestId` and `request_id`.
pub(crate) fn get<'o>(object: &'o Map<String, Value>, name: &str) -> Option<&'o Value> {
    let plain = |key: &str| key.replace(['_', '-'], "").eq_ignore_ascii_case(name);
    object.iter().find(|(key, value)| plain(key) && !value.is_null()).map(|(_, value)| value)
}

/// A text, a number as it is written, or the first of a list.
pub(crate) fn text(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.trim().to_owned()),
        Value::Number(number) => Some(number.to_string()),
        Value::Array(items) => items.first().and_then(text),
        Value::Null | Value::Bool(_) | Value::Object(_) => None,
    }
}

/// A number, also one written as a text; never NaN.
pub(crate) fn number(value: &Value) -> Option<f64> {
    text(value)?.parse().ok().filter(|number: &f64| !number.is_nan())
}
