//! `docs/faults.md`: written when that is asked for, else compared.

use std::{fs, path::PathBuf, sync::Mutex};

use super::line::{COLUMNS, Line, row, steady};

const BEGIN: &str = "\
# Faults

Every fault that `kvs-local` knows, met by a whole pipeline in realtime (5 s of live video) and offline (a file), and what
came of it. A test runs all of it and compares it with this table, but for the columns from *persisted once* on, which
depend on time; `make faults` runs it and writes the table anew.

- *outages*: each is announced by one WARNING.
- *persisted twice*: frames that the service had stored without being able to say so; they came again with the same bytes.
  What is known to be PERSISTED is never sent again.
- *attempts*: calls of PutMedia. *s to recover*: from the WARNING to `kvs-connection-restored`.

";

const ATTEMPTS: &str = "\n## A service that is away\n";

const ABOUT_ATTEMPTS: &str = "
90 s of live video (2,250 frames) through `kvssink` with `storage-size=128`; the service is away for a while from the 76th
frame on. `make faults` has measured the attempts, which the back-off bounds: at most 8 in the first 2 s, 30 in 60 s.

";

/// Each of two tests writes its part.
static WRITING: Mutex<()> = Mutex::new(());

fn path() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("docs/faults.md")
}

/// The table, and what follows it.
fn parts() -> (String, String) {
    let file = fs::read_to_string(path()).unwrap();
    let at = file.find(ATTEMPTS).unwrap_or(file.len());
    let (table, attempts) = file.split_at(at);
    (table.to_owned(), attempts.to_owned())
}

/// With `UPDATE_FAULTS=1`, these lines are the part on attempts.
pub(crate) fn write_attempts(lines: &[String]) {
    if !updates() {
        return;
    }
    let _writing = WRITING.lock().unwrap();
    let (table, _) = parts();
    let lines = lines.join("\n");
    fs::write(
        path(),
        format!("{table}{ATTEMPTS}{ABOUT_ATTEMPTS}{lines}\n"),
    )
    .unwrap();
}

fn updates() -> bool {
    std::env::var_os("UPDATE_FAULTS").is_some_and(|value| value == "1")
}

/// With `UPDATE_FAULTS=1` the file is made of `lines`, else it must say the same.
pub(crate) fn write_or_compare(lines: &[Line]) {
    if updates() {
        let head = [row(&COLUMNS), row(&COLUMNS.map(|_| "---"))];
        let rows = lines.iter().map(ToString::to_string);
        let table: Vec<_> = head.into_iter().chain(rows).collect();
        let _writing = WRITING.lock().unwrap();
        let (_, attempts) = parts();
        fs::write(path(), format!("{BEGIN}{}\n{attempts}", table.join("\n"))).unwrap();
        return;
    }
    let committed = fs::read_to_string(path()).unwrap();
    let committed: Vec<_> = committed
        .lines()
        .filter(|line| line.starts_with("| `"))
        .map(steady)
        .collect();
    let now: Vec<_> = lines.iter().map(|line| steady(&line.to_string())).collect();
    for (now, committed) in now.iter().zip(&committed) {
        assert_eq!(now, committed, "docs/faults.md is out of date: make faults");
    }
    assert_eq!(
        now.len(),
        committed.len(),
        "docs/faults.md is out of date: make faults"
    );
}
