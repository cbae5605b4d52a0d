//! The queue's file: opening it alone and checked, and keeping it small.

use std::fs::{self, File};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;

use nightbell_core::connector::Connector;
use nightbell_core::time::UnixMillis;
use nightbell_store::panic_text;
use redb::{
    Builder, Database, Durability, Error, ReadableDatabase as _, ReadableTable as _, TableError,
    WriteTransaction,
};

use crate::codec::Entry;
use crate::error::OpenError;
use crate::keys::{self, ENTRIES, FACTS, FORMAT, MESSAGES, in_use, read_in_use};
use crate::limits::{CACHE_BYTES, COMPACT_FILE_BYTES_MIN, COMPACT_USED_BYTES_MAX};
use crate::memory::{Change, Memory, Now};
use crate::queue::Slot;
use crate::telemetry;
use crate::timeline::Moment;

/// The format of the tables that this version reads and writes.
const FORMAT_KNOWN: u64 = 1;

/// What an entry takes in the file at most, in bytes, besides its message.
const ENTRY_BYTES: u64 = 128;

/// An open queue.
pub(crate) struct Opened {
    pub(crate) db: Database,
    pub(crate) memory: Memory,
}

/// Opens the queue, or begins one.
pub(crate) fn open(path: &Path, wall: UnixMillis) -> Result<Opened, OpenError> {
    let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    fs::create_dir_all(parent).map_err(|source| OpenError::io("make the folder", parent, source))?;
    // redb may panic on a file that was changed behind its back.
    let opened = catch_unwind(AssertUnwindSafe(|| read(path, wall)));
    let opened = opened.unwrap_or_else(|panic| {
        let problem = format!("a panic: {}", panic_text(panic.as_ref()));
        Err(OpenError::Damaged { path: path.to_owned(), problem })
    })?;
    let synced = File::open(parent).and_then(|folder| folder.sync_all());
    synced.map_err(|source| OpenError::io("sync the folder", parent, source))?;
    Ok(opened)
}

/// Begins a durable change. Its commit also writes down which pages are free, so that opening the file after a crash
/// does not have to read all of it.
pub(crate) fn begin(db: &Database) -> Result<WriteTransaction, Error> {
    let mut transaction = db.begin_write()?;
    transaction.set_durability(Durability::Immediate)?;
    transaction.set_quick_repair(true);
    Ok(transaction)
}

/// Notes that something of these queues is about to be in hand, `prefetch` messages of each at most.
pub(crate) fn note_in_use(db: &Database, connectors: &[Connector], prefetch: usize) -> Result<(), Error> {
    let transaction = begin(db)?;
    {
        let mut facts = transaction.open_table(FACTS)?;
        for connector in connectors {
            facts.insert(&*in_use(connector), prefetch as u64)?;
        }
    }
    Ok(transaction.commit()?)
}

/// Notes that nothing is in hand any more, since the queue is closed as it should be.
pub(crate) fn note_closed(db: &Database) -> Result<(), Error> {
    let transaction = begin(db)?;
    transaction.open_table(FACTS)?.retain(|fact, _| read_in_use(fact).is_none())?;
    Ok(transaction.commit()?)
}

/// Makes the file smaller if it is long and nearly all of it is free; that takes few moves.
pub(crate) fn compact(db: &mut Database, path: &Path, memory: &Memory) -> Result<(), Error> {
    let before = fs::metadata(path)?.len();
    let (messages, bytes) = memory.size();
    let used = bytes + messages * ENTRY_BYTES;
    if before < COMPACT_FILE_BYTES_MIN || used > COMPACT_USED_BYTES_MAX {
        return Ok(());
    }
    if db.compact()? {
        telemetry::compacted(path, before, fs::metadata(path)?.len());
    }
    Ok(())
}

