//! The names of sub-tests that are known only when those are over.

use std::collections::HashMap;
use std::ops::ControlFlow;

use super::Reader;
use super::blocks::Inside;
use crate::names::tidy;
use crate::sink::Sink;
use crate::source::Source;

/// How much of the names of sub-tests is kept that are known only when those end, in bytes.
const NAMES_BYTES_MAX: usize = 4 * 1024 * 1024;

/// What such a name costs besides its letters, in bytes.
const NAME_COST_BYTES: usize = 100;

/// The names, by the line and the indent with which the sub-tests begin.
pub(super) type Found = HashMap<(u64, usize), Box<str>>;

/// What is known of them.
pub(super) enum Names {
    Unknown,
    /// They are being found, in a reading that does nothing else.
    Learning {
        found: Found,
        bytes: usize,
    },
    Known(Found),
}

impl Names {
    pub(super) fn found(self) -> Found {
        match self {
            Self::Learning { found, .. } | Self::Known(found) => found,
            Self::Unknown => Found::default(),
        }
    }

    /// The name that sub-tests get when they are over, which began with this line and indent.
    pub(super) fn of(&mut self, source: &Source, line: u64, indent: usize) -> Option<String> {
        if matches!(self, Self::Unknown) {
            *self = Self::Known(learn(source));
        }
        match self {
            Self::Known(found) => found.get(&(line, indent)).map(|name| name.to_string()),
            Self::Unknown | Self::Learning { .. } => None,
        }
    }

    /// Remembers how sub-tests were called in the end that were not named before.
    pub(super) fn learn(&mut self, inside: Option<Inside>, name: &str) {
        let (Self::Learning { found, bytes }, Some(inside)) = (self, inside) else { return };
        let name = tidy(name);
        if inside.is_named || name.is_empty() || *bytes + name.len() > NAMES_BYTES_MAX {
            return;
        }
        *bytes += name.len() + NAME_COST_BYTES;
        found.insert((inside.line, inside.indent), name.into());
    }
}

/// Reads a report for nothing but the names of its sub-tests.
fn learn(source: &Source) -> Found {
    let mut each = |_| ControlFlow::Continue(());
    let mut sink = Sink::new(&mut each);
    let names = Names::Learning { found: Found::default(), bytes: 0 };
    Reader::new(source, &mut sink, names).run().unwrap_or_default()
}
