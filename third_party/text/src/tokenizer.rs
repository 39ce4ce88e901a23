//! A Hugging Face tokenizer taken apart, so that one set of tables serves texts with and without special tokens.

mod bound;

use crate::bpe::load_model;
use crate::pieces::Pieces;
use ahash::AHashSet;
use bound::Bound;
use serde::Deserialize;
use serde_json::value::RawValue;
use std::sync::OnceLock;
use tokenizers::{
    AddedToken, AddedVocabulary, Decoder, DecoderWrapper, Model, ModelWrapper, NormalizerWrapper, OffsetReferential, OffsetType,
    PreTokenizer, PreTokenizerWrapper, Result,
};

/// Immutable after loading; any number of threads may use it.
pub struct Tokenizer {
    model: ModelWrapper,
    normalizer: Option<NormalizerWrapper>,
    pre_tokenizer: Option<PreTokenizerWrapper>,
    decoder: Option<DecoderWrapper>,
    pieces: Option<Pieces>,
    /// All added tokens, for texts in which special tokens are meant as such.
    every: AddedVocabulary,
    /// Without the special ones, for texts of users.
    plain: AddedVocabulary,
    special: AHashSet<u32>,
    size: usize,
    bound: OnceLock<Option<Bound>>,
}

#[derive(Deserialize)]
struct Document<'a> {
    #[serde(default)]
    added_tokens: Vec<AddedToken>,
    #[serde(default)]
    normalizer: Option<NormalizerWrapper>,
    #[serde(default)]
    pre_tokenizer: Option<PreTokenizerWrapper>,
    #[serde(default)]
    decoder: Option<serde_json::Value>,
    #[serde(borrow)]
    model: &'a RawValue,
}

impl Tokenizer {
    /// Reads a tokenizer.json. Truncation, padding and the post-processor are the caller's business and ignored.
    pub fn from_json(json: &str) -> Result<Tokenizer> {
        let document: Document = serde_json::from_str(json)?;
        let (model, last) = load_model(document.model, document.pre_tokenizer.is_none())?;
        let normalizer = document.normalizer;
        let tokens = document.added_tokens;

        let mut every = AddedVocabulary::new();
        every.add_tokens(tokens.clone(), &model, normalizer.as_ref())?;
        let mut plain = AddedVocabulary::new();
        plain.add_tokens(tokens.iter().filter(|token| !token.special).cloned(), &model, normalizer.as_ref())?;
        // A token outside the model's vocabulary gets its id by counting, so leaving some out shifts it. Then one table
        // serves both, and skips special tokens as it finds them.
        if plain.get_vocab().iter().any(|(token, id)| every.get_vocab().get(token) != Some(id)) {
            plain = every.clone();
            plain.set_encode_special_tokens(true);
        }

        let added = every.get_added_tokens_decoder();
        let special = added.iter().filter(|(_, token)| token.special).map(|(id, _)| *id).collect();
        let last = added.keys().copied().chain(last).max();
        let decoder = document.decoder.filter(|decoder| !decoder.is_null());
        let pieces = decoder.as_ref().and_then(Pieces::from_decoder);
        let decoder = decoder.map(serde_json::from_value).transpose()?;
        Ok(Tokenizer {
            model,
            normalizer,
            pre_tokenizer: document.pre_tokenizer,
            decoder,
            pieces,
            every,
            plain,
            special,
            size: last.map_or(0, |id| id as usize + 1),
            bound: OnceLock::new(),
        })
    }

    /// One more than the highest id.
    pub fn vocabulary_size(&self) -> usize {
        self.size
    }

    /// The ids of a text; special tokens written in it are recognised only when `parse_special`.
    pub fn encode(&self, text: &str, parse_special: bool) -> Result<Vec<i32>> {
        let added = if parse_special { &self.every } else { &self.plain };
        let mut words = added.extract_and_normalize(self.normalizer.as_ref(), text);
        if let Some(pre_tokenizer) = &self.pre_tokenizer {
            pre_tokenizer.pre_tokenize(&mut words)?;
        }
        words.tokenize(|word| self.model.tokenize(word.get()))?;
        let splits = words.get_splits(OffsetReferential::Original, OffsetType::None);
        Ok(splits.iter().filter_map(|(_, _, tokens)| tokens.as_ref()).flatten().map(|token| token.id as i32).collect())
    }

    /// The text of a list of tokens; ids outside the vocabulary have none. Broken characters become U+FFFD.
    pub fn decode(&self, ids: &[i32], skip_special: bool) -> Result<String> {
        let Some(pieces) = &self.pieces else {
            return self.decode_in_context(ids, skip_special);
        };
        let mut bytes = Vec::new();
        for id in ids {
            self.append(pieces, *id, skip_special, &mut bytes);
        }
        Ok(String::from_utf8_lossy(&bytes[pieces.leading(&bytes)..]).into_owned())
    }

    /// The bytes that `id` adds after `previous` (if any), special tokens having none. Where they do not depend on
    /// neighbours, a space at the start of a text is kept: the text goes on from a prompt.
    pub fn decode_next(&self, previous: Option<i32>, id: i32) -> Result<Vec<u8>> {
        if let Some(pieces) = &self.pieces {
            let mut bytes = Vec::new();
            self.append(pieces, id, true, &mut bytes);
            return Ok(bytes);
        }
        let before = match previous {
            Some(previous) => self.decode_in_context(&[previous], true)?,
            None => String::new(),
        };
        let both: Vec<i32> = previous.into_iter().chain([id]).collect();
        let text = self.decode_in_context(&both, true)?;
        Ok(text.strip_prefix(before.as_str()).unwrap_or(&text).as_bytes().to_vec())
    }

    fn append(&self, pieces: &Pieces, id: i32, skip_special: bool, bytes: &mut Vec<u8>) {
        let Ok(id) = u32::try_from(id) else { return };
        if skip_special && self.special.contains(&id) {
            return;
        }
        if let Some(token) = self.every.get_added_tokens_decoder().get(&id) {
            bytes.extend_from_slice(token.content.as_bytes());
        } else if let Some(token) = self.model.id_to_token(id) {
            pieces.append(&token, bytes);
        }
    }

    fn decode_in_context(&self, ids: &[i32], skip_special: bool) -> Result<String> {
        let text_of = |id: u32| self.every.simple_id_to_token(id).or_else(|| self.model.id_to_token(id));
        let tokens: Vec<String> = ids
            .iter()
            .filter_map(|id| u32::try_from(*id).ok())
            .filter(|id| !skip_special || !self.special.contains(id))
            .filter_map(text_of)
            .collect();
        match &self.decoder {
            Some(decoder) => decoder.decode(tokens),
            None => Ok(tokens.join(" ")),
        }
    }
}
