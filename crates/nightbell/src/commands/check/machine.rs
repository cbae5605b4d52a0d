//! The machine: the folder of the ledger, its disk and its file system.

use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use rustix::fs::statvfs;

use super::finding::Finding;
use crate::config::Config;
use crate::exit::Code;

const MIB: u64 = 1024 * 1024;

/// How much is written to try it.
const TRIED_BYTES: usize = 64 * 1024;

/// With less free than this, a day of an outage may fill the disk.
const FREE_WARN: u64 = 1024 * MIB;
/// With less free than this, nothing may be accepted any more.
const FREE_FAIL: u64 = 100 * MIB;

/// File systems of the network or of a user's program, by the numbers in statfs(2). On them a lock or a flush may not
/// hold what it promises.
const REMOTE: [(u32, &str); 8] = [
    (0x6969, "NFS"),
    (0xFF53_4D42, "CIFS"),
    (0xFE53_4D42, "SMB2"),
    (0x517B, "SMB"),
    (0x5346_414F, "AFS"),
    (0x00C3_6400, "Ceph"),
    (0x0102_1997, "9P"),
    (0x6573_5546, "FUSE"),
];

/// Looks at the folder that ledger and embedded queue live in.
pub(super) fn look(config: &Config) -> Vec<Finding> {
    let folder = place(&config.data_dir);
    let mut findings = vec![writable(&folder, try_to_write(&folder))];
    match statvfs(&folder) {
        Ok(disk) => findings.push(room(disk.f_bavail.saturating_mul(disk.f_frsize), &folder)),
        Err(error) => findings.push(unseen(&folder, error.into())),
    }
    findings.extend(kind(&folder));
    findings
}

/// The folder, or as long as it is not there the one in which it will be made.
fn place(data_dir: &Path) -> PathBuf {
    let is_relative = data_dir.is_relative();
    let here = Some(Path::new(".")).filter(|_| is_relative);
    let mut above = data_dir.ancestors().filter(|folder| !folder.as_os_str().is_empty()).chain(here);
    above.find(|folder| folder.exists()).unwrap_or(Path::new("/")).to_owned()
}

/// An empty file can be made on a full disk, too.
fn try_to_write(folder: &Path) -> io::Result<()> {
    let mut file = tempfile::tempfile_in(folder)?;
    file.write_all(&[1; TRIED_BYTES])?;
    file.sync_all()
}

fn writable(folder: &Path, tried: io::Result<()>) -> Finding {
    let (what, place) = ("data folder", folder.display());
    let Err(error) = tried else { return Finding::ok(what, format!("{place} can be written to")) };
    let is_refused = error.kind() == io::ErrorKind::PermissionDenied;
    let code = if is_refused { Code::NoPermission } else { Code::Unavailable };
    let cure = if matches!(error.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded) {
        "make room: until then nothing is accepted, delivered or acknowledged, and then a running worker takes up by itself"
    } else {
        "let the user of the worker write there, or set `data_dir` to another folder"
    };
    Finding::fail(code, what, format!("{place} can't be written to: {error}"), cure)
}

fn unseen(folder: &Path, error: io::Error) -> Finding {
    let cure = "look with `df`";
    Finding::note("disk", format!("what is free in {} can't be seen: {error}", folder.display()), cure)
}

fn room(free: u64, folder: &Path) -> Finding {
    let said = format!("{} MiB free in {}", free / MIB, folder.display());
    if free < FREE_FAIL {
        let cure = "make room now: on a full disk nothing is accepted and nothing is acknowledged";
        Finding::fail(Code::Unavailable, "disk", said, cure)
    } else if free < FREE_WARN {
        Finding::warn("disk", said, "make room: the embedded queue and the ledger grow during an outage")
    } else {
        Finding::ok("disk", said)
    }
}

#[cfg(target_os = "linux")]
fn kind(folder: &Path) -> Option<Finding> {
    // Kernels give the number as a signed or an unsigned word; its low 32 bits are the same.
    let number = rustix::fs::statfs(folder).ok()?.f_type.cast_unsigned() & u64::from(u32::MAX);
    Some(local(u32::try_from(number).ok()?, folder))
}

#[cfg(not(target_os = "linux"))]
fn kind(_folder: &Path) -> Option<Finding> {
    None
}

fn local(number: u32, folder: &Path) -> Finding {
    let (what, place) = ("file system", folder.display());
    match REMOTE.iter().find(|(known, _)| *known == number) {
        None => Finding::ok(what, format!("{place} is on a local one")),
        Some((_, name)) => Finding::warn(
            what,
            format!("{place} is on {name}, where locks and flushes may not hold"),
            "set `data_dir` to a folder on a local disk",
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::commands::check::finding::check;

    #[test]
    fn free_space_is_judged_by_its_bounds() {
        for (free, want) in [
            (0, "FAIL  disk: 0 MiB free in /data"),
            (FREE_FAIL - 1, "FAIL  disk: 99 MiB"),
            (FREE_FAIL, "warn  disk: 100 MiB"),
            (FREE_WARN - 1, "warn  disk: 1023 MiB"),
            (FREE_WARN, "ok    disk: 1024 MiB"),
            (u64::MAX, "ok    disk"),
        ] {
            check(&room(free, Path::new("/data")), want);
        }
    }

    #[test]
    fn a_file_system_of_the_network_is_warned_of() {
        check(&local(0xEF53, Path::new("/data")), "ok    file system");
        check(&local(0x6969, Path::new("/data")), "warn  file system: /data is on NFS");
        check(&local(0xFF53_4D42, Path::new("/data")), "warn  file system: /data is on CIFS");
    }

    #[test]
    fn a_folder_that_can_not_be_written_to_fails_by_its_cause() {
        let tried = |kind: io::ErrorKind| writable(Path::new("/data"), Err(kind.into())).code();
        assert_eq!(tried(io::ErrorKind::PermissionDenied), Some(Code::NoPermission));
        assert_eq!(tried(io::ErrorKind::ReadOnlyFilesystem), Some(Code::Unavailable));
        assert_eq!(writable(Path::new("/data"), Ok(())).code(), None);
    }

    #[test]
    fn a_full_data_dir_is_told_from_one_that_is_not_ours() {
        let full = writable(Path::new("/data"), Err(io::ErrorKind::StorageFull.into()));
        check(&full, "FAIL  data folder: /data can't be written to: no storage space");
        assert!(full.to_string().contains("make room"), "{full}");
        // Every write to this device fails as on a full disk.
        let mut full = std::fs::File::options().write(true).open("/dev/full").unwrap();
        let error = full.write_all(&[1]).unwrap_err();
        assert!(writable(Path::new("/data"), Err(error)).to_string().contains("make room"));
    }

    #[test]
    fn a_folder_that_is_not_there_yet_is_judged_by_the_one_above() {
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(place(&folder.path().join("a/b")), folder.path());
        assert_eq!(place(folder.path()), folder.path());
        assert_eq!(place(Path::new("no-such-folder/at-all")), Path::new("."));
    }
}
