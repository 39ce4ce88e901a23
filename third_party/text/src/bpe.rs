//! Loads a BPE model from its JSON without the detours of the crate's own deserialiser, which first reads the whole model
//! into `serde_json::Value`: a vocabulary of 262,144 tokens with its merges then takes seconds instead of a fraction of one.

use ahash::AHashMap;
use serde::Deserialize;
use serde::de::{self, Deserializer, SeqAccess, Visitor};
use serde_json::value::RawValue;
use std::fmt;
use tokenizers::models::bpe::BPE;
use tokenizers::{Model, ModelWrapper, Result};

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
    #[serde(rename = "type")]
    kind: String,
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
    vocab: AHashMap<String, u32>,
    merges: Vec<Merge>,
}

/// The model of a tokenizer.json and its highest id: BPE by the short way, every other kind by the crate's. `whole_texts`
/// says that no pre-tokenizer cuts the text into words, so that a cache of words would only fill memory.
pub fn load_model(json: &RawValue, whole_texts: bool) -> Result<(ModelWrapper, Option<u32>)> {
    // Other kinds lack the merges or the type; what is wrong with a broken file the crate's own deserialiser says.
    let model = match serde_json::from_str::<BpeModel>(json.get()) {
        Ok(model) if model.kind == "BPE" => model,
        _ => {
            let model: ModelWrapper = serde_json::from_str(json.get())?;
            let last = model.get_vocab().into_values().max();
            return Ok((model, last));
        }
    };
    let last = model.vocab.values().copied().max();
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
    Ok((ModelWrapper::BPE(builder.build()?), last))
}
