//! Requests to xMatters: what is posted, how it is sent, and what the answer means.
//!
//! Building a request ([`render`]) and reading an answer ([`classify`]) are pure functions; [`Xmatters`] is the thin
//! part that sends. This is the only crate that names reqwest.
//!
//! It must never follow a redirect, retry by itself (save over a new connection, where pings find the first one dead),
//! use a proxy that it was not told of, read an answer without bound, or let a trigger URL, a key or a password into a
//! log, an error or an outcome.

mod apifortress;
mod basic;
mod classify;
mod elastic;
mod excerpt;
mod fault;
mod form;
mod hosts;
mod lenient;
mod link;
mod network;
mod oauth;
mod probe;
mod proxy;
mod render;
mod retry_after;
mod route;
mod secrets;
mod send;
mod settings;
mod target;
mod template;
mod text;
mod tls;
mod undo;
mod view;

pub use self::classify::{Answer, REQUEST_ID_BYTES_MAX, classify};
pub use self::excerpt::EXCERPT_CHARS_MAX;
pub use self::link::report_left_out;
pub use self::network::{BadVerification, Network, Pem, Proxy, RESPONSE_BYTES_MAX, Verification};
pub use self::probe::{Endpoint, Obstacle, Probe, Shown, Step, TwoClocks, Validity, certificate_end, probe};
pub use self::render::{BODY_BYTES_MAX, render};
pub use self::secrets::Secrets;
pub use self::send::{POOL_IDLE_TIMEOUT, Xmatters};
pub use self::settings::{
    Auth, CONNECT_TIMEOUT, DestinationSettings, Grant, OAuth2, Payload, SetupError, TIMEOUT,
};
pub use self::template::{TEMPLATE_BYTES_MAX, Template, TemplateError};
pub use self::text::TEXT_CHARS_MAX;
