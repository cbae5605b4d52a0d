//! Whether a request is one that xMatters would look at.

use std::collections::HashSet;
use std::sync::Arc;

use crate::payload::{self, Facts};
use crate::settings::{Auth, Settings};
use crate::wire::{Method, Request};

const PREFIX: &str = "/api/integration/1/functions/";
const SUFFIX: &str = "/triggers";

/// The path of a function's trigger.
pub(crate) fn trigger_path(function: &str) -> String {
    format!("{PREFIX}{function}{SUFFIX}")
}

/// What every request is checked against.
#[derive(Debug)]
pub(crate) struct Judge {
    auth: Auth,
    authorization: Option<String>,
    functions: HashSet<String>,
}

/// What was found out about a request.
#[derive(Debug)]
pub(crate) struct Judged {
    /// The function that it names.
    pub(crate) function: Arc<str>,
    /// What its body says, as far as it was read.
    pub(crate) facts: Facts,
    /// The status that it is turned away with; none: it is let in.
    pub(crate) refusal: Option<u16>,
}

impl Judge {
    pub(crate) fn new(settings: &Settings) -> Self {
        Self {
            auth: settings.auth.clone(),
            authorization: settings.auth.header(),
            functions: settings.functions.iter().cloned().collect(),
        }
    }

    /// Checks a request, in the order in which xMatters would notice: path, method, credentials, function, body.
    /// `has_token` says whether an `Authorization` header has a token that is good.
    pub(crate) fn judge(&self, request: &Request, has_token: impl Fn(Option<&str>) -> bool) -> Judged {
        let (path, query) = request.target.split_once('?').unwrap_or((&request.target, ""));
        let function = path.strip_prefix(PREFIX).and_then(|rest| rest.strip_suffix(SUFFIX));
        let function = function.filter(|name| !name.is_empty() && !name.contains('/'));
        let facts = payload::read(&request.body);
        let refusal = match function {
            None => Some(404),
            Some(_) if request.method != Method::Post => Some(405),
            Some(_) if !self.lets_in(request, query, has_token) => Some(401),
            Some(name) if !self.functions.is_empty() && !self.functions.contains(name) => Some(404),
            Some(_) if !is_json(request.content_type.as_deref()) => Some(415),
            Some(_) if facts.is_none() => Some(400),
            Some(_) => None,
        };
        let mut facts = facts.unwrap_or_default();
        let wanted = parameter(query, "recipients");
        facts.recipients.extend(wanted.iter().flat_map(|names| names.split(',')).map(str::to_owned));
        Judged { function: function.unwrap_or_default().into(), facts, refusal }
    }

    fn lets_in(&self, request: &Request, query: &str, has_token: impl Fn(Option<&str>) -> bool) -> bool {
        match &self.auth {
            Auth::None => true,
            Auth::Basic { .. } => request.authorization == self.authorization,
            Auth::Url { api_key } => parameter(query, "apiKey").as_ref() == Some(api_key),
            Auth::OAuth2(_) => has_token(request.authorization.as_deref()),
        }
    }
}

fn is_json(content_type: Option<&str>) -> bool {
    let media = content_type.unwrap_or_default().split(';').next().unwrap_or_default();
    media.trim().eq_ignore_ascii_case("application/json")
}

/// A parameter of a query or a form, decoded.
pub(crate) fn parameter(query: &str, wanted: &str) -> Option<String> {
    let mut pairs = query.split('&').filter_map(|pair| pair.split_once('='));
    pairs.find(|(name, _)| *name == wanted).map(|(_, value)| decode(value))
}

fn decode(value: &str) -> String {
    let (mut bytes, mut rest) = (Vec::with_capacity(value.len()), value.as_bytes());
    while let [first, after @ ..] = rest {
        rest = after;
        let digits = after.get(..2).and_then(|digits| str::from_utf8(digits).ok());
        match (first, digits.and_then(|digits| u8::from_str_radix(digits, 16).ok())) {
            (b'%', Some(byte)) => {
                bytes.push(byte);
                rest = &after[2..];
            }
            (b'+', _) => bytes.push(b' '),
            (other, _) => bytes.push(*other),
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

/// A value as it stands in a query.
pub(crate) fn encode(value: &str) -> String {
    let encode = |byte: u8| match byte {
        b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => char::from(byte).to_string(),
        other => format!("%{other:02X}"),
    };
    value.bytes().map(encode).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request() -> Request {
        Request {
            method: Method::Post,
            target: trigger_path("f"),
            content_type: Some("application/json; charset=utf-8".into()),
            authorization: None,
            traceparent: None,
            keep_alive: true,
            body: b"{}".to_vec(),
        }
    }

    #[track_caller]
    fn check(settings: &Settings, request: &Request, refusal: Option<u16>) {
        assert_eq!(Judge::new(settings).judge(request, |_| false).refusal, refusal, "{request:?}");
    }

    #[test]
    fn only_a_post_of_json_to_a_trigger_is_let_in() {
        let open = Settings::default();
        check(&open, &request(), None);
        check(&open, &Request { method: Method::Get, ..request() }, Some(405));
        check(&open, &Request { method: Method::Other, ..request() }, Some(405));
        check(&open, &Request { content_type: None, ..request() }, Some(415));
        check(&open, &Request { content_type: Some("text/json".into()), ..request() }, Some(415));
        check(&open, &Request { body: b"[]".to_vec(), ..request() }, Some(400));
        for target in
            ["/", "/api/integration/1/functions//triggers", "/api/integration/1/functions/a/b/triggers"]
        {
            check(&open, &Request { target: target.into(), ..request() }, Some(404));
        }
    }

    #[test]
    fn unknown_functions_are_not_found() {
        let known = |name: &str| Settings { functions: vec![name.into()], ..Settings::default() };
        check(&known("f"), &request(), None);
        check(&known("g"), &request(), Some(404));
    }

    #[test]
    fn basic_credentials_are_compared_whole() {
        let auth = Auth::Basic { user: "u".into(), password: "p".into() };
        let settings = Settings { auth, ..Settings::default() };
        let with = |header: &str| Request { authorization: Some(header.into()), ..request() };
        check(&settings, &with("Basic dTpw"), None);
        check(&settings, &with("Basic dTpx"), Some(401));
        check(&settings, &request(), Some(401));
    }

    #[test]
    fn a_key_is_read_from_the_query() {
        let settings = Settings { auth: Auth::Url { api_key: "k/ ä".into() }, ..Settings::default() };
        let with = |query: &str| Request { target: format!("{}?{query}", trigger_path("f")), ..request() };
        check(&settings, &with(&format!("a=b&apiKey={}", encode("k/ ä"))), None);
        check(&settings, &with("apiKey=k/+%C3%A4"), None);
        check(&settings, &with("apiKey=k"), Some(401));
        check(&settings, &request(), Some(401));
    }

    #[test]
    fn recipients_in_the_query_count() {
        let target = format!("{}?recipients=a,b%20c", trigger_path("f"));
        let judged = Judge::new(&Settings::default()).judge(&Request { target, ..request() }, |_| false);
        assert_eq!(judged.facts.recipients, ["a", "b c"]);
    }

    #[test]
    fn broken_escapes_stand_for_themselves() {
        assert_eq!(decode("%"), "%");
        assert_eq!(decode("%4"), "%4");
        assert_eq!(decode("%zz%41"), "%zzA");
    }
}
