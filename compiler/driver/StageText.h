//===- StageText.h - what is wrong with a stage's text before it is parsed ------------------------------------------===//
#pragma once
#include <string>
#include <string_view>

namespace heddle {

/// MLIR 19's parser gives up on a wrong text by freeing what it has; where a value has been used before its definition it frees
/// some of it twice. No stage needs that: every value is defined before it is used, in the same function, and in the same braces
/// or in some around them. The first one that is not, as "line 7: …"; empty when there is none.
std::string misplacedValue(std::string_view text);

} // namespace heddle
