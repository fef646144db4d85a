//! skeleton
#[cfg(feature = "local")]
pub mod local;
