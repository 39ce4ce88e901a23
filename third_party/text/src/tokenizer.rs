//! A Hugging Face tokenizer taken apart, so that one set of tables serves texts with and without special tokens.

mod bound;

use crate::digits::Step;
use crate::model::{Model, load_model};
use crate::pieces::Pieces;
use crate::spelling::Spelled;
use ahash::{AHashMap, AHashSet};
use bound::Bound;
use serde::Deserialize;
use serde_json::value::RawValue;
use std::sync::OnceLock;
use tokenizers::models::wordlevel::WordLevel;
use tokenizers::{
    AddedToken, AddedVocabulary, Decoder, DecoderWrapper, Encoding, NormalizerWrapper, OffsetReferential, OffsetType,
    PostProcessor, PostProcessorWrapper, PreTokenizedString, Result,
};

/// Immutable after loading; any number of threads may use it.
pub struct Tokenizer {
    model: Model,
    normalizer: Option<Spelled>,
    steps: Vec<Step>,
    /// Normalizer and steps as the file has them.
    spelling: serde_json::Value,
    splitting: serde_json::Value,
    decoder: Option<DecoderWrapper>,
    /// The tokens that a model wants around its texts, or what is wrong with what the file says of them: decoders do without.
    frame: Option<std::result::Result<PostProcessorWrapper, String>>,
    pieces: Option<Pieces>,
    /// Tokens found in a text before anything else, in the file's order.
    added: Vec<Added>,
    /// All of them, for texts in which special tokens are meant as such.
    every: AddedVocabulary,
    /// Without the special ones, for texts of users.
    plain: AddedVocabulary,
    duplicates: AHashMap<u32, Duplicate>,
    /// Special tokens that are not printed.
    hidden: AHashSet<u32>,
    size: usize,
    bound: OnceLock<Option<Bound>>,
}

/// An entry of "added_tokens". `printed` is ours: special, that is found only where special tokens are meant, but text when it
/// is generated.
#[derive(Deserialize)]
struct Added {
    id: u32,
    #[serde(flatten)]
    token: AddedToken,
    #[serde(default)]
    printed: bool,
}

/// Ours: a token whose text is that of another too, or which has none. No text becomes it, but it can be generated. `added`: its content is text
/// as it stands; otherwise it is written as the model writes tokens.
#[derive(Deserialize)]
struct Duplicate {
    id: u32,
    content: String,
    #[serde(default)]
    added: bool,
    #[serde(default)]
    hidden: bool,
}

#[derive(Deserialize)]
struct Document<'a> {
    #[serde(default)]
    added_tokens: Vec<Added>,
    #[serde(default)]
    duplicates: Vec<Duplicate>,
    #[serde(default)]
    normalizer: Option<serde_json::Value>,
    #[serde(default)]
    pre_tokenizer: Option<serde_json::Value>,
    #[serde(default)]
    decoder: Option<serde_json::Value>,
    #[serde(default)]
    post_processor: Option<serde_json::Value>,
    #[serde(borrow)]
    model: &'a RawValue,
}

/// Tokens without text have distinct names in a file, as its format wants; such a name is never text.
fn names_nothing(name: &str, id: u32) -> bool {
    name.strip_prefix("[EMPTY_").and_then(|rest| rest.strip_suffix(']')).is_some_and(|digits| digits == id.to_string())
}

