//! How texts are cut into words: the steps of a tokenizer.json's "pre_tokenizer", those of the `tokenizers` crate and one of ours.
//!
//! `{"type": "DigitGroups", "digits": "ascii" | "all", "joined": bool}` cuts a row of digits into groups of three from its right
//! end, where it also cuts with `joined`. Then what stands before the row belongs to its first group; otherwise only to one of one
//! or two digits. A regular expression for it looks ahead to the end of the row from every digit: hours for a megabyte of digits.

use serde::Deserialize;
use serde_json::Value;
use tokenizers::tokenizer::pattern::Pattern;
use tokenizers::{Offsets, PreTokenizedString, PreTokenizer, PreTokenizerWrapper, Result, SplitDelimiterBehavior};

pub enum Step {
    Crate(Box<PreTokenizerWrapper>),
    Digits(DigitGroups),
}

#[derive(Deserialize)]
#[serde(rename_all = "lowercase")]
enum Digits {
    Ascii,
    All,
}

#[derive(Deserialize)]
pub struct DigitGroups {
    digits: Digits,
    joined: bool,
}

impl Step {
    /// The steps of a "pre_tokenizer"; none for null.
    pub fn read(value: Value) -> Result<Vec<Step>> {
        match (value["type"].as_str(), value["pretokenizers"].as_array()) {
            (None, _) if value.is_null() => Ok(Vec::new()),
            (Some("Sequence"), Some(steps)) => {
                let parts: Result<Vec<Vec<Step>>> = steps.iter().cloned().map(Step::read).collect();
                Ok(parts?.into_iter().flatten().collect())
            }
            (Some("DigitGroups"), _) => Ok(vec![Step::Digits(serde_json::from_value(value)?)]),
            _ => Ok(vec![Step::Crate(serde_json::from_value(value)?)]),
        }
    }

    pub fn cut(&self, words: &mut PreTokenizedString) -> Result<()> {
        match self {
            Step::Crate(step) => step.pre_tokenize(words),
            Step::Digits(groups) => words.split(|_, word| word.split(groups, SplitDelimiterBehavior::Isolated)),
        }
    }
}

impl Pattern for &DigitGroups {
    fn find_matches(&self, inside: &str) -> Result<Vec<(Offsets, bool)>> {
        if inside.is_empty() {
            return Ok(vec![((0, 0), false)]);
        }
        let is_digit = |c: char| match self.digits {
            Digits::Ascii => c.is_ascii_digit(),
            Digits::All => c.is_numeric(),
        };
        let mut cuts = Vec::new();
        let mut row: Vec<usize> = Vec::new(); // where each digit of the row begins
        for (at, c) in inside.char_indices().chain([(inside.len(), ' ')]) {
            if is_digit(c) {
                row.push(at);
            } else if !row.is_empty() {
                // Groups begin where the number of digits that are left is a multiple of three.
                let first = row.len() % 3;
                cuts.extend(row.iter().skip(first).step_by(3).skip(usize::from(first == 0 && self.joined)));
                if self.joined {
                    cuts.push(at);
                }
                row.clear();
            }
        }
        cuts.push(inside.len());
        let mut begin = 0;
        let mut words = Vec::with_capacity(cuts.len());
        for end in cuts {
            if end > begin {
                words.push(((begin, end), false));
                begin = end;
            }
        }
        Ok(words)
    }
}
