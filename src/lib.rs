//! Finds a broken service, heals it over SSH, proves that it healed, and tells people.
//!
//! The modules are floors: each imports only from floors below its own, and `tests/it/floors.rs` holds them to it.
//! `docs/explanation/architecture.md` shows the house.

pub mod domain;

pub mod env;
pub mod message;

pub mod fetch;
pub mod host;
pub mod store;

pub mod notify;
pub mod probe;
pub mod remedy;

pub mod config;

pub mod engine;

pub mod discovery;
pub mod failover;
pub mod heat;
pub mod web;

pub mod app;

pub mod cli;
