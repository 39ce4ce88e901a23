//===- Completion.cpp - heddle completion, and what a shell offers at the Tab key ------------------------------------------===//
#include "tools/heddle/Completion.h"
#include "tools/heddle/Command.h"
#include "tools/heddle/KnownModels.h"
#include "tools/heddle/Options.h"
#include "tools/heddle/hub/HubName.h"
#include <CLI/CLI.hpp>
#include <iostream>

namespace heddle::tool {
namespace {

// Each asks this program, so that the script need not change with it.
constexpr const char *kBash = R"(# heddle completion bash: put it where bash looks, or eval it in ~/.bashrc
_heddle() {
  local cur=${COMP_WORDS[COMP_CWORD]} line files= word whole= i
  local -a words=()
  COMPREPLY=()
  # bash takes hf:ORG/NAME for three words, and replaces only the last of them
  for ((i = 1; i <= COMP_CWORD; ++i)); do
    word=${COMP_WORDS[i]}
    if [[ ${#words[@]} -gt 0 && ( $word == :* || ${words[-1]} == *: ) ]]; then words[-1]+=$word; else words+=("$word"); fi
  done
  whole=${words[-1]}
  [[ $cur == : ]] && cur=
  while IFS= read -r line; do
    if [[ $line == :files ]]; then files=1; else COMPREPLY+=("${line#"${whole%"$cur"}"}"); fi
  done < <("${COMP_WORDS[0]}" completion --for "${words[@]}" 2>/dev/null)
  if [[ $files ]]; then
    [[ $cur == "=" ]] && cur=
    compopt -o filenames 2>/dev/null
    while IFS= read -r line; do COMPREPLY+=("$line"); done < <(compgen -f -- "$cur")
  fi
}
complete -F _heddle heddle
)";
constexpr const char *kZsh = R"(#compdef heddle
# heddle completion zsh: save it as _heddle in a folder of $fpath, or eval it after compinit
_heddle() {
  local -a found
  local line files=
  for line in "${(@f)$("${words[1]}" completion --for "${(@)words[2,CURRENT]}" 2>/dev/null)}"; do
    if [[ $line == :files ]]; then files=1; elif [[ -n $line ]]; then found+=("$line"); fi
  done
  (( $#found )) && compadd -- "${found[@]}"
  [[ -n $files ]] && { compset -P '--[^=]#='; _files }
}
if [[ $zsh_eval_context[-1] == loadautofunc ]]; then _heddle "$@"; else compdef _heddle heddle; fi
)";
constexpr const char *kFish = R"(# heddle completion fish: save it as ~/.config/fish/completions/heddle.fish
function __heddle_complete
    set -l words (commandline -opc) (commandline -ct)
    set -l option (string match -r -- '^--[^=]*=' $words[-1])
    for line in ($words[1] completion --for $words[2..-1] 2>/dev/null)
        if test "$line" = :files
            for path in (__fish_complete_path (string replace -r -- '^--[^=]*=' '' $words[-1]))
                echo "$option$path"
            end
        else
            echo $line
        end
    end
end
complete -c heddle -f -a '(__heddle_complete)'
)";

/// Of `all` what goes on from `begun`, each with `before` in front.
void offer(const std::vector<std::string> &all, const std::string &begun, const std::string &before = "") {
  for (const std::string &word : all)
    if (word.starts_with(begun))
      std::cout << before << word << "\n";
}

/// The option among the command's that this word names; null: none.
const CLI::Option *named(const CLI::App &command, const std::string &word) {
  for (const CLI::Option *option : command.get_options())
    if (word.size() > 1 && word[0] == '-' && option->check_name(word))
      return option;
  return nullptr;
}

bool takesValue(const CLI::Option &option) { return option.get_items_expected_max() > 0; }

/// What may be said where this option or position is filled; `before` is "--option=" where that stands in the same word.
void offerValues(const CLI::App &command, CLI::Option &option, const std::string &begun, const std::string &before = "") {
  const std::string name = option.get_name(), what = option.get_type_name();
  for (int i = 0;; ++i) {
    try {
      const std::string &choices = option.get_validator(i)->get_name();
      if (choices.starts_with(kChoices)) {
        std::vector<std::string> words;
        std::istringstream list(choices.substr(kChoices.size()));
        for (std::string word; std::getline(list, word, ',');)
          words.push_back(word);
        offer(words, begun, before);
      }
    } catch (const CLI::OptionNotFound &) { // there are no more
      break;
    }
  }
  const bool model = name == "MODEL", any = name == "NAME" && command.get_name() == "rm";
  if (model || any)
    offer(pulledNames(), begun, before);
  if (name == "NAME" && command.get_name() == "pull") {
    for (const KnownModel &known : knownModels())
      offer({std::string(known.name)}, begun, before);
    for (const std::string &pulled : pulledNames()) // there may be a newer one
      if (isHubName(pulled))
        offer({pulled}, begun, before);
    offer({std::string(kHubPrefix)}, begun, before);
  }
  if (model || what == "FILE" || what == "DIR")
    std::cout << ":files\n";
}

} // namespace

void complete(const CLI::App &app, const std::vector<std::string> &words) {
  const std::string begun = words.empty() ? "" : words.back();
  if (words.size() < 2) {
    std::vector<std::string> all = {"--help", "--version"};
    for (const CLI::App *command : app.get_subcommands([](const CLI::App *) { return true; }))
      all.push_back(command->get_name());
    return offer(all, begun);
  }
  const auto commands = app.get_subcommands([&](const CLI::App *command) { return command->get_name() == words[0]; });
  if (commands.empty())
    return;
  const CLI::App &command = *commands.front();
  // Which positions are filled, and whether the last word is an option's value.
  size_t filled = 0;
  const CLI::Option *open = nullptr;
  for (size_t i = 1; i + 1 < words.size(); ++i) {
    if (open && words[i] == "=") { // bash takes --option=value for three words
    } else if (open) {
      open = nullptr;
    } else if (const CLI::Option *option = named(command, words[i])) {
      open = takesValue(*option) ? option : nullptr;
    } else if (!words[i].starts_with("-")) {
      ++filled;
    }
  }
  auto mutableOption = [](const CLI::Option *option) { return const_cast<CLI::Option *>(option); }; // get_validator() wants it
  if (open)
    return offerValues(command, *mutableOption(open), begun == "=" ? "" : begun);
  if (size_t equals = begun.find('='); equals != std::string::npos)
    if (const CLI::Option *option = named(command, begun.substr(0, equals)); option && takesValue(*option))
      return offerValues(command, *mutableOption(option), begun.substr(equals + 1), begun.substr(0, equals + 1));
  if (begun.starts_with("-")) {
    for (const CLI::Option *option : command.get_options()) {
      for (const std::string &name : option->get_lnames())
        offer({"--" + name}, begun);
      for (const std::string &name : option->get_snames())
        offer({"-" + name}, begun);
    }
    return;
  }
  for (const CLI::Option *option : command.get_options()) {
    if (!option->get_positional())
      continue;
    const bool many = option->get_items_expected_max() > 1;
    if (filled == 0 || many)
      return offerValues(command, *mutableOption(option), begun);
    --filled;
  }
}

void addCompletion(CLI::App &app, Action &action) {
  auto shell = std::make_shared<std::string>();
  CLI::App *command =
      app.add_subcommand("completion", "Print a script that lets the Tab key complete commands, options and models");
  command->add_option("SHELL", *shell, "bash, zsh or fish")->required()->check(oneOf({"bash", "zsh", "fish"}))->type_name("");
  command->callback([shell, &action] {
    action = [shell] {
      std::cout << (*shell == "bash" ? kBash : *shell == "zsh" ? kZsh : kFish);
      return 0;
    };
  });
}

} // namespace heddle::tool
