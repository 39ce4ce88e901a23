//===- Messages.h - engine types to and from the engine link -------------------------------------------------------===//
#pragma once
#include "runtime/engine/Engine.h"
#include "runtime/engine/StepProfile.h"
#include <heddle/internal/engine_link.pb.h>

namespace heddle {

internal::Submit toProto(const Request &request);
Request fromProto(const internal::Submit &submit);

internal::Event toProto(const Event &event);
/// A stop reason that this build does not know becomes StopReason::Error with a text that says so.
Event fromProto(const internal::Event &event);

/// Sequences are numbered by their order: the link has no names for them.
internal::Call toProto(const EntryCall &call);
EntryCall fromProto(const internal::Call &call);

internal::KernelTime toProto(const KernelTime &kernel);
KernelTime fromProto(const internal::KernelTime &kernel);

} // namespace heddle
