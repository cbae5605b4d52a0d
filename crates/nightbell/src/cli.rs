//! The command line, as people type it.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Parser, Subcommand, ValueEnum};
use clap_complete::Shell;
use nightbell_core::connector::Connector;
use nightbell_core::event::{Severity, Status};
pub use nightbell_letters::{Moment, Selector, start_of_id};
use nightbell_reports::{Format, Link};
use secrecy::SecretString;

/// A durable queued delivery worker: failing tests in, xMatters alerts out.
#[derive(Debug, Parser)]
#[command(version, arg_required_else_help = true, propagate_version = true)]
pub struct Cli {
    /// The configuration file.
    #[arg(long, short, global = true, value_name = "FILE", default_value = crate::config::FILE, env = "NIGHTBELL_CONFIG")]
    pub config: PathBuf,

    /// How log lines look; they go to standard error.
    #[arg(long, global = true, value_enum, default_value_t = LogFormat::Human, env = "NIGHTBELL_LOG_FORMAT")]
    pub log_format: LogFormat,

    /// What is logged: error, warn, info, debug, trace, or a filter such as `nightbell_amqp=debug`. By default info; for
    /// the demo nothing. Libraries warn at most, since their finer lines hold secrets.
    #[arg(long, global = true, value_name = "LEVEL", env = "NIGHTBELL_LOG")]
    pub log: Option<String>,

    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

impl Cli {
    /// Whether whatever goes wrong must not show in the exit code.
    #[must_use]
    pub fn fails_open(&self) -> bool {
        matches!(&self.command, Command::Publish(flags) if flags.fail_open)
    }

    /// What is logged.
    #[must_use]
    pub fn log_level(&self) -> &str {
        if self.fails_open() {
            // What goes wrong is one warning then.
            return "off";
        }
        let is_demo = matches!(&self.command, Command::Demo(_));
        self.log.as_deref().unwrap_or(if is_demo { "off" } else { "info" })
    }
}

/// How log lines look.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum LogFormat {
    /// One readable line each.
    Human,
    /// One JSON object each.
    Json,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Run the worker: consume, drop repeats, deliver, retry, keep dead letters.
    Run,
    /// Show it all on this machine, with a stand-in for xMatters; nobody is alerted and nothing is left behind.
    Demo(Demo),
    /// Write a configuration to begin with.
    Init(Init),
    /// Validate the configuration and print it as resolved, secrets masked.
    Check(Check),
    /// Publish events: one from flags, many from standard input (NDJSON), or the failures of reports.
    Publish(Box<Publish>),
    /// List, read, replay, discard and export dead letters.
    #[command(subcommand)]
    Dead(Dead),
    /// Show queues, owners, breakers and ledger.
    Status(AsJson),
    /// Ask the running worker whether it lives: 0 if it does, else 69. For the health checks of containers.
    Health(Health),
    /// Say where an event would go, its alert key, and the body that would be posted.
    Route(Route),
    /// List the connectors, or send one of them a test alert.
    #[command(subcommand)]
    Connectors(Connectors),
    /// Print RabbitMQ definitions for an administrator to load.
    Topology(Topology),
    /// Print the event's JSON Schema.
    Schema,
    /// Move what waits in the embedded queue.
    #[command(subcommand)]
    Queue(QueueVerb),
    /// Print the script by which a shell completes this command line.
    Completions {
        /// The shell.
        #[arg(value_enum)]
        shell: Shell,
    },
    /// Print the manual page, or write the pages of all commands into a folder.
    Man {
        /// The folder, such as /usr/local/share/man/man1.
        folder: Option<PathBuf>,
    },
}

/// Whether to print JSON.
#[derive(Debug, Clone, Copy, Args)]
pub struct AsJson {
    /// Print one JSON document.
    #[arg(long)]
    pub json: bool,
}

/// `nightbell demo`.
#[derive(Debug, Clone, Copy, Args)]
pub struct Demo {
    /// End after the show: with 0 if all went as expected.
    #[arg(long)]
    pub once: bool,
}

/// `nightbell health`.
#[derive(Debug, Clone, Copy, Args)]
pub struct Health {
    /// Ask whether it is ready: queue, ledger and owners.
    #[arg(long)]
    pub ready: bool,
}

/// `nightbell init`.
#[derive(Debug, Args)]
pub struct Init {
    /// Write one that has every key, commented, with RabbitMQ and alert groups; else the smallest that runs.
    #[arg(long)]
    pub full: bool,
    /// Overwrite a file that is there.
    #[arg(long)]
    pub force: bool,
}

