//! `docs/faults.md`: written when that is asked for, else compared.

use std::{fs, path::PathBuf};

use super::line::{COLUMNS, Line, row, steady};

const BEGIN: &str = "\
# Faults

Every fault that `kvs-local` knows, met by a whole pipeline in realtime (5 s of live video) and offline (a file), and what
came of it. A test runs all of it and compares it with this table, but for the columns from *persisted once* on, which
depend on time; `make faults` runs it and writes the table anew.

- *outages*: each is announced by one WARNING.
- *persisted twice*: frames that the service had stored without being able to say so; they came again with the same bytes.
  What is known to be PERSISTED is never sent again.
- *attempts*: calls of PutMedia. *s to recover*: from the WARNING to the next PERSISTED.

";

fn path() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("docs/faults.md")
}

/// With `UPDATE_FAULTS=1` the file is made of `lines`, else it must say the same.
pub(crate) fn write_or_compare(lines: &[Line]) {
    if std::env::var_os("UPDATE_FAULTS").is_some_and(|value| value == "1") {
        let head = [row(&COLUMNS), row(&COLUMNS.map(|_| "---"))];
        let rows = lines.iter().map(ToString::to_string);
        let table: Vec<_> = head.into_iter().chain(rows).collect();
        fs::write(path(), format!("{BEGIN}{}\n", table.join("\n"))).unwrap();
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
