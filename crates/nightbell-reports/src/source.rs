//! Where a report's bytes come from. A report is read several times, so whatever can't be rewound is kept first.

use std::fmt;
use std::fs::File;
use std::io::{self, BufReader, Read, Write as _};
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::UNIX_EPOCH;

use flate2::bufread::MultiGzDecoder;

/// The most bytes of one report that are read, unpacked. What comes after is damage.
pub(crate) const REPORT_BYTES_MAX: u64 = 4 << 30;

/// What a gzip file begins with (RFC 1952).
const GZIP: [u8; 2] = [0x1f, 0x8b];

/// The bytes of a report, plain or packed with gzip, readable from the beginning as often as wanted.
#[derive(Debug, Clone)]
pub struct Source(Kind);

#[derive(Debug, Clone)]
enum Kind {
    File(PathBuf),
    Kept(Arc<File>),
    Memory(Memory),
}

#[derive(Clone)]
struct Memory(Arc<dyn AsRef<[u8]> + Send + Sync>);

/// Reads a file that others read as well.
struct SharedFile {
    file: Arc<File>,
    at: u64,
}

impl Source {
    /// A file, or a folder, which some formats are.
    #[must_use]
    pub fn file(path: PathBuf) -> Self {
        Self(Kind::File(path))
    }

    /// What is in memory already.
    #[must_use]
    pub fn memory(bytes: Arc<[u8]>) -> Self {
        Self::shared(bytes)
    }

    /// The same of whatever holds it, without a copy.
    #[must_use]
    pub fn shared(bytes: impl AsRef<[u8]> + Send + Sync + 'static) -> Self {
        Self(Kind::Memory(Memory(Arc::new(bytes))))
    }

    /// What can be read only once, such as a pipe: it is copied into a file without a name, 4 GiB of it at the most.
    ///
    /// # Errors
    /// It can't be read, or the file not written.
    pub fn keep(from: impl Read) -> io::Result<Self> {
        let mut file = tempfile::tempfile()?;
        io::copy(&mut from.take(REPORT_BYTES_MAX), &mut file)?;
        file.flush()?;
        Ok(Self(Kind::Kept(Arc::new(file))))
    }

    /// The folder, if it is one.
    pub(crate) fn folder(&self) -> Option<&Path> {
        match &self.0 {
            Kind::File(path) if path.is_dir() => Some(path),
            Kind::File(_) | Kind::Kept(_) | Kind::Memory(_) => None,
        }
    }

    /// What tells this file from others and from itself when it is written anew: where it is, how long, and when it was
    /// written. None: it is no file.
    pub(crate) fn identity(&self) -> Option<String> {
        let Kind::File(path) = &self.0 else { return None };
        let known = path.metadata().ok()?;
        let written = known.modified().ok()?.duration_since(UNIX_EPOCH).ok()?.as_nanos();
        let place = path.canonicalize().ok()?;
        Some(format!("{}\n{}\n{written}", place.display(), known.len()))
    }

    /// Begins to read.
    pub(crate) fn open(&self) -> io::Result<Box<dyn Read>> {
        let plain: Box<dyn Read> = match &self.0 {
            Kind::File(path) => Box::new(File::open(path)?),
            Kind::Kept(file) => Box::new(SharedFile { file: Arc::clone(file), at: 0 }),
            Kind::Memory(bytes) => Box::new(io::Cursor::new(bytes.clone())),
        };
        let mut plain = BufReader::new(plain);
        let mut head = Vec::with_capacity(GZIP.len());
        plain.by_ref().take(GZIP.len() as u64).read_to_end(&mut head)?;
        let is_packed = head == GZIP;
        let whole = io::Cursor::new(head).chain(plain);
        Ok(if is_packed { Box::new(MultiGzDecoder::new(BufReader::new(whole))) } else { Box::new(whole) })
    }
}

impl AsRef<[u8]> for Memory {
    fn as_ref(&self) -> &[u8] {
        (*self.0).as_ref()
    }
}

impl fmt::Debug for Memory {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{} bytes", self.as_ref().len())
    }
}

impl Read for SharedFile {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let count = self.file.read_at(into, self.at)?;
        self.at += count as u64;
        Ok(count)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn packed(text: &str) -> Vec<u8> {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        encoder.write_all(text.as_bytes()).unwrap();
        encoder.finish().unwrap()
    }

    #[track_caller]
    fn check(source: &Source, want: &str) {
        for _ in 0..2 {
            let mut text = String::new();
            source.open().unwrap().read_to_string(&mut text).unwrap();
            assert_eq!(text, want);
        }
    }

    #[test]
    fn every_source_is_read_from_its_beginning_again() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a");
        for text in ["", "a", "ab", "the whole text"] {
            std::fs::write(&path, text).unwrap();
            check(&Source::file(path.clone()), text);
            check(&Source::keep(text.as_bytes()).unwrap(), text);
            check(&Source::memory(text.as_bytes().into()), text);
        }
    }

    #[test]
    fn what_is_packed_is_unpacked_whatever_its_name() {
        check(&Source::memory(packed("text").into()), "text");
        check(&Source::memory([packed("one"), packed("two")].concat().into()), "onetwo");
        let cut = packed("text");
        let mut text = String::new();
        let read = Source::memory(cut[..cut.len() - 9].into()).open().unwrap().read_to_string(&mut text);
        assert!(read.is_err());
    }

    #[test]
    fn a_file_that_is_written_anew_is_another() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a");
        std::fs::write(&path, "x").unwrap();
        let source = Source::file(path.clone());
        let first = source.identity().unwrap();
        assert_eq!(source.identity().as_ref(), Some(&first));
        let later = UNIX_EPOCH + std::time::Duration::from_secs(1_000_000_000);
        File::options().write(true).open(&path).unwrap().set_modified(later).unwrap();
        assert_ne!(source.identity(), Some(first));
        assert_eq!(Source::keep("x".as_bytes()).unwrap().identity(), None);
    }
}
