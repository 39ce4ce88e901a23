//! Text for Heddle behind a C ABI (heddle_text.h): Hugging Face tokenizers and chat templates.
//!
//! Every entry catches panics, so that none crosses into C++, and returns null or a message of one line.

mod chat;
mod digits;
mod jinja;
mod model;
mod pieces;
mod sentencepiece;
mod spelling;
mod template;
mod tokenizer;
mod unigram;
mod vocabulary;
mod wordpiece;

use std::ffi::{CString, c_char};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Once;
use template::Template;
use tokenizer::Tokenizer;

/// Runs an entry; its error, or its panic, becomes a string that the caller frees.
fn guarded(entry: impl FnOnce() -> Result<(), String>) -> *mut c_char {
    // The default hook prints to stderr; the caller reports the message instead. All Rust in the process is ours.
    static QUIET: Once = Once::new();
    QUIET.call_once(|| std::panic::set_hook(Box::new(|_| {})));
    let message = match catch_unwind(AssertUnwindSafe(entry)) {
        Ok(Ok(())) => return std::ptr::null_mut(),
        Ok(Err(message)) => message,
        Err(panic) => {
            let what = panic.downcast_ref::<String>().map(String::as_str);
            let what = what.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("no message");
            format!("internal error in heddle_text: {what}")
        }
    };
    let line: String = message.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    CString::new(line).unwrap_or_default().into_raw()
}

/// # Safety
/// `data` points to `size` readable bytes, or `size` is 0.
unsafe fn bytes_of<'a>(data: *const c_char, size: usize) -> &'a [u8] {
    if size == 0 { &[] } else { unsafe { std::slice::from_raw_parts(data.cast(), size) } }
}

/// # Safety
/// As `bytes_of`.
unsafe fn text_of<'a>(data: *const c_char, size: usize, what: &str) -> Result<&'a str, String> {
    std::str::from_utf8(unsafe { bytes_of(data, size) })
        .map_err(|error| format!("{what} is not valid UTF-8 at byte {}; send UTF-8", error.valid_up_to()))
}

/// # Safety
/// `data` and `size` are writable.
unsafe fn give<T>(values: Vec<T>, data: *mut *mut T, size: *mut usize) {
    let values = values.into_boxed_slice();
    unsafe {
        *size = values.len();
        *data = Box::into_raw(values).cast();
    }
}

/// # Safety
/// `data` and `size` came from `give`, or `data` is null.
unsafe fn take_back<T>(data: *mut T, size: usize) {
    if !data.is_null() {
        drop(unsafe { Box::from_raw(std::ptr::slice_from_raw_parts_mut(data, size)) });
    }
}

/// # Safety
/// See heddle_text.h, also for the entries below.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn heddle_tokenizer_create(json: *const c_char, size: usize, out: *mut *mut Tokenizer) -> *mut c_char {
    guarded(|| unsafe {
        let tokenizer = Tokenizer::from_json(text_of(json, size, "the tokenizer")?);
        *out = Box::into_raw(Box::new(tokenizer.map_err(|error| format!("tokenizer: {error}"))?));
        Ok(())
    })
}

#[unsafe(no_mangle)]
#[allow(clippy::missing_safety_doc)]
pub unsafe extern "C" fn heddle_tokenizer_free(tokenizer: *mut Tokenizer) {
    if !tokenizer.is_null() {
        guarded(|| unsafe {
            drop(Box::from_raw(tokenizer));
            Ok(())
        });
    }
}

#[unsafe(no_mangle)]
#[allow(clippy::missing_safety_doc)]
pub unsafe extern "C" fn heddle_tokenizer_vocabulary_size(tokenizer: *const Tokenizer) -> usize {
    unsafe { (*tokenizer).vocabulary_size() }
}

#[unsafe(no_mangle)]
#[allow(clippy::missing_safety_doc)]
pub unsafe extern "C" fn heddle_tokenizer_least_tokens(
    tokenizer: *const Tokenizer,
    text: *const c_char,
    size: usize,
    count: *mut usize,
) -> *mut c_char {
    guarded(|| unsafe {
        *count = (*tokenizer).least_tokens(text_of(text, size, "the text")?);
        Ok(())
    })
}

#[unsafe(no_mangle)]
#[allow(clippy::missing_safety_doc)]
pub unsafe extern "C" fn heddle_tokenizer_encode(
    tokenizer: *const Tokenizer,
    text: *const c_char,
    size: usize,
    parse_special: bool,
    ids: *mut *mut i32,
    count: *mut usize,
) -> *mut c_char {
    guarded(|| unsafe {
        let text = text_of(text, size, "the text")?;
        let encoded = (*tokenizer).encode(text, parse_special).map_err(|error| format!("tokenizer: {error}"))?;
        give(encoded, ids, count);
        Ok(())
    })
}

#[unsafe(no_mangle)]
#[allow(clippy::missing_safety_doc, clippy::too_many_arguments)]
pub unsafe extern "C" fn heddle_tokenizer_encode_whole(
    tokenizer: *const Tokenizer,
    text: *const c_char,
    size: usize,
    second: *const c_char,
    second_size: usize,
    numbers: *mut *mut i32,
    count: *mut usize,
) -> *mut c_char {
    guarded(|| unsafe {
        let text = text_of(text, size, "the text")?;
        let second = if second.is_null() { None } else { Some(text_of(second, second_size, "the second text")?) };
        let encoding = (*tokenizer).encode_whole(text, second).map_err(|error| format!("tokenizer: {error}"))?;
        let mut all = Vec::with_capacity(encoding.len() * 5);
        for token in 0..encoding.len() {
            let (begin, end) = encoding.get_offsets()[token];
            let part = encoding.token_to_sequence(token).map_or(-1, |part| part as i32);
            let place = if part < 0 { (0, 0) } else { (begin as i32, end as i32) };
            all.extend([encoding.get_ids()[token] as i32, encoding.get_type_ids()[token] as i32, part, place.0, place.1]);
        }
        give(all, numbers, count);
        Ok(())
    })
}

