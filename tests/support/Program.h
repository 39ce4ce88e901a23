//===- Program.h - the text of a module, ready for the interpreter --------------------------------------------------===//
#pragma once
#include "ir/reference/Reference.h"
#include <memory>
#include <string>

namespace heddle::test {

/// Parses and verifies a module; keeps every diagnostic. No MLIR headers, so tests compile quickly.
class Program {
public:
  explicit Program(const std::string &text);
  ~Program();

  bool valid() const;                // parsed and verified
  const std::string &errors() const; // all diagnostics so far, one a line
  /// Must not outlive the program or the weights. Only for a valid program.
  std::unique_ptr<reference::Reference> reference(reference::Mode mode, const reference::WeightSource &weights, int ranks = 1);

private:
  struct Implementation;
  std::unique_ptr<Implementation> impl_;
};

} // namespace heddle::test
