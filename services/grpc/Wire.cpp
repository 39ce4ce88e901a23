//===- Wire.cpp ----------------------------------------------------------------------------------------------------===//
#include "services/grpc/Wire.h"
#include "runtime/text/Utf8.h"
#include <google/protobuf/descriptor.pb.h>
#include <google/protobuf/dynamic_message.h>
#include <google/protobuf/stubs/logging.h>
#include <grpcpp/grpcpp.h>
#include <vector>

namespace heddle {
namespace {

using google::protobuf::Descriptor;
using google::protobuf::DescriptorProto;
using google::protobuf::FieldDescriptor;
using google::protobuf::FieldDescriptorProto;
using google::protobuf::Message;

void stringsToBytes(DescriptorProto &message) {
  for (FieldDescriptorProto &field : *message.mutable_field())
    if (field.type() == FieldDescriptorProto::TYPE_STRING)
      field.set_type(FieldDescriptorProto::TYPE_BYTES);
  for (DescriptorProto &nested : *message.mutable_nested_type())
    stringsToBytes(nested);
}

/// Looks for broken text in `loose`, which holds bytes where `strict` has strings.
std::string findBrokenText(const Message &loose, const Descriptor &strict, const std::string &prefix) {
  std::vector<const FieldDescriptor *> fields;
  loose.GetReflection()->ListFields(loose, &fields);
  for (const FieldDescriptor *field : fields) {
    const FieldDescriptor *original = strict.FindFieldByNumber(field->number());
    int count = field->is_repeated() ? loose.GetReflection()->FieldSize(loose, field) : 1;
    for (int i = 0; i < count; ++i) {
      std::string path = prefix + field->name() + (field->is_repeated() ? "[" + std::to_string(i) + "]" : "");
      if (field->cpp_type() == FieldDescriptor::CPPTYPE_MESSAGE) {
        const Message &child = field->is_repeated() ? loose.GetReflection()->GetRepeatedMessage(loose, field, i)
                                                    : loose.GetReflection()->GetMessage(loose, field);
        if (std::string found = findBrokenText(child, *original->message_type(), path + "."); !found.empty())
          return found;
      } else if (original->type() == FieldDescriptor::TYPE_STRING) {
        std::string text = field->is_repeated() ? loose.GetReflection()->GetRepeatedString(loose, field, i)
                                                : loose.GetReflection()->GetString(loose, field);
        if (size_t bad = firstInvalidUtf8(text); bad != std::string::npos)
          return path + " must be UTF-8; byte " + std::to_string(bad) + " is not";
      }
    }
  }
  return {};
}

/// Reads again by a copy of the schema that takes any bytes for text, to say what was wrong. Only after a failure, so it may be
/// slow.
std::string diagnose(const std::string &bytes, const Descriptor &strict) {
  google::protobuf::FileDescriptorProto file;
  strict.file()->CopyTo(&file);
  for (DescriptorProto &message : *file.mutable_message_type())
    stringsToBytes(message);
  google::protobuf::DescriptorPool pool;
  google::protobuf::DynamicMessageFactory factory(&pool);
  const google::protobuf::FileDescriptor *built = pool.BuildFile(file);
  const Descriptor *type = built ? built->FindMessageTypeByName(strict.name()) : nullptr;
  if (!type)
    return {};
  std::unique_ptr<Message> loose(factory.GetPrototype(type)->New());
  return loose->ParseFromString(bytes) ? findBrokenText(*loose, strict, "") : std::string();
}

} // namespace

grpc::Status parse(const grpc::ByteBuffer &buffer, Message &message) {
  std::vector<grpc::Slice> slices;
  if (!buffer.Dump(&slices).ok())
    return {grpc::StatusCode::INVALID_ARGUMENT, "the request cannot be read; is its compression supported?"};
  std::string bytes;
  for (const grpc::Slice &slice : slices)
    bytes.append(reinterpret_cast<const char *>(slice.begin()), slice.size());
  google::protobuf::LogSilencer quiet; // the client is told; protobuf would tell the server's terminal
  if (message.ParseFromString(bytes))
    return grpc::Status::OK;
  std::string found = diagnose(bytes, *message.GetDescriptor());
  return {grpc::StatusCode::INVALID_ARGUMENT, found.empty() ? "the request is no " + message.GetDescriptor()->full_name() +
                                                                  "; does the client use this server's .proto?"
                                                            : found};
}

grpc::ByteBuffer serialize(const Message &message) {
  grpc::Slice slice(message.SerializeAsString());
  return grpc::ByteBuffer(&slice, 1);
}

} // namespace heddle
