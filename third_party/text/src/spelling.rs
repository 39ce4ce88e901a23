//! How SentencePiece spells a text before it cuts it: characters are replaced by a table (of compatibility forms and the like), runs
//! of spaces shrink to one and vanish at both ends, a space stands in front, and spaces are written as "▁".
//!
//! Ours in a tokenizer.json: `"normalizer": {"type": "SentencePiece", "charsmap": BASE64 or null, "add_space_prefix": …,
//! "remove_extra_whitespaces": …}`. The crate's `Precompiled` looks up whole graphemes, not the longest match, and so spells some
//! texts otherwise.

use serde::Deserialize;
use tokenizers::{NormalizedString, Normalizer, NormalizerWrapper, Result};

const MARK: &str = "\u{2581}";

#[derive(Deserialize)]
struct Settings {
    charsmap: Option<String>,
    add_space_prefix: bool,
    remove_extra_whitespaces: bool,
}

pub struct Spelling {
    table: Option<Table>,
    prefix: bool,
    shrink: bool,
}

/// The normalizer of a tokenizer.json.
pub enum Spelled {
    SentencePiece(Spelling),
    Crate(Box<NormalizerWrapper>),
}

impl Spelled {
    pub fn read(json: serde_json::Value) -> Result<Option<Spelled>> {
        match json["type"].as_str() {
            None if json.is_null() => Ok(None),
            Some("SentencePiece") => Ok(Some(Spelled::SentencePiece(Spelling::new(serde_json::from_value(json)?)?))),
            _ => Ok(Some(Spelled::Crate(serde_json::from_value(json)?))),
        }
    }
}

impl Normalizer for Spelled {
    fn normalize(&self, text: &mut NormalizedString) -> Result<()> {
        match self {
            Spelled::SentencePiece(spelling) => *text = NormalizedString::from(spelling.spell(text.get())),
            Spelled::Crate(normalizer) => normalizer.normalize(text)?,
        }
        Ok(())
    }
}

impl Spelling {
    fn new(settings: Settings) -> Result<Spelling> {
        let table = settings.charsmap.map(|text| Table::read(&base64::decode(text)?)).transpose()?;
        Ok(Spelling { table, prefix: settings.add_space_prefix, shrink: settings.remove_extra_whitespaces })
    }

    fn spell(&self, text: &str) -> String {
        let mut out = String::with_capacity(text.len() * 3 / 2);
        let mut rest = text;
        let mut after_space = self.shrink; // so spaces that come now vanish
        let mut begun = false;
        while !rest.is_empty() {
            let (size, spelt) = self.next(rest);
            rest = &rest[size..];
            let spelt = if after_space { spelt.trim_start_matches(' ') } else { spelt };
            if !begun && (!self.shrink || !spelt.is_empty()) {
                begun = true;
                out += if self.prefix { MARK } else { "" };
            }
            for c in spelt.chars() {
                match c {
                    ' ' => out += MARK,
                    _ => out.push(c),
                }
            }
            if !spelt.is_empty() {
                after_space = self.shrink && spelt.ends_with(' ');
            }
        }
        if self.shrink {
            out.truncate(out.trim_end_matches(MARK).len());
        }
        out
    }

    /// How many bytes are read at once, and what they are spelt as.
    fn next<'a>(&'a self, text: &'a str) -> (usize, &'a str) {
        let found = self.table.as_ref().and_then(|table| table.longest(text));
        found.unwrap_or_else(|| {
            let size = text.chars().next().map_or(0, char::len_utf8);
            (size, &text[..size])
        })
    }
}

/// A "precompiled charsmap": the size of a trie in bytes, the trie, and after it the spellings, each ended by a zero. The trie is a
/// double array of 32-bit units, little-endian.
struct Table {
    units: Vec<u32>,
    spellings: String,
}

impl Table {
    fn read(bytes: &[u8]) -> Result<Table> {
        let broken = || "the table of spellings (precompiled_charsmap) is broken; convert the model again";
        let (size, rest) = bytes.split_at_checked(4).ok_or_else(broken)?;
        let size = u32::from_le_bytes([size[0], size[1], size[2], size[3]]) as usize;
        let (trie, spellings) = rest.split_at_checked(size).ok_or_else(broken)?;
        if size % 4 != 0 {
            return Err(broken().into());
        }
        let units = trie.chunks_exact(4).map(|unit| u32::from_le_bytes([unit[0], unit[1], unit[2], unit[3]])).collect();
        let spellings = String::from_utf8(spellings.to_vec()).map_err(|_| broken())?;
        Ok(Table { units, spellings })
    }

    /// The longest beginning of `text` that the table has: its size and its spelling. A table that leads astray has none.
    fn longest(&self, text: &str) -> Option<(usize, &str)> {
        let unit = |at: usize| self.units.get(at).copied();
        let mut found = None;
        let mut at = step(unit(0)?);
        for (index, byte) in text.bytes().enumerate() {
            at ^= usize::from(byte);
            let Some(node) = unit(at).filter(|node| node & 0x8000_00ff == u32::from(byte)) else { break };
            at ^= step(node);
            if node >> 8 & 1 == 1 {
                let Some(value) = unit(at) else { break };
                let size = index + 1;
                let spelling = self.spellings.get((value & 0x7fff_ffff) as usize..).and_then(|text| text.split('\0').next());
                if let Some(spelling) = spelling.filter(|_| text.is_char_boundary(size)) {
                    found = Some((size, spelling));
                }
            }
        }
        found
    }
}

/// From a node to its children.
fn step(unit: u32) -> usize {
    ((unit >> 10) << ((unit & 0x200) >> 6)) as usize
}
