//! Who gives an order, as the log and the notices will name them.

use crate::app::source::Source;
use crate::web::Person;

/// Names the user: `anna`, `anna (root by sudo)`, or `user 1000` where the environment holds no name.
pub fn who(source: &Source) -> Person {
    let of = |name: &str| source.variable(name).and_then(|user| Person::try_from(user.to_owned()).ok());
    let own = of("USER").or_else(|| of("LOGNAME"));
    let own = own.unwrap_or_else(|| Person::numbered(rustix::process::getuid().as_raw()));
    // Whoever became root by sudo is told by their own name.
    let Some(before) = of("SUDO_USER").filter(|before| *before != own) else { return own };
    let both = format!("{} ({} by sudo)", before.clone().into_name(), own.into_name());
    Person::try_from(both).unwrap_or(before)
}