/// `nightbell check`.
#[derive(Debug, Args)]
pub struct Check {
    /// Also look at the broker, its queues and, with `queue.management_url`, their policies, the disk, the clock, and each
    /// destination's TCP, TLS and certificate; nothing is declared, published or posted.
    #[arg(long)]
    pub online: bool,
    /// Print one JSON document.
    #[arg(long)]
    pub json: bool,
}

/// `nightbell publish`.
#[derive(Debug, Args)]
pub struct Publish {
    /// Publish the failures of these reports: files, folders, patterns like `reports/**/*.{xml,json}`, or `-` for standard
    /// input. Their content tells what they are: JUnit, CTRF, TRX, NUnit, xUnit, TestNG, `go test -json`, TAP, Cucumber
    /// JSON, Allure results, or Playwright's or Jest's JSON; plain or packed with gzip.
    #[arg(value_name = "FILES", conflicts_with_all = ["test", "id", "status", "message", "details", "dedup_key"])]
    pub files: Vec<PathBuf>,
    /// What the test runner ended with, best as `$status`; all but 0 and nothing is a failure. If no report shows one, one
    /// event says so: a run that failed is never silent.
    #[arg(long, value_name = "N", allow_hyphen_values = true, conflicts_with = "test")]
    pub exit_status: Option<String>,
    /// The reports are attempts of one run, so that of all results of one name only the last counts. Without it, each is a
    /// test of its own, save what a format itself calls attempts.
    #[arg(long)]
    pub reruns: bool,
    /// Also publish tests that failed first and passed in the end, tagged `flaky`.
    #[arg(long)]
    pub flaky: bool,
    /// Exit with 0 and one warning whatever goes wrong, after --timeout at the latest: alerting breaks no build.
    #[arg(long)]
    pub fail_open: bool,
    /// The RabbitMQ to publish to, without a configuration file: `amqp://user:password@host:5672/%2f`.
    #[arg(long, value_name = "URL", env = "NIGHTBELL_QUEUE_URL", hide_env_values = true, value_parser = secret)]
    pub queue_url: Option<SecretString>,
    /// What the names of exchanges and queues begin with; only with --queue-url.
    #[arg(long, default_value = "nightbell", requires = "queue_url")]
    pub prefix: String,
    /// What an `amqps` URL needs.
    #[command(flatten)]
    pub queue_tls: QueueTls,
    /// How long to try while the broker is down; with --fail-open, how long all may take.
    #[arg(long, value_name = "DURATION", default_value = "30s", value_parser = humantime::parse_duration)]
    pub timeout: Duration,
    /// Print one JSON document with the ids.
    #[arg(long)]
    pub json: bool,
    /// The event, or what reports leave open.
    #[command(flatten)]
    pub event: EventFlags,
    /// Reports whose form is told by a flag; last, since its heading holds for what follows.
    #[command(flatten)]
    pub forced: ForcedFormats,
}

/// The files that TLS with a RabbitMQ named by a flag needs.
#[derive(Debug, Default, Args)]
pub struct QueueTls {
    /// PEM certificates of authorities to trust for an `amqps` URL, besides the system's.
    #[arg(long, value_name = "FILE", env = "NIGHTBELL_QUEUE_CA_FILE")]
    pub queue_ca_file: Option<PathBuf>,
    /// Our certificate for a RabbitMQ that asks for one.
    #[arg(long, value_name = "FILE", env = "NIGHTBELL_QUEUE_CLIENT_CERTIFICATE")]
    pub queue_client_certificate: Option<PathBuf>,
    /// Its key, if that is not in the same file.
    #[arg(
        long,
        value_name = "FILE",
        env = "NIGHTBELL_QUEUE_CLIENT_KEY",
        requires = "queue_client_certificate"
    )]
    pub queue_client_key: Option<PathBuf>,
}