fn read(path: &Path, wall: UnixMillis) -> Result<Opened, OpenError> {
    let damage = |error| OpenError::of(error, path);
    if fs::metadata(path).is_ok_and(|file| file.len() == 0) {
        telemetry::was_empty(path);
    }
    let db = Builder::new().set_cache_size(CACHE_BYTES).create(path);
    let mut db = db.map_err(|error| damage(error.into()))?;
    let found = facts(&db).map_err(damage)?;
    match found.format {
        Format::None | Format::Number(FORMAT_KNOWN) => {}
        Format::Number(other) => {
            let found = format!("format {other}");
            return Err(OpenError::UnknownFormat { path: path.to_owned(), found });
        }
        Format::Foreign => {
            let problem = "it is no queue of nightbell".to_owned();
            return Err(OpenError::Damaged { path: path.to_owned(), problem });
        }
    }
    let now = Now { wall, moment: Moment::default() };
    let mut memory =
        if found.format == Format::None { Memory::default() } else { load(&db, now).map_err(damage)? };
    compact(&mut db, path, &memory).map_err(damage)?;
    note_open(&db, &mut memory, &found.in_use, now).map_err(damage)?;
    Ok(Opened { db, memory })
}

struct Facts {
    format: Format,
    /// The queues that were consumed and not closed, each with the most messages that may have been in hand.
    in_use: Vec<(Connector, usize)>,
}

#[derive(PartialEq, Eq)]
enum Format {
    /// The file is new.
    None,
    Number(u64),
    /// It is somebody else's.
    Foreign,
}

fn facts(db: &Database) -> Result<Facts, Error> {
    let reading = db.begin_read()?;
    let facts = match reading.open_table(FACTS) {
        Ok(facts) => facts,
        Err(TableError::TableDoesNotExist(_)) => {
            let is_new = reading.list_tables()?.next().is_none();
            let format = if is_new { Format::None } else { Format::Foreign };
            return Ok(Facts { format, in_use: Vec::new() });
        }
        Err(error) => return Err(error.into()),
    };
    let format = facts.get(FORMAT)?.map_or(Format::Foreign, |format| Format::Number(format.value()));
    let mut in_use = Vec::new();
    for item in facts.iter()? {
        let (fact, prefetch) = item?;
        let connector = read_in_use(fact.value());
        let prefetch = usize::try_from(prefetch.value()).unwrap_or(usize::MAX);
        in_use.extend(connector.map(|connector| (connector, prefetch)));
    }
    Ok(Facts { format, in_use })
}

/// Reads what waits; the messages themselves stay in the file.
fn load(db: &Database, now: Now) -> Result<Memory, Error> {
    let reading = db.begin_read()?;
    let (mut memory, mut seen) = (Memory::default(), Vec::new());
    let (mut kept, mut why) = (0, String::new());
    for item in reading.open_table(ENTRIES)?.iter()? {
        let (key, value) = item?;
        match (keys::read(key.value()), Entry::decode(value.value())) {
            (Some((connector, place)), Ok(entry)) => {
                memory.found(connector.as_ref(), Slot { place, entry }, now, &mut seen);
            }
            (place, entry) => {
                kept += 1;
                memory.never_again(place.map_or(0, |(_, place)| place));
                why = entry.err().map_or_else(|| "its key is malformed".to_owned(), |why| why.to_string());
            }
        }
    }
    memory.all_found(seen);
    // Messages of entries that can't be read must not be overwritten.
    if let Some((last, _)) = reading.open_table(MESSAGES)?.last()? {
        memory.never_again(last.value());
    }
    if kept > 0 {
        telemetry::entries_kept(kept, &why);
    }
    Ok(memory)
}

/// Notes the format, and counts what may have been in hand when the queue was last open and not closed.
fn note_open(
    db: &Database,
    memory: &mut Memory,
    in_use: &[(Connector, usize)],
    now: Now,
) -> Result<(), Error> {
    let transaction = begin(db)?;
    {
        let mut facts = transaction.open_table(FACTS)?;
        facts.insert(FORMAT, FORMAT_KNOWN)?;
        let mut change = Change::begin(memory, &transaction, now)?;
        for (connector, in_hand) in in_use {
            let suspects = change.memory.queue(Some(connector)).take_suspects(*in_hand);
            telemetry::not_closed(connector, suspects.len());
            for (spot, slot) in suspects {
                change.came_back(connector, spot, slot)?;
            }
            facts.remove(&*keys::in_use(connector))?;
        }
    }
    Ok(transaction.commit()?)
}
