//! A chat template as a list of Jinja's tokens: what is changed in its source before it is rendered.

use minijinja::machinery::{Token, WhitespaceConfig, tokenize};

/// The template without the tags `generation` and `endgeneration`, which mark what is learnt from in training. They become
/// comments, so that white space around them is trimmed as around any tag. Only tags: not what strings, comments or raw blocks hold.
pub fn without_generation_tags(source: &str) -> String {
    let mut out = source.as_bytes().to_vec();
    let tokens: Vec<(Token, usize, usize)> = lex(source);
    for window in tokens.windows(3) {
        if let [(Token::BlockStart, start, _), (Token::Ident("generation" | "endgeneration"), ..), (Token::BlockEnd, _, end)] =
            window
        {
            out[start + 1] = b'#';
            out[end - 2] = b'#';
        }
    }
    String::from_utf8(out).unwrap_or_else(|_| source.to_owned())
}

/// A text that the template itself holds.
pub struct Literal {
    /// Its place in the source; a string's with its quotes.
    pub begin: usize,
    pub end: usize,
    pub text: String,
    /// A string of an expression, not text between tags.
    pub quoted: bool,
    /// It is compared or looked for, not printed.
    pub tests: bool,
}

/// Methods, filters and tests that look for their arguments.
const SEARCHES: &[&str] = &[
    "split",
    "rsplit",
    "startswith",
    "endswith",
    "strip",
    "lstrip",
    "rstrip",
    "find",
    "rfind",
    "index",
    "rindex",
    "count",
    "partition",
    "rpartition",
    "removeprefix",
    "removesuffix",
    "startingwith",
    "endingwith",
    "containing",
    "in",
    "eq",
    "ne",
    "equalto",
    "sameas",
    "trim",
];

/// What stands between a pair of parentheses or brackets.
#[derive(Clone, Copy, PartialEq)]
enum Inside {
    Value,
    /// Arguments that are looked for, or a list in which something is.
    Search,
    /// Arguments of `replace`: the first is looked for.
    Replace,
}

/// All texts of a template, in order.
pub fn literals(source: &str) -> Vec<Literal> {
    let tokens = lex(source);
    let word = |index: Option<usize>| match index.and_then(|index| tokens.get(index)) {
        Some((Token::Ident(name), ..)) => *name,
        _ => "",
    };
    let mut found = Vec::new();
    let mut nested: Vec<Inside> = Vec::new();
    for (index, (token, begin, end)) in tokens.iter().enumerate() {
        let before = index.checked_sub(1);
        let compares = |token: Option<&(Token, usize, usize)>| {
            matches!(token, Some((Token::Eq | Token::Ne | Token::Lt | Token::Lte | Token::Gt | Token::Gte, ..)))
        };
        let outer = nested.last().copied().unwrap_or(Inside::Value);
        let text = match token {
            Token::TemplateData(text) => {
                let begin = text.as_ptr() as usize - source.as_ptr() as usize; // without what is trimmed
                found.push(Literal { begin, end: begin + text.len(), text: (*text).to_owned(), quoted: false, tests: false });
                continue;
            }
            Token::VariableStart | Token::BlockStart => {
                nested.clear();
                continue;
            }
            Token::ParenOpen => {
                let called = word(before);
                let method =
                    matches!(before.and_then(|at| at.checked_sub(1)).map(|at| &tokens[at].0), Some(Token::Dot | Token::Pipe));
                let tested = word(before.and_then(|at| at.checked_sub(1))) == "is";
                nested.push(match called {
                    "replace" if method => Inside::Replace,
                    _ if (method || tested) && SEARCHES.contains(&called) => Inside::Search,
                    "in" => Inside::Search,
                    // A function's arguments are values; parentheses alone change nothing.
                    _ if matches!(before.map(|at| &tokens[at].0), Some(Token::Ident(_))) => Inside::Value,
                    _ => outer,
                });
                continue;
            }
            Token::BracketOpen => {
                nested.push(if word(before) == "in" || compares(before.map(|at| &tokens[at])) { Inside::Search } else { outer });
                continue;
            }
            Token::ParenClose | Token::BracketClose => {
                nested.pop();
                continue;
            }
            Token::Comma if outer == Inside::Replace => {
                nested.pop();
                nested.push(Inside::Value);
                continue;
            }
            Token::Str(text) => (*text).to_owned(),
            Token::String(text) => text.to_string(),
            _ => continue,
        };
        let after = word(Some(index + 1));
        let sought = after == "in" || (after == "not" && word(Some(index + 2)) == "in") || word(before) == "in";
        let tests = sought || outer != Inside::Value || compares(before.map(|at| &tokens[at])) || compares(tokens.get(index + 1));
        found.push(Literal { begin: *begin, end: *end, text, quoted: true, tests });
    }
    found
}

/// A text as a string of an expression.
pub fn quoted(text: &str) -> String {
    let mut out = String::from("\"");
    for c in text.chars() {
        match c {
            '"' | '\\' => out.extend(['\\', c]),
            c if (c as u32) < 0x20 => out.push_str(&format!("\\u{:04x}", c as u32)),
            c => out.push(c),
        }
    }
    out.push('"');
    out
}

/// Tokens with their places, up to the first error: whoever parses the template says what is wrong.
fn lex(source: &str) -> Vec<(Token<'_>, usize, usize)> {
    let whitespace = WhitespaceConfig { keep_trailing_newline: false, lstrip_blocks: true, trim_blocks: true };
    tokenize(source, false, Default::default(), whitespace)
        .map_while(|token| token.ok())
        .map(|(token, span)| (token, span.start_offset as usize, span.end_offset as usize))
        .collect()
}
