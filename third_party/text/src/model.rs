//! The models of a tokenizer.json: what becomes of a word, or of a whole text where nothing cuts it into words.
//!
//! Three are ours, for what GGUF files hold and the `tokenizers` crate has not: `SentencePieceBPE` and `SentencePieceUnigram` with
//! `"vocab": [["text", score], …]` by id (a null score: no text becomes this token, which the crate's Unigram cannot say) and
//! `"unk_id"`; `MarkedWordPiece` with the same list, `"unk_id"` and `"mark"`. BPE is the crate's, but read without the detours of its own deserialiser, which first reads the
//! whole model into `serde_json::Value`: a vocabulary of 262,144 tokens with its merges then takes seconds instead of a
//! fraction of one.

use crate::sentencepiece::SentencePiece;
use crate::unigram::Unigram;
use crate::vocabulary::{Entry, Vocabulary};
use crate::wordpiece::WordPiece;
use ahash::AHashMap;
use serde::Deserialize;
use serde::de::{self, Deserializer, SeqAccess, Visitor};
use serde_json::value::RawValue;
use std::fmt;
use tokenizers::models::bpe::BPE;
use tokenizers::{Model as _, ModelWrapper, Result, Token};

pub enum Model {
    SentencePiece(SentencePiece),
    Unigram(Unigram),
    WordPiece(WordPiece),
    /// `line_breaks`: a word of nothing but line breaks that is a token is not built from merges.
    Crate {
        model: Box<ModelWrapper>,
        line_breaks: bool,
    },
}

impl Model {
    pub fn tokenize(&self, word: &str) -> Result<Vec<Token>> {
        // Only the ids are used.
        let tokens = |ids: Vec<u32>| ids.into_iter().map(|id| Token { id, value: String::new(), offsets: (0, 0) }).collect();
        match self {
            Model::SentencePiece(model) => Ok(tokens(model.encode(word)?)),
            Model::Unigram(model) => Ok(tokens(model.encode(word))),
            Model::WordPiece(model) => Ok(tokens(model.encode(word))),
            Model::Crate { model, line_breaks } => {
                if *line_breaks && word.bytes().all(|byte| byte == b'\n') {
                    if let Some(id) = model.token_to_id(word) {
                        return Ok(tokens(vec![id]));
                    }
                }
                model.tokenize(word)
            }
        }
    }

    /// Whether a text by itself becomes a token.
    pub fn finds(&self, text: &str) -> bool {
        match self {
            Model::SentencePiece(model) => model.vocabulary.find(text).is_some(),
            Model::Unigram(model) => model.vocabulary.find(text).is_some(),
            Model::WordPiece(model) => model.vocabulary.find(text).is_some(),
            Model::Crate { model, .. } => model.token_to_id(text).is_some(),
        }
    }

    pub fn text(&self, id: u32) -> Option<String> {
        match self {
            Model::SentencePiece(model) => model.vocabulary.text(id).map(str::to_owned),
            Model::Unigram(model) => model.vocabulary.text(id).map(str::to_owned),
            Model::WordPiece(model) => model.vocabulary.text(id).map(str::to_owned),
            Model::Crate { model, .. } => model.id_to_token(id),
        }
    }
}

/// One merge: `["a", "b"]`, or `"a b"` as older files write it.
struct Merge(String, String);

impl<'de> Deserialize<'de> for Merge {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> std::result::Result<Self, D::Error> {
        struct MergeVisitor;
        impl<'de> Visitor<'de> for MergeVisitor {
            type Value = Merge;

            fn expecting(&self, out: &mut fmt::Formatter) -> fmt::Result {
                out.write_str("a merge: [\"a\", \"b\"] or \"a b\"")
            }

            fn visit_str<E: de::Error>(self, text: &str) -> std::result::Result<Merge, E> {
                match text.split_once(' ') {
                    Some((a, b)) if !b.contains(' ') => Ok(Merge(a.to_owned(), b.to_owned())),
                    _ => Err(E::custom(format!("merge '{text}' is not two tokens and one space"))),
                }
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut pair: A) -> std::result::Result<Merge, A::Error> {
                let a = pair.next_element()?.ok_or_else(|| de::Error::invalid_length(0, &self))?;
                let b = pair.next_element()?.ok_or_else(|| de::Error::invalid_length(1, &self))?;
                match pair.next_element::<de::IgnoredAny>()? {
                    None => Ok(Merge(a, b)),
                    Some(_) => Err(de::Error::invalid_length(3, &self)),
                }
            }
        }
        deserializer.deserialize_any(MergeVisitor)
    }
}

