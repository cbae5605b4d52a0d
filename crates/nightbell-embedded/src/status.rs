//! The state that everybody may ask for without waiting.

use std::sync::{Mutex, PoisonError};

use nightbell_core::ports::{Depths, QueueState};
use nightbell_store::StoreHealth;

use crate::telemetry::{self, Gauges};

/// How the queue fares: what the handles and the writer share.
pub(crate) struct Status {
    health: StoreHealth,
    depths: Mutex<Depths>,
    gauges: Gauges,
}

impl Status {
    pub(crate) fn new(depths: Depths) -> Self {
        Self { health: StoreHealth::default(), gauges: Gauges::new(&depths), depths: Mutex::new(depths) }
    }

    /// The sticky failure, if there was one.
    pub(crate) fn failure(&self) -> Result<(), String> {
        self.health.failure().map_err(|failure| failure.to_string())
    }

    /// Why there was no answer.
    pub(crate) fn why(&self) -> String {
        self.failure().err().unwrap_or_else(|| "the queue has ended".to_owned())
    }

    pub(crate) fn state(&self) -> QueueState {
        let state = self.health.check().map_err(|problem| problem.to_string());
        QueueState { consuming: state.clone(), publishing: state }
    }

    /// Does a write, and counts its time.
    pub(crate) fn while_writing<T>(&self, write: impl FnOnce() -> T) -> T {
        self.health.while_writing(write)
    }

    pub(crate) fn depths(&self) -> Depths {
        self.depths.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(crate) fn set_depths(&self, depths: Depths) {
        let mut known = self.depths.lock().unwrap_or_else(PoisonError::into_inner);
        if *known != depths {
            self.gauges.depths(&depths);
            *known = depths;
        }
    }

    /// Makes a failure sticky, unless there was one before.
    pub(crate) fn fail(&self, problem: &str) {
        if self.health.fail(problem) {
            self.gauges.disconnected();
            telemetry::failed(problem);
        }
    }

    /// Makes all later calls fail, without it being a fault.
    pub(crate) fn closed(&self) {
        self.gauges.disconnected();
        // A failure that came before says more.
        self.health.fail("the queue was closed");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_failure_stays() {
        let status = Status::new(Depths::default());
        status.fail("the disk is full");
        status.fail("second");
        status.closed();
        let failure = Err("the disk is full".to_owned());
        assert_eq!(status.state(), QueueState { consuming: failure.clone(), publishing: failure });
    }
}
