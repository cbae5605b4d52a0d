//! A map by ascending order, for very many messages that come at the end and go at the front.
//!
//! A `BTreeMap` that is filled in order keeps its nodes half empty: half a million messages took 50 MiB in one, and half as
//! much here.

use std::collections::VecDeque;

/// The most entries of one run. One that is inserted or removed in its midst moves half of them at the most.
const RUN_MAX: usize = 256;

/// Entries by their order, in runs that follow each other. No run is empty.
#[derive(Debug)]
pub(crate) struct SortedRuns<T> {
    runs: VecDeque<VecDeque<(u64, T)>>,
    len: usize,
}

impl<T> Default for SortedRuns<T> {
    fn default() -> Self {
        Self { runs: VecDeque::new(), len: 0 }
    }
}

impl<T> SortedRuns<T> {
    pub(crate) fn len(&self) -> usize {
        self.len
    }

    pub(crate) fn first(&self) -> Option<&(u64, T)> {
        self.runs.front()?.front()
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &(u64, T)> {
        self.runs.iter().flatten()
    }

    /// Puts an entry in, in place of the one of the same order.
    pub(crate) fn insert(&mut self, order: u64, value: T) {
        let Some(at) = self.run_of(order) else { return self.append(order, value) };
        let run = &mut self.runs[at];
        match run.binary_search_by_key(&order, |(order, _)| *order) {
            Ok(same) => run[same].1 = value,
            Err(place) => {
                run.insert(place, (order, value));
                self.len += 1;
                if run.len() > RUN_MAX {
                    let rest = run.split_off(RUN_MAX / 2);
                    self.runs.insert(at + 1, rest);
                }
            }
        }
    }

    pub(crate) fn get(&self, order: u64) -> Option<&T> {
        let run = &self.runs[self.run_of(order)?];
        let place = run.binary_search_by_key(&order, |(order, _)| *order).ok()?;
        Some(&run[place].1)
    }

    pub(crate) fn pop_first(&mut self) -> Option<(u64, T)> {
        let first = self.runs.front_mut()?.pop_front();
        self.taken_from(0);
        first
    }

    pub(crate) fn remove(&mut self, order: u64) -> Option<T> {
        let at = self.run_of(order)?;
        let run = &mut self.runs[at];
        let place = run.binary_search_by_key(&order, |(order, _)| *order).ok()?;
        let removed = run.remove(place);
        self.taken_from(at);
        removed.map(|(_, value)| value)
    }

    /// The run that has this order, or would; none: it comes after all.
    fn run_of(&self, order: u64) -> Option<usize> {
        let ends_before = |run: &VecDeque<(u64, T)>| run.back().is_some_and(|(last, _)| *last < order);
        Some(self.runs.partition_point(ends_before)).filter(|at| *at < self.runs.len())
    }

    fn append(&mut self, order: u64, value: T) {
        self.len += 1;
        match self.runs.back_mut().filter(|run| run.len() < RUN_MAX) {
            Some(run) => run.push_back((order, value)),
            None => self.runs.push_back(VecDeque::from([(order, value)])),
        }
    }

    /// Gives back what a run does not need any more, so that few entries left of many take little.
    fn taken_from(&mut self, at: usize) {
        self.len -= 1;
        let run = &mut self.runs[at];
        if run.is_empty() {
            self.runs.remove(at);
        } else if at > 0 && run.len() < run.capacity() / 4 {
            run.shrink_to(run.len() * 2);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;

    #[derive(Debug, Clone)]
    enum Act {
        Append(u64),
        Insert(u64),
        Pop,
        Remove(u64),
    }

    fn act() -> impl Strategy<Value = Act> {
        prop_oneof![
            6 => (1..4_u64).prop_map(Act::Append),
            2 => (0..900_u64).prop_map(Act::Insert),
            2 => Just(Act::Pop),
            2 => (0..900_u64).prop_map(Act::Remove),
        ]
    }

    /// Does the same with a `BTreeMap` and compares all that can be seen.
    fn compare(acts: Vec<Act>) {
        let (mut line, mut map) = (SortedRuns::default(), BTreeMap::new());
        for (value, act) in acts.into_iter().enumerate() {
            match act {
                Act::Append(step) => {
                    let order = map.last_key_value().map_or(0, |(last, _)| *last) + step;
                    line.insert(order, value);
                    map.insert(order, value);
                }
                Act::Insert(order) => {
                    line.insert(order, value);
                    map.insert(order, value);
                }
                Act::Pop => assert_eq!(line.pop_first(), map.pop_first()),
                Act::Remove(order) => {
                    assert_eq!(line.get(order), map.get(&order));
                    assert_eq!(line.remove(order), map.remove(&order));
                }
            }
            assert_eq!(line.len(), map.len());
            assert_eq!(line.first().copied(), map.first_key_value().map(|(order, value)| (*order, *value)));
            assert!(line.runs.iter().all(|run| (1..=RUN_MAX).contains(&run.len())));
        }
        assert!(line.iter().copied().eq(map));
    }

    proptest! {
        #[test]
        fn it_does_what_a_map_does(acts in proptest::collection::vec(act(), 0..2_000)) {
            compare(acts);
        }
    }

    #[test]
    fn few_that_are_left_of_many_take_little() {
        let mut line = SortedRuns::default();
        (0..100_000).for_each(|order| line.insert(order, order));
        (0..100_000)
            .filter(|order| order % 100 != 0)
            .for_each(|order| assert_eq!(line.remove(order), Some(order)));
        let capacity: usize = line.runs.iter().map(VecDeque::capacity).sum();
        assert_eq!(line.len(), 1_000);
        assert!(capacity <= 8 * line.len() + RUN_MAX, "{capacity}");
    }
}
