//! The body of a hook: a template that becomes JSON, tried out before anything starts.

use std::fmt;

use minijinja::{AutoEscape, Environment, ErrorKind, UndefinedBehavior, Value, context};
use uuid::Uuid;

use crate::domain::name::PairName;
use crate::domain::remedy::{IncidentId, RunId};
use crate::env::problem::shown;

use super::super::Call;

/// What is sent where nobody wrote a body.
pub const DEFAULT: &str = "{\"pair\": {{ pair }}, \"site\": {{ site }}, \"server\": {{ server }}, \"attempt\": {{ attempt }}, \
    \"rung\": {{ rung }}, \"incident\": {{ incident }}, \"run\": {{ run }}}";

/// Names that a template may use. The value of each depends on who asks: for which pair, at which check, by which rung.
const NAMES: &[&str] = &["pair", "site", "server", "attempt", "rung", "incident", "run"];
/// Characters of a template; a longer body belongs behind the hook.
const LONGEST: usize = 16 * 1024;
/// Steps that one rendering may take; a template without loops takes a few for each value.
const FUEL: u64 = 20_000;
/// Bytes of a rendered body.
const LARGEST: usize = 64 * 1024;

/// A template that gave JSON for every kind of call.
#[derive(Clone)]
pub struct Template {
    source: String,
    environment: Environment<'static>,
    personal: bool,
}

impl Template {
    /// Reads a template and tries it out; the error says what is wrong with it.
    pub fn new(source: &str) -> Result<Self, String> {
        if source.len() > LONGEST {
            return Err(format!("expected a template of at most {LONGEST} characters"));
        }
        let mut environment = Environment::new();
        environment.set_auto_escape_callback(|_| AutoEscape::Json);
        environment.set_undefined_behavior(UndefinedBehavior::Strict);
        environment.set_fuel(Some(FUEL));
        let named = environment
            .template_from_str(source)
            .map_err(|error| in_words(&error, source))?
            .undeclared_variables(false);
        let globals: Vec<&str> = environment.globals().map(|(name, _)| name).collect();
        if named.iter().any(|name| !NAMES.contains(&name.as_str()) && !globals.contains(&name.as_str())) {
            return Err(format!("a name in it is not known here: there are {}", NAMES.join(", ")));
        }
        let personal = named.iter().any(|name| NAMES.contains(&name.as_str()));
        let template = Self { source: source.to_owned(), environment, personal };
        for call in samples() {
            template.render(&call)?;
        }
        Ok(template)
    }

    /// Gives the template as it was written.
    pub fn source(&self) -> &str {
        &self.source
    }

    /// Parts that may be passwords and turn up alone: whole texts of the body that stand in the template, long and without
    /// a blank.
    pub fn secrets(&self) -> Vec<String> {
        /// Characters of the shortest; `main` must not be masked in every log line.
        const SHORTEST: usize = 16;
        let body = samples().nth(1).and_then(|call| self.render(&call).ok()).unwrap_or_default();
        let (mut found, mut next) = (Vec::new(), vec![serde_json::from_str(&body).unwrap_or(serde_json::Value::Null)]);
        while let Some(value) = next.pop() {
            match value {
                serde_json::Value::String(text) => found.push(text),
                serde_json::Value::Array(values) => next.extend(values),
                serde_json::Value::Object(values) => next.extend(values.into_iter().map(|(_, value)| value)),
                serde_json::Value::Null | serde_json::Value::Bool(_) | serde_json::Value::Number(_) => {}
            }
        }
        found.retain(|text| {
            text.len() >= SHORTEST && !text.contains(char::is_whitespace) && self.source.contains(text.as_str())
        });
        found
    }

    /// Says whether the body depends on the pair it is sent for.
    pub fn is_personal(&self) -> bool {
        self.personal
    }

    /// Renders the body for one call; it is JSON.
    pub fn render(&self, call: &Call) -> Result<String, String> {
        let values = context! {
            pair => call.pair.to_string(),
            site => call.pair.site.as_str(),
            server => call.pair.server.as_str(),
            attempt => call.attempt,
            rung => call.rung,
            incident => call.incident.map_or(Value::from(()), |incident| Value::from(incident.to_string())),
            run => call.run.to_string(),
        };
        let body = self.environment.render_str(&self.source, values).map_err(|error| in_words(&error, &self.source))?;
        if body.len() > LARGEST {
            return Err(format!("the body has {} bytes, more than {LARGEST}", body.len()));
        }
        match serde_json::from_str::<serde::de::IgnoredAny>(&body) {
            Ok(_) => Ok(body),
            Err(error) => Err(format!(
                "expected a template that gives JSON, it gives something else ({error}); a value brings its own quotes: \
                 {{\"pair\": {{{{ pair }}}}}}"
            )),
        }
    }
}

/// What can differ between calls: no incident, the first check, a later one.
fn samples() -> impl Iterator<Item = Call> {
    let incident = Some(IncidentId(Uuid::nil()));
    [(None, 0, 1), (incident, 1, 1), (incident, 2, 1), (incident, 99, 2)].into_iter().filter_map(
        |(incident, attempt, rung)| {
            let pair: PairName = "DC3:SRV4".parse().ok()?;
            Some(Call { pair, incident, run: RunId(Uuid::nil()), attempt, rung, limit: std::time::Duration::ZERO })
        },
    )
}

