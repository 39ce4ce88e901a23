//===- InterpretAttention.cpp - attributes of attention and store_kv read into plain calls --------------------------===//
#include "ir/reference/Interpreter.h"

using namespace mlir;
using namespace heddle;
using namespace heddle::reference;

KvState *Interpreter::keysOf(StringRef name) {
  auto found = states_.keys.find(name);
  return found == states_.keys.end() ? nullptr : &found->second;
}

FailureOr<Placement> Interpreter::placeIn(Operation *op, std::optional<StringRef> state) {
  Placement place{batch_.positions.get(), batch_.sequences.get()};
  if (!state)
    return place;
  ir::StateKind kind = symbols_.states.lookup(*state).getKind(); // verified: declared
  if (kind == ir::StateKind::Transient)
    return place;
  const StateTensors &own = batch_.tables(*state);
  if (!own.pageTable)
    return fail(op, "this run has no batch with a page table of @" + *state);
  if (kind == ir::StateKind::Fixed && !own.lengths && isa<ir::AttentionOp>(op))
    return fail(op, "this run has no batch with the lengths of @" + *state);
  place.pageTable = own.pageTable.get(), place.pageWidth = own.pageWidth;
  if (kind == ir::StateKind::Fixed)
    place.lengths = own.lengths.get();
  return place;
}

HeadPrologue Interpreter::prologue(Value norm, std::optional<llvm::APFloat> eps, std::optional<StringRef> rope,
                                   std::optional<ir::RopeStyle> style, Frame &frame) const {
  HeadPrologue p;
  p.norm = maybe(norm, frame);
  if (eps)
    p.eps = eps->convertToFloat();
  if (rope)
    p.rope = symbols_.rope(*rope, batch_.context); // verified: declared
  p.interleaved = style == ir::RopeStyle::Interleaved;
  return p;
}

LogicalResult Interpreter::visit(ir::StoreKvOp op, Frame &frame) {
  StoreCall call{};
  call.keys = &at(op.getKeys(), frame);
  call.values = &at(op.getValues(), frame);
  FailureOr<Placement> place = placeIn(op, op.getState());
  if (failed(place))
    return failure();
  call.place = *place;
  call.place.lengths = nullptr; // what is stored makes them
  call.prologue = prologue(op.getKNorm(), op.getNormEps(), op.getRope(), op.getStyle(), frame);
  call.state = keysOf(op.getState());
  if (op.getLayer())
    call.layer = index(op.getLayer(), frame);
  call.kvHeads = static_cast<int64_t>(op.getKvHeads());
  call.headDim = static_cast<int64_t>(op.getHeadDim());
  call.heads = {0, call.kvHeads};
  if (!op.getShares().empty())
    call.heads = {index(op.getShares()[0], frame), index(op.getShares()[1], frame)};
  if (!Columns{0, call.kvHeads}.contains(call.heads))
    return fail(op, "share lies outside the KV heads");
  return bind(op, kernels_.store(call), std::vector<Tensor>(), frame);
}

LogicalResult Interpreter::visit(ir::AttentionOp op, Frame &frame) {
  AttentionCall call{};
  call.query = &at(op.getQuery(), frame);
  call.keys = maybe(op.getKeys(), frame);
  call.values = maybe(op.getValues(), frame);
  call.bias = maybe(op.getBias(), frame);
  call.sinks = maybe(op.getSinks(), frame);
  FailureOr<Placement> place = placeIn(op, op.getState());
  if (failed(place))
    return failure();
  call.place = *place;
  call.prologue = prologue(op.getQNorm(), op.getNormEps(), op.getRope(), op.getStyle(), frame);
  if (op.getState())
    call.state = keysOf(*op.getState());
  if (op.getLayer())
    call.layer = index(op.getLayer(), frame);
  if (call.state && (call.layer < 0 || call.layer >= call.state->layers()))
    return fail(op, "layer " + Twine(call.layer) + " is outside the state");
  call.heads = static_cast<int64_t>(op.getHeads());
  call.kvHeads = static_cast<int64_t>(op.getKvHeads());
  call.headDim = static_cast<int64_t>(op.getHeadDim());
  call.queryHeads = {0, call.heads};
  call.keyHeads = {0, call.kvHeads};
  if (!op.getShares().empty()) {
    call.queryHeads = {index(op.getShares()[0], frame), index(op.getShares()[1], frame)};
    call.keyHeads = {index(op.getShares()[2], frame), index(op.getShares()[3], frame)};
  }
  if (!Columns{0, call.heads}.contains(call.queryHeads) || !Columns{0, call.kvHeads}.contains(call.keyHeads))
    return fail(op, "share lies outside the heads");
  call.scale = op.getScale().convertToFloat();
  call.mask = op.getMask() == ir::Mask::None     ? MaskKind::none
              : op.getMask() == ir::Mask::Causal ? MaskKind::causal
                                                 : MaskKind::window;
  call.window = static_cast<int64_t>(op.getWindow());
  if (op.getSoftCap())
    call.softCap = op.getSoftCap()->convertToFloat();
  if (op.getProbeHeads())
    call.probeHeads.emplace(op.getProbeHeads()->begin(), op.getProbeHeads()->end());
  call.q8Result = ir::isQ8(op.getResult(0).getType());
  std::vector<Tensor> out;
  Problem problem = kernels_.attention(call, out);
  return bind(op, std::move(problem), std::move(out), frame);
}
