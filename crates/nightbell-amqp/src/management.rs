//! RabbitMQ's management API: what it tells of queues and exchanges and AMQP does not, for `check --online`
//! (<https://www.rabbitmq.com/docs/management#http-api>).

use lapin::uri::AMQPUserInfo;
use percent_encoding::percent_decode_str;
use reqwest::{Client, Response, StatusCode, redirect};
use secrecy::{ExposeSecret as _, SecretString};
use serde_json::{Map, Value};
use url::{Host, Url};

use crate::declare::{Object, ObjectKind};
use crate::limits::{MANAGEMENT_BYTES_MAX, STEP_WAIT_MAX};
use crate::url::BrokerUrl;

/// What is asked for: without statistics, which cost the broker more than all else.
const COLUMNS: &str = "type,arguments,policy,operator_policy,effective_policy_definition,members";

/// The management API of a broker, for one virtual host.
#[derive(Debug)]
pub struct Management {
    client: Client,
    /// Without user and password.
    base: Url,
    user: String,
    password: SecretString,
    vhost: String,
}

/// How an exchange or a queue stands in the broker.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ObjectSettings {
    /// What kind of exchange or queue it is.
    pub kind: String,
    /// What it was declared with.
    pub arguments: Map<String, Value>,
    /// What policies set; none for an exchange, and for a queue that did not tell the API yet: each does every 5 s.
    pub policies: Option<Policies>,
    /// On how many nodes a quorum queue keeps its messages; 0 for anything else.
    pub members: usize,
}

/// The policies that apply to a queue.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Policies {
    /// The users' one and the operators' one.
    pub names: Vec<String>,
    /// What they set together.
    pub definition: Map<String, Value>,
}

/// The management API can't be asked. No text holds a URL or a password.
#[derive(Debug, thiserror::Error)]
pub enum ManagementError {
    /// The URL is none.
    #[error("the URL of the management API can't be used: {0}")]
    Url(String),
    /// No HTTP client could be built, or no answer came.
    #[error("no answer from the management API at {place}")]
    Unreachable {
        /// Host and port.
        place: String,
        /// What the HTTP client says, without the URL.
        source: reqwest::Error,
    },
    /// The user or the password is wrong, or the user lacks the tag `management`.
    #[error("the management API at {place} refused `{user}` with HTTP {status}")]
    Refused {
        /// Host and port.
        place: String,
        /// The user that was refused.
        user: String,
        /// 401 or 403.
        status: u16,
    },
    /// Whatever answers is no management API.
    #[error("{place} answered as no management API does: HTTP {status}")]
    Strange {
        /// Host and port.
        place: String,
        /// The status of the answer.
        status: u16,
    },
}

impl Management {
    /// The API at `url`, with the user, the password and the virtual host of `broker` unless the URL has its own user.
    ///
    /// # Errors
    /// [`ManagementError::Url`], [`ManagementError::Unreachable`].
    pub fn new(url: &SecretString, broker: &BrokerUrl) -> Result<Self, ManagementError> {
        let mut base: Url = url
            .expose_secret()
            .parse()
            .map_err(|cause: url::ParseError| ManagementError::Url(cause.to_string()))?;
        let own = login(&base);
        if own.is_none() && broker.is_tls() && base.scheme() == "http" && !is_loopback(&base) {
            let wrong = "it is plain http, and would show the password of an amqps URL; write https, or give it a user of \
                         its own";
            return Err(ManagementError::Url(wrong.to_owned()));
        }
        let AMQPUserInfo { username, password } = own.unwrap_or_else(|| broker.uri().authority.userinfo);
        if base.set_username("").and_then(|()| base.set_password(None)).is_err() {
            return Err(ManagementError::Url("it has no host".to_owned()));
        }
        let client = Client::builder()
            .user_agent(concat!("nightbell/", env!("CARGO_PKG_VERSION")))
            .redirect(redirect::Policy::none())
            .no_proxy()
            .timeout(STEP_WAIT_MAX)
            .build()
            .map_err(|source| unreachable(&base, source))?;
        let vhost = broker.vhost().to_owned();
        Ok(Self { client, base, user: username, password: SecretString::from(password), vhost })
    }

