//! What a history is made of: its settings, its messages and its faults, all drawn from the seed before it begins.

use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use nightbell_core::alert::{KeyPart, alert_key};
use nightbell_core::connector::Connector;
use nightbell_core::event::{self, Severity};
use nightbell_core::fingerprint::Fingerprint;
use nightbell_core::message::{EventId, Message};
use nightbell_core::owner::Settings;
use nightbell_core::pace::Rate;
use nightbell_core::policy::Policy;
use nightbell_core::routing::{AlertGroup, Routing, default_statuses};
use nightbell_core::time::UnixMillis;

use crate::bugs::Bug;
use crate::chance::Chances;

pub(crate) const START: u64 = 1_700_000_000_000;
pub(crate) const SECOND: u64 = 1_000;
pub(crate) const MINUTE: u64 = 60 * SECOND;
pub(crate) const HOUR: u64 = 60 * MINUTE;
pub(crate) const PROJECTS: usize = 3;

/// One event, as its producer knows it. It may be published more than once.
#[derive(Debug, Clone)]
pub(crate) struct Plotted {
    pub(crate) key: usize,
    pub(crate) project: usize,
    pub(crate) passed: bool,
    pub(crate) valid: bool,
    pub(crate) hashed: bool,
    pub(crate) body: Bytes,
    pub(crate) name: Fingerprint,
    pub(crate) severity: Severity,
    /// As core computes it; none of what is no event.
    pub(crate) alert_key: Option<Fingerprint>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Weather {
    Fine,
    /// Now and then anything.
    Mixed,
    Unavailable,
    Hanging,
    Unauthorized,
    Flood,
    Slow,
    CutAfterAcceptance,
    Refusing,
}

#[derive(Debug, Clone, Copy)]
pub(crate) enum Fault {
    Crash {
        down: u64,
    },
    /// A crash after so many further steps, wherever they are.
    CrashAtStep {
        steps: u32,
        down: u64,
    },
    Stop {
        grace: u64,
        down: u64,
    },
    LedgerFails,
    LedgerWillNotOpen,
    ChannelLost {
        lane: usize,
    },
    BrokerDown {
        time: u64,
    },
    ConfirmsBad {
        time: u64,
    },
    Weather {
        lane: usize,
        weather: Weather,
        time: u64,
    },
    Reload {
        slots: usize,
        routing: usize,
    },
    Replay {
        share: u64,
    },
}

#[derive(Debug)]
pub(crate) struct Plan {
    pub(crate) lanes: usize,
    pub(crate) events: Vec<Plotted>,
    /// When which event is published, and how old it says to be.
    pub(crate) publishes: Vec<(u64, usize, u64)>,
    pub(crate) faults: Vec<(u64, Fault)>,
    pub(crate) faults_end: u64,
    pub(crate) prefetch: usize,
    pub(crate) delivery_limit: u32,
    /// None: RabbitMQ's default, which nothing may ever reach.
    pub(crate) consumer_timeout: Option<u64>,
    pub(crate) tick_late_max: u64,
    pub(crate) slots: usize,
    pub(crate) rate: Option<Rate>,
    pub(crate) window: u64,
    pub(crate) give_up: u64,
    pub(crate) routings: [Arc<Routing>; 2],
    by: Arc<[KeyPart]>,
    retry_initial: u64,
    connectors: Vec<Connector>,
}

const BY: [KeyPart; 2] = [KeyPart::Project, KeyPart::Test];

/// Which connectors want a project's failures, under each of the two routings; none of them: the first.
const WANTED: [[&[usize]; PROJECTS]; 2] = [[&[0], &[0, 1], &[]], [&[0, 1], &[1], &[]]];

impl Plan {
    pub(crate) fn of(seed: u64) -> Self {
        let mut chances = Chances::new(seed);
        let lanes = chances.pick(&[1, 1, 2]);
        let connectors: Vec<Connector> =
            (0..lanes).map(|lane| format!("c{lane}").parse().expect("a name")).collect();
        let give_up = chances.pick(&[HOUR / 2, 3 * HOUR, 24 * HOUR]);
        let end = START + chances.between(2, 5) * 24 * HOUR;
        let events = events(&mut chances);
        let publishes = publishes(&mut chances, events.len(), end, give_up);
        let mut plan = Self {
            lanes,
            publishes,
            events,
            faults: Vec::new(),
            faults_end: 0,
            prefetch: chances.pick(&[1, 2, 5, 16]),
            delivery_limit: chances.pick(&[50, 2, 2]),
            consumer_timeout: chances.pick(&[None, None, Some(3 * MINUTE)]),
            tick_late_max: chances.pick(&[0, 3, 10]) * SECOND,
            slots: chances.pick(&[1, 2, 4]),
            rate: chances
                .permille(200)
                .then(|| Rate { count: NonZeroU32::new(4).expect("four"), per: Duration::from_secs(60) }),
            window: chances.pick(&[10 * MINUTE, HOUR, 24 * HOUR]),
            give_up,
            routings: [0, 1].map(|version| Arc::new(routing(version, &connectors))),
            by: BY.into(),
            retry_initial: chances.pick(&[SECOND, 5 * SECOND, 30 * SECOND]),
            connectors,
        };
        plan.draw_faults(&mut chances);
        plan
    }

