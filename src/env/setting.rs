//! A value in force and where it came from, as people may see it. How it is found lives in `reader`.

use super::key::Scope;
use super::problem::Place;
use super::secret::Secret;

/// One value in force.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Setting {
    /// The whole key, such as `DC3_SSH_HOST`.
    pub key: String,
    /// What it belongs to.
    pub scope: Scope,
    /// The key's name in the reference, without the prefix of its scope: `SSH_HOST`, `COMMAND_{K}`.
    pub name: &'static str,
    /// The value as it was written, `***` for a secret; for a key that is not set its default, or what holds instead.
    pub value: String,
    /// Where it came from; [`Place::Unset`] for a default.
    pub place: Place,
    /// The whole value, where `value` hides a part of it.
    pub hidden: Option<Secret>,
}
