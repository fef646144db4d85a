//! Whole pipelines, and the producer alone, against `kvs-local` over the real wire protocol on loopback.

mod errors;
mod files;
mod inspect;
mod lifecycle;
mod pipelines;
mod producer;
mod support;
