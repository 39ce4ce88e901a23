//! SentencePiece's unigram model: of all ways to cut a text into tokens that whose scores have the greatest sum.

use crate::vocabulary::Vocabulary;

/// How much worse than the worst token a character is that has none.
const UNKNOWN: f32 = 10.0;

pub struct Unigram {
    pub vocabulary: Vocabulary,
    /// Ids by text, so that the tokens that a text begins with are found byte by byte.
    sorted: Vec<u32>,
    bytes: [Option<u32>; 256],
    unknown: Option<u32>,
    unknown_score: f32,
}

/// The best way to a place in the text: its score, and the last token of it (none: a character that has none).
#[derive(Clone, Copy)]
struct Way {
    score: f32,
    start: usize,
    id: Option<u32>,
}

impl Unigram {
    pub fn new(vocabulary: Vocabulary, unknown: Option<u32>) -> Unigram {
        let mut sorted: Vec<u32> = vocabulary.ids().collect();
        sorted.sort_unstable_by_key(|id| vocabulary.text(*id));
        let worst = sorted.iter().map(|id| vocabulary.score(*id)).fold(f32::INFINITY, f32::min);
        let worst = if worst.is_finite() { worst } else { 0.0 };
        let bytes = vocabulary.bytes();
        Unigram { sorted, bytes, unknown, unknown_score: worst - UNKNOWN, vocabulary }
    }

    pub fn encode(&self, text: &str) -> Vec<u32> {
        let unreached = Way { score: f32::NEG_INFINITY, start: 0, id: None };
        let mut ways = vec![unreached; text.len() + 1];
        ways[0].score = 0.0;
        for (start, c) in text.char_indices() {
            let so_far = ways[start].score;
            let mut reach = |end: usize, score: f32, id: Option<u32>| {
                // Of equal ways the one that came first, whose last token is the longest.
                if so_far + score > ways[end].score {
                    ways[end] = Way { score: so_far + score, start, id };
                }
            };
            let mut known = false;
            self.tokens_at(&text.as_bytes()[start..], |size, id| {
                known |= size == c.len_utf8();
                reach(start + size, self.vocabulary.score(id), Some(id));
            });
            if !known {
                reach(start + c.len_utf8(), self.unknown_score, None);
            }
        }
        let mut cuts = Vec::new();
        let mut end = text.len();
        while end > 0 {
            cuts.push((end, ways[end]));
            end = ways[end].start;
        }
        let mut ids = Vec::with_capacity(cuts.len());
        let mut unknown = false; // several in a row are one
        for (end, way) in cuts.into_iter().rev() {
            let part = &text.as_bytes()[way.start..end];
            match way.id {
                Some(id) => ids.push(id),
                None if part.iter().all(|byte| self.bytes[usize::from(*byte)].is_some()) => {
                    ids.extend(part.iter().filter_map(|byte| self.bytes[usize::from(*byte)]));
                }
                None if !unknown => ids.extend(self.unknown),
                None => {}
            }
            unknown = way.id.is_none();
        }
        ids
    }

    /// Calls `found` with size and id of each token that `text` begins with, shortest first.
    fn tokens_at(&self, text: &[u8], mut found: impl FnMut(usize, u32)) {
        let byte = |id: &u32, depth: usize| self.vocabulary.text(*id).and_then(|text| text.as_bytes().get(depth).copied());
        let mut left = &self.sorted[..]; // those that begin as the text does, as far as it was read
        for (depth, next) in text.iter().enumerate() {
            let from = left.partition_point(|id| byte(id, depth) < Some(*next));
            let to = left.partition_point(|id| byte(id, depth) <= Some(*next));
            left = &left[from..to];
            match left.first() {
                None => return,
                Some(id) if byte(id, depth + 1).is_none() => found(depth + 1, *id),
                Some(_) => {}
            }
        }
    }
}
