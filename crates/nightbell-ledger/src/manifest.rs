//! What the store consists of, in one value that is replaced as a whole.

use serde::{Deserialize, Serialize};

use crate::fault::Fault;
use crate::keys;
use crate::run::Meta;

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
        serde_json::from_slice(&value).map_err(|error| Fault::Damaged(format!("its manifest: {error}")))
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

    #[test]
    fn the_manifest_never_changes() {
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
        let manifest = Manifest { journal_from: 2, next_run: 5, runs: vec![meta], doomed: vec![1] };
        let written = r#"{"journal_from":2,"next_run":5,"runs":[{"number":4,"space":"alert","level":1,"age":3,"records":9,"blocks":1,"half_ends":5,"ends":6}],"doomed":[1]}"#;
        assert_eq!(String::from_utf8(manifest.encode()).unwrap(), written);
        assert_eq!(serde_json::from_str::<Manifest>(written).unwrap(), manifest);
    }
}
