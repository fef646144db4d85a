//! What came of a case: a line of the table.

use std::{fmt, time::Duration};

use super::cases::{Case, End, Type, When};

/// The columns.
pub(crate) const COLUMNS: [&str; 12] = [
    "fault",
    "type",
    "injected",
    "result",
    "frames in",
    "dropped",
    "outages",
    "persisted once",
    "persisted twice",
    "attempts",
    "s to recover",
    "note",
];

/// Those that do not depend on time.
const STEADY: [usize; 7] = [0, 1, 2, 3, 4, 5, 6];

/// A case that went as it should.
#[derive(Debug)]
pub(crate) struct Line {
    pub(crate) case: &'static Case,
    pub(crate) kind: Type,
    pub(crate) frames_in: u64,
    /// Frames by reason.
    pub(crate) dropped: Vec<(String, u64)>,
    pub(crate) outages: usize,
    /// Frames that the service has once.
    pub(crate) once: u64,
    /// Frames that the service has more than once.
    pub(crate) twice: u64,
    /// To open a session.
    pub(crate) attempts: u64,
    /// From the WARNING to the message that the connection is restored; the longest.
    pub(crate) recovery: Option<Duration>,
    /// When it was tried again, since the loss, where the service is away.
    pub(crate) tries: Vec<Duration>,
    /// Frames that the service does not have, counted from 0 as they came.
    pub(crate) missing: Vec<usize>,
}

impl Line {
    pub(crate) fn cells(&self) -> [String; COLUMNS.len()] {
        let Case {
            fault, when, note, ..
        } = self.case;
        let end = self.case.end(self.kind);
        let dropped: Vec<_> = self
            .dropped
            .iter()
            .map(|(reason, frames)| format!("{frames} ({reason})"))
            .collect();
        // How many frames came until an ERROR depends on time.
        let steady = |text: String| match end {
            End::Error => "–".to_owned(),
            _ => text,
        };
        [
            format!("`{fault}`"),
            self.kind.name().to_owned(),
            match when {
                When::Start => "at the start",
                When::StartUntilLost => "at the start, until the WARNING",
                When::Middle => "in the middle",
                When::MiddleWithCut => "in the middle, with a cut",
            }
            .to_owned(),
            match end {
                End::AllThere => "all there",
                End::OneRejected => "one rejected",
                End::TooLong(_) => "too long",
                End::Error => "ERROR",
            }
            .to_owned(),
            steady(self.frames_in.to_string()),
            steady(if dropped.is_empty() {
                "0".to_owned()
            } else {
                dropped.join(", ")
            }),
            self.outages.to_string(),
            self.once.to_string(),
            self.twice.to_string(),
            self.attempts.to_string(),
            self.recovery.map_or_else(
                || "–".to_owned(),
                |time| format!("{:.1}", time.as_secs_f64()),
            ),
            (*note).to_owned(),
        ]
    }
}

impl fmt::Display for Line {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&row(&self.cells()))
    }
}

/// A row of a table in Markdown.
pub(crate) fn row<T: AsRef<str>>(cells: &[T]) -> String {
    let cells: Vec<_> = cells.iter().map(AsRef::as_ref).collect();
    format!("| {} |", cells.join(" | "))
}

/// The cells of a row that do not depend on time.
pub(crate) fn steady(row: &str) -> Vec<String> {
    let cells: Vec<_> = row.trim_matches('|').split('|').map(str::trim).collect();
    STEADY
        .iter()
        .filter_map(|index| cells.get(*index))
        .map(|cell| (*cell).to_owned())
        .collect()
}
