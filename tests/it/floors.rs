//! Holds the source to the house rules: imports run downhill, the lowest floors stay pure, every kind is in its table,
//! files stay short and say what lives in them.

use std::fs;
use std::path::Path;

use syn::spanned::Spanned as _;
use syn::visit::Visit;

/// Module and floor; neighbours on a floor do not know each other.
const FLOORS: &[(&str, u8)] = &[
    ("domain", 0),
    ("env", 1),
    ("message", 1),
    ("host", 2),
    ("fetch", 2),
    ("store", 2),
    ("probe", 3),
    ("remedy", 3),
    ("notify", 3),
    ("config", 4),
    ("engine", 5),
    ("web", 6),
    ("bot", 6),
    ("heat", 6),
    ("failover", 6),
    ("discovery", 6),
    ("app", 7),
    ("cli", 8),
];
/// Floors up to this one hold rules only.
const PURE: u8 = 1;
/// Folders whose `mod.rs` has a `KINDS` table.
const KINDS: &[&str] = &["probe", "remedy", "notify"];
const BANNED_NAMES: &[&str] =
    &["util", "utils", "common", "helper", "helpers", "manager", "misc", "base", "types", "service"];
const LONGEST: usize = 330;
const TESTS: &str = "tests";

#[test]
fn every_source_file_keeps_the_house_rules() {
    let src = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut files = Vec::new();
    collect(&src, &src, &mut files);
    assert!(files.len() > 10, "the walk over src/ found only {} files", files.len());
    let mut complaints: Vec<String> = files.iter().flat_map(|(path, text)| check(path, text)).collect();
    complaints.extend(unlisted_kinds(&files));
    assert!(complaints.is_empty(), "{} broken house rules:\n{}", complaints.len(), complaints.join("\n"));
}

fn collect(root: &Path, dir: &Path, files: &mut Vec<(String, String)>) {
    let mut entries: Vec<_> = fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path()).collect();
    entries.sort();
    for path in entries {
        if path.is_dir() {
            collect(root, &path, files);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let name = path.strip_prefix(root).unwrap().to_str().unwrap().to_owned();
            files.push((name, fs::read_to_string(&path).unwrap()));
        }
    }
}

fn floor(module: &str) -> Option<u8> {
    FLOORS.iter().find(|(name, _)| *name == module).map(|(_, floor)| *floor)
}

/// What is wrong with one file; `path` is relative to `src/`. A folder or file named `tests` is held to its name only:
/// the checker sees to it that such a module is compiled for tests alone.
fn check(path: &str, text: &str) -> Vec<String> {
    let mut out = Vec::new();
    if path.trim_end_matches(".rs").split('/').any(|part| part == TESTS) {
        return out;
    }
    for part in path.trim_end_matches(".rs").split(['/', '_']) {
        if BANNED_NAMES.contains(&part) {
            out.push(format!("src/{path}: `{part}` says nothing: name the file after the thing it holds"));
        }
    }
    let file = match syn::parse_file(text) {
        Ok(file) => file,
        Err(error) => return vec![format!("src/{path}:{}: does not parse: {error}", error.span().start().line)],
    };
    if !text.trim_start().starts_with("//!") {
        out.push(format!("src/{path}:1: no `//!` header: say what lives here and what does not"));
    }
    let mut modules: Vec<String> = path.trim_end_matches(".rs").split('/').map(str::to_owned).collect();
    if matches!(modules.last().map(String::as_str), Some("mod" | "lib" | "main")) {
        modules.pop();
    }
    let top = modules.first().cloned().unwrap_or_default();
    if !top.is_empty() && floor(&top).is_none() {
        out.push(format!("src/{path}: `{top}` is on no floor: give it one in tests/it/floors.rs and architecture.md"));
    }
    let mut scan = Scan { path, floor: floor(&top), top, depth: modules.len(), test_lines: 0, out };
    scan.visit_file(&file);
    let lines = text.lines().count() - scan.test_lines;
    let mut out = scan.out;
    if lines > LONGEST {
        out.push(format!("src/{path}: {lines} lines without tests, at most {LONGEST}: split it by what it holds"));
    }
    out
}

struct Scan<'a> {
    path: &'a str,
    top: String,
    floor: Option<u8>,
    /// How many modules deep the code being looked at is: `super` leaves the top module when they are used up.
    depth: usize,
    test_lines: usize,
    out: Vec<String>,
}

