//! Processes that are killed, and a disk that takes no more.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};

use nightbell_core::ports::Ledger;
use nightbell_ledger::Opened;

use crate::common::{Hand, NOW, Place, close, commit, id, is_known, open, sre};

/// Where the child finds its ledger.
const FOLDER: &str = "NIGHTBELL_TEST_LEDGER";
/// The first number that the child commits.
const FIRST: &str = "NIGHTBELL_TEST_FIRST";

const COMMITS: &str = "crash::child_that_commits";
const OPENS: &str = "crash::child_that_opens";

const PER_ROUND: u64 = 1_000_000;

/// Commits until it is killed or the ledger fails; says of every number that it is durable, after it is.
#[test]
#[ignore = "a child process of the other tests in this file"]
fn child_that_commits() {
    let folder = std::env::var(FOLDER).expect("the parent names a folder");
    let first: u64 = std::env::var(FIRST).expect("the parent names a number").parse().unwrap();
    let (ledger, _) = open(Path::new(&folder), Hand::new()).unwrap();
    println!();
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let failure = runtime.block_on(async {
        let committers = (0..16_u64).map(|committer| {
            let ledger = ledger.clone();
            tokio::spawn(async move {
                for number in (first + committer..).step_by(16) {
                    if let Err(failure) = commit(&ledger, number).await {
                        return failure;
                    }
                    println!("durable {number}.");
                }
                unreachable!("the numbers never end");
            })
        });
        let committers: Vec<_> = committers.collect();
        let mut failures = Vec::new();
        for committer in committers {
            failures.push(committer.await.unwrap());
        }
        assert!(failures.iter().all(|failure| *failure == failures[0]), "{failures:?}");
        assert_eq!(ledger.look(&sre(), id(first), vec![id(first)], NOW).await, Err(failures[0].clone()));
        failures.remove(0)
    });
    assert_eq!(ledger.health(), Err(failure.clone()));
    assert_eq!(ledger.close(), Err(failure.clone()));
    println!("failed: {failure}");
}

/// Opens a ledger and says what came of it.
#[test]
#[ignore = "a child process of the other tests in this file"]
fn child_that_opens() {
    let folder = std::env::var(FOLDER).expect("the parent names a folder");
    match open(Path::new(&folder), Hand::new()) {
        Ok((_, opened)) => println!("\nopened: {opened:?}"),
        Err(error) => println!("\nrefused: {error}"),
    }
}

/// A shell that becomes this test binary, in which no file may grow beyond so many blocks of 512 bytes. The
/// signal that would kill it is ignored, so that its writes fail.
fn limited(blocks: u32) -> Command {
    let mut command = Command::new("sh");
    command.arg("-c").arg(format!(r#"trap "" XFSZ; ulimit -f {blocks}; exec "$0" "$@""#));
    command.arg(std::env::current_exe().unwrap());
    command
}

fn child(mut command: Command, test: &str, place: &Place, first: u64) -> Child {
    command.args([test, "--exact", "--ignored", "--nocapture"]);
    command.env(FOLDER, place.path()).env(FIRST, first.to_string());
    command.stdin(Stdio::null()).stdout(Stdio::piped()).spawn().unwrap()
}

/// Reads what the child says; calls `at` with each number that is durable. The rest is returned.
fn listen(child: &mut Child, mut at: impl FnMut(&mut Child, u64)) -> (Vec<String>, ExitStatus) {
    let mut others = Vec::new();
    for line in BufReader::new(child.stdout.take().unwrap()).lines() {
        let line = line.unwrap();
        // A killed child may have said half a line.
        let number = line.strip_prefix("durable ").and_then(|rest| rest.strip_suffix('.'));
        match number {
            Some(number) => at(child, number.parse().unwrap()),
            None => others.push(line),
        }
    }
    (others, child.wait().unwrap())
}

async fn check_known(place: &Place, durable: &[u64]) {
    let (ledger, opened) = place.open();
    assert!(matches!(opened, Opened::Found { .. }), "{opened:?}");
    for number in durable {
        assert!(is_known(&ledger, *number).await, "{number} was durable and is gone");
    }
    assert!(ledger.entries() >= 2 * durable.len() as u64);
}

/// Kills a child once it has said so many numbers, one child after the other.
async fn check_kills(after: impl Iterator<Item = u64>) {
    let place = Place::new();
    let mut durable = Vec::new();
    for (round, mut left) in (0..).zip(after) {
        let exe = std::env::current_exe().unwrap();
        let mut child = child(Command::new(exe), COMMITS, &place, round * PER_ROUND);
        let before = durable.len();
        listen(&mut child, |child, number| {
            durable.push(number);
            left -= u64::from(left > 0);
            if left == 0 {
                child.kill().unwrap();
            }
        });
        assert!(durable.len() > before, "the child committed nothing");
        check_known(&place, &durable).await;
    }
}

#[tokio::test]
async fn a_kill_loses_nothing_that_was_durable() {
    check_kills((0..12).map(|round| 1 + round * 97)).await;
}

/// The journal becomes runs after some thousand commits.
#[tokio::test]
async fn a_kill_loses_nothing_while_runs_are_made() {
    check_kills([4_090, 4_110, 8_200, 3_000].into_iter()).await;
}

#[tokio::test]
async fn a_write_that_fails_is_sticky_and_what_was_durable_is_kept() {
    let place = Place::new();
    drop(place.open());
    let mut durable = Vec::new();
    let (others, status) =
        listen(&mut child(limited(6144), COMMITS, &place, 0), |_, number| durable.push(number));
    assert!(status.success(), "{others:?}");
    assert!(others.iter().any(|line| line.starts_with("failed: the ledger failed: ")), "{others:?}");
    assert!(!durable.is_empty());
    check_known(&place, &durable).await;
}

/// A store that can't be opened because the disk takes nothing is left alone, damaged or not.
async fn check_left_alone(damage: Option<&str>) {
    let place = Place::new();
    let (ledger, _) = place.open();
    for number in 0..100 {
        commit(&ledger, number).await.unwrap();
    }
    close(ledger).await.unwrap();
    let note = place.path().join("damaged");
    if let Some(problem) = damage {
        std::fs::write(&note, problem).unwrap();
    }
    let (said, _) = listen(&mut child(limited(0), OPENS, &place, 0), |_, _| ());
    assert!(said.iter().any(|line| line.starts_with("refused: failed to open ")), "{said:?}");
    assert_eq!(note.exists(), damage.is_some());
    let beside = std::fs::read_dir(place.path().parent().unwrap()).unwrap();
    let mut names: Vec<_> = beside.map(|file| file.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    assert_eq!(names, ["ledger", "ledger.lock"]);
    if damage.is_some() {
        std::fs::remove_file(note).unwrap();
    }
    check_known(&place, &(0..100).collect::<Vec<_>>()).await;
}

#[tokio::test]
async fn a_full_disk_at_the_start_is_an_error_and_no_reset() {
    check_left_alone(None).await;
}

#[tokio::test]
async fn a_damaged_store_is_moved_back_if_no_new_one_can_be_begun() {
    check_left_alone(Some("page 7 is gone")).await;
}
