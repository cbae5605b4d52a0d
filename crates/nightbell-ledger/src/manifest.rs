//! What the store consists of, in one value that is replaced as a whole.

use serde::{Deserialize, Serialize};

use crate::fault::Fault;
use crate::journal::NUMBER_MAX;
use crate::keys;
use crate::run::Meta;

/// No store comes to this level: each has sixteen times the records of the one below.
const LEVEL_MAX: u32 = 32;

/// It is written as JSON, so that a person who looks into a store can read it.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Manifest {
    /// The first part of the journal that is not in a run.
    pub(crate) journal_from: u64,
    /// The number of the next run.
    pub(crate) next_run: u64,
    /// The runs in use.
    pub(crate) runs: Vec<Meta>,
    /// The numbers of runs that are being written, or that nobody needs any more; what is found of them at a start goes.
    pub(crate) doomed: Vec<u64>,
}

impl Manifest {
    pub(crate) fn load(db: &sled::Db) -> Result<Self, Fault> {
        let value = db.get(keys::MANIFEST)?;
        let value = value.ok_or_else(|| Fault::Damaged("it does not say what it consists of".into()))?;
        let manifest: Self = serde_json::from_slice(&value)
            .map_err(|error| Fault::Damaged(format!("its manifest: {error}")))?;
        manifest.check().map_err(|problem| Fault::Damaged(format!("its manifest: {problem}")))?;
        Ok(manifest)
    }

    /// Whether it can have come about.
    fn check(&self) -> Result<(), String> {
        let next = self.next_run;
        if next > NUMBER_MAX {
            return Err(format!("no store has come to run {next}"));
        }
        let used = self.runs.iter().map(|meta| meta.number);
        if let Some(number) = used.chain(self.doomed.iter().copied()).find(|number| *number >= next) {
            return Err(format!("run {number} is there, and the next one is {next}"));
        }
        match self.runs.iter().find(|meta| meta.level > LEVEL_MAX) {
            Some(meta) => Err(format!("run {} has level {}", meta.number, meta.level)),
            None => Ok(()),
        }
    }

    pub(crate) fn encode(&self) -> Vec<u8> {
        serde_json::to_vec(self).expect("numbers and names are JSON")
    }

    pub(crate) fn save(&self, db: &sled::Db) -> Result<(), Fault> {
        db.insert(keys::MANIFEST, self.encode())?;
        Ok(())
    }

    /// The number of a run that is about to be written. Until it is in use it counts as doomed.
    pub(crate) fn begin_run(&mut self) -> u64 {
        let number = self.next_run;
        self.next_run += 1;
        self.doomed.push(number);
        number
    }

    /// A run that was written is in use from now on.
    pub(crate) fn use_run(&mut self, meta: Meta) {
        self.doomed.retain(|doomed| *doomed != meta.number);
        self.runs.push(meta);
    }

    /// Runs that were in use are not needed any more.
    pub(crate) fn doom(&mut self, numbers: impl Iterator<Item = u64>) {
        for number in numbers {
            self.runs.retain(|meta| meta.number != number);
            self.doomed.push(number);
        }
    }

    /// Nothing is left of a doomed run.
    pub(crate) fn forget(&mut self, number: u64) {
        self.doomed.retain(|doomed| *doomed != number);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::entry::Space;

    fn manifest() -> Manifest {
        let meta = Meta {
            number: 4,
            space: Space::Alert,
            level: 1,
            age: 3,
            records: 9,
            blocks: 1,
            half_ends: 5,
            ends: 6,
        };
        Manifest { journal_from: 2, next_run: 5, runs: vec![meta], doomed: vec![1] }
    }

    #[test]
    fn a_manifest_that_can_not_have_come_about_is_damage() {
        assert_eq!(manifest().check(), Ok(()));
        assert_eq!(Manifest::default().check(), Ok(()));
        let meta = |number, level| Meta { number, level, ..manifest().runs[0].clone() };
        let absurd = [
            Manifest { next_run: u64::MAX, ..manifest() },
            Manifest { next_run: 4, ..manifest() },
            Manifest { runs: vec![meta(5, 1)], ..manifest() },
            Manifest { runs: vec![meta(4, u32::MAX)], ..manifest() },
            Manifest { doomed: vec![u64::MAX], ..manifest() },
        ];
        let folder = tempfile::tempdir().unwrap();
        let db = sled::Config::new().path(folder.path()).flush_every_ms(None).open().unwrap();
        for manifest in absurd {
            manifest.save(&db).unwrap();
            assert!(matches!(Manifest::load(&db), Err(Fault::Damaged(_))), "{manifest:?}");
        }
    }

    #[test]
    fn the_manifest_never_changes() {
        let manifest = manifest();
        let written = r#"{"journal_from":2,"next_run":5,"runs":[{"number":4,"space":"alert","level":1,"age":3,"records":9,"blocks":1,"half_ends":5,"ends":6}],"doomed":[1]}"#;
        assert_eq!(String::from_utf8(manifest.encode()).unwrap(), written);
        assert_eq!(serde_json::from_str::<Manifest>(written).unwrap(), manifest);
    }
}
