//! The `nightbell` program: reads the command line, runs one command, and ends with a sysexits code.

use std::process::ExitCode;

use clap::Parser as _;
use clap::error::ErrorKind;
use nightbell::cli::{Cli, Command};
use nightbell::commands::{check, dead, init, publish, route, run, schema, status, topology};
use nightbell::config::Config;
use nightbell::exit::{Code, Failure, OrFail as _};
use nightbell::logging;

fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => return usage(&error),
    };
    // Half the cores: the ledger, the AMQP connections and the broker beside us have threads of their own.
    let threads = std::thread::available_parallelism().map_or(1, |cores| cores.get().div_ceil(2));
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(threads).enable_all().build();
    let runtime = match runtime {
        Ok(runtime) => runtime,
        Err(error) => {
            eprintln!("nightbell: start the runtime: {error}");
            return Code::Software.into();
        }
    };
    let ended = runtime.block_on(dispatch(cli));
    // A thread that reads standard input may wait for a line that never comes.
    runtime.shutdown_background();
    match ended {
        Ok(code) => code,
        Err(failure) => {
            eprintln!("nightbell: {failure}");
            failure.code.into()
        }
    }
}

/// Help and version are results; all else is a wrong command line.
fn usage(error: &clap::Error) -> ExitCode {
    drop(error.print());
    if matches!(error.kind(), ErrorKind::DisplayHelp | ErrorKind::DisplayVersion) {
        ExitCode::SUCCESS
    } else {
        Code::Usage.into()
    }
}

async fn dispatch(cli: Cli) -> Result<ExitCode, Failure> {
    logging::begin(&cli)?;
    let path = cli.config.clone();
    let config = || Config::load(Some(&path)).or_fail(Code::Config);
    let done = match cli.command {
        Command::Run => return run::run(&path, config()?).await,
        Command::Init(flags) => init::init(&path, &flags),
        Command::Check(flags) => check::check(&config()?, &flags).await,
        Command::Publish(flags) => publish::publish(&path, *flags).await,
        Command::Dead(verb) => dead::dead(&config()?, verb).await,
        Command::Status(flags) => status::status(&config()?, flags).await,
        Command::Route(flags) => route::route(&config()?, &flags),
        Command::Topology(flags) => topology::topology(&config()?, &flags),
        Command::Schema => schema::schema(),
    };
    done.map(|()| ExitCode::SUCCESS)
}
