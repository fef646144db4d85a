//! skeleton
pub mod media;
pub mod mkv;
pub mod time;
