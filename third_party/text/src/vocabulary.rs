//! A list of tokens with scores, for the models that join or cut text by looking pieces up (sentencepiece.rs, unigram.rs, wordpiece.rs).

use ahash::AHashMap;
use serde::Deserialize;

/// `["text", score]`; a null score is a token that no text becomes: a control token, a byte, the unknown token.
#[derive(Deserialize)]
pub struct Entry(Box<str>, Option<f32>);

/// Tokens by id, and the ids of those that text can become; of equal texts the last counts.
pub struct Vocabulary {
    entries: Vec<Entry>,
    ids: AHashMap<Box<str>, u32>,
    longest: usize,
}

impl From<Vec<Entry>> for Vocabulary {
    fn from(entries: Vec<Entry>) -> Vocabulary {
        let mut ids = AHashMap::with_capacity(entries.len());
        let mut longest = 0;
        for (id, Entry(text, score)) in entries.iter().enumerate() {
            if score.is_some() && !text.is_empty() {
                longest = longest.max(text.len());
                ids.insert(text.clone(), id as u32);
            }
        }
        Vocabulary { entries, ids, longest }
    }
}

impl Vocabulary {
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Those that text can become.
    pub fn ids(&self) -> impl Iterator<Item = u32> + '_ {
        self.ids.values().copied()
    }

    /// Bytes of the longest token that text can become.
    pub fn longest(&self) -> usize {
        self.longest
    }

    pub fn text(&self, id: u32) -> Option<&str> {
        self.entries.get(id as usize).map(|entry| &*entry.0)
    }

    /// The token that `text` becomes, if there is one.
    pub fn find(&self, text: &str) -> Option<u32> {
        self.ids.get(text).copied()
    }

    pub fn score(&self, id: u32) -> f32 {
        self.entries[id as usize].1.unwrap_or(0.0)
    }

    /// Ids of the tokens `<0x00>` to `<0xFF>`.
    pub fn bytes(&self) -> [Option<u32>; 256] {
        let mut ids = [None; 256];
        for (id, entry) in self.entries.iter().enumerate() {
            if let Some(byte) = crate::pieces::byte_token(&entry.0) {
                ids[byte as usize] = Some(id as u32);
            }
        }
        ids
    }
}
