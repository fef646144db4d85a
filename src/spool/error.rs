//! [`SpoolError`]: what failed, where, and what helps.
//!
//! Belongs here: which errors of the system are told apart, since other things help.
//! Does not belong here: what becomes of the fragment then (the caller knows whether it is in memory, too).

use std::{
    io::{self, ErrorKind},
    path::PathBuf,
};

/// Why the spool could not do it. What was on disk before is there still.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SpoolError {
    /// There is no room, or the quota is used up.
    #[error("cannot {doing} {path}: {source}; free space on its disk, or name a location on another one", path = path.display())]
    Full {
        doing: &'static str,
        path: PathBuf,
        source: io::Error,
    },
    /// Nothing can be written, and nothing removed. A disk that fails is often mounted again in this way.
    #[error("cannot {doing} {path}: {source}; look for errors of the disk, mount it writable, or name another location", path = path.display())]
    ReadOnly {
        doing: &'static str,
        path: PathBuf,
        source: io::Error,
    },
    /// Anything else of the system.
    #[error("cannot {doing} {path}: {source}; {remedy}", path = path.display())]
    Io {
        doing: &'static str,
        path: PathBuf,
        source: io::Error,
        remedy: &'static str,
    },
    /// A file is not what was written, or is gone: its fragment is lost.
    #[error("{path} is damaged: {reason}; its fragment is lost, look for errors of the disk", path = path.display())]
    Damaged { path: PathBuf, reason: String },
    /// Another element or process has it.
    #[error("the spool {path} is in use by another element or process: stop that one, or name another location", path = path.display())]
    InUse { path: PathBuf },
    /// Another version wrote it.
    #[error("{path} says {found:?}, which this version does not know: let the version that wrote it send what is there, or name another location", path = path.display())]
    Layout { path: PathBuf, found: String },
}

impl SpoolError {
    /// `doing` that to `path` gave this error of the system.
    pub(super) fn of(doing: &'static str, path: PathBuf, source: io::Error) -> Self {
        match source.kind() {
            ErrorKind::StorageFull | ErrorKind::QuotaExceeded => Self::Full {
                doing,
                path,
                source,
            },
            ErrorKind::ReadOnlyFilesystem => Self::ReadOnly {
                doing,
                path,
                source,
            },
            kind => Self::Io {
                doing,
                path,
                source,
                remedy: match kind {
                    ErrorKind::PermissionDenied => "let this user write there",
                    ErrorKind::NotADirectory | ErrorKind::AlreadyExists => {
                        "remove what is in the way, or name another location"
                    }
                    _ => "try again, and look for errors of the disk",
                },
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use test_case::test_case;

    use super::*;

    #[test_case(ErrorKind::StorageFull => "full")]
    #[test_case(ErrorKind::QuotaExceeded => "full")]
    #[test_case(ErrorKind::ReadOnlyFilesystem => "read-only")]
    #[test_case(ErrorKind::PermissionDenied => "io")]
    #[test_case(ErrorKind::Other => "io")]
    fn errors_are_told_apart_by_what_helps(kind: ErrorKind) -> &'static str {
        let error = SpoolError::of("write", "/spool/file".into(), kind.into());
        assert!(error.to_string().starts_with("cannot write /spool/file: "));
        match error {
            SpoolError::Full { .. } => "full",
            SpoolError::ReadOnly { .. } => "read-only",
            SpoolError::Io { .. } => "io",
            other => panic!("{other}"),
        }
    }

    #[test]
    fn each_error_says_what_helps() {
        let io = |kind: ErrorKind| SpoolError::of("write", "a".into(), kind.into()).to_string();
        assert!(io(ErrorKind::StorageFull).contains("free space"));
        assert!(io(ErrorKind::ReadOnlyFilesystem).contains("mount it writable"));
        assert!(io(ErrorKind::PermissionDenied).contains("let this user"));
        let path = PathBuf::from("/spool/layout");
        let found = "kvssink-spool 9".to_owned();
        assert_eq!(
            SpoolError::Layout { path, found }.to_string(),
            "/spool/layout says \"kvssink-spool 9\", which this version does not know: let the version that wrote it send \
             what is there, or name another location"
        );
    }
}
