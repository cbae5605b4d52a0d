//! Where a format's reader puts what it finds.

use std::ops::ControlFlow;

use crate::case::{Case, Trouble};
use crate::compose::Origin;
use crate::fault::{Place, Unfit};
use crate::source::Source;

/// How a format is read: from the beginning, each result given to the sink in turn. Returns where the report is damaged.
///
/// # Errors
/// It can't be read, or is no report of this format.
pub(crate) type Read = fn(&Source, &mut Sink<'_>) -> Result<Option<Place>, Unfit>;

/// How a part of a report ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum End {
    /// By its own end.
    Written,
    /// Only because what is around it does, or the report.
    CutOff,
}

/// Takes what a report tells.
pub(crate) struct Sink<'a> {
    each: &'a mut dyn FnMut(Case) -> ControlFlow<()>,
    stopped: bool,
    /// What the report says of the run as a whole.
    pub(crate) origin: Origin,
    damage: Option<Place>,
}

impl<'a> Sink<'a> {
    pub(crate) fn new(each: &'a mut dyn FnMut(Case) -> ControlFlow<()>) -> Self {
        Self { each, stopped: false, origin: Origin::default(), damage: None }
    }

    /// Takes all that a report tells.
    ///
    /// # Errors
    /// It can't be read, or is no report of this format.
    pub(crate) fn read(&mut self, read: Read, source: &Source) -> Result<(), Unfit> {
        let damage = read(source, self)?;
        self.damage(damage);
        Ok(())
    }

    /// Takes a result. Of one that did not go wrong nothing is told besides.
    pub(crate) fn case(&mut self, mut case: Case) {
        if case.ending.is_silent() {
            case.trouble = Trouble::default();
        }
        if !self.stopped {
            self.stopped = (self.each)(case).is_break();
        }
    }

    /// Takes a result that ended so: of one that is cut off it is not known that it passed.
    pub(crate) fn ended(&mut self, case: Case, end: End) {
        if end == End::Written || !case.ending.is_silent() {
            self.case(case);
        }
    }

    /// Whether no more is wanted.
    pub(crate) fn is_stopped(&self) -> bool {
        self.stopped
    }

    /// Takes a place where the report is damaged; the first counts.
    pub(crate) fn damage(&mut self, place: impl Into<Option<Place>>) {
        self.damage = self.damage.take().or(place.into());
    }

    pub(crate) fn into_parts(self) -> (Origin, Option<Place>) {
        (self.origin, self.damage)
    }
}
