//! The worker killed with SIGKILL at random moments of its life, again and again, under load; and workers that relieve
//! each other.

use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use fake_xmatters::{Answer, Rates, Snapshot};
use nightbell_core::limits::OPEN_PER_SLOT_MAX;
use nightbell_tests::site::{Site, ids};
use nightbell_tests::wait;
use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};

/// How many kills, unless the environment says otherwise.
const KILLS_DEFAULT: usize = 20;

/// One kill of so many comes while the worker starts; the others while it sends.
const EARLY_EVERY: usize = 4;

/// The longest life of a worker that is killed while it starts.
const START_MAX: Duration = Duration::from_millis(800);

/// The longest life of a worker after its first alert was accepted.
const LIFE_MAX: Duration = Duration::from_millis(300);

/// What is published whenever fewer than [`WAITING_MIN`] wait.
const BATCH: usize = 1_000;
/// See [`BATCH`].
const WAITING_MIN: u64 = 500;

/// The most that may be on their way at a kill: by default 16 slots.
const OPEN_MAX: u64 = 16 * OPEN_PER_SLOT_MAX as u64;

pub(crate) async fn kills_at_random_moments_lose_nothing(url: String) -> Result<()> {
    let kills = super::count("NIGHTBELL_KILLS", KILLS_DEFAULT)?;
    let mut chance = StdRng::seed_from_u64(kills as u64);
    let site = Site::new(&url).await?;
    site.worker().await?.kill9().await?;
    site.fake.set_default(Answer::accepted().after(Duration::from_millis(5)));
    site.fake.set_rates(Rates { fail: 0.1, cut: 0.01, ..Rates::default() });
    let (mut published, mut open) = (Vec::new(), 0);
    for kill in 0..kills {
        let before = site.fake.summary();
        if (published.len() as u64) < before.alerts + WAITING_MIN {
            let batch = ids(&format!("chaos-{}", published.len()), BATCH);
            site.publish(&batch).await?;
            published.extend(batch);
        }
        let worker = site.start("")?;
        let life = if kill % EARLY_EVERY == 0 {
            START_MAX
        } else {
            let sends = |snapshot: &Snapshot<'_>| snapshot.summary().accepted > before.accepted;
            site.fake.wait_until(sends, wait::WAIT_MAX).await?;
            LIFE_MAX
        };
        // The moment that was drawn; nothing is waited for.
        tokio::time::sleep(life.mul_f64(chance.random())).await;
        worker.kill9().await?;
        open += OPEN_MAX.min(site.fake.summary().accepted - before.accepted);
    }
    let began = Instant::now();
    let worker = site.worker().await?;
    site.all_accepted(&published).await?;
    site.conserves(&published, 0).await?;
    let lost = site.accepted(&published).values().filter(|count| **count == 0).count();
    let twice: u32 = site.sent_twice(&published).values().map(|count| count - 1).sum();
    println!(
        "chaos: {} events, {kills} kills, {lost} lost, {twice} sent twice of at most {open} on their way, {} dead \
         letters; the rest was delivered in {:.1} s",
        published.len(),
        site.dead().await?.len(),
        began.elapsed().as_secs_f64(),
    );
    ensure!(lost == 0 && u64::from(twice) <= open, "{lost} lost, {twice} sent twice");
    ensure!(site.dead().await?.is_empty(), "a kill makes no dead letter");
    drop(worker);
    site.close().await
}

pub(crate) async fn two_workers_that_relieve_each_other_lose_nothing(url: String) -> Result<()> {
    /// How often one relieves the other: killed and told to stop, in turns.
    const RELIEFS: u64 = 6;
    /// The most deliveries that a worker has in hand, by default.
    const PREFETCH: u64 = 20;
    let site = Site::new(&url).await?;
    site.fake.set_default(Answer::accepted().after(Duration::from_millis(10)));
    let (mut active, mut standby) = (site.worker().await?, site.standby().await?);
    let ids = ids("relief", 1_200);
    site.publish(&ids).await?;
    let mut open = 0;
    for relief in 0..RELIEFS {
        let before = site.fake.summary().alerts;
        let goal = before + ids.len() as u64 / (RELIEFS + 2);
        let reached = |snapshot: &Snapshot<'_>| snapshot.summary().alerts >= goal.min(ids.len() as u64);
        site.fake.wait_until(reached, wait::WAIT_MAX).await?;
        if relief % 2 == 0 {
            active.kill9().await?;
            // Each has a ledger of its own: what was not acknowledged is sent again.
            open += PREFETCH;
        } else {
            ensure!(active.terminate().await?.success());
        }
        let next = if relief % 2 == 0 { site.worker().await? } else { site.standby().await? };
        active = std::mem::replace(&mut standby, next);
    }
    site.all_accepted(&ids).await?;
    site.conserves(&ids, 0).await?;
    let twice: u32 = site.sent_twice(&ids).values().map(|count| count - 1).sum();
    ensure!(u64::from(twice) <= open, "{twice} were sent twice");
    ensure!(site.dead().await?.is_empty());
    ensure!(active.terminate().await?.success() && standby.terminate().await?.success());
    site.close().await
}
