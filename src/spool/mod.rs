//! The same fragments on disk.
