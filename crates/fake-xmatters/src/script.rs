//! Which answer a request gets.

use std::collections::{HashMap, VecDeque};

use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};

use crate::answer::Answer;
use crate::settings::{Rates, Settings};

/// The answers to come: a function's own script, then the common one, then the function's default, then faults by
/// their rates, then the common default.
#[derive(Debug)]
pub(crate) struct Script {
    common: VecDeque<Answer>,
    by_function: HashMap<String, VecDeque<Answer>>,
    default_by_function: HashMap<String, Answer>,
    default: Answer,
    rates: Rates,
    chance: StdRng,
}

impl Script {
    pub(crate) fn new(settings: &Settings) -> Self {
        let mut script = Self {
            common: VecDeque::new(),
            by_function: HashMap::new(),
            default_by_function: HashMap::new(),
            default: settings.default.clone(),
            rates: Rates::default(),
            chance: StdRng::seed_from_u64(0),
        };
        script.set_rates(settings.rates);
        script
    }

    /// The answer to the next request to this function.
    pub(crate) fn next(&mut self, function: &str) -> Answer {
        let own = self.by_function.get_mut(function).and_then(VecDeque::pop_front);
        if let Some(answer) = own.or_else(|| self.common.pop_front()) {
            return answer;
        }
        if let Some(answer) = self.default_by_function.get(function) {
            return answer.clone();
        }
        self.fault().unwrap_or_else(|| self.default.clone())
    }

    pub(crate) fn extend(&mut self, answers: impl IntoIterator<Item = Answer>) {
        self.common.extend(answers);
    }

    pub(crate) fn extend_for(&mut self, function: &str, answers: impl IntoIterator<Item = Answer>) {
        self.by_function.entry(function.to_owned()).or_default().extend(answers);
    }

    pub(crate) fn set_default(&mut self, answer: Answer) {
        self.default = answer;
    }

    pub(crate) fn set_default_for(&mut self, function: &str, answer: Answer) {
        self.default_by_function.insert(function.to_owned(), answer);
    }

    pub(crate) fn set_rates(&mut self, rates: Rates) {
        self.chance = StdRng::seed_from_u64(rates.seed);
        self.rates = rates;
    }

    /// How many scripted answers are left.
    pub(crate) fn left(&self) -> usize {
        self.common.len() + self.by_function.values().map(VecDeque::len).sum::<usize>()
    }

    fn fault(&mut self) -> Option<Answer> {
        let Rates { fail, cut, .. } = self.rates;
        if fail <= 0.0 && cut <= 0.0 {
            return None;
        }
        let drawn: f64 = self.chance.random();
        if drawn < fail {
            Some(Answer::status(503))
        } else if drawn < fail + cut {
            Some(Answer::close())
        } else {
            None
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn script() -> Script {
        Script::new(&Settings::default())
    }

    #[test]
    fn a_functions_own_script_comes_first_then_the_common_one_then_the_defaults() {
        let mut script = script();
        script.extend([Answer::status(502)]);
        script.extend_for("f", [Answer::status(503)]);
        script.set_default_for("f", Answer::status(400));
        script.set_default(Answer::status(200));
        assert_eq!(script.left(), 2);
        let got: Vec<_> = ["f", "f", "f", "g"].map(|function| script.next(function).status).into();
        assert_eq!(got, [503, 502, 400, 200]);
        assert_eq!(script.left(), 0);
    }

    #[test]
    fn faults_come_at_their_rates_and_repeat_with_their_seed() {
        let draw = |seed| {
            let mut script = script();
            script.set_rates(Rates { fail: 0.2, cut: 0.1, seed });
            (0..10_000).map(|_| script.next("f")).collect::<Vec<_>>()
        };
        let (one, same, other) = (draw(1), draw(1), draw(2));
        assert_eq!(one, same);
        assert_ne!(one, other);
        let count = |wanted: &Answer| one.iter().filter(|answer| *answer == wanted).count();
        assert!((1_800..2_200).contains(&count(&Answer::status(503))));
        assert!((850..1_150).contains(&count(&Answer::close())));
    }
}
