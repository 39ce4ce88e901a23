//! How many tokens a text has at least, seen by its size alone: no token stands for more bytes than the longest one.

use super::{Added, Tokenizer};
use crate::model::Model;
use crate::pieces::Pieces;
use serde_json::Value;
use tokenizers::{Model as _, ModelWrapper};

/// What the vocabulary says about sizes.
pub struct Bound {
    /// Bytes of a text that one token stands for at most.
    longest: usize,
    /// Bytes that are in some token; the others of a text vanish.
    kept: [bool; 256],
}

impl Tokenizer {
    /// Never more than the text has; 0 where its size says nothing. Reads the text once, and at the first call the vocabulary.
    pub fn least_tokens(&self, text: &str) -> usize {
        let Some(bound) = self.bound.get_or_init(|| self.find_bound()) else { return 0 };
        text.bytes().filter(|byte| bound.kept[*byte as usize]).count().div_ceil(bound.longest)
    }

    /// None where a token may stand for any number of bytes: where normalizer or pre-tokenizer drop characters, where unknown
    /// characters become one token together, where a token takes the white space beside it. What this function does not know
    /// counts as such.
    fn find_bound(&self) -> Option<Bound> {
        let pieces = self.pieces.as_ref()?;
        let known = |letter: char| self.model.finds(letter.encode_utf8(&mut [0; 4]));
        if !keeps_all(&self.spelling, &known) || !keeps_all(&self.splitting, &known) {
            return None;
        }
        let kept = kept_bytes(&self.model, pieces, &self.splitting)?;
        if self.added.iter().any(|entry| entry.token.lstrip || entry.token.rstrip) {
            return None;
        }
        // A normalised token is searched for in the normalised text, where a space may be a mark of three bytes.
        let of_added = self.added.iter().map(|Added { token, .. }| token.content.len() * if token.normalized { 3 } else { 1 });
        let of_model = (0..self.size as u32).filter_map(|id| self.model.text(id)).map(|token| match pieces {
            Pieces::ByteLevel(_) => token.chars().count(), // each stands for one byte
            Pieces::Marked { .. } => token.len(),          // the mark itself may be in a text
        });
        let longest = of_added.chain(of_model).max()?.max(4); // an unknown character
        Some(Bound { longest, kept })
    }
}

/// Whether a normalizer or a pre-tokenizer gives at least a byte for each byte that it reads, but for letters without a token.
fn keeps_all(step: &Value, known: &impl Fn(char) -> bool) -> bool {
    let steps = |name: &str| step[name].as_array().is_some_and(|steps| steps.iter().all(|step| keeps_all(step, known)));
    match step["type"].as_str() {
        None => step.is_null(),
        Some("Sequence") => steps("normalizers") || steps("pretokenizers"),
        Some("Prepend" | "ByteLevel" | "Metaspace" | "Digits" | "DigitGroups") => true,
        Some("Replace") => match (step["pattern"]["String"].as_str(), step["content"].as_str()) {
            (Some(pattern), Some(content)) => content.len() >= pattern.len(),
            _ => false,
        },
        Some("Split") => match step["behavior"].as_str() {
            Some("Removed") => step["pattern"]["Regex"].as_str().is_some_and(|regex| only_unknown(regex, known)),
            behavior => behavior.is_some(),
        },
        _ => false,
    }
}

/// Whether a pattern is a list of letters, such as [Āā], none of which is a token. It may hold more than letters: then it is not.
fn only_unknown(regex: &str, known: &impl Fn(char) -> bool) -> bool {
    let Some(letters) = regex.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) else { return false };
    let mut letters = letters.chars();
    while let Some(mut letter) = letters.next() {
        if letter == '\\' {
            match letters.next() {
                Some(escaped) if escaped.is_ascii_punctuation() => letter = escaped,
                _ => return false,
            }
        } else if "^-[]&".contains(letter) {
            return false;
        }
        if known(letter) {
            return false;
        }
    }
    true
}

/// The bytes of a text that end up in tokens; none where characters vanish by themselves, or unknown ones join to one token.
fn kept_bytes(model: &Model, pieces: &Pieces, splitting: &Value) -> Option<[bool; 256]> {
    let mut kept = [true; 256];
    match (model, pieces) {
        (Model::SentencePiece(model), Pieces::Marked { .. }) => model.keeps_all().then_some(kept),
        (Model::Crate { model, .. }, _) => {
            let ModelWrapper::BPE(model) = &**model else { return None };
            if model.continuing_subword_prefix.is_some() || model.end_of_word_suffix.is_some() || model.fuse_unk {
                return None;
            }
            let finds = |text: &str| model.token_to_id(text).is_some();
            match pieces {
                Pieces::ByteLevel(alphabet) if splitting.to_string().contains("\"ByteLevel\"") => {
                    for (letter, byte) in (0u32..).zip(alphabet) {
                        if let (Some(letter), Some(byte)) = (char::from_u32(letter), byte) {
                            kept[*byte as usize] = finds(&letter.to_string());
                        }
                    }
                    Some(kept)
                }
                Pieces::ByteLevel(_) => None,
                Pieces::Marked { .. } => {
                    let bytes = (0..=255u8).all(|byte| finds(&format!("<0x{byte:02X}>")));
                    (model.byte_fallback && bytes || model.unk_token.is_some()).then_some(kept)
                }
            }
        }
        _ => None,
    }
}
