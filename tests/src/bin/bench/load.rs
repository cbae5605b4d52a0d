//! Open-loop load: alerts are published when they are due, whatever became of those before, and the time of each counts
//! from when it was due. A contender that stalls is charged for everything that waited meanwhile (no coordinated
//! omission).

use std::ops::Range;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use fake_xmatters::Recorded;
use hdrhistogram::Histogram;
use lapin::options::BasicPublishOptions;
use lapin::{BasicProperties, Channel, Confirmation, PublisherConfirm};
use tokio::sync::broadcast::Receiver;
use tokio::sync::mpsc;
use tokio::time::timeout;

use crate::report::{Column, Fold};
use crate::rig::{ROUND_MAX, Rig, body, number};

/// The most that the histogram tells apart: ten minutes, in microseconds.
const MICROS_MAX: u64 = ROUND_MAX.as_secs() * 1_000_000;

/// The digits that the histogram keeps.
const DIGITS: u8 = 3;

/// Alerts at an even rate, one after the other.
#[derive(Debug, Clone)]
pub(crate) struct Load {
    pub(crate) per_second: u32,
    pub(crate) numbers: Range<usize>,
    /// How many at the beginning are delivered and not measured.
    pub(crate) warm_up: usize,
}

/// From when an alert was due to the arrival of its POST, in microseconds.
pub(crate) type Latencies = Histogram<u64>;

/// The columns of [`figures`].
pub(crate) const COLUMNS: [Column; 5] = [
    latency("p50_ms", "p50 ms", false),
    latency("p90_ms", "p90 ms", false),
    latency("p99_ms", "p99 ms", true),
    latency("p999_ms", "p99.9 ms", false),
    latency("most_ms", "most ms", false),
];

/// The percentiles in milliseconds.
pub(crate) fn figures(latencies: &Latencies) -> [f64; 5] {
    let micros = [0.5, 0.9, 0.99, 0.999, 1.0].map(|part| latencies.value_at_quantile(part));
    micros.map(|micros| micros as f64 / 1e3)
}

impl Load {
    /// A load with one second of warm-up before it.
    pub(crate) fn new(rig: &mut Rig, per_second: u32, seconds: u32) -> Self {
        let warm_up = per_second as usize;
        let count = per_second as usize * seconds as usize;
        Self { per_second, numbers: rig.take_numbers(warm_up + count), warm_up }
    }

    /// Publishes, and waits for all arrivals at the site's connector.
    pub(crate) async fn run(&self, rig: &Rig) -> Result<Latencies> {
        let queues = rig.site.queues().await?;
        let channel = queues.channel().await?;
        let exchange = format!("{}.events", rig.site.prefix());
        let function = function(&rig.site.fake.trigger_url());
        let arrivals = rig.site.fake.subscribe();
        let start = Instant::now();
        let (due, numbers) = mpsc::unbounded_channel();
        let pace = self.clone();
        // A thread of its own, because timers of the runtime are no finer than a millisecond.
        let pacing = tokio::task::spawn_blocking(move || pace.tell(start, &due));
        let publishing = tokio::spawn(publish(channel, exchange, numbers));
        let latencies = timeout(ROUND_MAX, self.gather(start, arrivals, &function)).await;
        pacing.await?;
        publishing.await??;
        latencies.context("not all alerts arrived")?
    }

    /// Tells every number when it is due.
    fn tell(&self, start: Instant, due: &mpsc::UnboundedSender<usize>) {
        for (position, number) in self.numbers.clone().enumerate() {
            let at = self.due(start, position);
            while let Some(left) = at.checked_duration_since(Instant::now()).filter(|left| !left.is_zero()) {
                std::thread::park_timeout(left);
            }
            if due.send(number).is_err() {
                return;
            }
        }
    }

    fn due(&self, start: Instant, position: usize) -> Instant {
        start + Duration::from_secs_f64(position as f64 / f64::from(self.per_second))
    }

    async fn gather(
        &self,
        start: Instant,
        mut arrivals: Receiver<std::sync::Arc<Recorded>>,
        function: &str,
    ) -> Result<Latencies> {
        let mut latencies = Histogram::new_with_bounds(1, MICROS_MAX, DIGITS)?;
        let mut missing = self.numbers.len();
        while missing > 0 {
            let arrival = arrivals.recv().await.context("follow the arrivals")?;
            if !arrival.accepted || &*arrival.function != function {
                continue;
            }
            let Some(number) = arrival.test.as_deref().and_then(number) else { continue };
            if !self.numbers.contains(&number) {
                continue;
            }
            missing -= 1;
            let position = number - self.numbers.start;
            if position >= self.warm_up {
                let late = arrival.at.saturating_duration_since(self.due(start, position));
                latencies.saturating_record(u64::try_from(late.as_micros()).unwrap_or(MICROS_MAX));
            }
        }
        Ok(latencies)
    }
}

/// Publishes what is due, without waiting for the confirms of those before; they are looked at in the end.
async fn publish(
    channel: Channel,
    exchange: String,
    mut numbers: mpsc::UnboundedReceiver<usize>,
) -> Result<()> {
    let mut confirms: Vec<PublisherConfirm> = Vec::new();
    while let Some(number) = numbers.recv().await {
        let properties = BasicProperties::default().with_delivery_mode(2);
        let options = BasicPublishOptions::default();
        let (exchange, body) = (exchange.as_str().into(), body(number));
        confirms.push(
            channel.basic_publish(exchange, "event.x".into(), options, body.as_bytes(), properties).await?,
        );
    }
    for confirm in confirms {
        let confirmation = confirm.await?;
        ensure!(matches!(confirmation, Confirmation::Ack(None)), "{confirmation:?}");
    }
    Ok(())
}

/// The function that a trigger URL names.
fn function(trigger_url: &str) -> String {
    let parts: Vec<&str> = trigger_url.rsplit('/').collect();
    parts.get(1).map_or_else(String::new, |function| (*function).to_owned())
}

const fn latency(key: &'static str, title: &'static str, compared: bool) -> Column {
    Column { key, title, digits: 2, fold: Fold::Median, compared }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stall_counts_for_all_that_waited_meanwhile() {
        let load = Load { per_second: 100, numbers: 5..205, warm_up: 0 };
        let start = Instant::now();
        assert_eq!(load.due(start, 0), start);
        assert_eq!(load.due(start, 150), start + Duration::from_millis(1_500));
        let mut latencies = Histogram::new_with_bounds(1, MICROS_MAX, DIGITS).unwrap();
        // Nothing arrives in the first second, and everything at its end.
        for position in 0..100 {
            let late = start + Duration::from_secs(1) - load.due(start, position);
            latencies.saturating_record(u64::try_from(late.as_micros()).unwrap());
        }
        let half = figures(&latencies)[0];
        assert!((500.0..=520.0).contains(&half), "{half}");
    }

    #[test]
    fn the_function_is_read_from_the_trigger() {
        assert_eq!(function("http://127.0.0.1:1/api/integration/1/functions/f-1/triggers"), "f-1");
    }
}
