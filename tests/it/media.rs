//! What a pad takes: every format in every shape, several tracks, metadata, files; and what it does not take.

mod audio;
mod bad;
mod clips;
mod matrix;
mod metadata;
mod offline;
mod private;
mod signals;
mod tracks;
mod tracks_states;
