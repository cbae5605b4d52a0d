//! Opening the ledger: alone, checked, and never in vain.

use std::fs::{self, OpenOptions};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use nightbell_core::time::UnixMillis;
use nightbell_store::FileInPlace;

use crate::disk::{DatabaseFile, Disk};
use crate::fault::{self, Fault, caught};
use crate::index::Index;
use crate::journal::Journal;
use crate::manifest::Manifest;
use crate::place::{self, Lock};
use crate::run::Run;
use crate::telemetry::{BrokenKept, Reset};
use crate::witness::Witness;
use crate::{keys, migrate};

/// glibc's settings, as variables of the environment (mallopt(3)), for a process with a ledger: two heaps, and whatever has
/// 64 KiB or more is given back at once. sled takes and frees such buffers by the hundred.
pub const ALLOCATOR_SETTINGS: [(&str, &str); 2] =
    [("MALLOC_ARENA_MAX", "2"), ("MALLOC_MMAP_THRESHOLD_", "65536")];

/// The default bound of sled's page cache, in bytes. sled counts the bytes on disk; in memory they take several times
/// more, and the whole worker is to stay under 64 MiB.
pub const CACHE_BYTES_DEFAULT: u64 = 2 * 1024 * 1024;

/// The size of sled's segments. Each flush takes a buffer of this size, and a page of more than a quarter of it goes to a file
/// of its own; so the pages are kept well below. With sled's own 512 KiB the worker needs 20 MiB more.
const SEGMENT_BYTES: usize = 256 * 1024;

/// The store's format: the keys, and what is under them.
const FORMAT: u8 = 2;

/// Where the ledger is, and how much memory it may take.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LedgerSettings {
    /// The ledger's folder. It and its parents are made if they are missing. Beside it stand a lock file
    /// `NAME.lock` and whatever was moved aside.
    pub path: PathBuf,
    /// The bound of the page cache in bytes; [`CACHE_BYTES_DEFAULT`] is meant for all but tests.
    pub cache_bytes: u64,
}

impl LedgerSettings {
    /// A ledger in this folder with the default cache.
    #[must_use]
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self { path: path.into(), cache_bytes: CACHE_BYTES_DEFAULT }
    }
}

/// What opening the ledger came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Opened {
    /// There was none; a new one was begun.
    Fresh,
    /// It was there.
    Found {
        /// The number of its records.
        entries: u64,
    },
    /// It was damaged; it was moved aside and a new one begun. The log and the metrics say so too.
    Reset {
        /// Where the damaged one is now.
        moved_to: PathBuf,
        /// What was wrong with it.
        problem: String,
    },
}

/// The ledger can't be opened. It was left as it was.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// Another process has it open.
    #[error("the ledger `{}` is in use by another process", path.display())]
    Locked {
        /// The ledger's folder.
        path: PathBuf,
    },
    /// The system did not let us: a missing permission, a full disk, a path that is no folder.
    #[error("failed to {doing} `{}`", path.display())]
    Io {
        /// What was tried.
        doing: &'static str,
        /// With which file or folder.
        path: PathBuf,
        /// The system's answer.
        source: io::Error,
    },
    /// It is damaged, and a new one can't be begun in its place either.
    #[error("the ledger `{}` is damaged and a new one can't be begun: {problem}", path.display())]
    Unusable {
        /// The ledger's folder.
        path: PathBuf,
        /// What was wrong with the new one.
        problem: String,
    },
}

impl OpenError {
    pub(crate) fn io(doing: &'static str, path: &Path, source: io::Error) -> Self {
        Self::Io { doing, path: path.to_owned(), source }
    }
}

/// An open store, and the right to it.
pub(crate) struct Ready {
    pub(crate) loaded: Loaded,
    pub(crate) file: DatabaseFile,
    pub(crate) lock: Lock,
}

/// What the threads begin with.
pub(crate) struct Loaded {
    pub(crate) db: sled::Db,
    pub(crate) manifest: Manifest,
    pub(crate) journal: Journal,
    /// How many records the journal has.
    pub(crate) journalled: usize,
    pub(crate) index: Index,
}

impl Loaded {
    /// Reads the journal and the runs' filters.
    pub(crate) fn load(db: sled::Db) -> Result<Self, Fault> {
        let manifest = Manifest::load(&db)?;
        let (journal, table) = Journal::load(&db, manifest.journal_from)?;
        let runs = manifest.runs.iter().map(|meta| Run::load(&db, meta.clone()).map(Arc::new));
        let runs = runs.collect::<Result<_, _>>()?;
        let journalled = table.entries.len();
        Ok(Self { db, manifest, journal, journalled, index: Index::new(table, runs) })
    }
}

/// Opens the store; see [`crate::LedgerStore::open`].
pub(crate) fn open(settings: &LedgerSettings, now: UnixMillis) -> Result<(Ready, Opened), OpenError> {
    let path = settings.path.as_path();
    let lock = Lock::take(path)?;
    let (Checked { loaded, file, .. }, opened) = match attempt(settings)? {
        Attempt::Good(checked) if checked.fresh => (checked, Opened::Fresh),
        Attempt::Good(checked) => {
            checked.loaded.index.trim(now);
            let entries = checked.loaded.index.records();
            (checked, Opened::Found { entries })
        }
        Attempt::Damaged(problem) => reset(settings, now, problem)?,
    };
    let broken = place::broken(path).map_err(|source| OpenError::io("list the folder of", path, source))?;
    if let Some(latest) = broken.last() {
        BrokenKept { count: broken.len(), latest }.emit();
    }
    Ok((Ready { loaded, file, lock }, opened))
}