impl Tokenizer {
    /// Reads a tokenizer.json. Truncation and padding are the caller's business and ignored.
    pub fn from_json(json: &str) -> Result<Tokenizer> {
        let document: Document = serde_json::from_str(json)?;
        let mut spelling = document.normalizer.unwrap_or_default();
        let normalizer = Spelled::read(spelling.clone())?;
        if let Some(table) = spelling.get_mut("charsmap") {
            table.take(); // large, and read
        }
        let splitting = document.pre_tokenizer.unwrap_or_default();
        let steps = Step::read(splitting.clone())?;
        let (model, last) = load_model(document.model, steps.is_empty())?;
        let (empty, added): (Vec<Added>, Vec<Added>) =
            document.added_tokens.into_iter().partition(|entry| names_nothing(&entry.token.content, entry.id));
        let every = vocabulary_of(added.iter())?;
        let plain = vocabulary_of(added.iter().filter(|entry| !entry.token.special))?;
        let empty = empty.into_iter().map(|Added { id, token, printed }| Duplicate {
            id,
            content: token.content,
            added: true,
            hidden: token.special && !printed,
        });
        let duplicates: AHashMap<u32, Duplicate> =
            document.duplicates.into_iter().chain(empty).map(|entry| (entry.id, entry)).collect();
        let hidden = added.iter().filter(|entry| entry.token.special && !entry.printed).map(|entry| entry.id);
        let hidden = hidden.chain(duplicates.values().filter(|entry| entry.hidden).map(|entry| entry.id)).collect();
        let last = added.iter().map(|entry| entry.id).chain(duplicates.keys().copied()).chain(last).max();
        let decoder = document.decoder.filter(|decoder| !decoder.is_null());
        let pieces = decoder.as_ref().and_then(Pieces::from_decoder);
        let decoder = decoder.map(serde_json::from_value).transpose()?;
        let frame = document.post_processor.filter(|frame| !frame.is_null());
        let frame = frame.map(|frame| serde_json::from_value(frame).map_err(|error| format!("post_processor: {error}")));
        Ok(Tokenizer {
            model,
            normalizer,
            steps,
            spelling,
            splitting,
            decoder,
            frame,
            pieces,
            added,
            every,
            plain,
            duplicates,
            hidden,
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
        let mut ids = Vec::new();
        self.append_ids(text, if parse_special { &self.every } else { &self.plain }, &mut ids)?;
        Ok(ids)
    }

    /// Appends the ids of a text in which only the tokens of `added` are found before anything else.
    pub fn append_ids(&self, text: &str, added: &AddedVocabulary, ids: &mut Vec<i32>) -> Result<()> {
        let words = self.words(text, added)?;
        let splits = words.get_splits(OffsetReferential::Original, OffsetType::None);
        ids.extend(splits.iter().filter_map(|(_, _, tokens)| tokens.as_ref()).flatten().map(|token| token.id as i32));
        Ok(())
    }

    fn words(&self, text: &str, added: &AddedVocabulary) -> Result<PreTokenizedString> {
        let mut words = added.extract_and_normalize(self.normalizer.as_ref(), text);
        for step in &self.steps {
            step.cut(&mut words)?;
        }
        words.tokenize(|word| self.model.tokenize(word.get()))?;
        Ok(words)
    }

    /// A text, or a pair of texts, as an encoder takes it: with the tokens that the model wants around them and between, which
    /// part each token belongs to, and where in its text it stands, in bytes. Special tokens written in a text are text.
    pub fn encode_whole(&self, text: &str, second: Option<&str>) -> Result<Encoding> {
        let encoded = |text| self.words(text, &self.plain)?.into_encoding(None, 0, OffsetType::Byte);
        let (first, second) = (encoded(text)?, second.map(encoded).transpose()?);
        match &self.frame {
            Some(Ok(frame)) => frame.process(first, second, true),
            Some(Err(problem)) => Err(problem.clone().into()),
            None => {
                let mut both = first;
                both.set_sequence_id(0);
                if let Some(mut second) = second {
                    second.set_sequence_id(1);
                    both.merge_with(second, false);
                }
                Ok(both)
            }
        }
    }

    /// Tokens with a meaning of their own, found only where special tokens are meant: ids and texts.
    pub fn special_tokens(&self) -> impl Iterator<Item = (u32, &str)> {
        self.added.iter().filter(|entry| entry.token.special).map(|entry| (entry.id, entry.token.content.as_str()))
    }

    /// Tokens found in every text, those of users too.
    pub fn user_defined_tokens(&self) -> impl Iterator<Item = (u32, &str)> {
        self.added.iter().filter(|entry| !entry.token.special).map(|entry| (entry.id, entry.token.content.as_str()))
    }

    /// What `append_ids` wants for texts in which neither special tokens nor `left_out` are found.
    pub fn plain_without(&self, left_out: &AHashSet<u32>) -> Result<AddedVocabulary> {
        vocabulary_of(self.added.iter().filter(|entry| !entry.token.special && !left_out.contains(&entry.id)))
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

    /// The text of a token by itself, special or not, with the space that it may begin with.
    pub fn token_text(&self, id: i32) -> Result<String> {
        let Some(pieces) = &self.pieces else {
            return self.decode_in_context(&[id], false);
        };
        let mut bytes = Vec::new();
        self.append(pieces, id, false, &mut bytes);
        Ok(String::from_utf8_lossy(&bytes).into_owned())
    }

    /// Whether a token is never printed.
    pub fn is_hidden(&self, id: i32) -> bool {
        u32::try_from(id).is_ok_and(|id| self.hidden.contains(&id))
    }

    /// The bytes that `id` adds after `previous` (if any), hidden tokens having none. Where they do not depend on neighbours,
    /// a space at the start of a text is kept: the text goes on from a prompt.
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
        if skip_special && self.hidden.contains(&id) {
            return;
        }
        match self.written(id) {
            Some((text, true)) => bytes.extend_from_slice(text.as_bytes()),
            Some((text, false)) => pieces.append(&text, bytes),
            None => {}
        }
    }

    /// A token as the vocabulary writes it, and whether that is its text as it stands. None for one that has no text.
    fn written(&self, id: u32) -> Option<(String, bool)> {
        self.named(id).filter(|(name, _)| !names_nothing(name, id))
    }

    fn named(&self, id: u32) -> Option<(String, bool)> {
        if let Some(token) = self.every.get_added_tokens_decoder().get(&id) {
            return Some((token.content.clone(), true));
        }
        if let Some(entry) = self.duplicates.get(&id) {
            return Some((entry.content.clone(), entry.added));
        }
        Some((self.model.text(id)?, false))
    }

    fn decode_in_context(&self, ids: &[i32], skip_special: bool) -> Result<String> {
        let tokens: Vec<String> = ids
            .iter()
            .filter_map(|id| u32::try_from(*id).ok())
            .filter(|id| !skip_special || !self.hidden.contains(id))
            .filter_map(|id| Some(self.written(id)?.0))
            .collect();
        match &self.decoder {
            Some(decoder) => decoder.decode(tokens),
            None => Ok(tokens.join(" ")),
        }
    }
}

/// The crate asks a model for the ids of added tokens; ours are those that the file names.
fn vocabulary_of<'a>(entries: impl Iterator<Item = &'a Added> + Clone) -> Result<AddedVocabulary> {
    let ids = entries.clone().map(|entry| (entry.token.content.clone(), entry.id)).collect();
    let ids = WordLevel::builder().vocab(ids).build()?;
    let mut vocabulary = AddedVocabulary::new();
    // Already checked against the text before it is normalised, so none needs the normaliser.
    vocabulary.add_tokens(entries.map(|entry| entry.token.clone()), &ids, None::<&NormalizerWrapper>)?;
    Ok(vocabulary)
}
