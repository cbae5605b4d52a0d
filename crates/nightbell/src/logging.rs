//! Log lines on standard error.

mod fitted;
mod writer;

use std::io::{self, IsTerminal as _};

use tracing::Level;
use tracing_subscriber::filter::{FilterExt as _, filter_fn};
use tracing_subscriber::fmt::{self, MakeWriter};
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;
use tracing_subscriber::{EnvFilter, Layer, Registry};

use self::fitted::Fitted;
use self::writer::LastLines;
use crate::cli::{Cli, Command, LogFormat};
use crate::exit::{Code, Failure, OrFail as _};
use crate::telemetry;

/// The log of a program that runs. Dropping it writes the lines that still wait.
pub struct Log(#[expect(dead_code, reason = "it is there to be dropped")] Option<LastLines>);

/// Sets logging up, once. A worker never waits for whoever reads its lines; a command writes them itself, so that they
/// come before what it prints later.
///
/// # Errors
/// The filter is broken, or a thread can't be started.
pub fn begin(cli: &Cli) -> Result<Log, Failure> {
    let level = cli.log_level();
    let filter = EnvFilter::try_new(level)
        .map_err(|error| Failure::new(Code::Usage, format!("--log `{level}`: {error}")))?;
    if matches!(cli.command, Command::Run) {
        let (writer, last) =
            writer::start(io::stderr(), telemetry::log_line_dropped).or_fail(Code::Software)?;
        install(cli.log_format, filter, writer);
        Ok(Log(Some(last)))
    } else {
        install(cli.log_format, filter, io::stderr);
        Ok(Log(None))
    }
}

/// Whether a line may be said, whatever is asked for. Only our own crates know which of their values are secrets: lapin
/// traces the frame with the broker's password, the HTTP crates paths and headers. So the others may warn, and no more.
/// lapin may not even that: it says each lost connection at ERROR, where nightbell-amqp says it once, and when it is over;
/// so too a certificate that does not hold; and what there is to say about traces, nightbell-trace says.
fn may_be_said(target: &str, level: Level) -> bool {
    let name = target.split("::").next().unwrap_or(target);
    let is_of =
        |own: &str| name.strip_prefix(own).is_some_and(|rest| rest.is_empty() || rest.starts_with('_'));
    if ["lapin", "amq_protocol", "opentelemetry", "rustls_platform_verifier"].into_iter().any(is_of) {
        return false;
    }
    is_of("nightbell") || level <= Level::WARN
}

fn install<W>(format: LogFormat, filter: EnvFilter, writer: W)
where
    W: for<'a> MakeWriter<'a> + Send + Sync + 'static,
{
    let said = filter_fn(|metadata| may_be_said(metadata.target(), *metadata.level()));
    let lines = fmt::layer().with_writer(Fitted { writer, format }).with_ansi(io::stderr().is_terminal());
    let lines: Box<dyn Layer<Registry> + Send + Sync> = match format {
        LogFormat::Human => lines.with_target(false).boxed(),
        LogFormat::Json => {
            lines.json().flatten_event(true).with_current_span(false).with_span_list(false).boxed()
        }
    };
    tracing_subscriber::registry().with(lines.with_filter(said.and(filter))).init();
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_other_crate_says_more_than_a_warning() {
        let all = [Level::ERROR, Level::WARN, Level::INFO, Level::DEBUG, Level::TRACE];
        let said = |target| all.into_iter().filter(|level| may_be_said(target, *level)).count();
        for (target, count) in [
            ("nightbell", 5),
            ("nightbell_amqp::link", 5),
            ("lapin::io_loop", 0),
            ("amq_protocol_tcp", 0),
            ("opentelemetry_sdk", 0),
            ("hyper_util::client", 2),
            ("rustls::client::hs", 2),
            ("nightbellish", 2),
            ("log", 2),
        ] {
            assert_eq!(said(target), count, "{target}");
        }
    }
}
