//! The verbs that change something: replay and discard.

use std::io::{self, BufRead as _, IsTerminal as _};

use futures::{StreamExt as _, stream};
use nightbell_amqp::{AmqpOutlet, DeadQueue, Held};
use nightbell_core::ports::{Destination, Outlet as _};
use nightbell_core::time::UnixMillis;
use serde_json::json;

use super::browse::{Browsed, collect, progress};
use super::show::row;
use crate::cli::{AsJson, Selector};
use crate::config::Config;
use crate::exit::{Code, Failure, OrFail as _};
use crate::feed::PUBLISHES_MAX;
use crate::letter::Letter;
use crate::output::{count, print_json, print_line, print_table, table};
use crate::wiring;

/// Publishes each letter again, and removes it only when that is confirmed.
pub(super) async fn replay(
    config: &Config,
    selector: &Selector,
    dry_run: bool,
    as_json: AsJson,
) -> Result<(), Failure> {
    let (Browsed { queue, began }, letters) = collect(config, selector).await?;
    if dry_run {
        queue.close().await.or_fail(Code::Unavailable)?;
        return plan(&letters, "would be replayed", as_json);
    }
    let broker = wiring::broker(config)?;
    let outlet = broker.outlet();
    let bar = progress(letters.len() as u64, "replaying");
    let replays = letters.into_iter().map(|(letter, held)| replay_one(&outlet, &queue, began, letter, held));
    let mut replays = stream::iter(replays).buffer_unordered(PUBLISHES_MAX);
    let (mut replayed, mut problems) = (Vec::new(), Vec::new());
    while let Some((letter, result)) = replays.next().await {
        bar.inc(1);
        match result {
            Ok(()) => replayed.push(letter.id.to_string()),
            Err(problem) => problems.push((letter.id.to_string(), problem)),
        }
    }
    drop(replays);
    bar.finish_and_clear();
    let closed = queue.close().await;
    broker.close().await;
    if as_json.json {
        let failed: Vec<_> =
            problems.iter().map(|(id, problem)| json!({ "id": id, "problem": problem })).collect();
        print_json(&json!({ "replayed": replayed, "failed": failed }))?;
    } else {
        print_line(&format!("replayed {}", count(replayed.len(), "dead letter")))?;
    }
    closed.or_fail(Code::Unavailable)?;
    match problems.first() {
        None => Ok(()),
        Some((id, problem)) => Err(Failure::new(
            Code::Unavailable,
            format!(
                "{} not replayed and stay dead letters; {id}: {problem}",
                count(problems.len(), "dead letter")
            ),
        )),
    }
}

async fn replay_one(
    outlet: &AmqpOutlet,
    queue: &DeadQueue,
    began: UnixMillis,
    letter: Letter,
    held: Held,
) -> (Letter, Result<(), String>) {
    let to = match &letter.death.connector {
        Some(connector) => Destination::Requeue { connector: connector.clone() },
        None => Destination::Events { routing_key: letter.message.routing_key.clone() },
    };
    let published = outlet.publish(to, letter.replayed(began)).await;
    let result = match published {
        Ok(()) => queue
            .remove(held)
            .await
            .map_err(|error| format!("published, but not removed: {error}; replaying it again does no harm")),
        Err(error) => Err(error.to_string()),
    };
    (letter, result)
}

/// Removes each letter for good, after asking.
pub(super) async fn discard(
    config: &Config,
    selector: &Selector,
    yes: bool,
    as_json: AsJson,
) -> Result<(), Failure> {
    if !yes && !io::stdin().is_terminal() {
        return Err(Failure::new(
            Code::Usage,
            "discard asks before it removes anything; give --yes where nobody can answer",
        ));
    }
    let (Browsed { queue, .. }, letters) = collect(config, selector).await?;
    if !yes && !letters.is_empty() {
        plan(&letters, "would be removed for good", AsJson { json: false })?;
        if !confirmed()? {
            queue.close().await.or_fail(Code::Unavailable)?;
            return print_line("nothing was removed");
        }
    }
    let mut removed = Vec::new();
    for (letter, held) in letters {
        queue.remove(held).await.or_fail(Code::Unavailable)?;
        removed.push(letter.id.to_string());
    }
    queue.close().await.or_fail(Code::Unavailable)?;
    if as_json.json {
        print_json(&json!({ "discarded": removed }))
    } else {
        print_line(&format!("discarded {}", count(removed.len(), "dead letter")))
    }
}

fn confirmed() -> Result<bool, Failure> {
    eprint!("Remove them for good? [y/N] ");
    let mut answer = String::new();
    io::stdin().lock().read_line(&mut answer).or_fail(Code::Io)?;
    Ok(matches!(answer.trim().to_ascii_lowercase().as_str(), "y" | "yes"))
}

fn plan(letters: &[(Letter, Held)], what: &str, as_json: AsJson) -> Result<(), Failure> {
    if as_json.json {
        let summaries: Vec<_> = letters.iter().map(|(letter, _)| letter.summary()).collect();
        return print_json(&json!({ "would_replay": summaries }));
    }
    if !letters.is_empty() {
        let mut rows =
            table(&["id", "connector", "reason", "died at", "attempts", "project", "test", "detail"]);
        for (letter, _) in letters {
            rows.add_row(row(letter));
        }
        print_table(&rows)?;
    }
    print_line(&format!("{} {what}", count(letters.len(), "dead letter")))
}