/// Says what is wrong, and quotes nothing: a template may hold a password.
fn in_words(error: &minijinja::Error, source: &str) -> String {
    let place = error.line().filter(|line| *line > 1).map(|line| format!(" in its line {line}")).unwrap_or_default();
    let quotes = |detail: &&str| {
        detail.split(|c: char| !c.is_alphanumeric()).any(|word| word.len() > 3 && source.contains(word))
    };
    let detail = error.detail().filter(|detail| !quotes(detail)).map(|detail| format!(": {}", shown(detail)));
    let detail = detail.unwrap_or_default();
    match error.kind() {
        ErrorKind::OutOfFuel => "the template does too much: take the loop out".to_owned(),
        kind => format!("the template is broken{place}: {kind}{detail}"),
    }
}

impl PartialEq for Template {
    fn eq(&self, other: &Self) -> bool {
        self.source == other.source
    }
}

impl fmt::Debug for Template {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Template").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_default_and_every_sensible_template_give_json() {
        let call = samples().nth(1).unwrap();
        let body: serde_json::Value =
            serde_json::from_str(&Template::new(DEFAULT).unwrap().render(&call).unwrap()).unwrap();
        assert_eq!((&body["pair"], &body["site"], &body["attempt"]), (&"DC3-SRV4".into(), &"DC3".into(), &1.into()));
        let by_hand = Template::new(DEFAULT).unwrap().render(&samples().next().unwrap()).unwrap();
        assert!(by_hand.contains("\"incident\": null"), "{by_hand}");
        for source in [
            "{}",
            "[]",
            "\"plain\"",
            "{\"ref\": \"main\", \"inputs\": {\"server\": {{ server }}, \"text\": {{ \"restart \" ~ pair }}}}",
            "{\"n\": {{ attempt + 1 }}, \"again\": {{ attempt > 1 }}, \"all\": {{ [pair, rung]|tojson }}}",
            "{% if attempt > 1 %}{\"hard\": true}{% else %}{\"hard\": false}{% endif %}",
            "{% set who = pair %}{\"who\": {{ who|lower }}}",
        ] {
            Template::new(source).unwrap_or_else(|error| panic!("{source}: {error}"));
        }
    }

    #[test]
    fn a_broken_template_is_told_before_anything_starts() {
        for (source, part) in [
            ("{\"pair\": \"{{ pair }}\"}", "brings its own quotes"),
            ("{\"pair\": {{ pear }}}", "a name in it is not known here: there are pair, site"),
            ("{% if attempt > 50 %}{{ secret }}{% endif %}{}", "a name in it is not known"),
            ("{{ pair", "the template is broken"),
            ("{\"a\": {{ pair.x }}}", "the template is broken"),
            ("{\"a\": {{ pair|nofilter }}}", "the template is broken"),
            ("{% if attempt == 2 %}x{% endif %}{}", "gives JSON"),
            ("{% if rung == 2 %}x{% endif %}{}", "gives JSON"),
            ("restart=1", "gives JSON"),
            ("{% for n in range(9999) %}{% for m in range(9999) %}{% endfor %}{% endfor %}{}", "does too much"),
            ("{% include '/etc/passwd' %}{}", "broken"),
        ] {
            let told = Template::new(source).unwrap_err();
            assert!(told.contains(part) && !told.contains('\n'), "{source}: {told}");
        }
        assert!(Template::new(&" ".repeat(LONGEST + 1)).is_err());
    }

    #[test]
    fn what_is_said_of_a_template_quotes_none_of_its_text() {
        for source in [
            "{\"token\": \"hunter2222\", \"pair\": \"{{ pair }}\"}",
            "token=hunter2222",
            "{\"token\": \"hunter2222\"",
            "{\"token\": {{ hunter2222 }}}",
            "{\"token\": {{ pair|hunter2222 }}}",
            "{\"token\": {{ pair.hunter2222 }}}",
            "{\"token\": {{ hunter2222() }}}",
            "{% hunter2222 %}{}",
            "{{ \"hunter2222\"(pair) }}",
            "{\"a\": {{ \"hunter2222\" + 1 }}}",
            "{% include \"hunter2222\" %}{}",
        ] {
            let told = Template::new(source).err().unwrap_or_else(|| panic!("{source} is taken"));
            assert!(!told.contains("hunter2222"), "{source}: {told}");
        }
        let told = format!("{:?}", Template::new("{\"a\": \"hunter2222\"}").unwrap());
        assert!(!told.contains("hunter2222"), "{told}");
    }

    #[test]
    fn a_body_that_names_whom_it_is_for_is_personal() {
        assert!(Template::new(DEFAULT).unwrap().is_personal());
        assert!(Template::new("{\"a\": {{ run }}}").unwrap().is_personal());
        assert!(Template::new("{\"site\": {{ site }}}").unwrap().is_personal());
        assert!(Template::new("{\"rung\": {{ rung }}}").unwrap().is_personal());
        assert!(!Template::new("{\"ref\": \"main\"}").unwrap().is_personal());
    }

    proptest! {
        #[test]
        fn no_text_makes_the_reader_fall_over(source in "[{}%#a-z|\"' ().,0-9\n-]{0,60}") {
            if let Err(told) = Template::new(&source) {
                prop_assert!(!told.contains('\n'), "{told}");
            }
        }
    }
}
