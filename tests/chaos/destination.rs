//! A destination that breaks in every way there is, one after the other.

use std::time::Duration;

use anyhow::{Result, ensure};
use fake_xmatters::Answer;
use nightbell_tests::site::{Site, ids};

/// Slow, and yet within the connector's time-out of 2 s.
const SLOWLY: Duration = Duration::from_millis(40);

pub(crate) async fn a_destination_that_breaks_in_every_way_gets_everything_once(url: String) -> Result<()> {
    let site = Site::new(&url).await?;
    // One at a time, so that never five failures come in a row, which would open the breaker.
    site.configure_more("max_in_flight = 1")?;
    let broken = [
        Answer::hang(),
        Answer::half_head(),
        Answer::reset(),
        Answer::close(),
        Answer::accepted(),
        Answer::garbage(),
        Answer::html_error(502),
        Answer::slow(1, 3 * SLOWLY).taken(false),
        // A status that was seen counts, whatever becomes of the rest.
        Answer::half(),
        Answer::slow(4, SLOWLY),
        Answer::status(503).retry_after("1"),
        Answer::status(204),
        Answer::accepted().text("no json at all"),
    ];
    site.fake.script(broken.clone());
    let worker = site.worker().await?;
    let ids = ids("broken", broken.len());
    site.publish(&ids).await?;
    site.all_accepted(&ids).await?;
    site.conserves(&ids, 0).await?;
    let twice = site.sent_twice(&ids);
    ensure!(twice.is_empty(), "sent twice: {twice:?}");
    ensure!(site.fake.script_left() == 0, "every kind of fault was met");
    ensure!(site.dead().await?.is_empty());
    drop(worker);
    site.close().await
}
