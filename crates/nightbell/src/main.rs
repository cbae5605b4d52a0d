//! The `nightbell` program: reads the command line, runs one command, and ends with a sysexits code.

use std::process::ExitCode;

use clap::Parser as _;
use clap::error::ErrorKind;
use nightbell::allocator;
use nightbell::cli::{Cli, Command, QueueVerb};
use nightbell::commands::{
    check, completions, connectors, dead, demo, health, init, man, publish, queue, route, run, schema,
    status, topology,
};
use nightbell::config::{Config, Needs};
use nightbell::exit::{Code, Failure, OrFail as _};
use nightbell::logging;
use nightbell::output::complain;
use nightbell::private;
use nightbell::terminal::fit;

fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => return usage(&error),
    };
    private::set_up(&cli.command);
    if matches!(cli.command, Command::Run) {
        allocator::set_up();
    }
    let fails_open = cli.fails_open();
    // Half the cores: the ledger, the AMQP connections and the broker beside us have threads of their own.
    let threads = std::thread::available_parallelism().map_or(1, |cores| cores.get().div_ceil(2));
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(threads).enable_all().build();
    let runtime = match runtime {
        Ok(runtime) => runtime,
        Err(error) => {
            complain(&format!("nightbell: start the runtime: {error}"));
            return Code::Software.into();
        }
    };
    let ended = runtime.block_on(dispatch(cli));
    // A thread that reads standard input may wait for a line that never comes.
    runtime.shutdown_background();
    match ended {
        Ok(code) => code,
        Err(failure) if fails_open => pass(&failure.to_string()),
        Err(failure) => {
            complain(&format!("nightbell: {failure}"));
            failure.code.into()
        }
    }
}

/// Help and version are results; all else is a wrong command line, which breaks no build if it asks for that.
fn usage(error: &clap::Error) -> ExitCode {
    let is_result = matches!(error.kind(), ErrorKind::DisplayHelp | ErrorKind::DisplayVersion);
    if !is_result && std::env::args_os().any(|argument| argument == "--fail-open") {
        let said = error.to_string();
        return pass(said.lines().next().unwrap_or_default().trim_start_matches("error: "));
    }
    let said = error.to_string();
    // It quotes the command line, which a script may have made of anything.
    if is_result || fit(&said) == said {
        drop(error.print());
    } else {
        complain(said.trim_end());
    }
    if is_result { ExitCode::SUCCESS } else { Code::Usage.into() }
}

/// Lets a failure pass, with one line. That it can't be written is no failure either.
fn pass(failure: &str) -> ExitCode {
    let failure = failure.lines().map(str::trim).collect::<Vec<_>>().join(" ");
    complain(&format!("nightbell: warning: {failure}; --fail-open lets this pass"));
    ExitCode::SUCCESS
}

async fn dispatch(cli: Cli) -> Result<ExitCode, Failure> {
    let _log = logging::begin(&cli)?;
    let is_logged = cli.log.is_some();
    let path = cli.config.clone();
    let load = |needs| Config::load(&path, needs).or_fail(Code::Config);
    let done = match cli.command {
        Command::Run => return run::run(&path, load(Needs::All)?).await,
        Command::Demo(flags) => return demo::demo(flags, is_logged).await,
        Command::Init(flags) => init::init(&path, &flags),
        Command::Check(flags) => check::check(&load(Needs::Whatever)?, &flags).await,
        Command::Publish(flags) => publish::publish(&path, *flags).await,
        Command::Dead(verb) => dead::dead(&load(Needs::Queue)?, verb).await,
        Command::Status(flags) => status::status(&load(Needs::Queue)?, flags).await,
        Command::Health(flags) => health::health(&load(Needs::Listener)?, flags).await,
        Command::Route(flags) => route::route(&load(Needs::Delivery)?, &flags),
        Command::Connectors(verb) => connectors::connectors(&load(Needs::Delivery)?, verb).await,
        Command::Topology(flags) => topology::topology(&load(Needs::Queue)?, &flags),
        Command::Schema => schema::schema(),
        Command::Completions { shell } => completions::completions(shell),
        Command::Man { folder } => man::man(folder.as_deref()),
        Command::Queue(QueueVerb::Drain(flags)) => queue::drain(&load(Needs::Queue)?, &flags).await,
    };
    done.map(|()| ExitCode::SUCCESS)
}
