//===- ChatTemplateTest.cpp - templates as Hugging Face renders them -------------------------------------------------===//
#include "runtime/text/Tokenizer.h"
#include <gtest/gtest.h>

using namespace heddle;

namespace {

std::string render(const std::string &source, std::vector<ChatMessage> messages = {{"user", "Hi"}}, bool prompt = true) {
  return ChatTemplate(source, "<s>", "</s>").render(messages, prompt);
}

std::string errorOf(const std::string &source, std::vector<ChatMessage> messages = {{"user", "Hi"}}) {
  try {
    return "no error, but: " + render(source, std::move(messages));
  } catch (const TextError &error) {
    return error.what();
  }
}

// ChatML as SmolLM2 and Qwen write it.
constexpr char kChatMl[] =
    "{% for message in messages %}{% if loop.first and messages[0]['role'] != 'system' %}{{ '<|im_start|>system\nYou "
    "help.<|im_end|>\n' }}"
    "{% endif %}{{'<|im_start|>' + message['role'] + '\n' + message['content'] + '<|im_end|>' + '\n'}}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}";

TEST(ChatTemplate, ChatMl) {
  EXPECT_EQ(render(kChatMl), "<|im_start|>system\nYou help.<|im_end|>\n<|im_start|>user\nHi<|im_end|>\n<|im_start|>assistant\n");
  EXPECT_EQ(render(kChatMl, {{"system", "Be brief."}, {"user", "\"1\" < 2 & é"}}, false),
            "<|im_start|>system\nBe brief.<|im_end|>\n<|im_start|>user\n\"1\" < 2 & é<|im_end|>\n");
}

// What Gemma's and Llama's templates use: block trimming, namespaces, Python's methods, slices, alternation checks.
TEST(ChatTemplate, PythonAndTrimming) {
  EXPECT_EQ(render(R"({{ bos_token }}
{%- if messages[0].role == 'system' -%}
    {%- set first = messages[0].content.strip() + '\n\n' -%}
    {%- set rest = messages[1:] -%}
{%- endif -%}
{%- set ns = namespace(turns=0) -%}
{%- for message in rest -%}
    {%- if (message['role'] == 'user') != (loop.index0 % 2 == 0) -%}
        {{ raise_exception("Roles must alternate") }}
    {%- endif -%}
    {%- set role = 'model' if message.role == 'assistant' else message.role.upper() -%}
    {%- set ns.turns = ns.turns + 1 -%}
    {{ '<' ~ role ~ '>' ~ (first if loop.first else '') ~ message['content'] | trim }}
{%- endfor %}
    {% if ns.turns == 3 %}
[{{ messages[0].content.split(' ')[-1] }}]{{ eos_token }}
    {% endif %}
)",
                   {{"system", "  You help "}, {"user", " a "}, {"assistant", "b"}, {"user", "c"}}),
            "<s><USER>You help\n\na<model>b<USER>c[]</s>\n");
}

TEST(ChatTemplate, FunctionsOfHuggingFace) {
  EXPECT_EQ(render("{{ {'a': [1, 'é<\"', none], 'b': true} | tojson }}"), R"({"a": [1, "é<\"", null], "b": true})");
  EXPECT_EQ(render("{{ {'b': [1, {}], 'a': []} | tojson(indent=2) }}"), "{\n  \"b\": [\n    1,\n    {}\n  ],\n  \"a\": []\n}");
  EXPECT_EQ(render("{{ 'é😀' | tojson(ensure_ascii=true) }}"), R"("\u00e9\ud83d\ude00")");
  EXPECT_EQ(render("{{ {'b': 1, 'a': 2} | tojson(sort_keys=true, separators=[',', ':']) }}"), R"({"a":2,"b":1})");
  EXPECT_EQ(render("{{ strftime_now('%Y') | length }} {{ strftime_now('100%%') }}"), "4 100%");
  EXPECT_EQ(render("{% for i in range(5) %}{% if i == 1 %}{% continue %}{% endif %}{% if i == 3 %}{% break %}{% endif %}{{ i "
                   "}}{% endfor %}"),
            "02");
  EXPECT_EQ(render("{% if tools is none and not unknown is defined %}plain{% endif %}"), "plain");
  EXPECT_EQ(render("{% if tools is iterable and tools | length > 0 %}tools{% else %}none{% endif %}"), "none");
}

TEST(ChatTemplate, ErrorsAreOneLineAndSayWhere) {
  EXPECT_EQ(errorOf("a\n{{ raise_exception('Roles must\nalternate') }}"), "chat template, line 2: Roles must alternate");
  EXPECT_EQ(errorOf("{% if %}").substr(0, 23), "chat template, line 1: ");
  EXPECT_EQ(errorOf("a\n\n{{ messages[0].content.nothing() }}").substr(0, 23), "chat template, line 3: ");
  EXPECT_EQ(errorOf("{{ messages[0].role | unknownfilter }}").substr(0, 14), "chat template,");
  EXPECT_EQ(errorOf("{{ messages[0].content }}", {{"user", "\xFF"}}), "a chat message is not valid UTF-8; send UTF-8");
}

TEST(ChatTemplate, SyntaxIsCheckedWhenMade) { EXPECT_THROW(ChatTemplate("{% for %}", "", ""), TextError); }

TEST(ChatTemplate, EndlessTemplatesStop) {
  const std::string message = errorOf("{% for a in range(9999) %}{% for b in range(9999) %}{% for c in range(9999) %}"
                                      "{% endfor %}{% endfor %}{% endfor %}");
  EXPECT_NE(message.find("more than 20000000 instructions"), std::string::npos) << message;
}

} // namespace
