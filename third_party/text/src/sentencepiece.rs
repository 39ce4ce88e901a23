//! SentencePiece's own BPE: of all neighbours whose joined text is a token, those of the best score are joined, the leftmost of
//! equals, until no two can be. Characters that end up as no token become their byte tokens.
//!
//! An ordinary BPE by rank of merges is another thing: where tokens have the same score (Llama 2, Mistral and Phi-3 give all runs
//! of spaces -1e9), it prefers one kind of pair wherever it stands.

use crate::vocabulary::Vocabulary;
use std::cmp::Ordering;
use std::collections::BinaryHeap;

pub struct SentencePiece {
    pub vocabulary: Vocabulary,
    bytes: [Option<u32>; 256],
    unknown: Option<u32>,
}

/// A piece of the text; size 0: joined to the one before. Links are indices, NONE at the ends.
struct Symbol {
    start: u32,
    size: u32,
    previous: u32,
    next: u32,
}

const NONE: u32 = u32::MAX;

/// A join that was possible when it was written down; it still is if the two symbols have `size` bytes together.
#[derive(PartialEq)]
struct Join {
    score: f32,
    left: u32,
    size: u32,
}

impl Eq for Join {}

impl Ord for Join {
    fn cmp(&self, other: &Join) -> Ordering {
        // Not total_cmp: 0 and -0 are one score. A vocabulary holds no NaN.
        self.score.partial_cmp(&other.score).unwrap_or(Ordering::Equal).then(other.left.cmp(&self.left))
    }
}

impl PartialOrd for Join {
    fn partial_cmp(&self, other: &Join) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl SentencePiece {
    pub fn new(vocabulary: Vocabulary, unknown: Option<u32>) -> SentencePiece {
        let bytes = vocabulary.bytes();
        SentencePiece { vocabulary, bytes, unknown }
    }

    /// Whether no character vanishes.
    pub fn keeps_all(&self) -> bool {
        self.unknown.is_some() || self.bytes.iter().all(Option::is_some)
    }

    pub fn encode(&self, text: &str) -> Result<Vec<u32>, String> {
        if text.len() >= NONE as usize {
            return Err("a text of 4 GiB or more cannot be read at once; send it in parts".to_owned());
        }
        let mut symbols: Vec<Symbol> = Vec::with_capacity(text.len());
        for (start, c) in text.char_indices() {
            let index = symbols.len() as u32;
            let previous = index.checked_sub(1).unwrap_or(NONE);
            symbols.push(Symbol { start: start as u32, size: c.len_utf8() as u32, previous, next: index + 1 });
        }
        match symbols.last_mut() {
            Some(last) => last.next = NONE,
            None => return Ok(Vec::new()),
        }
        let offers = (0..symbols.len() as u32).filter_map(|left| self.offer(text, &symbols, left));
        let mut joins: BinaryHeap<Join> = offers.collect::<Vec<_>>().into();
        while let Some(join) = joins.pop() {
            let Symbol { size, next, previous, .. } = symbols[join.left as usize];
            // Sizes only grow, so equal ones are those that the join was offered for.
            if size == 0 || next == NONE || size + symbols[next as usize].size != join.size {
                continue;
            }
            symbols[next as usize].size = 0;
            let after = symbols[next as usize].next;
            symbols[join.left as usize].size = join.size;
            symbols[join.left as usize].next = after;
            if after != NONE {
                symbols[after as usize].previous = join.left;
            }
            joins.extend(self.offer(text, &symbols, previous));
            joins.extend(self.offer(text, &symbols, join.left));
        }
        let mut ids = Vec::with_capacity(symbols.len() / 2);
        for symbol in symbols.iter().filter(|symbol| symbol.size > 0) {
            self.append(part(text, symbol.start, symbol.size), &mut ids);
        }
        Ok(ids)
    }

    /// The join of a symbol and the one after it, if their text is a token.
    fn offer(&self, text: &str, symbols: &[Symbol], left: u32) -> Option<Join> {
        let Symbol { start, size, next, .. } = *symbols.get(left as usize)?;
        let size = size + symbols.get(next as usize)?.size;
        if size as usize > self.vocabulary.longest() {
            return None;
        }
        let id = self.vocabulary.find(part(text, start, size))?;
        Some(Join { score: self.vocabulary.score(id), left, size })
    }

    fn append(&self, text: &str, ids: &mut Vec<u32>) {
        if let Some(id) = self.vocabulary.find(text) {
            ids.push(id);
        } else if text.bytes().all(|byte| self.bytes[byte as usize].is_some()) {
            ids.extend(text.bytes().filter_map(|byte| self.bytes[byte as usize]));
        } else {
            ids.extend(self.unknown);
        }
    }
}

fn part(text: &str, start: u32, size: u32) -> &str {
    &text[start as usize..(start + size) as usize]
}
