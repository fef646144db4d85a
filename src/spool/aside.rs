//! [`Folder`]: files that are kept for a person to look at.
//!
//! In: files that were moved there. Out: those that must go, so that nobody's disk fills with them.
//! Does not belong here: moving and removing them ([`super::Spool`]), why they are there.

use std::collections::BTreeMap;

/// Most files of a folder, and most bytes of them together.
pub(super) const MAX_FILES: usize = 16;
pub(super) const MAX_BYTES: u64 = 256 << 20;

/// What is in one of the folders of a spool. Files of others are left alone, and not counted.
#[derive(Debug)]
pub(super) struct Folder {
    pub(super) name: &'static str,
    /// With their lengths; the names of older fragments sort before those of newer ones.
    files: BTreeMap<String, u64>,
}

impl Folder {
    pub(super) fn new(name: &'static str) -> Self {
        let files = BTreeMap::new();
        Self { name, files }
    }

    /// The name of that file in it.
    pub(super) fn name_of(&self, file: &str) -> String {
        format!("{}/{file}", self.name)
    }

    pub(super) fn insert(&mut self, file: &str, length: u64) {
        self.files.insert(file.to_owned(), length);
    }

    pub(super) fn forget(&mut self, file: &str) {
        self.files.remove(file);
    }

    /// The oldest file, when there are too many.
    pub(super) fn excess(&self) -> Option<String> {
        let bytes = self
            .files
            .values()
            .fold(0_u64, |sum, length| sum.saturating_add(*length));
        let is_too_much = self.files.len() > MAX_FILES || bytes > MAX_BYTES;
        let oldest = self.files.keys().next().filter(|_| is_too_much);
        oldest.cloned()
    }
}
