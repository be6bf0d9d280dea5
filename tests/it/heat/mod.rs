//! `monitor heat`, sentence by sentence of its document, by running the binary.

mod end;
mod fail;
mod journal;
mod people;
mod recovery;
mod signals;
mod stage;
mod tutorial;
mod usage;