#[unsafe(no_mangle)]
#[allow(clippy::missing_safety_doc)]
pub unsafe extern "C" fn heddle_tokenizer_decode(
    tokenizer: *const Tokenizer,
    ids: *const i32,
    count: usize,
    skip_special: bool,
    text: *mut *mut u8,
    size: *mut usize,
) -> *mut c_char {
    guarded(|| unsafe {
        let ids = if count == 0 { &[] } else { std::slice::from_raw_parts(ids, count) };
        let decoded = (*tokenizer).decode(ids, skip_special).map_err(|error| format!("tokenizer: {error}"))?;
        give(decoded.into_bytes(), text, size);
        Ok(())
    })
}

#[unsafe(no_mangle)]
#[allow(clippy::missing_safety_doc)]
pub unsafe extern "C" fn heddle_tokenizer_decode_next(
    tokenizer: *const Tokenizer,
    previous: i32,
    id: i32,
    bytes: *mut *mut u8,
    size: *mut usize,
) -> *mut c_char {
    guarded(|| unsafe {
        let previous = if previous < 0 { None } else { Some(previous) };
        let decoded = (*tokenizer).decode_next(previous, id).map_err(|error| format!("tokenizer: {error}"))?;
        give(decoded, bytes, size);
        Ok(())
    })
}

#[unsafe(no_mangle)]
#[allow(clippy::missing_safety_doc)]
pub unsafe extern "C" fn heddle_tokenizer_token_text(
    tokenizer: *const Tokenizer,
    id: i32,
    text: *mut *mut u8,
    size: *mut usize,
) -> *mut c_char {
    guarded(|| unsafe {
        let decoded = (*tokenizer).token_text(id).map_err(|error| format!("tokenizer: {error}"))?;
        give(decoded.into_bytes(), text, size);
        Ok(())
    })
}

#[unsafe(no_mangle)]
#[allow(clippy::missing_safety_doc)]
pub unsafe extern "C" fn heddle_tokenizer_is_hidden(tokenizer: *const Tokenizer, id: i32) -> bool {
    unsafe { (*tokenizer).is_hidden(id) }
}

#[unsafe(no_mangle)]
#[allow(clippy::missing_safety_doc)]
#[allow(clippy::too_many_arguments)]
pub unsafe extern "C" fn heddle_template_create(
    source: *const c_char,
    source_size: usize,
    bos: *const c_char,
    bos_size: usize,
    eos: *const c_char,
    eos_size: usize,
    out: *mut *mut Template,
) -> *mut c_char {
    guarded(|| unsafe {
        let source = text_of(source, source_size, "the chat template")?;
        let bos = text_of(bos, bos_size, "the BOS token")?;
        let eos = text_of(eos, eos_size, "the EOS token")?;
        *out = Box::into_raw(Box::new(Template::new(source, bos, eos)?));
        Ok(())
    })
}

#[unsafe(no_mangle)]
#[allow(clippy::missing_safety_doc)]
pub unsafe extern "C" fn heddle_template_free(template: *mut Template) {
    if !template.is_null() {
        guarded(|| unsafe {
            drop(Box::from_raw(template));
            Ok(())
        });
    }
}

#[unsafe(no_mangle)]
#[allow(clippy::missing_safety_doc)]
pub unsafe extern "C" fn heddle_template_render(
    template: *const Template,
    messages: *const c_char,
    messages_size: usize,
    add_generation_prompt: bool,
    text: *mut *mut u8,
    size: *mut usize,
) -> *mut c_char {
    guarded(|| unsafe {
        let messages = text_of(messages, messages_size, "a chat message")?;
        give((*template).render(messages, add_generation_prompt)?.into_bytes(), text, size);
        Ok(())
    })
}

#[unsafe(no_mangle)]
#[allow(clippy::missing_safety_doc)]
#[allow(clippy::too_many_arguments)]
pub unsafe extern "C" fn heddle_template_encode(
    template: *const Template,
    tokenizer: *const Tokenizer,
    messages: *const c_char,
    messages_size: usize,
    add_generation_prompt: bool,
    parse_special: bool,
    ids: *mut *mut i32,
    count: *mut usize,
) -> *mut c_char {
    guarded(|| unsafe {
        let messages = text_of(messages, messages_size, "a chat message")?;
        give((*template).encode(&*tokenizer, messages, add_generation_prompt, parse_special)?, ids, count);
        Ok(())
    })
}

#[unsafe(no_mangle)]
#[allow(clippy::missing_safety_doc)]
pub unsafe extern "C" fn heddle_text_free_ids(ids: *mut i32, count: usize) {
    unsafe { take_back(ids, count) }
}

#[unsafe(no_mangle)]
#[allow(clippy::missing_safety_doc)]
pub unsafe extern "C" fn heddle_text_free_bytes(bytes: *mut u8, size: usize) {
    unsafe { take_back(bytes, size) }
}

#[unsafe(no_mangle)]
#[allow(clippy::missing_safety_doc)]
pub unsafe extern "C" fn heddle_text_free_error(error: *mut c_char) {
    if !error.is_null() {
        drop(unsafe { CString::from_raw(error) });
    }
}
