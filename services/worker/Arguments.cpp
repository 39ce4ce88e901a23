//===- Arguments.cpp -----------------------------------------------------------------------------------------------===//
#include "services/worker/Arguments.h"
#include <cerrno>
#include <charconv>
#include <csignal>
#include <cstdio>
#include <cstring>
#include <stdexcept>
#include <string_view>
#include <sys/prctl.h>
#include <unistd.h>

namespace heddle {
namespace {

template <typename T> T number(std::string_view name, std::string_view text) {
  T value{};
  auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size() || value < 0)
    throw std::invalid_argument(std::string(name) + " wants a number of at least 0, not '" + std::string(text) + "'");
  return value;
}

} // namespace

WorkerArguments parseWorkerArguments(std::span<char *const> arguments) {
  WorkerArguments out;
  for (size_t i = 0; i < arguments.size(); i += 2) {
    std::string_view name = arguments[i];
    if (i + 1 == arguments.size())
      throw std::invalid_argument(std::string(name) + " wants a value");
    std::string_view value = arguments[i + 1];
    if (name == "--plan")
      out.plan = value;
    else if (name == "--socket")
      out.socket = value;
    else if (name == "--kept")
      out.kept = value;
    else if (name == "--target")
      out.target = value;
    else if (name == "--epoch")
      out.epoch = number<uint64_t>(name, value);
    else if (name == "--threads")
      out.threads = number<int64_t>(name, value);
    else if (name == "--context")
      out.context = number<int64_t>(name, value);
    else if (name == "--kv-memory")
      out.kvBytes = number<uint64_t>(name, value);
    else if (name == "--token-budget")
      out.tokenBudget = number<int64_t>(name, value);
    else
      throw std::invalid_argument("unknown option " + std::string(name) +
                                  "; heddle serve and heddle run start this program, see heddle --help");
  }
  if (out.plan.empty() || out.socket.empty())
    throw std::invalid_argument(
        "--plan and --socket are needed; heddle serve and heddle run start this program, see heddle --help");
  return out;
}

int runGuarded(std::span<char *const> arguments) {
  if (arguments.size() < 3 || std::string_view(arguments[1]) != "--") {
    std::fprintf(stderr, "heddle-worker: --guard wants PID -- COMMAND\n");
    return 2;
  }
  prctl(PR_SET_PDEATHSIG, SIGTERM); // mpirun then ends its ranks and removes its session files
  if (std::string_view(arguments[0]) != std::to_string(getppid()))
    return 1;                                        // the frontend died before we asked
  execvp(arguments[2], arguments.subspan(2).data()); // the span of main's argv ends with its null pointer
  std::fprintf(stderr, "heddle-worker: cannot run %s: %s; install Open MPI (tools/setup)\n", arguments[2], std::strerror(errno));
  return 127;
}

} // namespace heddle