/// A store that opened and passed its check.
struct Checked {
    loaded: Loaded,
    file: DatabaseFile,
    fresh: bool,
}

#[expect(clippy::large_enum_variant, reason = "there is one of them, and only at the start")]
enum Attempt {
    Good(Checked),
    Damaged(String),
}

fn attempt(settings: &LedgerSettings) -> Result<Attempt, OpenError> {
    let path = settings.path.as_path();
    let failed = |doing| move |source| OpenError::io(doing, path, source);
    fs::create_dir_all(path).map_err(failed("make the folder"))?;
    if let Some(problem) = fault::noted(path).map_err(failed("read the note of damage in"))? {
        return Ok(Attempt::Damaged(problem));
    }
    place::remove_half_snapshots(path).map_err(failed("remove half-written snapshots from"))?;
    let name = path.join(place::DATABASE);
    let mut options = OpenOptions::new();
    options.read(true).write(true).create(true).truncate(false);
    let file = options.open(&name).map_err(|source| OpenError::io("open for writing", &name, source))?;
    let said = Witness::read(path).map_err(failed("read the witness in"))?;
    let witness = Witness::open(path).map_err(failed("write the witness in"))?;
    let file = FileInPlace::new(name, file).map_err(failed("look at the database in"))?;
    let file = DatabaseFile { file: Arc::new(file), witness: Arc::new(witness) };
    match caught(|| checked(settings, file, said)) {
        Ok(checked) => {
            place::sync_folders(path).map_err(failed("sync the folder"))?;
            Ok(Attempt::Good(checked))
        }
        Err(Fault::Damaged(problem)) => Ok(Attempt::Damaged(problem)),
        Err(Fault::Locked) => Err(OpenError::Locked { path: path.to_owned() }),
        Err(Fault::System(source)) => Err(OpenError::io("open", path, source)),
    }
}

/// Opens sled and reads what every store of ours has: as much as the witness has `said`, at least.
fn checked(settings: &LedgerSettings, mut file: DatabaseFile, said: Option<u64>) -> Result<Checked, Fault> {
    let db = open_sled(settings)?;
    let format = db.get(keys::FORMAT)?;
    match format.as_deref() {
        None if db.iter().next().transpose()?.is_some() => {
            return Err(Fault::Damaged("it has records and no format".into()));
        }
        None => begin(&db, &mut file)?,
        Some([FORMAT]) => {}
        Some([migrate::FORMAT]) => migrate::migrate(&db, &mut file, FORMAT)?,
        Some(other) => {
            let other = other.escape_ascii();
            let problem = format!("its format is `{other}`; this version knows `\\x{FORMAT:02x}`");
            return Err(Fault::Damaged(problem));
        }
    }
    let loaded = Loaded::load(db)?;
    let next = loaded.journal.next();
    if let Some(said) = said.filter(|said| next < *said) {
        let problem = format!("its journal ends with part {next}, and had come to part {said}");
        return Err(Fault::Damaged(problem));
    }
    file.witness(next);
    Ok(Checked { loaded, file, fresh: format.is_none() })
}

/// Opens sled, with the segments that it was begun with.
fn open_sled(settings: &LedgerSettings) -> Result<sled::Db, sled::Error> {
    // A configuration that is cloned and then changed makes sled complain in the log.
    let config = || sled::Config::new().path(&settings.path).cache_capacity(settings.cache_bytes);
    match config().segment_size(SEGMENT_BYTES).open() {
        // sled compares what it is given with what it has written, and this is its word for a difference.
        Err(sled::Error::Unsupported(_)) => config().open(),
        opened => opened,
    }
}

/// Begins an empty store.
pub(crate) fn begin(db: &sled::Db, disk: &mut impl Disk) -> Result<(), Fault> {
    let mut batch = sled::Batch::default();
    batch.insert(keys::FORMAT, &[FORMAT]);
    batch.insert(keys::MANIFEST, Manifest::default().encode());
    db.apply_batch(batch)?;
    disk.sync(db)
}

/// Moves a damaged store aside and begins a new one. If that can't be done, the damaged one is moved back.
fn reset(
    settings: &LedgerSettings,
    now: UnixMillis,
    problem: String,
) -> Result<(Checked, Opened), OpenError> {
    let path = settings.path.as_path();
    let failed = |doing| move |source| OpenError::io(doing, path, source);
    let moved_to = place::move_aside(path, now).map_err(failed("move aside"))?;
    let unusable = match attempt(settings) {
        Ok(Attempt::Good(checked)) => {
            Reset { moved_to: &moved_to, problem: &problem }.emit();
            return Ok((checked, Opened::Reset { moved_to, problem }));
        }
        Ok(Attempt::Damaged(problem)) => OpenError::Unusable { path: path.to_owned(), problem },
        Err(error) => error,
    };
    fs::remove_dir_all(path).map_err(failed("remove the new ledger"))?;
    fs::rename(&moved_to, path).map_err(failed("move back"))?;
    Err(unusable)
}
