//! What became of each alert, from what the stand-in heard and what the metrics count.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use fake_xmatters::Recorded;
use nightbell_core::alert::alert_id;
use nightbell_core::connector::Connector;
use nightbell_core::event::Event;
use nightbell_core::message::{EventId, Message};
use nightbell_core::routing::Routing;

/// The alerts that are expected, in the order of connectors and events.
#[derive(Debug, Default)]
pub(super) struct Board {
    pub(super) rows: Vec<Row>,
}

/// One alert.
#[derive(Debug)]
pub(super) struct Row {
    pub(super) connector: Connector,
    pub(super) test: String,
    pub(super) alert_id: String,
    pub(super) attempts: u32,
    /// From its publishing to its latest answer.
    pub(super) took: Duration,
    pub(super) fate: Fate,
}

/// How an alert stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fate {
    /// Nothing was heard of it yet.
    Unheard,
    /// An attempt failed, and another follows.
    Retried,
    /// It was refused for good.
    Refused,
    /// It was accepted.
    Delivered,
}

impl Fate {
    /// What an answer with this status makes of an alert; the stand-in gives no others.
    pub(super) fn after(status: u16) -> Self {
        match status {
            200..=299 => Self::Delivered,
            400 => Self::Refused,
            _ => Self::Retried,
        }
    }
}

impl Board {
    /// The alerts that these events become.
    pub(super) fn of(events: &[Event], routing: &Routing) -> Self {
        let mut rows = Vec::new();
        for connector in &routing.connectors {
            for event in events.iter().filter(|event| routing.is_for(connector, event)) {
                let id = EventId::of(Some(&event.project), event.id.as_deref(), &Message::default());
                rows.push(Row {
                    connector: connector.clone(),
                    test: event.test.clone(),
                    alert_id: alert_id(connector, id).to_string(),
                    attempts: 0,
                    took: Duration::ZERO,
                    fate: Fate::Unheard,
                });
            }
        }
        Self { rows }
    }

    /// Takes notice of a request that was made after its events were published at `published`.
    pub(super) fn hear(&mut self, request: &Recorded, published: Instant) {
        let is_its = |row: &&mut Row| Some(&row.alert_id) == request.alert_id.as_ref();
        if let Some(row) = self.rows.iter_mut().find(is_its) {
            row.attempts += 1;
            row.took = request.at.saturating_duration_since(published);
            row.fate = Fate::after(request.status);
        }
    }

    /// The alerts that have not been delivered, and why.
    pub(super) fn missing(&self) -> Vec<String> {
        let missing = self.rows.iter().filter(|row| row.fate != Fate::Delivered);
        missing
            .map(|Row { connector, test, attempts, .. }| {
                format!("{test} for {connector} ({attempts} attempts)")
            })
            .collect()
    }
}

/// How a connector's deliveries were settled so far.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Counts {
    pub(super) delivered: usize,
    pub(super) duplicate: usize,
    pub(super) filtered: usize,
    pub(super) dead: usize,
}

impl Counts {
    /// Every connector's, from what `/metrics` says.
    pub(super) fn read(metrics: &str) -> BTreeMap<String, Self> {
        let mut all = BTreeMap::<String, Self>::new();
        for line in metrics.lines() {
            let Some((connector, result, count)) = settled(line) else { continue };
            let counts = all.entry(connector.to_owned()).or_default();
            match result {
                "delivered" => counts.delivered = count,
                "duplicate" => counts.duplicate = count,
                "filtered" => counts.filtered = count,
                "dead" => counts.dead = count,
                _ => {}
            }
        }
        all
    }

    /// All of them.
    pub(super) fn total(self) -> usize {
        self.delivered + self.duplicate + self.filtered + self.dead
    }
}

fn settled(line: &str) -> Option<(&str, &str, usize)> {
    let rest = line.strip_prefix("nightbell_alerts_settled_total{connector=\"")?;
    let (connector, rest) = rest.split_once("\",result=\"")?;
    let (result, count) = rest.split_once("\"} ")?;
    Some((connector, result, count.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_are_read_from_metrics() {
        let text = "# HELP nightbell_alerts_settled_total x\n\
                    nightbell_alerts_settled_total{connector=\"shop\",result=\"delivered\"} 4\n\
                    nightbell_alerts_settled_total{connector=\"shop\",result=\"duplicate\"} 3\n\
                    nightbell_alerts_settled_total{connector=\"sre\",result=\"filtered\"} 2\n\
                    nightbell_alerts_settled_total{connector=\"sre\",result=\"dead\"} 1\n\
                    nightbell_attempts_total{connector=\"sre\",outcome=\"accepted\"} 9\n";
        let counts = Counts::read(text);
        assert_eq!(counts["shop"], Counts { delivered: 4, duplicate: 3, ..Counts::default() });
        assert_eq!(counts["sre"], Counts { filtered: 2, dead: 1, ..Counts::default() });
        assert_eq!((counts.len(), counts["shop"].total(), counts["sre"].total()), (2, 7, 3));
    }

    fn board() -> Board {
        let connectors = ["shop", "sre"].map(|name| name.parse().unwrap());
        let routing = Routing {
            default_connectors: connectors.clone().into(),
            connectors: connectors.into(),
            ..Routing::default()
        };
        let event = Event { id: Some("1".into()), ..Event::new("shop", "test_pays") };
        Board::of(&[event], &routing)
    }

    #[test]
    fn what_was_not_delivered_is_named_with_its_attempts() {
        let mut board = board();
        let published = Instant::now();
        let request = |row: usize, status| Recorded {
            at: published + Duration::from_secs(1),
            unix_ms: 0,
            connection: 1,
            function: "f".into(),
            alert_id: Some(board.rows[row].alert_id.clone()),
            event_id: None,
            test: None,
            priority: None,
            attempt: None,
            recipients: Vec::new(),
            traceparent: None,
            body: Vec::new(),
            status,
            kind: fake_xmatters::Kind::Whole,
            accepted: status == 202,
            suppressed: false,
            request_id: None,
        };
        let requests = [request(0, 503), request(0, 202), request(1, 503), request(1, 503)];
        requests.iter().for_each(|request| board.hear(request, published));
        assert_eq!(board.missing(), ["test_pays for sre (2 attempts)"]);
        let [shop, _] = board.rows.as_slice() else { panic!("{board:?}") };
        assert_eq!((shop.attempts, shop.took, shop.fate), (2, Duration::from_secs(1), Fate::Delivered));
    }

    #[test]
    fn an_answer_decides_what_follows() {
        assert_eq!([202, 400, 503].map(Fate::after), [Fate::Delivered, Fate::Refused, Fate::Retried]);
    }
}