    pub(crate) fn settings(&self, lane: usize, slots: usize, routing: usize, bug: Option<Bug>) -> Settings {
        let mut routes = Arc::clone(&self.routings[routing]);
        if bug == Some(Bug::FilteredDelivered) {
            let all: std::collections::BTreeSet<_> = self.connectors.iter().cloned().collect();
            let group = group("all", "*", all);
            routes = Arc::new(Routing { groups: vec![group], ..(*routes).clone() });
        }
        Settings {
            connector: self.connectors[lane].clone(),
            routing: routes,
            window: Duration::from_millis(self.window),
            retention: Duration::from_secs(7 * 86_400),
            by: Arc::clone(&self.by),
            policy: Policy {
                initial: Duration::from_millis(self.retry_initial),
                max: Duration::from_secs(480),
                give_up_after: match bug {
                    Some(Bug::AgeNotChecked) => Duration::from_secs(365 * 86_400),
                    _ => Duration::from_millis(self.give_up),
                },
            },
            in_flight_max: if bug == Some(Bug::SlotsIgnored) { slots * 4 } else { slots },
            rate: self.rate,
        }
    }

    /// The same question as the routing's, answered from the table above.
    pub(crate) fn wants(&self, lane: usize, event: usize, routing: usize) -> bool {
        let event = &self.events[event];
        if !event.valid {
            return lane == 0;
        }
        let wanting: Vec<_> =
            WANTED[routing][event.project].iter().filter(|wanting| **wanting < self.lanes).collect();
        !event.passed && if wanting.is_empty() { lane == 0 } else { wanting.contains(&&lane) }
    }

    fn draw_faults(&mut self, chances: &mut Chances) {
        let mut times: Vec<u64> = self.publishes.iter().map(|(at, ..)| *at).collect();
        times.sort_unstable();
        let last = times.last().copied().unwrap_or(START);
        for _ in 0..chances.between(0, 9) {
            // Most strike while something is going on.
            let near = chances.pick(&times);
            let at = if chances.permille(800) {
                near + chances.between(0, 90 * SECOND)
            } else {
                chances.between(START, last + 1)
            };
            let fault = self.draw_fault(chances);
            self.faults.push((at, fault));
        }
        // Operators look at the dead letters after the trouble.
        for _ in 0..chances.between(0, 4) {
            let at = chances.between(START + HOUR, last + HOUR);
            self.faults.push((at, Fault::Replay { share: chances.pick(&[300, 1000]) }));
        }
        self.faults.sort_by_key(|(at, _)| *at);
        let ends = self.faults.iter().map(|(at, fault)| at + lasts(fault));
        self.faults_end = ends.chain([last]).max().unwrap_or(START) + MINUTE;
    }

