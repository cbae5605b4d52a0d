//! `nightbell connectors`: what is configured, and whether xMatters takes a test alert of it.

mod meaning;
mod trial;

use nightbell_xmatters::host_and_port;
use serde_json::{Value, json};

pub(super) use self::trial::masked_body;
use self::trial::{Trial, dry_run, trial};
use crate::cli::{ConnectorTest, Connectors};
use crate::config::{Config, ConnectorConfig};
use crate::exit::{Code, Failure};
use crate::output::{print, print_json, print_table, table};

/// Runs one of the verbs.
///
/// # Errors
/// There is no such connector; or xMatters did not take the test alert, which is printed first.
pub async fn connectors(config: &Config, verb: Connectors) -> Result<(), Failure> {
    match verb {
        Connectors::List(flags) => list(config, flags.json),
        Connectors::Test(flags) => test(config, &flags).await,
    }
}

async fn test(config: &Config, flags: &ConnectorTest) -> Result<(), Failure> {
    let connector = find(config, flags)?;
    if flags.dry_run {
        let request = dry_run(config, connector, flags.severity)?;
        let text = || trial::request_text(&request);
        return if flags.as_json.json { print_json(&request) } else { print(&text()) };
    }
    let Trial { answer, failure } = trial(config, connector, flags.severity).await?;
    let printed = if flags.as_json.json { print_json(&answer) } else { print(&trial::answer_text(&answer)) };
    printed?;
    failure.map_or(Ok(()), Err)
}

fn find<'c>(config: &'c Config, flags: &ConnectorTest) -> Result<&'c ConnectorConfig, Failure> {
    let found = config.connectors.iter().find(|connector| connector.name == flags.name);
    found.ok_or_else(|| {
        let names: Vec<_> = config.connectors.iter().map(|connector| connector.name.as_str()).collect();
        let text =
            format!("there is no connector `{}`; the configuration has `{}`", flags.name, names.join("`, `"));
        Failure::new(Code::Usage, text)
    })
}

fn list(config: &Config, as_json: bool) -> Result<(), Failure> {
    let rows: Vec<Value> = config.connectors.iter().map(row).collect();
    if as_json {
        return print_json(&rows);
    }
    let columns = ["name", "host", "auth", "payload", "recipients", "tls"];
    let mut shown = table(&columns);
    for row in &rows {
        shown.add_row(columns.map(|column| cell(&row[column])));
    }
    print_table(&shown)
}

fn row(connector: &ConnectorConfig) -> Value {
    let destination = &connector.destination;
    json!({
        "name": connector.name,
        "host": host(connector),
        "auth": destination.auth.kind().as_str(),
        "payload": destination.payload.as_str(),
        "recipients": destination.recipients,
        "tls": destination.network.verification.as_str(),
    })
}

/// A text, or the texts of a list.
fn cell(value: &Value) -> String {
    let texts = value.as_array().map_or(std::slice::from_ref(value), Vec::as_slice);
    texts.iter().filter_map(Value::as_str).collect::<Vec<_>>().join(", ")
}

/// Host and port of the destination; the rest of a trigger URL is a secret.
pub(super) fn host(connector: &ConnectorConfig) -> String {
    host_and_port(&connector.destination.trigger_url)
}
