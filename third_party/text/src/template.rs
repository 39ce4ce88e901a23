//! Chat templates as Hugging Face writes them: Jinja2 with Python's methods on strings and dictionaries, block trimming, and
//! the functions `raise_exception`, `strftime_now` and a `tojson` that prints as Python's `json.dumps` does.

use crate::chat::Specials;
use crate::jinja;
use crate::tokenizer::Tokenizer;
use minijinja::value::{Kwargs, Value};
use minijinja::{Environment, Error, ErrorKind, context};
use serde::Serialize;
use serde_json::ser::{Formatter, PrettyFormatter, Serializer};
use std::io::{self, Write};
use std::sync::OnceLock;

/// Instructions that one rendering may take, so that a template from a file cannot hang the server.
const FUEL: u64 = 20_000_000;

/// A template that parses. Immutable; any number of threads may use it.
pub struct Template {
    source: String,
    bos: String,
    eos: String,
    /// Made by the first `encode`.
    specials: OnceLock<Result<Specials, String>>,
}

/// What one rendering reads.
#[derive(Clone, Copy)]
pub struct Rendering<'a> {
    pub source: &'a str,
    pub messages: &'a serde_json::Value,
    pub bos: &'a str,
    pub eos: &'a str,
    pub add_generation_prompt: bool,
    /// What `strftime_now` calls now.
    pub now: libc::time_t,
}

impl Template {
    /// Fails at syntax errors.
    pub fn new(source: &str, bos: &str, eos: &str) -> Result<Template, String> {
        let source = jinja::without_generation_tags(source);
        environment(0).template_from_named_str("chat_template", &source).map_err(|error| one_line(&error))?;
        Ok(Template { source, bos: bos.to_owned(), eos: eos.to_owned(), specials: OnceLock::new() })
    }

    /// The prompt for `messages`, a JSON array of objects with `role` and `content`.
    pub fn render(&self, messages: &str, add_generation_prompt: bool) -> Result<String, String> {
        self.rendering(&parsed(messages)?, add_generation_prompt).render()
    }

    /// Its tokens; special tokens in the messages are text unless `parse_special`. The tokenizer is the same in every call.
    pub fn encode(
        &self,
        tokenizer: &Tokenizer,
        messages: &str,
        add_generation_prompt: bool,
        parse_special: bool,
    ) -> Result<Vec<i32>, String> {
        let messages = parsed(messages)?;
        let rendering = self.rendering(&messages, add_generation_prompt);
        if parse_special {
            return tokenizer.encode(&rendering.render()?, true).map_err(|error| format!("tokenizer: {error}"));
        }
        let specials = self.specials.get_or_init(|| Specials::of(tokenizer, &self.source));
        specials.as_ref().map_err(String::clone)?.encode(tokenizer, &rendering)
    }

    fn rendering<'a>(&'a self, messages: &'a serde_json::Value, add_generation_prompt: bool) -> Rendering<'a> {
        // SAFETY: a null pointer asks for the result alone.
        let now = unsafe { libc::time(std::ptr::null_mut()) };
        Rendering { source: &self.source, messages, bos: &self.bos, eos: &self.eos, add_generation_prompt, now }
    }
}

impl Rendering<'_> {
    pub fn render(&self) -> Result<String, String> {
        let context = context! {
            messages => self.messages,
            bos_token => self.bos,
            eos_token => self.eos,
            add_generation_prompt => self.add_generation_prompt,
            tools => (),
            documents => (),
        };
        environment(self.now).render_named_str("chat_template", self.source, context).map_err(|error| one_line(&error))
    }
}

fn parsed(messages: &str) -> Result<serde_json::Value, String> {
    serde_json::from_str(messages).map_err(|error| format!("messages are not JSON: {error}"))
}

fn environment(now: libc::time_t) -> Environment<'static> {
    let mut environment = Environment::new();
    environment.set_trim_blocks(true);
    environment.set_lstrip_blocks(true);
    environment.set_fuel(Some(FUEL));
    environment.set_unknown_method_callback(minijinja_contrib::pycompat::unknown_method_callback);
    environment.add_function("raise_exception", |message: String| -> Result<Value, Error> {
        Err(Error::new(ErrorKind::InvalidOperation, message))
    });
    environment.add_function("strftime_now", move |format: String| strftime(&format, now));
    environment.add_filter("tojson", to_json);
    // minijinja can iterate over none; templates ask `tools is iterable and tools | length > 0`, which Python ends early.
    environment.add_test("iterable", |value: &Value| !value.is_none() && value.try_iter().is_ok());
    environment
}

/// "line 3: message"; the message of `raise_exception` as it is.
fn one_line(error: &Error) -> String {
    let what = match (error.kind(), error.detail()) {
        (ErrorKind::InvalidOperation, Some(detail)) => detail.to_owned(),
        (ErrorKind::OutOfFuel, _) => format!("needs more than {FUEL} instructions"),
        (kind, Some(detail)) => format!("{kind}: {detail}"),
        (kind, None) => kind.to_string(),
    };
    match error.line() {
        Some(line) => format!("chat template, line {line}: {what}"),
        None => format!("chat template: {what}"),
    }
}

