//! States, EOS, flushes, threads: the element starts, stops, waits and goes on as an application wants.

mod application;
mod caps;
mod eos;
mod flush;
mod idle;
mod long_gop;
mod offline;
mod segments;
mod states;
