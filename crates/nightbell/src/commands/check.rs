//! `nightbell check`: is the configuration right, and, online, is the world as it wants it?

mod broker;
mod destination;
mod finding;
mod machine;
mod policies;
mod readers;
mod settings;
mod unread;

use nightbell_core::ports::MessageQueue as _;
use nightbell_http::Tls;
use serde::Serialize;

use self::finding::{Finding, worst};
use crate::cli::Check;
use crate::config::Config;
use crate::exit::{Code, Failure};
use crate::listener;
use crate::output::{count, print, print_json, print_line};
use crate::queue::{Queue, embedded_path};
use crate::wiring;

/// What `--json` prints.
#[derive(Serialize)]
struct Document<'a> {
    /// The configuration as resolved, in TOML, secrets masked.
    configuration: &'a str,
    /// What was found; without `--online`, only what asks for trouble.
    findings: &'a [Finding],
}

/// Prints the configuration as resolved, and, online, what is found in the world.
///
/// # Errors
/// Something does not work; all of it is printed first.
pub async fn check(config: &Config, flags: &Check) -> Result<(), Failure> {
    for connector in &config.connectors {
        wiring::sender(connector)?;
    }
    let tls = listener::tls(&config.http)?;
    let findings =
        if flags.online { look(config, tls.as_ref()).await? } else { without_a_look(config, tls.as_ref()) };
    if flags.json {
        print_json(&Document { configuration: config.masked(), findings: &findings })?;
    } else {
        print(config.masked())?;
        if !findings.is_empty() {
            print_line("")?;
        }
        for finding in &findings {
            print_line(&finding.to_string())?;
        }
    }
    let failed = findings.iter().filter(|finding| finding.code().is_some()).count();
    match worst(&findings) {
        None => Ok(()),
        Some(code) => {
            let first = findings.iter().find(|finding| finding.code() == Some(code));
            let first = first.map_or_else(String::new, Finding::in_short);
            Err(Failure::new(code, format!("{} failed: {first}", count(failed, "check"))))
        }
    }
}

/// What asks for trouble as it stands in the file.
fn without_a_look(config: &Config, tls: Option<&Tls>) -> Vec<Finding> {
    as_it_stands(config, tls).into_iter().filter(Finding::asks_for_trouble).collect()
}

/// What can be said of the file alone, and of the folder that it names.
fn as_it_stands(config: &Config, tls: Option<&Tls>) -> Vec<Finding> {
    let mut findings = unread::tell(config);
    findings.extend(settings::judge(config, tls));
    findings.extend(readers::look(config));
    findings
}

/// Looks at everything; nothing is declared, published or posted.
async fn look(config: &Config, tls: Option<&Tls>) -> Result<Vec<Finding>, Failure> {
    let mut findings = as_it_stands(config, tls);
    findings.extend(machine::look(config));
    match &config.queue {
        // That it was not read is said.
        Some(queue) if queue.url.is_none() => {}
        Some(_) => findings.extend(broker::look(config).await?),
        None => findings.push(embedded_finding(embedded(config).await)),
    }
    findings.extend(destination::look(config).await?);
    Ok(findings)
}

fn embedded_finding(looked: Result<String, Failure>) -> Finding {
    let what = "embedded queue";
    looked.map_or_else(
        |failure| {
            let cure = "see that the disk has room and the worker's user may read and write the file; one that is damaged \
                        is kept for rescue when it is moved away, and a new one is made at the next start";
            Finding::fail(Code::Unavailable, what, failure.to_string(), cure)
        },
        |said| Finding::ok(what, said),
    )
}

/// Opens the embedded queue, unless a worker has it open.
async fn embedded(config: &Config) -> Result<String, Failure> {
    let path = embedded_path(config);
    if !path.exists() {
        return Ok(format!("{} is made when the worker starts", path.display()));
    }
    match Queue::open(config).await {
        Ok(queue) => {
            let depths = queue.view().depths;
            let waiting: u64 = depths.connectors.keys().filter_map(|name| depths.waiting(name)).sum();
            queue.close().await?;
            let dead = depths.dead.unwrap_or_default();
            Ok(format!("{}: {waiting} waiting, {dead} dead", path.display()))
        }
        Err(failure) if failure.code == Code::TempFail => {
            Ok(format!("{} is open in another process", path.display()))
        }
        Err(failure) => Err(failure),
    }
}
