//! Requests to xMatters: what is posted, how it is sent, and what the answer means.
//!
//! Building a request ([`render`]) and reading an answer ([`classify`]) are pure functions; [`Xmatters`] is the thin
//! part that sends.
//!
//! It must never follow a redirect, retry by itself (save over a new connection, where pings find the first one dead),
//! use a proxy that it was not told of, read an answer without bound, or let a trigger URL, a key or a password into a
//! log, an error or an outcome.

mod apifortress;
mod auth;
mod body;
mod classify;
mod elastic;
mod error;
mod excerpt;
mod fault;
mod form;
mod hosts;
mod lenient;
mod link;
mod network;
mod oauth;
mod pem;
mod probe;
mod proxy;
mod render;
mod retry_after;
mod route;
mod secrets;
mod send;
mod settings;
mod template;
mod text;
mod tls;
mod undo;
mod view;
mod way;
mod web_url;

pub use self::auth::{Auth, AuthKind, ClientId, Grant, Login, OAuth2, Password, Username};
pub use self::body::BODY_BYTES_MAX;
pub use self::classify::{Answer, REQUEST_ID_BYTES_MAX, classify};
pub use self::error::{Misfit, SetupError};
pub use self::excerpt::EXCERPT_CHARS_MAX;
pub use self::hosts::{BypassRule, Host};
pub use self::link::report_left_out;
pub use self::network::{BadVerification, Network, Proxy, RESPONSE_BYTES_MAX, Verification};
pub use self::pem::{Authorities, ClientCertificate, ClientIdentity, Pem};
pub use self::probe::{Obstacle, Probe, Shown, Step, TwoClocks, Validity, certificate_end, probe};
pub use self::render::render;
pub use self::route::POOL_IDLE_TIMEOUT;
pub use self::secrets::Secrets;
pub use self::send::Xmatters;
pub use self::settings::{CONNECT_TIMEOUT, DestinationSettings, Payload, TIMEOUT};
pub use self::template::{TEMPLATE_BYTES_MAX, Template, TemplateError};
pub use self::text::TEXT_CHARS_MAX;
pub use self::way::Endpoint;
pub use self::web_url::{ProxyUrl, ReportBase, TokenUrl, TriggerUrl, WebUrl, host_and_port, is_trigger};