#[derive(Deserialize)]
struct BpeModel {
    #[serde(default)]
    dropout: Option<f32>,
    #[serde(default)]
    unk_token: Option<String>,
    #[serde(default)]
    continuing_subword_prefix: Option<String>,
    #[serde(default)]
    end_of_word_suffix: Option<String>,
    #[serde(default)]
    fuse_unk: Option<bool>,
    #[serde(default)]
    byte_fallback: Option<bool>,
    #[serde(default)]
    ignore_merges: Option<bool>,
    #[serde(default)]
    line_breaks: bool,
    vocab: AHashMap<String, u32>,
    merges: Vec<Merge>,
}

#[derive(Deserialize)]
struct PieceModel {
    vocab: Vec<Entry>,
    #[serde(default)]
    unk_id: Option<u32>,
    #[serde(default)]
    mark: String,
}

#[derive(Deserialize)]
struct Kind {
    #[serde(default, rename = "type")]
    name: String,
}

/// The model of a tokenizer.json and its highest id. `whole_texts` says that no pre-tokenizer cuts the text into words, so
/// that a cache of words would only fill memory.
pub fn load_model(json: &RawValue, whole_texts: bool) -> Result<(Model, Option<u32>)> {
    let kind: Kind = serde_json::from_str(json.get())?;
    match kind.name.as_str() {
        "SentencePieceBPE" | "SentencePieceUnigram" | "MarkedWordPiece" => {
            let PieceModel { vocab, unk_id, mark } = serde_json::from_str(json.get())?;
            let vocabulary = Vocabulary::from(vocab);
            let last = (vocabulary.len() as u32).checked_sub(1);
            if unk_id.is_some() && unk_id > last {
                return Err("the model's unk_id is outside of its vocabulary".into());
            }
            let model = match kind.name.as_str() {
                "SentencePieceBPE" => Model::SentencePiece(SentencePiece::new(vocabulary, unk_id)),
                "SentencePieceUnigram" => Model::Unigram(Unigram::new(vocabulary, unk_id)),
                _ => Model::WordPiece(WordPiece::new(vocabulary, mark, unk_id)),
            };
            Ok((model, last))
        }
        "BPE" => load_bpe(serde_json::from_str(json.get())?, whole_texts),
        _ => {
            let model: ModelWrapper = serde_json::from_str(json.get())?;
            let last = model.get_vocab().into_values().max();
            Ok((Model::Crate { model: Box::new(model), line_breaks: false }, last))
        }
    }
}

fn load_bpe(model: BpeModel, whole_texts: bool) -> Result<(Model, Option<u32>)> {
    let last = model.vocab.values().copied().max();
    let line_breaks = model.line_breaks;
    let merges = model.merges.into_iter().map(|Merge(a, b)| (a, b)).collect();
    let mut builder = BPE::builder()
        .vocab_and_merges(model.vocab, merges)
        .fuse_unk(model.fuse_unk.unwrap_or(false))
        .byte_fallback(model.byte_fallback.unwrap_or(false))
        .ignore_merges(model.ignore_merges.unwrap_or(false));
    if let Some(dropout) = model.dropout {
        builder = builder.dropout(dropout);
    }
    if let Some(token) = model.unk_token {
        builder = builder.unk_token(token);
    }
    if let Some(prefix) = model.continuing_subword_prefix {
        builder = builder.continuing_subword_prefix(prefix);
    }
    if let Some(suffix) = model.end_of_word_suffix {
        builder = builder.end_of_word_suffix(suffix);
    }
    if whole_texts {
        builder = builder.cache_capacity(0);
    }
    let model = Box::new(ModelWrapper::BPE(builder.build()?));
    Ok((Model::Crate { model, line_breaks }, last))
}