/// A flag for each format, which holds whatever the content looks like.
#[derive(Debug, Default, Args)]
#[command(next_help_heading = "Reports of one format")]
pub struct ForcedFormats {
    /// JUnit XML.
    #[arg(long, value_name = "FILES", num_args = 1.., conflicts_with_all = ["test", "id", "status", "message", "details", "dedup_key"])]
    pub junit: Vec<PathBuf>,
    /// CTRF JSON.
    #[arg(long, value_name = "FILES", num_args = 1.., conflicts_with_all = ["test", "id", "status", "message", "details", "dedup_key"])]
    pub ctrf: Vec<PathBuf>,
    /// TRX, of `dotnet test --logger trx`.
    #[arg(long, value_name = "FILES", num_args = 1.., conflicts_with = "test")]
    pub trx: Vec<PathBuf>,
    /// NUnit 3 or 2.5 XML.
    #[arg(long, value_name = "FILES", num_args = 1.., conflicts_with = "test")]
    pub nunit: Vec<PathBuf>,
    /// xUnit.net XML.
    #[arg(long, value_name = "FILES", num_args = 1.., conflicts_with = "test")]
    pub xunit: Vec<PathBuf>,
    /// TestNG's own XML.
    #[arg(long, value_name = "FILES", num_args = 1.., conflicts_with = "test")]
    pub testng: Vec<PathBuf>,
    /// The lines of `go test -json`.
    #[arg(long, value_name = "FILES", num_args = 1.., conflicts_with = "test")]
    pub go_test: Vec<PathBuf>,
    /// TAP.
    #[arg(long, value_name = "FILES", num_args = 1.., conflicts_with = "test")]
    pub tap: Vec<PathBuf>,
    /// Cucumber's JSON.
    #[arg(long, value_name = "FILES", num_args = 1.., conflicts_with = "test")]
    pub cucumber: Vec<PathBuf>,
    /// Allure's results: folders, or files of them.
    #[arg(long, value_name = "FILES", num_args = 1.., conflicts_with = "test")]
    pub allure: Vec<PathBuf>,
    /// Playwright's JSON.
    #[arg(long, value_name = "FILES", num_args = 1.., conflicts_with = "test")]
    pub playwright: Vec<PathBuf>,
    /// Jest's JSON.
    #[arg(long, value_name = "FILES", num_args = 1.., conflicts_with = "test")]
    pub jest: Vec<PathBuf>,
}

impl ForcedFormats {
    /// The reports of each format.
    #[must_use]
    pub fn each(&self) -> [(Format, &[PathBuf]); 12] {
        [
            (Format::Junit, &self.junit),
            (Format::Ctrf, &self.ctrf),
            (Format::Trx, &self.trx),
            (Format::Nunit, &self.nunit),
            (Format::Xunit, &self.xunit),
            (Format::Testng, &self.testng),
            (Format::GoTest, &self.go_test),
            (Format::Tap, &self.tap),
            (Format::Cucumber, &self.cucumber),
            (Format::Allure, &self.allure),
            (Format::Playwright, &self.playwright),
            (Format::Jest, &self.jest),
        ]
    }
}

/// An event's fields as flags.
#[derive(Debug, Args)]
pub struct EventFlags {
    /// The project.
    #[arg(long)]
    pub project: Option<String>,
    /// The test's name; makes one event from flags.
    #[arg(long, requires = "project")]
    pub test: Option<String>,
    /// The event's id; the same id is never delivered twice.
    #[arg(long, requires = "test")]
    pub id: Option<String>,
    /// failed, error or passed.
    #[arg(long, value_parser = word::<Status>, requires = "test")]
    pub status: Option<Status>,
    /// critical, high, medium, low or minimal.
    #[arg(long, value_parser = word::<Severity>)]
    pub severity: Option<Severity>,
    /// One line that says what went wrong.
    #[arg(long, requires = "test")]
    pub message: Option<String>,
    /// The long text.
    #[arg(long, requires = "test")]
    pub details: Option<String>,
    /// The suite.
    #[arg(long)]
    pub suite: Option<String>,
    /// Where the test ran.
    #[arg(long)]
    pub environment: Option<String>,
    /// The run; part of the ids that are made for a report.
    #[arg(long)]
    pub run_id: Option<String>,
    /// A link to the report, in which `{project}`, `{suite}`, `{test}`, `{run_id}` and `{environment}` are filled in.
    #[arg(long, value_name = "URL")]
    pub report_url: Option<Link>,
    /// A tag; may be given several times.
    #[arg(long = "tag", value_name = "TAG")]
    pub tags: Vec<String>,
    /// A label; may be given several times.
    #[arg(long = "label", value_name = "KEY=VALUE", value_parser = key_value)]
    pub labels: Vec<(String, String)>,
    /// Overrides the computed alert key.
    #[arg(long, requires = "test")]
    pub dedup_key: Option<String>,
}

/// `nightbell queue …`.
#[derive(Debug, Subcommand)]
pub enum QueueVerb {
    /// Hand everything that waits in the embedded queue, dead letters included, to RabbitMQ. No worker may run.
    Drain(Drain),
}

