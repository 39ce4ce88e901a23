/* heddle_line.h - line editing on a terminal (rustyline) behind a C ABI. One thread at a time uses a line. */
#ifndef HEDDLE_LINE_H
#define HEDDLE_LINE_H
#include <stdbool.h>
#include <stddef.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct HeddleLine HeddleLine;

enum { HEDDLE_LINE_TEXT, HEDDLE_LINE_INTERRUPTED, HEDDLE_LINE_END, HEDDLE_LINE_NOT_UTF8 };

/* An editor on standard input and output, which must be a terminal that can move its cursor. `history`: a file of at most
   `entries` turns, made with mode 0600 at the first one; empty: no file. Null when the terminal cannot be used. From here to
   heddle_line_free() SIGINT and SIGWINCH are taken; SIGINT ends a read as Ctrl-C does. */
HeddleLine *heddle_line_create(const char *history, size_t size, size_t entries);
void heddle_line_free(HeddleLine *line);

/* Reads until Enter (Alt-Enter: a new line; pasted text comes whole, with its line ends as \n). Returns one of the values above.
   `data` is UTF-8 and the caller's, to be given back with heddle_line_text_free(). The terminal is in its normal mode again. */
int heddle_line_read(HeddleLine *line, const char *prompt, size_t prompt_size, char **data, size_t *size);
void heddle_line_text_free(char *data, size_t size);

/* Adds a turn to the history and its file. False when the file cannot be written. */
bool heddle_line_remember(HeddleLine *line, const char *text, size_t size);

#ifdef __cplusplus
}
#endif
#endif
