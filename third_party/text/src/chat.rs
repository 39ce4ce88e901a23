//! The tokens of a conversation in which what a message holds is text: special tokens count only where the template wrote them.
//!
//! Rendering gives one text that does not tell what came from where, and a template may do anything with a message: trim it,
//! split it, look for tags in it. So the conversation is rendered again, changed in a way that shows it, and a result counts
//! only if it is the plain rendering when the change is taken out. Two changes are tried:
//!
//! - *Marked messages*: a character that occurs nowhere else is set around every character of the messages, white space apart. A
//!   special token that is found whole then holds nothing of a message. Fails where the template finds something in a message.
//! - *Marked template*: special tokens in the template's own source are replaced by characters that occur nowhere else, which
//!   are the special tokens of the result; a message cannot hold them. Texts that the template only looks for stay as they
//!   are if a message holds them. Fails where the template measures or changes its special tokens.
//!
//! If neither gives the plain rendering, tokens whose text a message holds are text everywhere, the template's too; if that does
//! not either, the conversation is refused. In no case does a message's text become a special token.

use crate::jinja::{self, Literal};
use crate::template::Rendering;
use crate::tokenizer::Tokenizer;
use ahash::AHashSet;
use aho_corasick::{AhoCorasick, MatchKind};
use serde_json::Value;
use std::ops::Range;
use tokenizers::AddedVocabulary;

/// Names that templates build turns of (`'<|' + message.role + '|>'`); any other role is text like a message's content.
const ROLES: &[&str] = &["system", "developer", "user", "assistant", "model", "tool", "function", "ipython", "environment"];

/// A part of a prompt.
enum Part {
    Special(i32),
    Text(String),
}

/// What a message must not be able to say: the special tokens of a tokenizer, and user-defined ones that the template writes as
/// tags ("<think>").
pub struct Specials {
    ids: Vec<u32>,
    texts: Vec<String>,
    finder: AhoCorasick,
    /// What is found in text: user-defined tokens without those.
    plain: AddedVocabulary,
    literals: Vec<Literal>,
}

impl Specials {
    pub fn of(tokenizer: &Tokenizer, source: &str) -> Result<Specials, String> {
        let literals = jinja::literals(source);
        let written = |text: &str| literals.iter().any(|literal| literal.text.contains(text));
        let is_tag = |text: &str| {
            text.len() > 2 && (text.starts_with('<') && text.ends_with('>') || text.starts_with('[') && text.ends_with(']'))
        };
        let tags: Vec<(u32, &str)> = tokenizer.user_defined_tokens().filter(|(_, text)| is_tag(text) && written(text)).collect();
        let left_out = tags.iter().map(|(id, _)| *id).collect();
        let plain = tokenizer.plain_without(&left_out).map_err(|error| format!("tokenizer: {error}"))?;
        let (ids, texts): (Vec<u32>, Vec<&str>) =
            tokenizer.special_tokens().chain(tags).filter(|(_, text)| !text.is_empty()).unzip();
        let finder = AhoCorasick::builder().match_kind(MatchKind::LeftmostLongest).build(&texts);
        let finder = finder.map_err(|error| format!("tokenizer: {error}"))?;
        let texts = texts.into_iter().map(str::to_owned).collect();
        Ok(Specials { ids, texts, finder, plain, literals })
    }

    /// Those whose text a message holds.
    fn held(&self, rendering: &Rendering) -> AHashSet<usize> {
        let mut held = AHashSet::new();
        for_each_text(&mut rendering.messages.clone(), &mut |_, text| {
            if self.finder.is_match(text.as_str()) {
                held.extend((0..self.texts.len()).filter(|index| text.contains(&self.texts[*index])));
            }
        });
        held
    }

    /// The tokens of a conversation; `tokenizer` and the template are those that this was made of.
    pub fn encode(&self, tokenizer: &Tokenizer, rendering: &Rendering) -> Result<Vec<i32>, String> {
        let plain = rendering.render()?;
        let held = self.held(rendering);
        // Where the template finds its own token in a message and writes it again, the text may be the same as if it had not.
        let looked_for = |literal: &Literal| literal.tests && held.iter().any(|index| literal.text.contains(&self.texts[*index]));
        let template = |spelt: &dyn Fn(usize, bool) -> bool| by_marked_template(rendering, self, &plain, spelt);
        let seen = |index: usize, tests: bool| tests && held.contains(&index);
        let parts = match self.literals.iter().any(looked_for) {
            true => template(&seen).or_else(|| by_marked_messages(rendering, self, &plain)),
            false => by_marked_messages(rendering, self, &plain).or_else(|| template(&seen)),
        };
        let parts = parts.or_else(|| template(&|_, _| false)).or_else(|| template(&|index, _| held.contains(&index)));
        let Some(parts) = parts else {
            return Err(
                "chat template: a message holds what the template takes for its own special tokens, and the two cannot be \
                        told apart; take special tokens out of the message, or allow them in messages"
                    .to_owned(),
            );
        };
        let mut ids = Vec::new();
        for part in parts {
            match part {
                Part::Special(id) => ids.push(id),
                Part::Text(text) => {
                    tokenizer.append_ids(&text, &self.plain, &mut ids).map_err(|error| format!("tokenizer: {error}"))?
                }
            }
        }
        Ok(ids)
    }
}