impl Scan<'_> {
    fn complain(&mut self, at: proc_macro2::Span, what: &str) {
        self.out.push(format!("src/{}:{}: {what}", self.path, at.start().line));
    }

    /// One full path, from a `use` or in the code.
    fn path(&mut self, segments: &[String], at: proc_macro2::Span) {
        let words: Vec<&str> = segments.iter().map(String::as_str).collect();
        let supers = words.iter().take_while(|word| **word == "super").count();
        let target = match words.as_slice() {
            ["crate", module, ..] => Some(*module),
            _ if supers > 0 && supers >= self.depth => words.get(supers).copied(),
            _ => None,
        };
        if let (Some(mine), Some(target)) = (self.floor, target)
            && target != self.top
            && let Some(theirs) = floor(target)
            && theirs >= mine
        {
            let way = if theirs > mine { "up" } else { "sideways" };
            let what = format!(
                "`{}` (floor {mine}) imports {way} from `{target}` (floor {theirs}): move the shared thing to a lower floor \
                 or hand it in as an argument",
                self.top
            );
            self.complain(at, &what);
        }
        if self.floor.is_some_and(|floor| floor <= PURE) {
            let impure = match words.as_slice() {
                ["std", "process" | "fs" | "net", ..] => "a process, file or socket",
                ["tokio" | "tokio_util" | "reqwest" | "russh" | "sqlx" | "hyper" | "axum" | "socket2", ..] => {
                    "the runtime or a client"
                }
                [.., "SystemTime" | "Instant" | "Timestamp" | "Zoned" | "Utc" | "Local" | "OffsetDateTime", "now"] => {
                    "a clock"
                }
                _ => return,
            };
            self.impure(at, impure);
        }
    }

    fn impure(&mut self, at: proc_macro2::Span, what: &str) {
        let what = format!(
            "{what} in `{}`, which is pure: take the value as an argument, do the work on a floor above",
            self.top
        );
        self.complain(at, &what);
    }

    fn tree(&mut self, tree: &syn::UseTree, before: &mut Vec<String>) {
        match tree {
            syn::UseTree::Path(path) => {
                before.push(path.ident.to_string());
                self.tree(&path.tree, before);
                before.pop();
            }
            syn::UseTree::Group(group) => group.items.iter().for_each(|item| self.tree(item, before)),
            syn::UseTree::Name(_) | syn::UseTree::Rename(_) | syn::UseTree::Glob(_) => {
                let mut whole = before.clone();
                match tree {
                    syn::UseTree::Name(name) => whole.push(name.ident.to_string()),
                    syn::UseTree::Rename(rename) => whole.push(rename.ident.to_string()),
                    _ => {}
                }
                self.path(&whole, tree.span());
            }
        }
    }

    /// Macro arguments are no syntax tree: paths are put together from the tokens.
    fn tokens(&mut self, tokens: proc_macro2::TokenStream) {
        let mut path: Vec<String> = Vec::new();
        let (mut colons, mut at) = (0, proc_macro2::Span::call_site());
        let flush = |path: &mut Vec<String>, at, scan: &mut Self| {
            if path.len() > 1 {
                scan.path(path, at);
            }
            path.clear();
        };
        for token in tokens {
            match token {
                proc_macro2::TokenTree::Ident(word) => {
                    if colons != 2 {
                        flush(&mut path, at, self);
                    }
                    if path.is_empty() {
                        at = word.span();
                    }
                    path.push(word.to_string());
                    colons = 0;
                }
                proc_macro2::TokenTree::Punct(punct) if punct.as_char() == ':' => colons += 1,
                proc_macro2::TokenTree::Group(group) => {
                    flush(&mut path, at, self);
                    self.tokens(group.stream());
                    colons = 0;
                }
                _ => {
                    flush(&mut path, at, self);
                    colons = 0;
                }
            }
        }
        flush(&mut path, at, self);
    }
}

fn only_for_tests(attributes: &[syn::Attribute]) -> bool {
    attributes.iter().any(|attribute| {
        attribute.path().is_ident("cfg") && attribute.parse_args::<syn::Ident>().is_ok_and(|word| word == "test")
    })
}

