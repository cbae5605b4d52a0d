//! Log lines on their way out, so that nobody waits for whoever reads them.
//!
//! A line goes into a buffer of bounded size, and a thread writes what is there, many lines at a time. While the reader
//! is too slow and the buffer is full, new lines are dropped and counted. At an orderly end what waits is still written.

use std::io::{self, Write};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tracing::warn;
use tracing_subscriber::fmt::MakeWriter;

/// The most bytes that wait to be written: some 3,000 lines.
const WAITING_BYTES_MAX: usize = 1024 * 1024;

/// The longest time that the last lines get at the end.
const END_MAX: Duration = Duration::from_secs(5);

/// Takes lines in. Clones share the buffer.
#[derive(Clone)]
pub(super) struct Writer(Arc<Shared>);

/// Writes what waits when it is dropped.
pub(super) struct LastLines(Arc<Shared>);

struct Shared {
    state: Mutex<State>,
    /// Something waits, or the end has come.
    wake: Condvar,
    ended: Condvar,
    /// Hears of each line that is dropped.
    dropped: fn(u64),
}

#[derive(Default)]
struct State {
    waiting: Vec<u8>,
    /// Lines dropped since this was said last.
    dropped: u64,
    is_ending: bool,
    has_ended: bool,
}

/// Starts the thread that writes to `out`.
pub(super) fn start(out: impl Write + Send + 'static, dropped: fn(u64)) -> io::Result<(Writer, LastLines)> {
    let shared =
        Arc::new(Shared { state: Mutex::default(), wake: Condvar::new(), ended: Condvar::new(), dropped });
    let own = Arc::clone(&shared);
    std::thread::Builder::new().name("log".into()).spawn(move || own.write_all_lines(out))?;
    Ok((Writer(Arc::clone(&shared)), LastLines(shared)))
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        // All that is done under the lock leaves it sound.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn take(&self, line: &[u8]) {
        let mut state = self.state();
        if state.waiting.len() + line.len() > WAITING_BYTES_MAX {
            state.dropped += 1;
            drop(state);
            return (self.dropped)(1);
        }
        let was_empty = state.waiting.is_empty();
        state.waiting.extend_from_slice(line);
        drop(state);
        if was_empty {
            self.wake.notify_one();
        }
    }

    fn write_all_lines(&self, mut out: impl Write) {
        let mut lines = Vec::new();
        while let Some(dropped) = self.next(&mut lines) {
            // There is nowhere to say that nothing can be said.
            drop(out.write_all(&lines).and_then(|()| out.flush()));
            lines.clear();
            if dropped > 0 {
                warn!(dropped, "log lines were dropped, since standard error was not read fast enough");
            }
        }
    }

    /// Waits for lines and swaps them for the empty buffer; gives how many were dropped meanwhile, and none at the end.
    fn next(&self, lines: &mut Vec<u8>) -> Option<u64> {
        let idle = |state: &mut State| state.waiting.is_empty() && !state.is_ending;
        let mut state = self.wake.wait_while(self.state(), idle).unwrap_or_else(PoisonError::into_inner);
        if state.waiting.is_empty() {
            state.has_ended = true;
            self.ended.notify_all();
            return None;
        }
        std::mem::swap(lines, &mut state.waiting);
        Some(std::mem::take(&mut state.dropped))
    }
}

impl Drop for LastLines {
    fn drop(&mut self) {
        let mut state = self.0.state();
        state.is_ending = true;
        self.0.wake.notify_one();
        // Whoever does not read by then does not want them.
        drop(self.0.ended.wait_timeout_while(state, END_MAX, |state| !state.has_ended));
    }
}

impl<'a> MakeWriter<'a> for Writer {
    type Writer = &'a Self;

    fn make_writer(&'a self) -> &'a Self {
        self
    }
}

/// Each write is one line: the formatter writes lines whole.
impl Write for &Writer {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        self.0.take(line);
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::{Receiver, SyncSender, sync_channel};

    use super::*;

    /// A reader that takes a write only when the test lets it.
    struct Slow {
        may: Receiver<()>,
        read: SyncSender<Vec<u8>>,
    }

    impl Write for Slow {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            // The end of the test lets all pass.
            let _ = self.may.recv();
            drop(self.read.send(bytes.to_vec()));
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn slow() -> (Slow, SyncSender<()>, Receiver<Vec<u8>>) {
        let (let_pass, may) = sync_channel(100);
        let (read, seen) = sync_channel(100);
        (Slow { may, read }, let_pass, seen)
    }

    fn uncounted(_: u64) {}

    #[test]
    fn lines_are_written_whole_and_in_order_and_the_last_at_the_end() {
        let (out, let_pass, seen) = slow();
        let (writer, last) = start(out, uncounted).unwrap();
        for number in 0..1_000 {
            writeln!(&writer, "line {number}").unwrap();
        }
        drop(let_pass);
        drop(last);
        let all: Vec<u8> = seen.try_iter().flatten().collect();
        let want: String = (0..1_000).map(|number| format!("line {number}\n")).collect();
        assert_eq!(String::from_utf8(all).unwrap(), want);
    }

    #[test]
    fn who_logs_does_not_wait_for_a_reader_and_what_is_too_much_is_dropped_and_counted() {
        use std::sync::atomic::{AtomicU64, Ordering};
        static DROPPED: AtomicU64 = AtomicU64::new(0);
        let (out, let_pass, seen) = slow();
        let count = |lines| {
            DROPPED.fetch_add(lines, Ordering::Relaxed);
        };
        let (writer, last) = start(out, count).unwrap();
        let line = [b'x'; 1_024];
        // At most one buffer is being written, and one waits.
        for _ in 0..3 * 1_024 {
            (&writer).write_all(&line).unwrap();
        }
        let dropped = DROPPED.load(Ordering::Relaxed);
        assert!((1_024..=2 * 1_024).contains(&dropped), "{dropped}");
        drop(let_pass);
        drop(last);
        let written: usize = seen.try_iter().map(|bytes| bytes.len()).sum();
        assert_eq!(written as u64, (3 * 1_024 - dropped) * 1_024);
    }
}
