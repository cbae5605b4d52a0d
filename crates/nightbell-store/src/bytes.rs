//! Reading what a store has written: numbers are big-endian, and nothing is read beyond the end.

use std::str;

/// Bytes that are no record of a version that is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Unreadable {
    /// Written by a later version.
    #[error("its version {0} is not known")]
    Version(u8),
    /// It ends too early.
    #[error("it ends too early")]
    Short,
    /// There is none.
    #[error("it is missing")]
    Missing,
    /// A byte that means nothing, or bytes left over.
    #[error("it is malformed")]
    Malformed,
}

/// What has not been read yet of a record.
#[derive(Debug, Clone, Copy)]
pub struct ByteReader<'a>(&'a [u8]);

impl<'a> ByteReader<'a> {
    /// All of a record behind its first byte, which is its version.
    ///
    /// # Errors
    /// [`Unreadable`]: it has another version, or none.
    pub fn versioned(record: &'a [u8], version: u8) -> Result<Self, Unreadable> {
        match record.split_first() {
            Some((found, rest)) if *found == version => Ok(Self(rest)),
            Some((found, _)) => Err(Unreadable::Version(*found)),
            None => Err(Unreadable::Short),
        }
    }

    /// The next `count` bytes.
    ///
    /// # Errors
    /// [`Unreadable::Short`].
    pub fn take(&mut self, count: usize) -> Result<&'a [u8], Unreadable> {
        let (head, tail) = self.0.split_at_checked(count).ok_or(Unreadable::Short)?;
        self.0 = tail;
        Ok(head)
    }

    /// The next `N` bytes.
    ///
    /// # Errors
    /// [`Unreadable::Short`].
    pub fn array<const N: usize>(&mut self) -> Result<[u8; N], Unreadable> {
        let (head, tail) = self.0.split_first_chunk().ok_or(Unreadable::Short)?;
        self.0 = tail;
        Ok(*head)
    }

    /// The next byte.
    ///
    /// # Errors
    /// [`Unreadable::Short`].
    pub fn byte(&mut self) -> Result<u8, Unreadable> {
        self.array().map(|[byte]| byte)
    }

    /// The next byte, whose bits are flags.
    ///
    /// # Errors
    /// [`Unreadable`]: it ends, or a flag is none of the `known` ones.
    pub fn flags(&mut self, known: u8) -> Result<u8, Unreadable> {
        let flags = self.byte()?;
        if flags & !known == 0 { Ok(flags) } else { Err(Unreadable::Malformed) }
    }

    /// The next four bytes as a number.
    ///
    /// # Errors
    /// [`Unreadable::Short`].
    pub fn u32(&mut self) -> Result<u32, Unreadable> {
        self.array().map(u32::from_be_bytes)
    }

    /// The next eight bytes as a number.
    ///
    /// # Errors
    /// [`Unreadable::Short`].
    pub fn u64(&mut self) -> Result<u64, Unreadable> {
        self.array().map(u64::from_be_bytes)
    }

    /// The next `count` bytes as a text.
    ///
    /// # Errors
    /// [`Unreadable`]: it ends, or is no UTF-8.
    pub fn text(&mut self, count: usize) -> Result<String, Unreadable> {
        str::from_utf8(self.take(count)?).map(str::to_owned).map_err(|_| Unreadable::Malformed)
    }

    /// Ends the reading.
    ///
    /// # Errors
    /// [`Unreadable::Malformed`]: bytes are left over.
    pub fn end(self) -> Result<(), Unreadable> {
        if self.0.is_empty() { Ok(()) } else { Err(Unreadable::Malformed) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_is_read_piece_by_piece_and_not_beyond_its_end() {
        let record = [7, 3, 0, 0, 0, 9, 0, 0, 0, 0, 0, 0, 0, 5, b'a', b'b', 1];
        let mut reader = ByteReader::versioned(&record, 7).unwrap();
        assert_eq!((reader.flags(3), reader.u32(), reader.u64()), (Ok(3), Ok(9), Ok(5)));
        assert_eq!(reader.text(2), Ok("ab".to_owned()));
        assert_eq!((reader.u32(), reader.end()), (Err(Unreadable::Short), Err(Unreadable::Malformed)));
        assert_eq!((reader.byte(), reader.end(), reader.byte()), (Ok(1), Ok(()), Err(Unreadable::Short)));
    }

    #[test]
    fn what_is_no_record_is_told_why() {
        let reader = |record| ByteReader::versioned(record, 1);
        assert_eq!(reader(&[]).unwrap_err(), Unreadable::Short);
        assert_eq!(reader(&[9, 1]).unwrap_err(), Unreadable::Version(9));
        assert_eq!(reader(&[1, 4]).unwrap().flags(3), Err(Unreadable::Malformed));
        assert_eq!(reader(&[1, 0xff]).unwrap().text(1), Err(Unreadable::Malformed));
    }
}
