//===- Main.cpp - heddle-worker: a rank that runs a plan ------------------------------------------------------------===//
#include "runtime/plan/Plan.h"
#include "services/worker/WorkerMain.h"

namespace {

heddle::WorkerModel openPlan(const heddle::WorkerArguments &arguments) {
  auto plan = std::make_shared<heddle::Plan>(heddle::Plan::open(arguments.plan));
  return {plan->manifest().key, plan->manifest().vocabulary,
          [plan](const heddle::EngineOptions &options, heddle::Communicator &group) {
            return std::make_unique<heddle::Engine>(*plan, options, group);
          }};
}

} // namespace

int main(int argc, char **argv) { return heddle::workerMain(argc, argv, openPlan); }