impl<'ast> Visit<'ast> for Scan<'_> {
    fn visit_item_mod(&mut self, module: &'ast syn::ItemMod) {
        if only_for_tests(&module.attrs) {
            let span = module.span();
            self.test_lines += span.end().line - span.start().line + 1;
            return;
        }
        if module.ident == TESTS {
            self.complain(module.span(), "`mod tests` without `#[cfg(test)]`: tests are no part of the program");
        }
        self.depth += 1;
        syn::visit::visit_item_mod(self, module);
        self.depth -= 1;
    }

    fn visit_item_use(&mut self, item: &'ast syn::ItemUse) {
        self.tree(&item.tree, &mut Vec::new());
    }

    fn visit_path(&mut self, path: &'ast syn::Path) {
        let segments: Vec<_> = path.segments.iter().map(|segment| segment.ident.to_string()).collect();
        self.path(&segments, path.span());
        syn::visit::visit_path(self, path);
    }

    fn visit_visibility(&mut self, _: &'ast syn::Visibility) {}

    fn visit_macro(&mut self, macro_call: &'ast syn::Macro) {
        self.tokens(macro_call.tokens.clone());
        syn::visit::visit_macro(self, macro_call);
    }

    fn visit_signature(&mut self, signature: &'ast syn::Signature) {
        if let Some(word) = &signature.asyncness
            && self.floor.is_some_and(|floor| floor <= PURE)
        {
            self.impure(word.span(), "`async fn`");
        }
        syn::visit::visit_signature(self, signature);
    }

    fn visit_expr_await(&mut self, expression: &'ast syn::ExprAwait) {
        if self.floor.is_some_and(|floor| floor <= PURE) {
            self.impure(expression.span(), "`.await`");
        }
        syn::visit::visit_expr_await(self, expression);
    }

    fn visit_expr_async(&mut self, expression: &'ast syn::ExprAsync) {
        if self.floor.is_some_and(|floor| floor <= PURE) {
            self.impure(expression.span(), "an `async` block");
        }
        syn::visit::visit_expr_async(self, expression);
    }
}

/// Kinds that are missing from the table of `probe/`, `remedy/` or `notify/`: every file beside `mod.rs`, and every folder
/// that declares a `KIND`. A folder that declares none is what several kinds stand on.
fn unlisted_kinds(files: &[(String, String)]) -> Vec<String> {
    let mut out = Vec::new();
    for folder in KINDS {
        let home = format!("{folder}/mod.rs");
        let Some((_, text)) = files.iter().find(|(path, _)| *path == home) else { continue };
        let Some(listed) = kinds_table(text) else { continue };
        for (path, text) in files {
            let Some(rest) = path.strip_prefix(&format!("{folder}/")).and_then(|rest| rest.strip_suffix(".rs")) else {
                continue;
            };
            let name = rest.strip_suffix("/mod").unwrap_or(rest);
            let shared = name != rest && !text.contains("const KIND");
            if name == "mod" || name.contains('/') || shared || listed.iter().any(|kind| kind == name) {
                continue;
            }
            out.push(format!(
                "src/{path}: `{name}` is not in KINDS of src/{home}: add `{name}::KIND`, or move it into the folder it serves"
            ));
        }
    }
    out
}

/// The first path segments of `KINDS`, or nothing while there is no such table.
fn kinds_table(text: &str) -> Option<Vec<String>> {
    struct Table(Option<Vec<String>>);
    struct Names(Vec<String>);
    impl<'ast> Visit<'ast> for Names {
        fn visit_path(&mut self, path: &'ast syn::Path) {
            self.0.extend(path.segments.first().map(|segment| segment.ident.to_string()));
        }
    }
    impl<'ast> Table {
        fn keep(&mut self, name: &syn::Ident, value: &'ast syn::Expr) {
            if name == "KINDS" {
                let mut names = Names(Vec::new());
                names.visit_expr(value);
                self.0 = Some(names.0);
            }
        }
    }
    impl<'ast> Visit<'ast> for Table {
        fn visit_item_const(&mut self, item: &'ast syn::ItemConst) {
            self.keep(&item.ident, &item.expr);
        }
        fn visit_item_static(&mut self, item: &'ast syn::ItemStatic) {
            self.keep(&item.ident, &item.expr);
        }
    }
    let mut table = Table(None);
    table.visit_file(&syn::parse_file(text).ok()?);
    table.0
}

