//! Who else on this machine may read what is secret.

use std::path::Path;

use super::finding::Finding;
use crate::config::Config;
use crate::private::{mode, wide};

/// Looks at the configuration and at the folder of ledger and queue.
pub(super) fn look(config: &Config) -> Vec<Finding> {
    [of_file(config), of_folder(&config.data_dir)].into_iter().flatten().collect()
}

/// A file that everybody may read is as good as one with `${file:…}` or variables, unless secrets stand in it.
fn of_file(config: &Config) -> Option<Finding> {
    let mode = mode(&config.file)?;
    if mode & 0o004 == 0 || config.found.inline_secrets.is_empty() {
        return None;
    }
    let (shown, keys) = (config.file.display(), config.found.inline_secrets.join(", "));
    Some(Finding::warn(
        "configuration",
        format!(
            "every user of this machine may read {shown} (mode {mode:04o}), and it holds secrets: {keys}"
        ),
        format!(
            "`chmod 600 {shown}`, for the user of the worker; or take them from files, with `${{file:PATH}}`"
        ),
    ))
}

fn of_folder(data_dir: &Path) -> Option<Finding> {
    let (mode, said) = wide(data_dir)?;
    let cure =
        format!("`chmod -R go= {}`; nothing but the worker and its commands needs it", data_dir.display());
    // Of a group, as volumes in a cluster have it, an operator must judge.
    let of = if mode & 0o007 == 0 { Finding::note } else { Finding::warn };
    Some(of("data folder".to_owned(), said, cure))
}

#[cfg(test)]
mod tests {
    use std::fs::{Permissions, create_dir, set_permissions, write};
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;
    use crate::config::Needs;

    /// The findings about a configuration with this password, and a `data_dir` that is there, both of these modes.
    #[track_caller]
    fn check(password: &str, file: u32, folder: u32, want: &[&str]) {
        let place = tempfile::tempdir().unwrap();
        let (path, data) = (place.path().join("nightbell.toml"), place.path().join("nightbell-data"));
        let text = format!(
            "[[connectors]]\nname = \"sre\"\nrecipients = []\nusername = \"u\"\npassword = \"{password}\"\n\
             trigger_url = \"${{file:url}}\""
        );
        write(place.path().join("url"), "https://acme.xmatters.com/a").unwrap();
        write(place.path().join("password"), "p").unwrap();
        write(&path, text).unwrap();
        create_dir(&data).unwrap();
        set_permissions(&path, Permissions::from_mode(file)).unwrap();
        set_permissions(&data, Permissions::from_mode(folder)).unwrap();
        let found: Vec<_> =
            look(&Config::load(&path, Needs::All).unwrap()).iter().map(ToString::to_string).collect();
        assert_eq!(found.len(), want.len(), "{found:?}");
        for (found, want) in found.iter().zip(want) {
            assert!(found.starts_with(want), "{found}");
        }
    }

    #[test]
    fn what_others_may_read_is_told() {
        check("${file:password}", 0o644, 0o700, &[]);
        check("hunter2", 0o600, 0o700, &[]);
        check("hunter2", 0o640, 0o700, &[]);
        check("hunter2", 0o644, 0o700, &["warn  configuration: every user"]);
        check("${file:password}", 0o644, 0o755, &["warn  data folder: others may look into"]);
        check("${file:password}", 0o600, 0o770, &["note  data folder: others may look into"]);
    }
}
