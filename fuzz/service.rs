//! The service's side of the wire: those modules of `kvs-local` that read the body of PutMedia.
//!
//! They are taken as they stand, and know nothing of the writer. The feature `local` would bring TLS and HTTP along, which
//! take minutes to build.

#![allow(dead_code, unreachable_pub)]

#[path = "../src/local/ack.rs"]
pub mod ack;
#[path = "../src/local/codecs.rs"]
pub mod codecs;
#[path = "../src/local/ebml.rs"]
pub mod ebml;
#[path = "../src/local/ingest.rs"]
pub mod ingest;
#[path = "../src/local/ledger.rs"]
mod ledger;
#[path = "../src/local/mkv.rs"]
pub mod mkv;
#[path = "../src/local/tags.rs"]
pub mod tags;
#[path = "../src/local/tracks.rs"]
pub mod tracks;