    /// Host and port.
    #[must_use]
    pub fn place(&self) -> String {
        place(&self.base)
    }

    /// How an exchange or a queue stands; none: there is none of that name.
    ///
    /// # Errors
    /// [`ManagementError`].
    pub async fn find(&self, object: &Object) -> Result<Option<ObjectSettings>, ManagementError> {
        let kind = match object.kind {
            ObjectKind::Exchange => "exchanges",
            ObjectKind::Queue => "queues",
        };
        let Some((status, body)) = self.ask(&[kind, &self.vhost, &object.name], COLUMNS).await? else {
            return Ok(None);
        };
        settings(&body).map(Some).ok_or_else(|| self.strange(status))
    }

    /// How many nodes the cluster has; none: the user may not know.
    ///
    /// # Errors
    /// [`ManagementError`].
    pub async fn nodes(&self) -> Result<Option<usize>, ManagementError> {
        match self.ask(&["nodes"], "name").await {
            Ok(Some((status, body))) => match serde_json::from_slice(&body) {
                Ok(Value::Array(nodes)) => Ok(Some(nodes.len())),
                Ok(_) | Err(_) => Err(self.strange(status)),
            },
            Ok(None) | Err(ManagementError::Refused { .. }) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// The answer about something; none: there is no such thing.
    async fn ask(
        &self,
        path: &[&str],
        columns: &str,
    ) -> Result<Option<(StatusCode, Vec<u8>)>, ManagementError> {
        let asked = self.client.get(self.url_of(path, columns)?);
        let asked = asked.basic_auth(&self.user, Some(self.password.expose_secret())).send().await;
        let response = asked.map_err(|source| unreachable(&self.base, source))?;
        let status = response.status();
        match status {
            StatusCode::OK => {}
            StatusCode::NOT_FOUND => return Ok(None),
            StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => {
                let user = self.user.clone();
                return Err(ManagementError::Refused { place: self.place(), user, status: status.as_u16() });
            }
            _ => return Err(self.strange(status)),
        }
        let body = self.body(response).await?;
        body.map(|body| Some((status, body))).ok_or_else(|| self.strange(status))
    }

    fn url_of(&self, path: &[&str], columns: &str) -> Result<Url, ManagementError> {
        let mut url = self.base.clone();
        url.path_segments_mut()
            .map_err(|()| ManagementError::Url("it has no host".to_owned()))?
            .pop_if_empty()
            .push("api")
            .extend(path);
        url.set_query(Some(&format!("columns={columns}")));
        Ok(url)
    }

    /// None: it is too long.
    async fn body(&self, mut response: Response) -> Result<Option<Vec<u8>>, ManagementError> {
        let mut body = Vec::new();
        while let Some(part) = response.chunk().await.map_err(|source| unreachable(&self.base, source))? {
            if body.len() + part.len() > MANAGEMENT_BYTES_MAX {
                return Ok(None);
            }
            body.extend_from_slice(&part);
        }
        Ok(Some(body))
    }

    fn strange(&self, status: StatusCode) -> ManagementError {
        ManagementError::Strange { place: self.place(), status: status.as_u16() }
    }
}

/// A URL's own user, if it has one.
fn login(url: &Url) -> Option<AMQPUserInfo> {
    let decoded = |text: &str| percent_decode_str(text).decode_utf8_lossy().into_owned();
    let (username, password) = (decoded(url.username()), decoded(url.password().unwrap_or_default()));
    (!username.is_empty()).then_some(AMQPUserInfo { username, password })
}

fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(Host::Domain(name)) => name == "localhost",
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        None => false,
    }
}

fn place(url: &Url) -> String {
    format!("{}:{}", url.host_str().unwrap_or_default(), url.port_or_known_default().unwrap_or_default())
}

fn unreachable(url: &Url, source: reqwest::Error) -> ManagementError {
    ManagementError::Unreachable { place: place(url), source: source.without_url() }
}

