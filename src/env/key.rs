//! A configuration key, written once: the same record parses it, prints `.env.example` and the reference page.

use std::fmt;

/// What a key belongs to, and so what stands before its name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Scope {
    /// The whole agent: `INTERVAL`.
    Global,
    /// One server: `{SRV}_URL`.
    Server,
    /// One site: `{DC}_SSH_HOST`.
    Site,
    /// One pair: `{DC}_{SRV}_COMMAND`.
    Pair,
}

impl Scope {
    /// Every scope.
    pub const ALL: [Self; 4] = [Self::Global, Self::Server, Self::Site, Self::Pair];

    /// Gives what the reference page writes before the name.
    pub const fn placeholder(self) -> &'static str {
        match self {
            Self::Global => "",
            Self::Server => "{SRV}_",
            Self::Site => "{DC}_",
            Self::Pair => "{DC}_{SRV}_",
        }
    }

    /// Gives what `.env.example` writes before the name: the seed's own site and server.
    pub const fn sample(self) -> &'static str {
        match self {
            Self::Global => "",
            Self::Server => "SRV4_",
            Self::Site => "DC3_",
            Self::Pair => "DC3_SRV4_",
        }
    }

    /// Names it in a sentence.
    pub const fn noun(self) -> &'static str {
        match self {
            Self::Global => "agent",
            Self::Server => "server",
            Self::Site => "site",
            Self::Pair => "pair",
        }
    }
}

/// What holds when a key is not set.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Absent {
    /// This text is read as if it had been written.
    Default(&'static str),
    /// It must be set.
    Required,
    /// Something else, said in a few words, such as `off` or `as COMMAND`.
    Means(&'static str),
}

/// Stands in a name for the number of a numbered key: `COMMAND_{K}` is `COMMAND_2`, `COMMAND_3`, …
pub const NUMBER: &str = "{K}";

/// Numbers a numbered key can have; the first is the key without a number.
pub const NUMBERS: std::ops::RangeInclusive<u32> = 2..=99;

/// One key and how its text becomes a `T`. Build it as a `const`.
pub struct Key<T: 'static> {
    /// What it belongs to.
    pub scope: Scope,
    /// Its name without the prefix of a scope: `SSH_HOST`; may hold [`NUMBER`].
    pub name: &'static str,
    /// One sentence with unit and range.
    pub doc: &'static str,
    /// What holds when it is not set.
    pub absent: Absent,
    /// A value for `.env.example` and for "add a line such as …".
    pub example: &'static str,
    /// Whether its value is never shown, and may come from the file named by `{name}_FILE`.
    pub secret: bool,
    /// Whether other programs set a variable of this name (gettext's `LANGUAGE`): then the file wins over the process
    /// environment, and what cannot be read there is passed over.
    pub ambient: bool,
    /// Whether `.env.example` shows it switched on although it need not be set.
    pub typical: bool,
    /// Reads the text; its error is what was expected, as in "expected …", and never repeats the text.
    pub parse: fn(&str) -> Result<T, String>,
}

impl<T> Key<T> {
    /// Begins a key of the whole agent that need not be set.
    pub const fn new(scope: Scope, name: &'static str, parse: fn(&str) -> Result<T, String>) -> Self {
        Self {
            scope,
            name,
            doc: "",
            absent: Absent::Means("unset"),
            example: "",
            secret: false,
            ambient: false,
            typical: false,
            parse,
        }
    }

    /// Says what it is, in one sentence with unit and range, and shows a value.
    #[must_use]
    pub const fn about(self, doc: &'static str, example: &'static str) -> Self {
        Self { doc, example, ..self }
    }

    /// Gives it a default.
    #[must_use]
    pub const fn default(self, text: &'static str) -> Self {
        Self { absent: Absent::Default(text), ..self }
    }

    /// Makes it required.
    #[must_use]
    pub const fn required(self) -> Self {
        Self { absent: Absent::Required, ..self }
    }

    /// Says in a few words what holds when it is not set.
    #[must_use]
    pub const fn otherwise(self, means: &'static str) -> Self {
        Self { absent: Absent::Means(means), ..self }
    }

    /// Makes it a secret.
    #[must_use]
    pub const fn secret(self) -> Self {
        Self { secret: true, ..self }
    }

    /// Switches it on in `.env.example`: most people need it.
    #[must_use]
    pub const fn typical(self) -> Self {
        Self { typical: true, ..self }
    }

    /// Makes it ambient.
    #[must_use]
    pub const fn ambient(self) -> Self {
        Self { ambient: true, ..self }
    }

    /// Gives the key without its type, for tables.
    pub const fn info(&self) -> KeyInfo {
        KeyInfo {
            scope: self.scope,
            name: self.name,
            doc: self.doc,
            absent: self.absent,
            example: self.example,
            secret: self.secret,
            typical: self.typical,
        }
    }
}

/// A key without its type.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct KeyInfo {
    /// As in [`Key`].
    pub scope: Scope,
    /// As in [`Key`].
    pub name: &'static str,
    /// As in [`Key`].
    pub doc: &'static str,
    /// As in [`Key`].
    pub absent: Absent,
    /// As in [`Key`].
    pub example: &'static str,
    /// As in [`Key`].
    pub secret: bool,
    /// As in [`Key`].
    pub typical: bool,
}

impl fmt::Display for KeyInfo {
    /// Writes the name as the reference page does: `{DC}_SSH_HOST`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", self.scope.placeholder(), self.name)
    }
}

/// A key that is promised, and that this version does not honour. An operator who set a guard must not run without it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Later {
    /// What it belongs to.
    pub scope: Scope,
    /// Its name without the prefix of a scope; may hold [`NUMBER`].
    pub name: &'static str,
}
