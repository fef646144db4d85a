//! Whole pipelines, and the producer alone, against `kvs-local` over the real wire protocol on loopback.

#![allow(clippy::unwrap_used, reason = "a test fails by a panic")]

mod aws_client;
mod credentials;
mod endurance;
mod errors;
mod examples;
mod faults;
mod files;
mod guide;
mod inspect;
mod leaks;
mod lifecycle;
mod local_binary;
mod media;
mod pipelines;
mod preparation;
mod producer;
mod promises;
mod proxies;
mod secrets;
mod sessions;
mod spool;
mod support;
mod timestamps;
mod tls;
