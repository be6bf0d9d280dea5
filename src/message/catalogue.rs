//! The texts of one language, read once: `lang/{en,ru,ko}.ftl`. Who says what is in `compose`, `digest` and `log`.

use std::sync::LazyLock;

use fluent_bundle::concurrent::FluentBundle;
use fluent_bundle::{FluentArgs, FluentResource, FluentValue};

use super::field::{logged, one_line};
use super::language::Language;

/// The texts of one language.
pub struct Catalogue {
    bundle: FluentBundle<FluentResource>,
}

static EN: LazyLock<Catalogue> = LazyLock::new(|| Catalogue::read(Language::En));
static RU: LazyLock<Catalogue> = LazyLock::new(|| Catalogue::read(Language::Ru));
static KO: LazyLock<Catalogue> = LazyLock::new(|| Catalogue::read(Language::Ko));

impl Catalogue {
    /// Gives the texts of `language`; they are parsed once for the whole process.
    pub fn of(language: Language) -> &'static Self {
        match language {
            Language::En => &EN,
            Language::Ru => &RU,
            Language::Ko => &KO,
        }
    }

    /// Gives the file behind a language.
    pub fn source(language: Language) -> &'static str {
        match language {
            Language::En => include_str!("lang/en.ftl"),
            Language::Ru => include_str!("lang/ru.ftl"),
            Language::Ko => include_str!("lang/ko.ftl"),
        }
    }

    fn read(language: Language) -> Self {
        // A code that did not parse would only cost the plural forms; a test reads them.
        let id = language.code().parse().unwrap_or_default();
        let mut bundle = FluentBundle::new_concurrent(vec![id]);
        // Isolation marks are invisible characters around every field; they would be pasted into terminals.
        bundle.set_use_isolating(false);
        let resource = match FluentResource::try_new(Self::source(language).to_owned()) {
            // A test keeps the files free of mistakes; whatever parsed is better than no message about an outage.
            Ok(resource) | Err((resource, _)) => resource,
        };
        bundle.add_resource_overriding(resource);
        Self { bundle }
    }

    /// Gives the text `id` with its fields filled in; a text that is missing shows as its id.
    pub fn text(&self, id: &str, fields: &FluentArgs<'_>) -> String {
        let Some(pattern) = self.bundle.get_message(id).and_then(|message| message.value()) else {
            debug_assert!(false, "no text `{id}`");
            return id.to_owned();
        };
        let mut errors = Vec::new();
        let text = self.bundle.format_pattern(pattern, Some(fields), &mut errors).into_owned();
        debug_assert!(errors.is_empty(), "text `{id}`: {errors:?}");
        text
    }

    /// Gives a text without fields.
    pub fn word(&self, id: &str) -> String {
        self.text(id, &FluentArgs::new())
    }
}

/// Joins fields by name.
pub fn fields<const N: usize>(pairs: [(&'static str, FluentValue<'static>); N]) -> FluentArgs<'static> {
    pairs.into_iter().collect()
}

/// A field that counts something, for plural forms. Fluent keeps numbers as `f64` and panics on plurals of more than
/// 2^64, so counts end at `u32::MAX`.
pub fn count(n: impl TryInto<u32>) -> FluentValue<'static> {
    FluentValue::from(n.try_into().unwrap_or(u32::MAX))
}

/// A field of a message: one clean line of at most `cap` characters.
pub fn shown(text: &str, cap: usize) -> FluentValue<'static> {
    FluentValue::from(one_line(text, cap))
}

/// A field of a log line: escaped, at most `cap` characters.
pub fn written(text: &str, cap: usize) -> FluentValue<'static> {
    FluentValue::from(logged(text, cap))
}

/// A field made of our own words, which needs no cleaning.
pub fn own(text: impl Into<String>) -> FluentValue<'static> {
    FluentValue::from(text.into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::{BTreeMap, BTreeSet};

    /// Every text of a file with the variables it uses.
    fn texts(language: Language) -> BTreeMap<String, BTreeSet<String>> {
        let mut texts = BTreeMap::<String, BTreeSet<String>>::new();
        let mut current = String::new();
        for line in Catalogue::source(language).lines().filter(|line| !line.starts_with('#')) {
            if let Some((id, _)) = line.split_once(" =").filter(|_| !line.starts_with(' ')) {
                current = id.to_owned();
                assert!(
                    texts.insert(current.clone(), BTreeSet::new()).is_none(),
                    "`{id}` is there twice in {language}"
                );
            }
            for part in line.split('$').skip(1) {
                let name = part.split(|c: char| !c.is_alphanumeric()).next().unwrap();
                texts.get_mut(&current).unwrap().insert(name.to_owned());
            }
        }
        texts
    }

    #[test]
    fn every_language_file_parses_without_a_mistake() {
        for language in Language::ALL {
            if let Err((_, mistakes)) = FluentResource::try_new(Catalogue::source(language).to_owned()) {
                panic!("{language}: {mistakes:?}");
            }
        }
    }

    #[test]
    fn every_language_has_the_same_texts_with_the_same_variables() {
        let english = texts(Language::En);
        assert!(english.len() > 90);
        for language in [Language::Ru, Language::Ko] {
            assert_eq!(texts(language), english, "{language}");
        }
    }
}
