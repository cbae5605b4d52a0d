//! What became of each alert, from what the stand-in was asked and what the metrics count.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use axum::http::StatusCode;
use nightbell_core::alert::alert_id;
use nightbell_core::connector::Connector;
use nightbell_core::event::Event;
use nightbell_core::message::{EventId, Message};
use nightbell_core::routing::Routing;

use super::stand_in::Request;

/// The alerts that are expected, in the order of connectors and events.
#[derive(Debug, Default)]
pub(super) struct Board {
    pub(super) rows: Vec<Row>,
    /// Requests so far, those for other alerts too.
    pub(super) requests: usize,
    /// Alerts that arrived and were not expected.
    strangers: usize,
}

/// One alert.
#[derive(Debug)]
pub(super) struct Row {
    pub(super) connector: Connector,
    pub(super) test: String,
    alert_id: String,
    /// The answers so far, each with the time from its publishing.
    pub(super) answers: Vec<(Fate, Duration)>,
}

/// What an answer makes of an alert.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fate {
    /// Another attempt follows.
    Retried,
    /// It was refused for good.
    Refused,
    /// It was accepted.
    Delivered,
}

impl Fate {
    /// What an answer with this status makes of an alert; the stand-in gives no others.
    pub(super) fn after(status: StatusCode) -> Self {
        match status {
            StatusCode::ACCEPTED => Self::Delivered,
            StatusCode::BAD_REQUEST => Self::Refused,
            _ => Self::Retried,
        }
    }
}

impl Row {
    /// How it stands; none: nothing was heard of it yet.
    pub(super) fn latest(&self) -> Option<(Fate, Duration)> {
        self.answers.last().copied()
    }

    fn deliveries(&self) -> usize {
        self.answers.iter().filter(|(fate, _)| *fate == Fate::Delivered).count()
    }
}

impl Board {
    /// The alerts that these events become.
    pub(super) fn of(events: &[Event], routing: &Routing) -> Self {
        let row = |connector: &Connector, event: &Event| {
            let id = EventId::of(Some(&event.project), event.id.as_deref(), &Message::default());
            let alert_id = alert_id(connector, id).to_string();
            Row { connector: connector.clone(), test: event.test.clone(), alert_id, answers: Vec::new() }
        };
        let of = |connector| {
            let events = events.iter().filter(move |event| routing.is_for(connector, event));
            events.map(move |event| row(connector, event))
        };
        Self { rows: routing.connectors.iter().flat_map(of).collect(), ..Self::default() }
    }

    /// Takes notice of a request that was made after its event was published at `published`.
    pub(super) fn hear(&mut self, request: &Request, published: Instant) {
        self.requests += 1;
        match self.rows.iter_mut().find(|row| row.alert_id == request.alert_id) {
            Some(row) => {
                let took = request.at.saturating_duration_since(published);
                row.answers.push((Fate::after(request.status), took));
            }
            None => self.strangers += 1,
        }
    }

    /// The alerts that have not been delivered, and why.
    pub(super) fn missing(&self) -> Vec<String> {
        let missing = self.rows.iter().filter(|row| row.deliveries() == 0);
        missing
            .map(|Row { connector, test, answers, .. }| {
                format!("{test} for {connector} ({} attempts)", answers.len())
            })
            .collect()
    }

    /// What is wrong, unless each alert arrived, and only once.
    pub(super) fn wrong(&self) -> Vec<String> {
        let mut wrong = self.missing();
        for row in self.rows.iter().filter(|row| row.deliveries() > 1) {
            wrong.push(format!("{} for {} arrived {} times", row.test, row.connector, row.deliveries()));
        }
        wrong.extend((self.strangers > 0).then(|| "an alert arrived that nobody published".to_owned()));
        wrong
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
        for (connector, result, count) in metrics.lines().filter_map(settled) {
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

    fn hear(board: &mut Board, alert_id: &str, status: StatusCode) {
        let published = Instant::now();
        let request = Request {
            connector: "f".into(),
            alert_id: alert_id.to_owned(),
            test: "test_pays".into(),
            attempt: 1,
            status,
            at: published + Duration::from_secs(1),
        };
        board.hear(&request, published);
    }

    #[test]
    fn what_was_not_delivered_is_named_with_its_attempts() {
        let mut board = board();
        let [shop, sre] = [0, 1].map(|row: usize| board.rows[row].alert_id.clone());
        for (id, status) in [
            (&shop, StatusCode::SERVICE_UNAVAILABLE),
            (&shop, StatusCode::ACCEPTED),
            (&sre, StatusCode::SERVICE_UNAVAILABLE),
            (&sre, StatusCode::SERVICE_UNAVAILABLE),
        ] {
            hear(&mut board, id, status);
        }
        assert_eq!(board.missing(), ["test_pays for sre (2 attempts)"]);
        assert_eq!(board.rows[0].latest(), Some((Fate::Delivered, Duration::from_secs(1))));
        hear(&mut board, &sre, StatusCode::ACCEPTED);
        assert_eq!(board.wrong(), [""; 0]);
    }

    #[test]
    fn what_arrived_twice_or_was_never_published_is_wrong() {
        let mut board = board();
        let ids = [0, 1].map(|row: usize| board.rows[row].alert_id.clone());
        for id in [&ids[0], &ids[0], &ids[1]] {
            hear(&mut board, id, StatusCode::ACCEPTED);
        }
        hear(&mut board, "nobody's", StatusCode::ACCEPTED);
        let wrong = ["test_pays for shop arrived 2 times", "an alert arrived that nobody published"];
        assert_eq!(board.wrong(), wrong);
    }

    #[test]
    fn an_answer_decides_what_follows() {
        let statuses = [StatusCode::ACCEPTED, StatusCode::BAD_REQUEST, StatusCode::SERVICE_UNAVAILABLE];
        assert_eq!(statuses.map(Fate::after), [Fate::Delivered, Fate::Refused, Fate::Retried]);
    }
}
