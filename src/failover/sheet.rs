//! A JSON text with comments, read key by key; every mistake is remembered with its line. What the keys mean is not known
//! here.

use std::cell::RefCell;
use std::sync::Arc;

use jsonc_parser::ast::{Object, ObjectProp, Value};
use jsonc_parser::common::Ranged;
use jsonc_parser::{CollectOptions, ParseOptions, parse_to_ast};

use crate::env::{Place, Problem, Report};

/// JSON as RFC 8259 has it, and two things that its authors' sample or its readers' habits need: comments, and a comma
/// before a closing bracket.
const DIALECT: ParseOptions = ParseOptions {
    allow_comments: true,
    allow_trailing_commas: true,
    allow_loose_object_property_names: false,
    allow_missing_commas: false,
    allow_single_quoted_strings: false,
    allow_hexadecimal_numbers: false,
    allow_unary_plus_numbers: false,
    allow_bare_decimal_point_numbers: false,
    allow_non_finite_numbers: false,
    allow_extended_string_escapes: false,
};

/// The keys of one text.
pub(super) struct Sheet<'t> {
    name: Arc<str>,
    text: &'t str,
    object: Object<'t>,
    problems: RefCell<Vec<Problem>>,
}

/// A value that stands in the text.
#[derive(Clone, Copy)]
pub(super) struct Cell<'s, 't> {
    pub(super) key: &'s str,
    pub(super) value: &'s Value<'t>,
    /// Counted from 1.
    pub(super) line: u32,
}

/// Parses a text and reads it with `read`; whatever went wrong in either is the report.
pub(super) fn with<T>(name: &str, text: &str, read: impl FnOnce(&Sheet<'_>) -> Option<T>) -> Result<T, Report> {
    let name: Arc<str> = name.into();
    let whole = |line, what: &str| Problem::error(Place::File { name: Arc::clone(&name), line }, "", what);
    let refused = |problem| Err(Report::new(vec![problem]));
    let object = match parse_to_ast(text, &CollectOptions::default(), &DIALECT).map(|parsed| parsed.value) {
        Ok(Some(Value::Object(object))) => object,
        Ok(Some(other)) => {
            let what = "expected an object in braces, as in `{ \"gateway_ip\": …`";
            return refused(whole(Some(line_of(text, other.range().start)), what));
        }
        Ok(None) => {
            let hint = "write the five keys that docs/how-to/fail-over-to-a-standby.md shows";
            return refused(whole(None, "is empty").hint(hint));
        }
        Err(error) => {
            let what = error.kind().to_string();
            let mut letters = what.chars();
            let first = letters.next().map(|letter| letter.to_ascii_lowercase());
            let what: String = ["is not JSON: "].iter().flat_map(|s| s.chars()).chain(first).chain(letters).collect();
            let line = line_of(text, error.range().start);
            return refused(whole(Some(line), &what).hint("look at this line and at its neighbours"));
        }
    };
    let sheet = Sheet { name, text, object, problems: RefCell::default() };
    let read = read(&sheet);
    let problems = sheet.problems.into_inner();
    match read {
        Some(read) if problems.is_empty() => Ok(read),
        Some(_) | None => Err(Report::new(problems)),
    }
}

impl<'t> Sheet<'t> {
    /// The value of a key; the first one where it stands twice.
    pub(super) fn find(&self, key: &str) -> Option<Cell<'_, 't>> {
        self.cells().find(|cell| cell.key == key)
    }

    /// Every key with its value, in order.
    pub(super) fn cells(&self) -> impl Iterator<Item = Cell<'_, 't>> {
        let cell = |property: &'_ ObjectProp<'t>| property.range.start;
        self.object.properties.iter().map(move |property| Cell {
            key: property.name.as_str(),
            value: &property.value,
            line: line_of(self.text, cell(property)),
        })
    }

    /// The line of the opening brace: where what is not set would be.
    pub(super) fn line(&self) -> u32 {
        line_of(self.text, self.object.range.start)
    }

    /// Remembers a mistake in a value; `what` is a clause.
    pub(super) fn wrong(&self, key: &str, value: &Value<'_>, what: &str, hint: Option<String>) {
        let range = value.range();
        let found = self.text.get(range.start..range.end).unwrap_or_default();
        let problem = Problem::error(self.place(line_of(self.text, range.start)), key, what).found(found);
        self.remember(match hint {
            Some(hint) => problem.hint(hint),
            None => problem,
        });
    }

    /// Remembers a mistake in a key.
    pub(super) fn wrong_key(&self, cell: Cell<'_, '_>, what: &str, hint: String) {
        self.remember(Problem::error(self.place(cell.line), cell.key, what).hint(hint));
    }

    /// Remembers that a key is missing.
    pub(super) fn missing(&self, key: &str, example: &str) {
        let place = Place::File { name: Arc::clone(&self.name), line: None };
        let problem = Problem::error(place, key, "is not set, and it is required");
        self.remember(problem.hint(format!("add a line such as `\"{key}\": {example}`")));
    }

    fn place(&self, line: u32) -> Place {
        Place::File { name: Arc::clone(&self.name), line: Some(line) }
    }

    fn remember(&self, problem: Problem) {
        self.problems.borrow_mut().push(problem);
    }
}

/// The line of a byte, counted from 1.
pub(super) fn line_of(text: &str, at: usize) -> u32 {
    let before = text.get(..at).unwrap_or(text);
    u32::try_from(before.matches('\n').count()).unwrap_or(u32::MAX).saturating_add(1)
}
