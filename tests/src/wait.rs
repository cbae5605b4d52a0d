//! Waiting for a condition, never for a time.

use std::time::Duration;

use anyhow::{Context as _, Result};
use tokio::time::Instant;

/// How often a condition is looked at.
const LOOK_EVERY: Duration = Duration::from_millis(20);

/// The longest that any condition may take.
pub const WAIT_MAX: Duration = Duration::from_secs(90);

/// Waits until `look` gives something.
///
/// # Errors
/// It did not within [`WAIT_MAX`]; `what` says what was waited for.
pub async fn until<T, F>(what: &str, mut look: impl FnMut() -> F) -> Result<T>
where
    F: Future<Output = Option<T>>,
{
    let start = Instant::now();
    let mut looks = tokio::time::interval(LOOK_EVERY);
    loop {
        looks.tick().await;
        if let Some(found) = look().await {
            return Ok(found);
        }
        if start.elapsed() > WAIT_MAX {
            return None.with_context(|| format!("waited {} s in vain for: {what}", WAIT_MAX.as_secs()));
        }
    }
}
