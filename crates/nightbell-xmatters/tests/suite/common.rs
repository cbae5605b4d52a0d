//! Alerts, destinations and a clock for these tests.

use std::sync::Arc;
use std::time::Duration;

use fake_xmatters::{Answer, FakeXmatters, Settings};
use nightbell_core::event::Event;
use nightbell_core::fingerprint::Fingerprint;
use nightbell_core::outcome::Outcome;
use nightbell_core::ports::{Alert, Clock, Overrides, Sender as _};
use nightbell_core::time::UnixMillis;
use nightbell_xmatters::{
    Auth, Authorities, ClientCertificate, ClientIdentity, DestinationSettings, Login, Pem, Xmatters,
};

/// The bound of every wait that should not be one.
pub(crate) const SOON: Duration = Duration::from_secs(20);

/// The time-out where a time-out is what is tested.
pub(crate) const SHORT: Duration = Duration::from_millis(150);

pub(crate) const FUNCTION: &str = "6f2d8c1e-0b7a-4c55-9d3e-2a1f0e9b8c7d";
pub(crate) const USER: &str = "svc-nightbell";
pub(crate) const PASSWORD: &str = "corr3ct-horse-battery";

/// Sun, 06 Nov 1994 08:49:37 GMT.
#[derive(Debug, Clone, Copy)]
pub(crate) struct FixedClock;

impl Clock for FixedClock {
    fn now(&self) -> UnixMillis {
        UnixMillis(784_111_777_000)
    }
}

pub(crate) fn alert_of(event: Event) -> Alert {
    let alert_id = Fingerprint::of([event.project.as_bytes(), event.test.as_bytes()]);
    let event_id = event.id.clone().unwrap_or_else(|| "e-1".into());
    let alert_key = Fingerprint::of([b"key".as_slice(), event.project.as_bytes(), event.test.as_bytes()]);
    let overrides = Overrides::default();
    Alert { alert_id, alert_key, event_id, event: Arc::new(event), attempt: 1, overrides, trace: None }
}

pub(crate) fn alert() -> Alert {
    alert_of(Event::new("shop", "buys a book"))
}

pub(crate) fn login(username: &str, password: &str) -> Login {
    Login { username: username.parse().unwrap(), password: password.parse().unwrap() }
}

pub(crate) fn basic() -> Auth {
    Auth::Basic(login(USER, PASSWORD))
}

pub(crate) fn destination(trigger_url: impl AsRef<str>) -> DestinationSettings {
    DestinationSettings {
        timeout: SOON,
        connect_timeout: SOON,
        ..DestinationSettings::new(trigger_url.as_ref().parse().unwrap(), basic())
    }
}

/// The authorities of a PEM text.
pub(crate) fn authorities(text: impl Into<Vec<u8>>) -> Authorities {
    Authorities::of(Pem::new("ca.pem", text)).unwrap()
}

/// The certificate and the key of a PEM text.
pub(crate) fn identity(text: &str) -> ClientIdentity {
    ClientIdentity::of(ClientCertificate { chain: Pem::new("client.pem", text), key: None }).unwrap()
}

/// A stand-in that asks for our user and password.
pub(crate) async fn fake() -> FakeXmatters {
    let auth = fake_xmatters::Auth::Basic { user: USER.into(), password: PASSWORD.into() };
    FakeXmatters::start(Settings { auth, functions: vec![FUNCTION.into()], ..Settings::default() })
        .await
        .unwrap()
}

pub(crate) fn sender(settings: DestinationSettings) -> Xmatters<FixedClock> {
    Xmatters::new(settings, FixedClock).unwrap()
}

/// Sends one alert to these settings' destination. No outcome ever shows a secret of it.
pub(crate) async fn sent(settings: DestinationSettings) -> Outcome {
    let outcome = sender(settings).send(alert()).await;
    let shown = format!("{outcome:?} {}", outcome.detail());
    for secret in [FUNCTION, PASSWORD, "127.0.0.1", "localhost", "http:", "https:"] {
        assert!(!shown.contains(secret), "{shown}");
    }
    outcome
}

/// Sends one alert to a stand-in that answers this.
pub(crate) async fn answered(answer: Answer) -> Outcome {
    let fake = fake().await;
    fake.script([answer]);
    let outcome = sent(destination(fake.trigger_url())).await;
    assert_eq!((fake.script_left(), fake.summary().requests), (0, 1));
    outcome
}

pub(crate) fn unavailable(detail: &str) -> Outcome {
    Outcome::Unavailable { detail: detail.into(), retry_after: None }
}
