//! The life of the thread behind a store.

use std::any::Any;
use std::convert::Infallible;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread::{Builder, JoinHandle};
use std::time::Duration;

/// A thread that can be waited for.
#[derive(Debug)]
pub struct StoreThread {
    handle: JoinHandle<()>,
    /// Hangs up when the thread has ended.
    ended: Receiver<Infallible>,
}

/// A thread did not end in time. It goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TimedOut;

impl StoreThread {
    /// Starts a thread that works on `state`. If it panics, `panicked` hears what the panic said; only then is the state
    /// dropped, so that whoever waits for an answer learns of the failure first.
    ///
    /// # Errors
    /// The system has no thread to give.
    pub fn spawn<S: Send + 'static>(
        name: &str,
        state: S,
        work: impl FnOnce(&S) + Send + 'static,
        panicked: impl FnOnce(&str) + Send + 'static,
    ) -> io::Result<Self> {
        let (ending, ended): (Sender<Infallible>, _) = channel();
        let handle = Builder::new().name(name.to_owned()).spawn(move || {
            if let Err(panic) = catch_unwind(AssertUnwindSafe(|| work(&state))) {
                panicked(panic_text(panic.as_ref()));
            }
            drop((state, ending));
        })?;
        Ok(Self { handle, ended })
    }

    /// Waits for its end, at most this long.
    ///
    /// # Errors
    /// [`TimedOut`].
    pub fn join(self, wait: Duration) -> Result<(), TimedOut> {
        if let Err(RecvTimeoutError::Timeout) = self.ended.recv_timeout(wait) {
            return Err(TimedOut);
        }
        // A panic was told already.
        drop(self.handle.join());
        Ok(())
    }
}

/// What a panic said.
#[must_use]
pub fn panic_text(panic: &(dyn Any + Send)) -> &str {
    let text = panic.downcast_ref::<String>().map(String::as_str);
    text.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("it said nothing")
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::StoreHealth;

    #[test]
    fn a_panic_is_a_failure_before_the_waiters_are_let_go() {
        let health = Arc::new(StoreHealth::default());
        let (waiting, waiter) = channel::<Infallible>();
        let failing = Arc::clone(&health);
        let thread = StoreThread::spawn(
            "test",
            waiting,
            |_| panic!("page {} is gone", 7),
            move |panic| assert!(failing.fail(panic)),
        );
        assert!(waiter.recv().is_err());
        assert_eq!(health.failure(), Err("page 7 is gone".into()));
        assert_eq!(thread.unwrap().join(Duration::from_secs(30)), Ok(()));
    }

    #[test]
    fn a_thread_that_goes_on_is_not_waited_for_for_ever() {
        let (end, ends) = channel::<()>();
        let thread = StoreThread::spawn("test", ends, |ends| assert!(ends.recv().is_err()), |_| ()).unwrap();
        assert_eq!(thread.join(Duration::from_millis(1)), Err(TimedOut));
        drop(end);
    }
}
