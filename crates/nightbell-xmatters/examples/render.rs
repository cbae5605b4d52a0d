//! Measures how long rendering a body and classifying the answer to it take, per alert and on one core.
//!
//! `cargo run --release -p nightbell-xmatters --example render`

use std::hint::black_box;
use std::io::{self, Write as _};
use std::sync::Arc;
use std::time::Instant;

use nightbell_core::event::{Event, Severity, When};
use nightbell_core::fingerprint::Fingerprint;
use nightbell_core::ports::{Alert, Overrides};
use nightbell_core::time::UnixMillis;
use nightbell_xmatters::{Answer, Auth, DestinationSettings, Payload, Secrets, Template, classify, render};

const ROUNDS: u32 = 300_000;

const TEMPLATE: &str = r#"{"id": {{ alert_id }}, "title": {{ summary }}, "text": {{ message }}, "link": {{ report_url }},
    "tags": {{ tags | join(", ") }}, "labels": {{ labels }}, "to": {{ recipients }}}"#;

const ANSWER: &[u8] = br#"{"requestId":"93e6b331-6a4c-4f0e-8d6e-0a1b2c3d4e5f"}"#;

fn main() -> io::Result<()> {
    let template = Template::compile(TEMPLATE, "example").map_err(io::Error::other)?;
    let payloads = [
        ("form", Payload::Form),
        ("elastic", Payload::Elastic),
        ("apifortress", Payload::ApiFortress),
        ("template", Payload::Template(template)),
    ];
    let mut out = io::stdout().lock();
    for (alert_name, alert) in [("usual alert", usual()), ("alert of 64 KiB", large())] {
        for (name, payload) in &payloads {
            let Some((bytes, micros)) = measured(&alert, payload.clone()) else { continue };
            writeln!(out, "{alert_name:16} {name:12} {bytes:6} bytes {micros:7.2} µs")?;
        }
    }
    Ok(())
}

/// The body's length, and the microseconds of one alert.
fn measured(alert: &Alert, payload: Payload) -> Option<(usize, f64)> {
    let trigger_url = "https://acme.xmatters.com/".parse().ok()?;
    let settings = DestinationSettings {
        payload,
        recipients: vec!["payments-primary".into(), "jdoe|work-phone".into()],
        report_base_url: "https://reports.example.com".parse().ok(),
        ..DestinationSettings::new(trigger_url, Auth::Url)
    };
    let secrets = Secrets::default();
    let answer = Answer { status: 202, retry_after: None, body: ANSWER };
    let began = Instant::now();
    for _ in 0..ROUNDS {
        black_box(render(black_box(alert), &settings));
        black_box(classify(black_box(answer), &secrets, UnixMillis(0)));
    }
    let micros = began.elapsed().as_secs_f64() * 1e6 / f64::from(ROUNDS);
    Some((render(alert, &settings).len(), micros))
}

fn usual() -> Alert {
    let text = |text: &str| Some(text.to_owned());
    alert(Event {
        severity: Severity::Critical,
        message: text("expected 200, got 500"),
        details: Some("  File \"/srv/tests/checkout.py\", line 31, in test_buys\n".repeat(15)),
        suite: text("checkout"),
        environment: text("production"),
        occurred_at: Some(When(UnixMillis(1_795_226_400_000))),
        report_path: text("/runs/7?test=buys a book"),
        tags: vec!["smoke".into(), "nightly".into()],
        labels: [("team", "payments"), ("branch", "main"), ("company", "Example")]
            .map(|(name, text)| (name.into(), text.into()))
            .into(),
        ..Event::new("shop", "buys a book")
    })
}

fn large() -> Alert {
    let event = usual().event.as_ref().clone();
    alert(Event { details: Some("ä\n\"quoted\" ".repeat(5_000)), ..event })
}

fn alert(event: Event) -> Alert {
    Alert {
        alert_id: Fingerprint::of([b"alert".as_slice()]),
        alert_key: Fingerprint::of([b"key".as_slice()]),
        event_id: "run-7/buys-a-book".into(),
        event: Arc::new(event),
        attempt: 1,
        overrides: Overrides::default(),
        trace: None,
    }
}