/// `now` in local time, formatted as C's `strftime` does.
fn strftime(format: &str, now: libc::time_t) -> Result<String, Error> {
    let invalid = |why: &str| Error::new(ErrorKind::InvalidOperation, format!("strftime_now('{format}'): {why}"));
    // strftime gives 0 for "did not fit" and for "nothing to print"; a character in front tells them apart.
    let pattern = std::ffi::CString::new(format!("-{format}")).map_err(|_| invalid("the format holds a NUL"))?;
    let mut buffer = [0u8; 1024];
    // SAFETY: the buffers are ours and their sizes are passed; `now` and `parts` outlive the calls.
    let length = unsafe {
        let mut parts: libc::tm = std::mem::zeroed();
        if libc::localtime_r(&now, &mut parts).is_null() {
            return Err(invalid("the clock is out of range"));
        }
        libc::strftime(buffer.as_mut_ptr().cast(), buffer.len(), pattern.as_ptr(), &parts)
    };
    match length {
        0 => Err(invalid("the result is longer than 1,023 bytes")),
        _ => Ok(String::from_utf8_lossy(&buffer[1..length]).into_owned()),
    }
}

/// `json.dumps(value, ensure_ascii=False)`; minijinja's own filter prints for HTML and without spaces.
fn to_json(value: &Value, options: Kwargs) -> Result<String, Error> {
    let indent: Option<usize> = options.get("indent")?;
    let ascii: Option<bool> = options.get("ensure_ascii")?;
    let sort: Option<bool> = options.get("sort_keys")?;
    let separators: Option<Vec<String>> = options.get("separators")?;
    options.assert_all_used()?;
    let failed = |error: serde_json::Error| Error::new(ErrorKind::BadSerialization, error.to_string());

    let mut value = serde_json::to_value(value).map_err(failed)?;
    if sort == Some(true) {
        value.sort_all_objects();
    }
    let (item, key) = match separators.as_deref() {
        Some([item, key]) => (item.clone(), key.clone()),
        Some(_) => return Err(Error::new(ErrorKind::InvalidOperation, "tojson: separators are two strings")),
        None => (if indent.is_some() { "," } else { ", " }.to_owned(), ": ".to_owned()),
    };
    let indent = indent.map(|width| " ".repeat(width.min(64)));
    let pretty = indent.as_ref().map(|text| PrettyFormatter::with_indent(text.as_bytes()));
    let mut out = Vec::new();
    let formatter = PythonFormatter { item, key, pretty, ascii: ascii == Some(true) };
    value.serialize(&mut Serializer::with_formatter(&mut out, formatter)).map_err(failed)?;
    String::from_utf8(out).map_err(|error| Error::new(ErrorKind::BadSerialization, error.to_string()))
}

/// JSON with Python's separators; indentation is serde_json's, which agrees with Python's.
struct PythonFormatter<'a> {
    item: String,
    key: String,
    pretty: Option<PrettyFormatter<'a>>,
    ascii: bool,
}

impl PythonFormatter<'_> {
    /// What stands before an element or key: separator, then a line break and indentation where asked for.
    fn begin<W: ?Sized + Write>(&mut self, out: &mut W, first: bool) -> io::Result<()> {
        if !first {
            out.write_all(self.item.as_bytes())?;
        }
        match &mut self.pretty {
            // As "first" it writes the line break alone; the separator is already there.
            Some(pretty) => pretty.begin_array_value(out, true),
            None => Ok(()),
        }
    }
}

impl Formatter for PythonFormatter<'_> {
    fn begin_array<W: ?Sized + Write>(&mut self, out: &mut W) -> io::Result<()> {
        match &mut self.pretty {
            Some(pretty) => pretty.begin_array(out),
            None => out.write_all(b"["),
        }
    }
    fn end_array<W: ?Sized + Write>(&mut self, out: &mut W) -> io::Result<()> {
        match &mut self.pretty {
            Some(pretty) => pretty.end_array(out),
            None => out.write_all(b"]"),
        }
    }
    fn begin_array_value<W: ?Sized + Write>(&mut self, out: &mut W, first: bool) -> io::Result<()> {
        self.begin(out, first)
    }
    fn end_array_value<W: ?Sized + Write>(&mut self, out: &mut W) -> io::Result<()> {
        self.pretty.as_mut().map_or(Ok(()), |pretty| pretty.end_array_value(out))
    }
    fn begin_object<W: ?Sized + Write>(&mut self, out: &mut W) -> io::Result<()> {
        match &mut self.pretty {
            Some(pretty) => pretty.begin_object(out),
            None => out.write_all(b"{"),
        }
    }
    fn end_object<W: ?Sized + Write>(&mut self, out: &mut W) -> io::Result<()> {
        match &mut self.pretty {
            Some(pretty) => pretty.end_object(out),
            None => out.write_all(b"}"),
        }
    }
    fn begin_object_key<W: ?Sized + Write>(&mut self, out: &mut W, first: bool) -> io::Result<()> {
        self.begin(out, first)
    }
    fn begin_object_value<W: ?Sized + Write>(&mut self, out: &mut W) -> io::Result<()> {
        out.write_all(self.key.as_bytes())
    }
    fn end_object_value<W: ?Sized + Write>(&mut self, out: &mut W) -> io::Result<()> {
        self.pretty.as_mut().map_or(Ok(()), |pretty| pretty.end_object_value(out))
    }
    fn write_string_fragment<W: ?Sized + Write>(&mut self, out: &mut W, fragment: &str) -> io::Result<()> {
        if !self.ascii {
            return out.write_all(fragment.as_bytes());
        }
        for c in fragment.chars() {
            if c.is_ascii() {
                out.write_all(&[c as u8])?;
            } else {
                for unit in c.encode_utf16(&mut [0; 2]) {
                    write!(out, "\\u{unit:04x}")?;
                }
            }
        }
        Ok(())
    }
}
