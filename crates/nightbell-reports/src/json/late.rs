//! Names that stand after what they name: results wait for them; where they are too many, the names are learned in a walk of
//! their own.

use std::collections::HashMap;
use std::mem;

use super::document::{Object, Report, Schema, read_names};
use super::tree::Tree;
use crate::case::{Case, TEXT_BYTES_MAX};
use crate::fault::Fault;
use crate::sink::End;
use crate::source::Source;

/// How much may wait for a name, in bytes.
const WAITING_BYTES_MAX: usize = 1024 * 1024;

/// How much of all names is kept, in bytes; what further ones name is told without.
const NAMES_BYTES_MAX: usize = 8 * 1024 * 1024;

/// About what a name needs besides its text, in bytes.
const NAME_BYTES: usize = 64;

/// Results that wait for a name which stands after them.
#[derive(Debug, Default)]
pub(crate) struct Waiting {
    cases: Vec<Case>,
    bytes: usize,
}

impl Waiting {
    /// Takes one more; says whether no more should wait.
    pub(crate) fn push(&mut self, case: Case) -> bool {
        let said = TEXT_BYTES_MAX.saturating_sub(case.trouble.room());
        let texts = [&case.name].into_iter().chain(&case.trouble.outputs).chain(&case.tags).map(String::len);
        self.bytes +=
            size_of::<Case>() + case.suite.as_deref().map_or(0, str::len) + said + texts.sum::<usize>();
        self.cases.push(case);
        self.bytes >= WAITING_BYTES_MAX
    }

    pub(crate) fn take(&mut self) -> Vec<Case> {
        mem::take(self).cases
    }
}

/// The names of objects, wherever they stand in these.
#[derive(Debug, Default)]
pub(crate) struct LateNames {
    learned: HashMap<((&'static str, u64), &'static str), Box<str>>,
    bytes: usize,
}

impl LateNames {
    /// Reads a report for nothing but the names of the objects in these lists.
    pub(crate) fn learn(source: &Source, schema: &'static Schema, lists: &'static [&'static str]) -> Self {
        let mut new = Self::default();
        read_names(source, schema, lists, &mut new);
        new
    }

    pub(crate) fn get(&self, object: &Object, key: &'static str) -> Option<&str> {
        self.learned.get(&(object.id(), key)).map(|name| &**name)
    }
}

impl Report for LateNames {
    fn item(&mut self, _: &[Object], _: &'static str, _: &Tree) -> Result<(), Fault> {
        Ok(())
    }

    fn end(&mut self, _: &[Object], object: Object, _: End) -> Result<(), Fault> {
        for key in object.names() {
            if let Some(name) = object.name(key)
                && self.bytes + name.len() + NAME_BYTES <= NAMES_BYTES_MAX
            {
                self.bytes += name.len() + NAME_BYTES;
                self.learned.insert((object.id(), key), name.into());
            }
        }
        Ok(())
    }

    fn is_done(&self) -> bool {
        false
    }
}
