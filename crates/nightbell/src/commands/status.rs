//! `nightbell status`: what a running worker is doing; without one, what the queue knows.

use nightbell_amqp::{AmqpError, QueueReport, queue_report};
use nightbell_core::ports::MessageQueue as _;
use nightbell_http::{BreakerState, ClientError, ConnectorStatus, Status};
use serde_json::json;

use crate::cli::AsJson;
use crate::config::Config;
use crate::exit::{Code, Failure, OrFail as _};
use crate::holder::Holder;
use crate::listener::worker_at;
use crate::output::{one_line, print_json, print_line, print_table, table};
use crate::queue::{Queue, embedded_name};
use crate::wiring;

/// How much of one text of a listener is shown: it may be anyone's.
const CHARS_MAX: usize = 500;

/// Prints the running worker's state. Where no worker listens, prints the queues' and fails with 69.
///
/// # Errors
/// There is no worker, or it can't be asked.
pub async fn status(config: &Config, flags: AsJson) -> Result<(), Failure> {
    let mut unread = None;
    // To look makes no file.
    if config.queue.is_none() && !matches!(embedded_name(config), Ok(None)) {
        match Holder::find(config).await? {
            // Where the file can be opened no worker has it, whoever listens.
            Holder::This(queue) => {
                let rows = in_file(&queue);
                queue.close().await?;
                print_queues(&rows, flags)?;
                let error = ClientError::NoWorker(config.http.listen);
                return Err(Failure::new(Code::Unavailable, error));
            }
            // It may be another user's, or its disk may be full; its worker may be asked all the same.
            Holder::Another(failure) => unread = Some(failure).filter(|why| why.code != Code::TempFail),
        }
    }
    let worker = worker_at(config, config.http.admin_token.as_ref(), None);
    match nightbell_http::get(&worker, "/v1/status").await {
        Ok(body) => show(&serde_json::from_slice(&body).or_fail(Code::Unavailable)?, flags),
        Err(error @ (ClientError::NoWorker(_) | ClientError::Foreign { .. })) if config.queue.is_some() => {
            print_queues(&in_rabbitmq(config).await?, flags)?;
            Err(Failure::new(Code::Unavailable, error))
        }
        Err(error) => Err(unread.unwrap_or_else(|| Failure::new(Code::Unavailable, error))),
    }
}

fn show(status: &Status, flags: AsJson) -> Result<(), Failure> {
    if flags.json {
        return print_json(status);
    }
    let yes_no = |yes, word: &str| if yes { word.to_owned() } else { format!("not {word}") };
    let line = |text: &str| one_line(text, CHARS_MAX);
    print_line(&format!("worker   {} ({})", yes_no(status.ready, "ready"), line(&status.version)))?;
    for missing in &status.missing {
        print_line(&format!("missing  {}", line(missing)))?;
    }
    let dead = status.queue.dead_letters.map_or("unknown".to_owned(), |count| count.to_string());
    // RabbitMQ is asked now and then.
    let counted = match status.queue.counted_seconds_ago {
        None | Some(0) => String::new(),
        Some(ago) => format!("; this and what waits was counted {ago} s ago"),
    };
    print_line(&format!(
        "queue    {}, {}; dead letters: {dead}{counted}",
        line(&status.queue.at),
        yes_no(status.queue.connected, "connected")
    ))?;
    print_line(&format!("ledger   {} records", status.ledger.entries))?;
    let mut rows =
        table(&["connector", "waiting", "in hand", "in flight", "breaker", "paused until", "oldest"]);
    for connector in &status.connectors {
        rows.add_row(row(connector));
    }
    print_table(&rows)
}

fn row(connector: &ConnectorStatus) -> [String; 7] {
    let breaker = match connector.breaker {
        BreakerState::Closed if connector.halted => "stopped: the ledger failed",
        BreakerState::Closed => "closed",
        BreakerState::Open => "open",
        BreakerState::Probing => "probing",
    };
    [
        one_line(&connector.name, CHARS_MAX),
        connector.depth.map_or("?".to_owned(), |depth| depth.to_string()),
        connector.in_hand.to_string(),
        connector.in_flight.to_string(),
        breaker.to_owned(),
        one_line(connector.paused_until.as_deref().unwrap_or("-"), CHARS_MAX),
        connector.oldest_seconds.map_or("-".to_owned(), |seconds| format!("{seconds} s")),
    ]
}

/// A queue without a worker.
struct Row {
    name: String,
    /// None: there is no such queue, or nothing is told of it.
    ready: Option<u64>,
    is_hidden: bool,
    consumers: u32,
}

/// The queues as the broker knows them.
async fn in_rabbitmq(config: &Config) -> Result<Vec<Row>, Failure> {
    let settings = wiring::configured_broker(config)?;
    let names = settings.names.clone();
    let mut queues: Vec<String> =
        wiring::connectors(config).iter().map(|connector| names.connector_queue(connector)).collect();
    queues.push(names.dead());
    let reports: Result<Vec<QueueReport>, AmqpError> = queue_report(&settings, &queues).await;
    let row = |QueueReport { name, ready, is_hidden, consumers }| {
        let ready = ready.map(u64::from);
        Row { name, ready, is_hidden, consumers }
    };
    Ok(reports.or_fail(Code::Unavailable)?.into_iter().map(row).collect())
}

/// The queues as they stand in the embedded queue's file.
fn in_file(queue: &Queue) -> Vec<Row> {
    let depths = queue.view().depths;
    let row = |name: &str, ready| Row { name: name.to_owned(), ready, is_hidden: false, consumers: 0 };
    let connectors = depths.connectors.keys().map(|name| row(name.as_str(), depths.waiting(name)));
    connectors.chain([row("dead letters", depths.dead.map(u64::from))]).collect()
}

fn print_queues(queues: &[Row], flags: AsJson) -> Result<(), Failure> {
    if flags.json {
        let row = |row: &Row| json!({ "queue": row.name, "ready": row.ready, "consumers": row.consumers });
        let rows: Vec<_> = queues.iter().map(row).collect();
        return print_json(&json!({ "worker": null, "queues": rows }));
    }
    let mut rows = table(&["queue", "waiting", "consumers"]);
    for Row { name, ready, is_hidden, consumers } in queues {
        let untold = if *is_hidden { "not told to this user" } else { "missing" };
        let ready = ready.map_or(untold.to_owned(), |ready| ready.to_string());
        rows.add_row([name.clone(), ready, consumers.to_string()]);
    }
    print_table(&rows)
}
