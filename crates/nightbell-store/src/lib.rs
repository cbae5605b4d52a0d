//! What the ledger and the embedded queue are built on: threads that own a store.
//!
//! Requests go into a [`Mailbox`] and are taken out in groups, so that the thread is woken once for many of them. What goes
//! wrong for good is kept by [`StoreHealth`], which everybody may ask without waiting. A [`StoreThread`] turns a panic into
//! such a failure, and can be waited for. [`FileInPlace`] tells whether the next process will find the file that is written.
//! What was written is read by a [`ByteReader`].
//!
//! It knows nothing of what is stored, and does no input or output of its own save for looking at that file.

mod bytes;
mod file;
mod health;
mod mailbox;
mod thread;

pub use self::bytes::{ByteReader, Unreadable};
pub use self::file::{FileInPlace, Misplaced};
pub use self::health::StoreHealth;
pub use self::mailbox::{Ended, Group, GroupBounds, Joining, Mailbox, Request, Requests, mailbox};
pub use self::thread::{StoreThread, TimedOut, panic_text};
