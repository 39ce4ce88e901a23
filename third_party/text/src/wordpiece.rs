//! WordPiece as GGUF files hold it: tokens that begin a word have a mark in front, those that go on in one have none. A word is
//! cut from the left into the longest tokens; one that cannot be cut to its end is the unknown token.

use crate::vocabulary::Vocabulary;

pub struct WordPiece {
    pub vocabulary: Vocabulary,
    mark: String,
    unknown: Option<u32>,
}

impl WordPiece {
    pub fn new(vocabulary: Vocabulary, mark: String, unknown: Option<u32>) -> WordPiece {
        WordPiece { vocabulary, mark, unknown }
    }

    pub fn encode(&self, word: &str) -> Vec<u32> {
        let marked = format!("{}{word}", self.mark);
        let mut ids = Vec::new();
        let mut rest = marked.as_str();
        while !rest.is_empty() {
            let ends = rest.char_indices().map(|(at, c)| at + c.len_utf8()).take_while(|end| *end <= self.vocabulary.longest());
            let longest = ends.filter_map(|end| Some((end, self.vocabulary.find(&rest[..end])?))).last();
            let Some((end, id)) = longest else { return self.unknown.into_iter().collect() };
            ids.push(id);
            rest = &rest[end..];
        }
        ids
    }
}