#[test]
fn the_checker_finds_what_it_is_for_and_where() {
    // (file, text after a header line, line and a part of the one complaint; none when the text is fine)
    type Complaint = (usize, &'static str);
    let cases: &[(&str, &str, Option<Complaint>)] = &[
        ("engine/round.rs", "use crate::probe::{http, tcp};", None),
        ("engine/round.rs", "use crate::engine::record;", None),
        ("engine/round.rs", "use super::record::Row;\nuse super::super::config::Config;", None),
        ("probe/http.rs", "\nuse crate::engine::Handle;", Some((3, "imports up from `engine` (floor 5)"))),
        ("probe/http.rs", "use crate::remedy::Remedy;", Some((2, "imports sideways from `remedy`"))),
        ("probe/http.rs", "use crate::{domain, notify as n};", Some((2, "sideways from `notify`"))),
        ("probe/http.rs", "fn f() { let x = crate::config::read(); }", Some((2, "up from `config`"))),
        ("probe/http.rs", "fn f() { println!(\"{}\", crate::config::read()); }", Some((2, "up from `config`"))),
        ("probe/http.rs", "use super::super::notify::Channel;", Some((2, "sideways from `notify`"))),
        ("probe/mod.rs", "use super::cli::x;", Some((2, "up from `cli`"))),
        ("fetch.rs", "mod inner { use super::super::web::x; }", Some((2, "up from `web`"))),
        ("fetch.rs", "mod inner { use super::web; }", None),
        ("probe/http.rs", "// use crate::engine::Handle;\nconst X: &str = \"crate::engine::Handle\";", None),
        ("probe/http.rs", "/// See [`crate::engine::Handle`].\nfn f() {}", None),
        ("probe/http.rs", "#[cfg(test)]\nmod tests { use crate::engine::Handle; }", None),
        ("probe/http.rs", "mod tests { fn f() {} }", Some((2, "without `#[cfg(test)]`"))),
        ("probe/http.rs", "mod tests;", Some((2, "without `#[cfg(test)]`"))),
        ("domain/x.rs", "#[cfg(test)]\nmod tests;", None),
        ("domain/x/tests/story.rs", "use crate::engine::Handle;", None),
        ("domain/x.rs", "fn f() -> u8 { std::fs::read(\"x\").len() as u8 }", Some((2, "a process, file or socket"))),
        ("env/x.rs", "use std::process::Command;", Some((2, "a process, file or socket"))),
        ("message/x.rs", "use std::{fmt, net::TcpStream};", Some((2, "a process, file or socket"))),
        ("domain/x.rs", "use std::time::Duration;\nuse jiff::Timestamp;", None),
        ("domain/x.rs", "fn f() { jiff::Timestamp::now(); }", Some((2, "a clock"))),
        ("domain/x.rs", "fn f() { assert_eq!(1, Instant::now()); }", Some((2, "a clock"))),
        ("domain/x.rs", "async fn f() {}", Some((2, "`async fn`"))),
        ("domain/x.rs", "impl X { fn f() { let y = async {}; } }", Some((2, "an `async` block"))),
        ("domain/x.rs", "use tokio::time::sleep;", Some((2, "the runtime"))),
        ("host/ssh.rs", "async fn f() { tokio::time::Instant::now(); }", None),
        ("host/util.rs", "", Some((0, "`util` says nothing"))),
        ("host/ssh_helper.rs", "", Some((0, "`helper` says nothing"))),
        ("attic/x.rs", "", Some((0, "`attic` is on no floor"))),
        ("host/ssh.rs", "fn f( {", Some((2, "does not parse"))),
        ("lib.rs", "pub mod cli;\nuse crate::cli::x;", None),
        ("cli/mod.rs", "use crate::app::start;", None),
    ];
    for (path, text, expected) in cases {
        let found = check(path, &format!("//! Header.\n{text}\n"));
        match expected {
            None => assert!(found.is_empty(), "{path} {text:?}: {found:?}"),
            Some((line, part)) => {
                assert_eq!(found.len(), 1, "{path} {text:?}: {found:?}");
                assert!(found[0].contains(part), "{path} {text:?}: {found:?}");
                assert!(*line == 0 || found[0].starts_with(&format!("src/{path}:{line}: ")), "{found:?}");
            }
        }
    }
}

#[test]
fn a_long_file_and_a_missing_header_are_found_but_tests_are_not_counted() {
    let long = format!("//! H.\n{}", "fn f() {}\n".repeat(LONGEST));
    assert!(check("host/ssh.rs", &long)[0].contains("331 lines without tests"));
    let body = "fn f() {}\n".repeat(LONGEST);
    let tested = format!("//! H.\nfn g() {{}}\n#[cfg(test)]\nmod tests {{\n{body}}}\n");
    assert_eq!(check("host/ssh.rs", &tested), Vec::<String>::new());
    assert!(check("host/ssh.rs", "fn f() {}\n")[0].contains("no `//!` header"));
}

#[test]
fn a_kind_that_is_not_in_its_table_is_found() {
    let file = |path: &str, text: &str| (path.to_owned(), text.to_owned());
    let mut files = vec![
        file("probe/mod.rs", "pub const KINDS: &[Kind] = &[http::KIND, Kind { name: \"tcp\", read: tcp::read }];"),
        file("probe/http.rs", ""),
        file("probe/http/connector.rs", ""),
        file("probe/tcp.rs", ""),
        file("probe/wire/mod.rs", "//! What several kinds stand on."),
        file("notify/mod.rs", "// no table yet"),
        file("notify/telegram.rs", ""),
    ];
    assert_eq!(unlisted_kinds(&files), Vec::<String>::new());
    files.push(file("probe/dns.rs", "pub const KIND: Kind = x;"));
    files.push(file("probe/ws/mod.rs", "pub const KIND: Kind = x;"));
    let found = unlisted_kinds(&files);
    assert_eq!(found.len(), 2, "{found:?}");
    assert!(found[0].contains("src/probe/dns.rs") && found[0].contains("add `dns::KIND`"), "{found:?}");
    assert!(found[1].contains("src/probe/ws/mod.rs") && found[1].contains("add `ws::KIND`"), "{found:?}");
}