    fn draw_fault(&self, chances: &mut Chances) -> Fault {
        let lane = chances.index(self.lanes);
        let down = chances.pick(&[SECOND, 20 * SECOND, 10 * MINUTE]);
        match chances.between(0, 14) {
            0 => Fault::Crash { down },
            1..=3 => {
                Fault::CrashAtStep { steps: u32::try_from(chances.between(0, 30)).expect("small"), down }
            }
            4 => Fault::Stop { grace: chances.pick(&[SECOND, 20 * SECOND]), down },
            5 => Fault::LedgerFails,
            6 => Fault::LedgerWillNotOpen,
            7 => Fault::ChannelLost { lane },
            8 => Fault::BrokerDown { time: chances.pick(&[10 * SECOND, 5 * MINUTE]) },
            9 => Fault::ConfirmsBad { time: chances.pick(&[MINUTE, 10 * MINUTE]) },
            10 => Fault::Reload { slots: chances.pick(&[1, 3]), routing: chances.index(2) },
            _ => Fault::Weather {
                lane,
                weather: chances.pick(&WEATHERS),
                time: chances.pick(&[MINUTE, 5 * MINUTE, 5 * MINUTE, 40 * MINUTE, 3 * HOUR]),
            },
        }
    }
}

const WEATHERS: [Weather; 8] = [
    Weather::Mixed,
    Weather::Unavailable,
    Weather::Hanging,
    Weather::Unauthorized,
    Weather::Flood,
    Weather::Slow,
    Weather::CutAfterAcceptance,
    Weather::Refusing,
];

fn lasts(fault: &Fault) -> u64 {
    match *fault {
        Fault::Crash { down } | Fault::CrashAtStep { down, .. } => down,
        Fault::Stop { grace, down } => grace + down,
        Fault::BrokerDown { time } | Fault::ConfirmsBad { time } | Fault::Weather { time, .. } => time,
        Fault::LedgerFails | Fault::LedgerWillNotOpen => 10 * MINUTE,
        Fault::ChannelLost { .. } | Fault::Reload { .. } | Fault::Replay { .. } => MINUTE,
    }
}

fn group(name: &str, pattern: &str, connectors: std::collections::BTreeSet<Connector>) -> AlertGroup {
    AlertGroup {
        name: name.into(),
        projects: vec![pattern.parse().expect("a pattern")],
        severity_at_least: None,
        statuses: default_statuses(),
        tags: Default::default(),
        labels: Default::default(),
        connectors,
        recipients: None,
        priority: None,
    }
}

fn routing(version: usize, connectors: &[Connector]) -> Routing {
    let one = |(project, lanes): (usize, &&[usize])| {
        let named = lanes.iter().filter_map(|lane| connectors.get(*lane).cloned()).collect();
        group(&format!("g{project}"), &format!("p{project}"), named)
    };
    Routing {
        groups: WANTED[version].iter().enumerate().map(one).collect(),
        default_connectors: connectors.first().cloned().into_iter().collect(),
        connectors: connectors.iter().cloned().collect(),
    }
}

fn events(chances: &mut Chances) -> Vec<Plotted> {
    let keys = chances.index(6) + 1;
    let count = chances.index(12) + 2;
    let has_own_keys = chances.permille(300);
    // Ids and keys of its own count within its project, so each project has its first, its second and so on.
    let mut ids = [0; PROJECTS];
    let one = |number: usize| {
        let (key, valid) = (chances.index(keys), !chances.permille(60));
        let (project, hashed, passed) = (key % PROJECTS, chances.permille(200), chances.permille(60));
        let status = if passed { "passed" } else { "failed" };
        let severity = chances.pick(&[Severity::High, Severity::High, Severity::Minimal, Severity::Critical]);
        let id = if hashed { "run_id" } else { "id" };
        ids[project] += 1;
        let own = format!("e{}", ids[project]);
        let own_key =
            if has_own_keys { format!(r#","dedup_key":"k{}""#, key / PROJECTS) } else { String::new() };
        let graded = severity.as_str();
        let body = if valid {
            format!(
                r#"{{"project":"p{project}","test":"t{key}","{id}":"{own}","status":"{status}","severity":"{graded}","message":"{number}"{own_key}}}"#
            )
        } else {
            format!("no event {number}")
        };
        let message = Message { body: body.clone().into(), ..Message::default() };
        let named = (!hashed).then_some(own.as_str());
        let name = EventId::of(Some(&format!("p{project}")), named, &message).fingerprint();
        let alert_key = event::read(body.as_bytes()).ok().map(|event| alert_key(&event, &BY));
        Plotted { key, project, passed, valid, hashed, body: body.into(), name, severity, alert_key }
    };
    (0..count).map(one).collect()
}

fn publishes(chances: &mut Chances, events: usize, end: u64, give_up: u64) -> Vec<(u64, usize, u64)> {
    let bursts: Vec<u64> =
        (0..chances.between(0, 3)).map(|_| chances.between(START, end - HOUR)).chain([end - HOUR]).collect();
    let mut publishes = Vec::new();
    for event in 0..events {
        let times = chances.pick(&[1, 1, 1, 2]);
        for _ in 0..times {
            let at = chances.pick(&bursts)
                + chances.pick(&[100, 20 * SECOND, 10 * MINUTE]) * chances.between(0, 100) / 100;
            let age = if chances.permille(50) { give_up + HOUR } else { 0 };
            publishes.push((at, event, age));
        }
    }
    publishes.sort_unstable();
    publishes
}

pub(crate) fn published(event: &Plotted, since: u64) -> Message {
    Message::of_event(None, event.body.clone(), UnixMillis(since))
}
