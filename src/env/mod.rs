//! Floor 1: `KEY=value` text becomes types, pure.
//!
//! The way of a value: [`dialect`] reads the file as python-dotenv does → [`expand`] fills in `${NAME}` → [`carry`] hands the
//! pairs to dotenvy → [`Env`] joins them with the process environment → [`Reader`] turns them into types by a [`Key`] and
//! remembers every problem → [`Report`] tells them all at once. Reading files and the process environment is the caller's:
//! bytes, a map and a function come in. Which keys exist is said by `config` and by the kinds themselves.

pub mod carry;
mod cursor;
pub mod dialect;
pub mod duration;
pub mod expand;
mod index;
pub mod key;
pub mod problem;
pub mod reader;
pub mod redactor;
pub mod reference;
pub mod secret;
pub mod setting;
pub mod source;
pub mod unknown;
pub mod value;

pub use key::{Absent, Key, KeyInfo, Later, Scope};
pub use problem::{Place, Problem, Report, Severity};
pub use reader::{Reader, Scoped};
pub use redactor::Redactor;
pub use reference::Group;
pub use secret::Secret;
pub use setting::Setting;
pub use source::Env;
pub use unknown::{Catalogue, Names};
