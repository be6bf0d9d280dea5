//! `LANGUAGE`: which catalogue is spoken.

use std::fmt;
use std::str::FromStr;

/// A language that has a catalogue.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub enum Language {
    /// English, the default.
    #[default]
    En,
    /// Russian: the texts of the user's own documents.
    Ru,
    /// Korean.
    Ko,
}

/// Says which languages there are when another one was asked for.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("unknown language; `en`, `ru` and `ko` are known")]
pub struct BadLanguage;

impl Language {
    /// Every language, in the order the reference lists them.
    pub const ALL: [Self; 3] = [Self::En, Self::Ru, Self::Ko];

    /// Gives the code written in `LANGUAGE`.
    pub fn code(self) -> &'static str {
        match self {
            Self::En => "en",
            Self::Ru => "ru",
            Self::Ko => "ko",
        }
    }
}

impl fmt::Display for Language {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.code())
    }
}

impl FromStr for Language {
    type Err = BadLanguage;

    /// Reads `en`, `ru` or `ko` in any case.
    fn from_str(text: &str) -> Result<Self, BadLanguage> {
        let text = text.trim();
        Self::ALL.into_iter().find(|language| language.code().eq_ignore_ascii_case(text)).ok_or(BadLanguage)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_language_is_read_in_any_case_and_an_unknown_one_is_refused() {
        for language in Language::ALL {
            assert_eq!(language.code().to_uppercase().parse(), Ok(language));
        }
        assert_eq!("ru_RU".parse::<Language>(), Err(BadLanguage));
    }
}