/// `nightbell queue drain`.
#[derive(Debug, Args)]
pub struct Drain {
    /// The RabbitMQ to move to: `amqp://user:password@host:5672/%2f`.
    #[arg(long, value_name = "URL", env = "NIGHTBELL_QUEUE_URL", hide_env_values = true, value_parser = secret)]
    pub to: SecretString,
    /// What the names of exchanges and queues begin with there.
    #[arg(long, default_value = "nightbell")]
    pub prefix: String,
    /// What an `amqps` URL needs.
    #[command(flatten)]
    pub queue_tls: QueueTls,
    /// Only check the exchanges and queues there, and declare none.
    #[arg(long)]
    pub no_declare: bool,
    /// How long to try with each message while the broker does not confirm it.
    #[arg(long, value_name = "DURATION", default_value = "30s", value_parser = humantime::parse_duration)]
    pub timeout: Duration,
    /// As what.
    #[command(flatten)]
    pub as_json: AsJson,
}

/// `nightbell dead …`.
#[derive(Debug, Subcommand)]
pub enum Dead {
    /// List dead letters.
    List {
        /// Which.
        #[command(flatten)]
        selector: Selector,
        /// As what.
        #[command(flatten)]
        as_json: AsJson,
    },
    /// Count dead letters by connector, reason and what was answered.
    Groups {
        /// Which.
        #[command(flatten)]
        selector: Selector,
        /// As what.
        #[command(flatten)]
        as_json: AsJson,
    },
    /// Show dead letters whole: history, headers, body.
    Show {
        /// Their ids, or the start of them.
        #[arg(required = true, value_parser = start_of_id)]
        ids: Vec<String>,
        /// As what.
        #[command(flatten)]
        as_json: AsJson,
    },
    /// Publish dead letters again, each round the dedup window once.
    Replay {
        /// Which.
        #[command(flatten)]
        selector: Selector,
        /// Only show what would be done.
        #[arg(long)]
        dry_run: bool,
        /// As what.
        #[command(flatten)]
        as_json: AsJson,
    },
    /// Remove dead letters for good.
    Discard {
        /// Which.
        #[command(flatten)]
        selector: Selector,
        /// Do not ask.
        #[arg(long, short)]
        yes: bool,
        /// As what.
        #[command(flatten)]
        as_json: AsJson,
    },
    /// Write dead letters as NDJSON, bodies included; they stay where they are.
    Export {
        /// Which.
        #[command(flatten)]
        selector: Selector,
    },
}

/// `nightbell route`.
#[derive(Debug, Args)]
pub struct Route {
    /// A file with one event as JSON; `-` is standard input.
    pub file: PathBuf,
    /// As what.
    #[command(flatten)]
    pub as_json: AsJson,
}

/// `nightbell connectors …`.
#[derive(Debug, Subcommand)]
pub enum Connectors {
    /// List the connectors of the configuration.
    List(AsJson),
    /// Send one marked test alert straight to xMatters, past queue and dedup, and print the answer.
    Test(ConnectorTest),
}

/// `nightbell connectors test`.
#[derive(Debug, Args)]
pub struct ConnectorTest {
    /// The connector.
    pub name: Connector,
    /// critical, high, medium, low or minimal; it decides the priority, and so who is woken.
    #[arg(long, value_parser = word::<Severity>, default_value = "low")]
    pub severity: Severity,
    /// Print the request, secrets masked, and send nothing.
    #[arg(long)]
    pub dry_run: bool,
    /// As what.
    #[command(flatten)]
    pub as_json: AsJson,
}

/// `nightbell topology`.
#[derive(Debug, Args)]
pub struct Topology {
    /// The virtual host; by default that of the configuration's queue.url.
    #[arg(long)]
    pub vhost: Option<String>,
}

#[expect(clippy::unnecessary_wraps, reason = "clap wants a parser that can fail")]
fn secret(text: &str) -> Result<SecretString, std::convert::Infallible> {
    Ok(SecretString::from(text))
}

/// Reads a word that an event knows.
fn word<T: serde::de::DeserializeOwned>(text: &str) -> Result<T, String> {
    let value = serde_json::Value::String(text.to_owned());
    serde_json::from_value(value).map_err(|error| error.to_string())
}

fn key_value(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((key, value)) if !key.is_empty() => Ok((key.to_owned(), value.to_owned())),
        _ => Err("write it as KEY=VALUE".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    #[test]
    fn the_command_line_is_sound() {
        Cli::command().debug_assert();
    }
}
