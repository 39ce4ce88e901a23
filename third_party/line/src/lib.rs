//! Line editing for Heddle's chat behind a C ABI (heddle_line.h).
//!
//! Every entry catches panics, so that none crosses into C++.

use rustyline::error::{ReadlineError, Signal};
use rustyline::history::{FileHistory, History};
use rustyline::{Cmd, Config, Editor, KeyCode, KeyEvent, Modifiers};
use std::ffi::{OsStr, c_char, c_int};
use std::io::ErrorKind;
use std::os::unix::ffi::OsStrExt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;

const TEXT: c_int = 0;
const INTERRUPTED: c_int = 1;
const END: c_int = 2;
const NOT_UTF8: c_int = 3;

pub struct Line {
    editor: Editor<(), FileHistory>,
    history: Option<PathBuf>,
}

/// # Safety
/// `data` points to `size` readable bytes, or `size` is 0.
unsafe fn bytes_of<'a>(data: *const c_char, size: usize) -> &'a [u8] {
    if size == 0 { &[] } else { unsafe { std::slice::from_raw_parts(data.cast(), size) } }
}

fn create(history: &[u8], entries: usize) -> rustyline::Result<Line> {
    let config = Config::builder().max_history_size(entries)?.bracketed_paste(true).build();
    let mut editor = Editor::with_history(config.clone(), FileHistory::with_config(&config))?;
    editor.bind_sequence(KeyEvent(KeyCode::Enter, Modifiers::ALT), Cmd::Newline);
    let history = (!history.is_empty()).then(|| PathBuf::from(OsStr::from_bytes(history)));
    if let Some(path) = &history {
        let _ = editor.load_history(path); // a first run has none, and a damaged one is no reason not to chat
    }
    Ok(Line { editor, history })
}

fn read(line: &mut Line, prompt: &str) -> (c_int, String) {
    match line.editor.readline(prompt) {
        Ok(text) => (TEXT, text),
        Err(ReadlineError::Interrupted | ReadlineError::Signal(Signal::Interrupt)) => (INTERRUPTED, String::new()),
        Err(ReadlineError::Signal(_)) => (INTERRUPTED, String::new()),
        Err(ReadlineError::Io(error)) if error.kind() == ErrorKind::InvalidData => (NOT_UTF8, String::new()),
        Err(_) => (END, String::new()), // end of input, or the terminal is gone
    }
}

/// # Safety
/// See heddle_line.h, also for the entries below.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn heddle_line_create(history: *const c_char, size: usize, entries: usize) -> *mut Line {
    let made = catch_unwind(|| create(unsafe { bytes_of(history, size) }, entries));
    match made {
        Ok(Ok(line)) => Box::into_raw(Box::new(line)),
        _ => std::ptr::null_mut(),
    }
}

#[unsafe(no_mangle)]
#[allow(clippy::missing_safety_doc)]
pub unsafe extern "C" fn heddle_line_free(line: *mut Line) {
    if !line.is_null() {
        let _ = catch_unwind(AssertUnwindSafe(|| drop(unsafe { Box::from_raw(line) })));
    }
}

#[unsafe(no_mangle)]
#[allow(clippy::missing_safety_doc)]
pub unsafe extern "C" fn heddle_line_read(
    line: *mut Line,
    prompt: *const c_char,
    prompt_size: usize,
    data: *mut *mut c_char,
    size: *mut usize,
) -> c_int {
    let (what, text) = catch_unwind(AssertUnwindSafe(|| {
        let prompt = String::from_utf8_lossy(unsafe { bytes_of(prompt, prompt_size) });
        read(unsafe { &mut *line }, &prompt)
    }))
    .unwrap_or((END, String::new()));
    let bytes = text.into_bytes().into_boxed_slice();
    unsafe {
        *size = bytes.len();
        *data = Box::into_raw(bytes).cast();
    }
    what
}

#[unsafe(no_mangle)]
#[allow(clippy::missing_safety_doc)]
pub unsafe extern "C" fn heddle_line_text_free(data: *mut c_char, size: usize) {
    if !data.is_null() {
        drop(unsafe { Box::from_raw(std::ptr::slice_from_raw_parts_mut(data.cast::<u8>(), size)) });
    }
}

#[unsafe(no_mangle)]
#[allow(clippy::missing_safety_doc)]
pub unsafe extern "C" fn heddle_line_remember(line: *mut Line, text: *const c_char, size: usize) -> bool {
    catch_unwind(AssertUnwindSafe(|| {
        let line = unsafe { &mut *line };
        let text = String::from_utf8_lossy(unsafe { bytes_of(text, size) });
        let _ = line.editor.add_history_entry(text);
        match &line.history {
            Some(path) => line.editor.history_mut().append(path).is_ok(),
            None => true,
        }
    }))
    .unwrap_or(false)
}
