//! The bytes that one token stands for.
//!
//! The decoders of the `tokenizers` crate give strings, in which a token that ends inside a character has become U+FFFD.
//! Streaming needs the bytes. For the decoders of nearly all generating models they do not depend on the neighbours.

use serde_json::Value;

/// How the text of a token becomes bytes, where that does not depend on other tokens.
pub enum Pieces {
    /// GPT-2's alphabet: each character stands for one byte.
    ByteLevel([Option<u8>; ALPHABET]),
    /// SentencePiece: a mark stands for a space, `<0xE2>` for a byte; `strip` spaces go from the start of a text.
    Marked { mark: String, bytes: bool, strip: usize },
}

/// One more than the last code point of GPT-2's alphabet.
const ALPHABET: usize = 324;

impl Pieces {
    /// From the "decoder" of a tokenizer.json; none where a token's text depends on its neighbours.
    pub fn from_decoder(decoder: &Value) -> Option<Pieces> {
        match decoder["type"].as_str()? {
            "ByteLevel" => Some(Pieces::ByteLevel(byte_alphabet())),
            "Metaspace" => Some(Pieces::Marked {
                mark: decoder["replacement"].as_str()?.to_owned(),
                bytes: false,
                strip: usize::from(decoder["prepend_scheme"].as_str().unwrap_or("always") != "never"),
            }),
            "Sequence" => Self::from_sequence(decoder["decoders"].as_array()?),
            _ => None,
        }
    }

    fn from_sequence(steps: &[Value]) -> Option<Pieces> {
        if let [only] = steps {
            return Self::from_decoder(only);
        }
        let (mut mark, mut bytes, mut strip) = (None, false, 0);
        for step in steps {
            match step["type"].as_str()? {
                "Replace" if step["content"].as_str()? == " " && mark.is_none() => {
                    mark = Some(step["pattern"]["String"].as_str()?.to_owned());
                }
                "ByteFallback" => bytes = true,
                "Fuse" => {}
                "Strip" if step["content"].as_str()? == " " && step["stop"].as_u64()? == 0 => {
                    strip = step["start"].as_u64()? as usize;
                }
                _ => return None,
            }
        }
        Some(Pieces::Marked { mark: mark?, bytes, strip })
    }

    /// Appends the bytes of a token of the model's vocabulary.
    pub fn append(&self, token: &str, out: &mut Vec<u8>) {
        match self {
            Pieces::ByteLevel(alphabet) => {
                let bytes: Option<Vec<u8>> = token.chars().map(|c| *alphabet.get(c as usize)?).collect();
                // Characters outside the alphabet: the token was not written in it.
                out.extend_from_slice(bytes.as_deref().unwrap_or(token.as_bytes()));
            }
            Pieces::Marked { mark, bytes, .. } => match byte_token(token) {
                Some(byte) if *bytes => out.push(byte),
                _ => out.extend_from_slice(token.replace(mark.as_str(), " ").as_bytes()),
            },
        }
    }

    /// How many bytes at the start of a whole text were put there by the tokenizer.
    pub fn leading(&self, text: &[u8]) -> usize {
        match self {
            Pieces::ByteLevel(_) => 0,
            Pieces::Marked { strip, .. } => text.iter().take(*strip).take_while(|byte| **byte == b' ').count(),
        }
    }
}

/// `<0xE2>` is the byte E2.
pub fn byte_token(token: &str) -> Option<u8> {
    let digits = token.strip_prefix("<0x")?.strip_suffix('>')?;
    if digits.len() == 2 { u8::from_str_radix(digits, 16).ok() } else { None }
}

/// GPT-2's alphabet: printable bytes of Latin-1 are themselves, the others follow in order from U+0100.
fn byte_alphabet() -> [Option<u8>; ALPHABET] {
    let mut bytes = [None; ALPHABET];
    let mut next = 256;
    for byte in 0..=255u8 {
        if matches!(byte, 0x21..=0x7E | 0xA1..=0xAC | 0xAE..=0xFF) {
            bytes[byte as usize] = Some(byte);
        } else {
            bytes[next] = Some(byte);
            next += 1;
        }
    }
    bytes
}
