//===- Wire.h - requests from bytes, with errors that name the field ------------------------------------------------===//
#pragma once
#include <google/protobuf/message.h>
#include <grpcpp/support/byte_buffer.h>
#include <grpcpp/support/status.h>

namespace heddle {

/// Reads `bytes` into `message`. gRPC's own reading answers broken UTF-8 with UNIMPLEMENTED or INTERNAL and no word; this gives
/// INVALID_ARGUMENT and the field's path.
grpc::Status parse(const grpc::ByteBuffer &bytes, google::protobuf::Message &message);

/// Bytes of a request whose text is made into tokens at once, on gRPC's thread: some 20 microseconds for the largest. Larger ones
/// go to the text workers.
inline constexpr size_t kSmallRequest = 8 << 10;

grpc::ByteBuffer serialize(const google::protobuf::Message &message);

} // namespace heddle
