//===- heddle_text.h - tokenizers and chat templates, written in Rust, behind a C ABI --------------------------------===//
//
// Entries that can fail return null, or a message of one line that heddle_text_free_error frees; then nothing is given out.
// Text is passed by pointer and size, need not end in a NUL and must be UTF-8. No entry throws or keeps a pointer it was
// given. Tokenizers and templates are immutable: any number of threads may use one.
//
//===----------------------------------------------------------------------------------------------------------------===//
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct heddle_tokenizer heddle_tokenizer;
typedef struct heddle_template heddle_template;

/// A tokenizer from the bytes of a Hugging Face tokenizer.json, with the additions that third_party/text/README.md lists. Freed
/// with heddle_tokenizer_free.
char *heddle_tokenizer_create(const char *json, size_t size, heddle_tokenizer **out);
void heddle_tokenizer_free(heddle_tokenizer *tokenizer);

/// One more than the highest id.
size_t heddle_tokenizer_vocabulary_size(const heddle_tokenizer *tokenizer);

/// How many tokens a text has at least, by its size alone; 0 where that says nothing.
char *heddle_tokenizer_least_tokens(const heddle_tokenizer *tokenizer, const char *text, size_t size, size_t *count);

/// The ids of a text, freed with heddle_text_free_ids. Special tokens written in it are text unless `parse_special`.
char *heddle_tokenizer_encode(const heddle_tokenizer *tokenizer, const char *text, size_t size, bool parse_special, int32_t **ids,
                              size_t *count);

/// A text, or two (`second` may be null), as an encoder takes it, with the tokens that the model wants around it. Of each token
/// five numbers: its id, its type, the text that it comes from (0, 1, or -1: none), and where it begins and ends there, in bytes.
/// Freed with heddle_text_free_ids.
char *heddle_tokenizer_encode_whole(const heddle_tokenizer *tokenizer, const char *text, size_t size, const char *second,
                                    size_t second_size, int32_t **numbers, size_t *count);

/// The text of a list of ids, UTF-8, freed with heddle_text_free_bytes.
char *heddle_tokenizer_decode(const heddle_tokenizer *tokenizer, const int32_t *ids, size_t count, bool skip_special,
                              uint8_t **text, size_t *size);

/// The text of one token by itself, special or not, with the space that it may begin with; UTF-8, freed with
/// heddle_text_free_bytes.
char *heddle_tokenizer_token_text(const heddle_tokenizer *tokenizer, int32_t id, uint8_t **text, size_t *size);

/// Whether a token is never printed.
bool heddle_tokenizer_is_hidden(const heddle_tokenizer *tokenizer, int32_t id);

/// The bytes that `id` adds to a text after `previous` (-1: none), freed with heddle_text_free_bytes: possibly a part of a
/// character; none for hidden tokens.
char *heddle_tokenizer_decode_next(const heddle_tokenizer *tokenizer, int32_t previous, int32_t id, uint8_t **bytes,
                                   size_t *size);

/// A chat template; syntax errors are found here. Freed with heddle_template_free.
char *heddle_template_create(const char *source, size_t source_size, const char *bos, size_t bos_size, const char *eos,
                             size_t eos_size, heddle_template **out);
void heddle_template_free(heddle_template *chat);

/// Renders a chat template. `messages` is a JSON array of objects with "role" and "content". The text is freed with
/// heddle_text_free_bytes.
char *heddle_template_render(const heddle_template *chat, const char *messages, size_t messages_size, bool add_generation_prompt,
                             uint8_t **text, size_t *size);

/// The tokens of what it renders, freed with heddle_text_free_ids. Special tokens written in the messages are text unless
/// `parse_special`.
char *heddle_template_encode(const heddle_template *chat, const heddle_tokenizer *tokenizer, const char *messages,
                             size_t messages_size, bool add_generation_prompt, bool parse_special, int32_t **ids, size_t *count);

void heddle_text_free_ids(int32_t *ids, size_t count);
void heddle_text_free_bytes(uint8_t *bytes, size_t size);
void heddle_text_free_error(char *error);

#ifdef __cplusplus
}
#endif