/// Reads an answer; none: it is not one about an exchange or a queue. What is empty comes as `{}`, `[]`, `""` or `null`.
fn settings(body: &[u8]) -> Option<ObjectSettings> {
    let answer: Value = serde_json::from_slice(body).ok()?;
    let answer = answer.as_object()?;
    let arguments = answer.get("arguments")?;
    let map = |value: Option<&Value>| value.and_then(Value::as_object).cloned().unwrap_or_default();
    let names = ["policy", "operator_policy"].into_iter().filter_map(|key| answer.get(key)?.as_str());
    let names = names.filter(|name| !name.is_empty()).map(str::to_owned).collect();
    let definition = answer.get("effective_policy_definition");
    Some(ObjectSettings {
        kind: answer.get("type").and_then(Value::as_str).unwrap_or_default().to_owned(),
        arguments: map(Some(arguments)),
        members: answer.get("members").and_then(Value::as_array).map_or(0, Vec::len),
        policies: definition.map(|set| Policies { names, definition: map(Some(set)) }),
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn management(url: &str) -> Management {
        let broker = "amqp://worker:w%40rd@broker/a%2fb".parse().unwrap();
        Management::new(&SecretString::from(url), &broker).unwrap()
    }

    #[track_caller]
    fn check(url: &str, user: &str, password: &str, asked: &str) {
        let management = management(url);
        assert_eq!((management.user.as_str(), management.password.expose_secret()), (user, password));
        let asked = format!("{asked}/api/queues/a%2Fb/q.1?columns={COLUMNS}");
        assert_eq!(
            management.url_of(&["queues", &management.vhost, "q.1"], COLUMNS).unwrap().as_str(),
            asked
        );
    }

    #[test]
    fn a_queue_is_asked_for_with_the_urls_own_user_or_the_brokers() {
        check("http://broker:15672", "worker", "w@rd", "http://broker:15672");
        check("https://broker/rabbit/", "worker", "w@rd", "https://broker/rabbit");
        check("https://watch%2B:p%3A+s@broker", "watch+", "p:+s", "https://broker");
    }

    #[test]
    fn an_exchange_is_asked_for_among_the_exchanges() {
        let url = management("http://broker:15672").url_of(&["exchanges", "a/b", "x"], COLUMNS).unwrap();
        assert_eq!(url.path(), "/api/exchanges/a%2Fb/x");
    }

    #[test]
    fn the_password_of_an_encrypted_connection_is_not_sent_in_plain_text() {
        let refused = |url: &str| {
            let broker = "amqps://worker:planted@broker".parse().unwrap();
            Management::new(&SecretString::from(url), &broker).err().map(|error| error.to_string())
        };
        let said = refused("http://broker:15672").unwrap();
        assert!(said.contains("write https") && !said.contains("planted"), "{said}");
        for allowed in ["https://broker:15671", "http://127.0.0.1:15672", "http://watch:p@broker:15672"] {
            assert_eq!(refused(allowed), None, "{allowed}");
        }
    }

    #[test]
    fn neither_user_nor_password_shows() {
        let shown = format!("{:?}", management("https://u:planted@broker"));
        assert!(!shown.contains("planted") && !shown.contains("w@rd"), "{shown}");
    }

    #[test]
    fn an_answer_is_read_however_it_says_that_there_is_nothing() {
        let read = |answer: Value| settings(answer.to_string().as_bytes());
        assert_eq!(read(json!({ "arguments": {} })), Some(ObjectSettings::default()));
        let none = ObjectSettings { policies: Some(Policies::default()), ..ObjectSettings::default() };
        for nothing in [json!([]), json!({}), json!(null), json!("")] {
            let answer = json!({ "arguments": [], "policy": "", "effective_policy_definition": nothing });
            assert_eq!(read(answer), Some(none.clone()));
        }
        let full = json!({
            "type": "quorum", "arguments": { "x-queue-type": "quorum" }, "policy": "limits", "operator_policy": null,
            "effective_policy_definition": { "max-length": 9 }, "members": ["rabbit@a", "rabbit@b"],
        });
        let full = read(full).unwrap();
        assert_eq!(full.members, 2);
        let policies = full.policies.unwrap();
        assert_eq!(
            (policies.names, policies.definition["max-length"].as_u64()),
            (vec!["limits".to_owned()], Some(9))
        );
        assert_eq!((full.kind.as_str(), &full.arguments["x-queue-type"]), ("quorum", &json!("quorum")));
        assert_eq!(read(json!({ "error": "not_authorised" })), None);
        assert_eq!(settings(b"<html>"), None);
    }
}