/// The parts of the prompt, if marking the messages changes nothing else.
fn by_marked_messages(rendering: &Rendering, specials: &Specials, plain: &str) -> Option<Vec<Part>> {
    let mark = unused(plain, rendering, specials, 0xE000..0xF900).next()?;
    let mut messages = rendering.messages.clone();
    for_each_text(&mut messages, &mut |key, text| {
        if key != "role" || !ROLES.contains(&text.as_str()) {
            *text = marked(text, mark);
        }
    });
    // Marks stand between characters, and white space of a message has none: a special token of one character, or with white
    // space in it, might be a message's.
    let unmarkable = |text: &str| text.chars().nth(1).is_none() || text.chars().any(char::is_whitespace);
    if specials.texts.iter().any(|text| unmarkable(text) && plain.contains(text.as_str())) {
        return None;
    }
    let text = (Rendering { messages: &messages, ..*rendering }).render().ok()?;
    let unmarked = |text: &str| text.replace(mark, "");
    if unmarked(&text) != plain {
        return None;
    }
    let mut parts = Vec::new();
    let mut begin = 0;
    for found in specials.finder.find_iter(&text) {
        push_text(&mut parts, unmarked(&text[begin..found.start()]));
        parts.push(Part::Special(specials.ids[found.pattern().as_usize()] as i32));
        begin = found.end();
    }
    push_text(&mut parts, unmarked(&text[begin..]));
    Some(parts)
}

/// The parts of the prompt, special tokens being those that stand in the template's source but for those that are spelt out there:
/// asked with a token's index and whether the template looks for it at this place.
fn by_marked_template(
    rendering: &Rendering,
    specials: &Specials,
    plain: &str,
    spelt: &dyn Fn(usize, bool) -> bool,
) -> Option<Vec<Part>> {
    let marks: Vec<char> = unused(plain, rendering, specials, 0xF0000..0xFFFFE).collect();
    let mut used: Vec<usize> = Vec::new(); // the special token that marks[n] stands for
    let mut replaced = |text: &str, tests: bool| {
        let mut out = String::new();
        let mut begin = 0;
        for found in specials.finder.find_iter(text) {
            let index = found.pattern().as_usize();
            let at = used.iter().position(|other| *other == index).unwrap_or(used.len());
            if !spelt(index, tests) && at < marks.len() {
                if at == used.len() {
                    used.push(index);
                }
                out.push_str(&text[begin..found.start()]);
                out.push(marks[at]);
                begin = found.end();
            }
        }
        out.push_str(&text[begin..]);
        out
    };
    let mut source = String::new();
    let mut begin = 0;
    for literal in &specials.literals {
        let text = replaced(&literal.text, literal.tests);
        if text != literal.text {
            source.push_str(&rendering.source[begin..literal.begin]);
            source.push_str(&if literal.quoted { jinja::quoted(&text) } else { text });
            begin = literal.end;
        }
    }
    source.push_str(&rendering.source[begin..]);
    let (bos, eos) = (replaced(rendering.bos, false), replaced(rendering.eos, false));
    let changed = Rendering { source: &source, bos: &bos, eos: &eos, ..*rendering };
    let text = changed.render().ok()?;
    let special_of = |c: char| marks[..used.len()].iter().position(|mark| *mark == c).map(|at| used[at]);
    let mut parts = Vec::new();
    let mut whole = String::new();
    let mut pending = String::new();
    for c in text.chars() {
        if let Some(index) = special_of(c) {
            whole.push_str(&specials.texts[index]);
            push_text(&mut parts, std::mem::take(&mut pending));
            parts.push(Part::Special(specials.ids[index] as i32));
        } else {
            whole.push(c);
            pending.push(c);
        }
    }
    push_text(&mut parts, pending);
    if whole == plain { Some(parts) } else { None }
}

/// Calls with every text of a message, whatever its field, and the field's name.
fn for_each_text(value: &mut Value, act: &mut dyn FnMut(&str, &mut String)) {
    fn visit(key: &str, value: &mut Value, act: &mut dyn FnMut(&str, &mut String)) {
        match value {
            Value::String(text) => act(key, text),
            Value::Array(values) => values.iter_mut().for_each(|value| visit(key, value, act)),
            Value::Object(fields) => fields.iter_mut().for_each(|(key, value)| visit(key, value, act)),
            _ => {}
        }
    }
    visit("", value, act);
}

/// The mark between and around all characters but white space, so that a template can still trim and split at that.
fn marked(text: &str, mark: char) -> String {
    let mut out = String::with_capacity(text.len() * 4);
    let mut inside = false; // the last character was no white space
    for c in text.chars() {
        if inside || !c.is_whitespace() {
            out.push(mark);
        }
        inside = !c.is_whitespace();
        out.push(c);
    }
    if inside {
        out.push(mark);
    }
    out
}

/// Characters of a range for private use that neither template, prompt, messages nor special tokens hold.
fn unused(plain: &str, rendering: &Rendering, specials: &Specials, range: Range<u32>) -> impl Iterator<Item = char> + use<> {
    let private = |c: char| range.contains(&(c as u32));
    let mut taken: AHashSet<char> = AHashSet::new();
    let mut take = |text: &str| taken.extend(text.chars().filter(|c| private(*c)));
    take(plain);
    take(rendering.source);
    take(rendering.bos);
    take(rendering.eos);
    specials.texts.iter().for_each(|text| take(text));
    for_each_text(&mut rendering.messages.clone(), &mut |_, text| take(text));
    range.clone().filter_map(char::from_u32).filter(move |c| !taken.contains(c))
}

fn push_text(parts: &mut Vec<Part>, text: String) {
    if !text.is_empty() {
        parts.push(Part::Text(text));
    }
}
