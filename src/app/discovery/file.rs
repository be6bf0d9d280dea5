//! The file that keeps the last good list over a restart: replaced as a whole, readable by us alone.

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use crate::discovery::{Roll, stored};

/// Reads it; where it cannot be used, there is none and the reason.
pub(super) fn read(path: &Path) -> (Roll, Option<String>) {
    let bytes = File::open(path).and_then(|file| {
        let mut bytes = Vec::new();
        file.take(stored::LARGEST.saturating_add(1)).read_to_end(&mut bytes)?;
        Ok(bytes)
    });
    let bytes = match bytes {
        Ok(bytes) if bytes.len() as u64 > stored::LARGEST => {
            return (Roll::default(), Some("it is too large".to_owned()));
        }
        Ok(bytes) => bytes,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return (Roll::default(), None),
        Err(error) => return (Roll::default(), Some(error.to_string())),
    };
    match stored::read(&bytes) {
        Ok((roll, 0)) => (roll, None),
        Ok((roll, dropped)) => {
            (roll, Some(format!("{dropped} of its targets are none that a list could have brought")))
        }
        Err(why) => (Roll::default(), Some(crate::env::problem::shown(&why))),
    }
}

/// Writes it: whoever reads sees the old one or the new one, whole.
pub(super) fn write(path: &Path, roll: &Roll) -> io::Result<()> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let making = path.with_extension("json.new");
    let _ = std::fs::remove_file(&making);
    let done = (|| {
        let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&making)?;
        file.write_all(stored::write(roll).as_bytes())?;
        file.sync_all()?;
        std::fs::rename(&making, path)?;
        File::open(folder)?.sync_all()
    })();
    if done.is_err() {
        let _ = std::fs::remove_file(&making);
    }
    done
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn it_is_ours_alone_replaced_whole_and_what_is_no_list_is_none() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("discovery.json");
        assert_eq!(read(&path), (Roll::default(), None));
        let roll = Roll { read: Some("2026-11-21T10:00:00Z".parse().unwrap()), ..Roll::default() };
        for _ in 0..2 {
            write(&path, &roll).unwrap();
            assert_eq!(read(&path), (roll.clone(), None));
            assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
            assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 1);
        }
        for text in ["", "{", "[]", "{\"version\":2,\"from\":\"\",\"read\":null,\"targets\":[]}", "\u{0}"] {
            std::fs::write(&path, text).unwrap();
            let (found, why) = read(&path);
            assert!(found == Roll::default() && why.is_some(), "{text}: {why:?}");
        }
        assert!(read(dir.path()).1.is_some());
        assert!(write(&dir.path().join("nowhere/discovery.json"), &roll).is_err());
    }
}
