//===- Dialect.td - the heddle dialect, its types and attributes ----------------------------------------------------===//
#ifndef HEDDLE_DIALECT_TD
#define HEDDLE_DIALECT_TD
include "mlir/IR/OpBase.td"
include "mlir/IR/AttrTypeBase.td"
include "mlir/IR/BuiltinTypeInterfaces.td"
include "mlir/IR/EnumAttr.td"

def Heddle_Dialect : Dialect {
  let name = "heddle";
  let cppNamespace = "::heddle::ir";
  let summary = "A Transformer as a graph, from exact mathematics down to register tiles";
  let description = [{
    One dialect serves every stage of compilation. At stage `graph` the ops act on tensors `[tokens × features]` and mean exact
    mathematics. From stage `fused` on every op means the one arithmetic of docs/arithmetic.md, bit for bit. At stage `planned`
    the same ops act on buffers (`outs`), and at stage `kernels` tile ops take their place.

    A module is a program: declarations of weights, tables and states, public functions, which are its entries, and private ones, which
    are kinds of blocks. What a step is given (its batch) and where it runs (rank, thread, memory) reaches ops through environment ops.
  }];
  let useDefaultTypePrinterParser = 1;
  let extraClassDeclaration = "void registerOps();";
  let useDefaultAttributePrinterParser = 1;
  let dependentDialects = ["mlir::func::FuncDialect"];
}

//===---- types -----------------------------------------------------------------------------------------------------===//
class Heddle_Type<string name, string mnem, list<Trait> traits = []> : TypeDef<Heddle_Dialect, name, traits> { let mnemonic = mnem; }

def Heddle_QuantType : Heddle_Type<"Quant", "quant"> {
  let summary = "element of a block-quantised weight, `!heddle.quant<q4_1>`";
  let description = "The format is a quantised one of runtime/quant/formats. Plain floats are MLIR's own types: f32, f16, bf16.";
  let parameters = (ins StringRefParameter<"format name">:$format);
  let assemblyFormat = "`<` custom<FormatName>($format) `>`";
  let genVerifyDecl = 1;
}

def Heddle_Q8Type : Heddle_Type<"Q8", "q8", [MemRefElementTypeInterface]> {
  let summary = "element of activations quantised per 32 features (docs/arithmetic.md); in buffers, blocks of 40 bytes (runtime/quant/Activation.h)";
}

def Heddle_PackedType : Heddle_Type<"Packed", "packed", [MemRefElementTypeInterface]> {
  let summary = "element of a packed weight in a buffer, `memref<576x64x!heddle.packed<q4_1>>`: row groups of 16 rows (runtime/quant/README.md)";
  let parameters = (ins StringRefParameter<"format name">:$format);
  let assemblyFormat = "`<` custom<FormatName>($format) `>`";
  let genVerifyDecl = 1;
}

//===---- enums -----------------------------------------------------------------------------------------------------===//
class Heddle_Enum<string name, list<I32EnumAttrCase> cases>
    : I32EnumAttr<name, "", cases> { let cppNamespace = "::heddle::ir"; let genSpecializedAttr = 0; }
// Such an attribute prints a space before its word, for `#heddle<mask causal>`; op formats write `` before it so as not to print two.
class Heddle_EnumAttr<EnumAttrInfo info, string mnem> : EnumAttr<Heddle_Dialect, info, mnem>;

def Heddle_ActivationKind : Heddle_Enum<"Activation",
  [I32EnumAttrCase<"Silu", 0, "silu">, I32EnumAttrCase<"GeluTanh", 1, "gelu_tanh">,
   // The two factors of gpt-oss's gate: min(x, 7) · σ(1.702 · min(x, 7)), and x within ±7, plus 1.
   I32EnumAttrCase<"OssGate", 2, "oss_gate">, I32EnumAttrCase<"OssUp", 3, "oss_up">,
   I32EnumAttrCase<"Gelu", 4, "gelu">, I32EnumAttrCase<"Relu", 5, "relu">, I32EnumAttrCase<"Tanh", 6, "tanh">]>;
def Heddle_Activation : Heddle_EnumAttr<Heddle_ActivationKind, "activation">;

def Heddle_RopeStyleKind : Heddle_Enum<"RopeStyle",
  [I32EnumAttrCase<"Interleaved", 0, "interleaved">, I32EnumAttrCase<"Neox", 1, "neox">]>;
def Heddle_RopeStyle : Heddle_EnumAttr<Heddle_RopeStyleKind, "rope_style">;

def Heddle_MaskKind : Heddle_Enum<"Mask",
  [I32EnumAttrCase<"None", 0, "none">, I32EnumAttrCase<"Causal", 1, "causal">, I32EnumAttrCase<"Window", 2, "window">]>;
def Heddle_Mask : Heddle_EnumAttr<Heddle_MaskKind, "mask">;

def Heddle_SourceKind : Heddle_Enum<"KeySource",
  [I32EnumAttrCase<"Batch", 0, "batch">, I32EnumAttrCase<"Paged", 1, "paged">, I32EnumAttrCase<"Fixed", 2, "fixed">,
   I32EnumAttrCase<"Transient", 3, "transient">]>;
def Heddle_Source : Heddle_EnumAttr<Heddle_SourceKind, "key_source">;

def Heddle_StateKindKind : Heddle_Enum<"StateKind",
  [I32EnumAttrCase<"Paged", 0, "paged">, I32EnumAttrCase<"Fixed", 1, "fixed">, I32EnumAttrCase<"Recurrent", 2, "recurrent">,
   I32EnumAttrCase<"Transient", 3, "transient">]>;
def Heddle_StateKind : Heddle_EnumAttr<Heddle_StateKindKind, "state_kind">;

def Heddle_AccessKind : Heddle_Enum<"Access",
  [I32EnumAttrCase<"Read", 0, "read">, I32EnumAttrCase<"Write", 1, "write">, I32EnumAttrCase<"Update", 2, "update">]>;
def Heddle_Access : Heddle_EnumAttr<Heddle_AccessKind, "access">;

def Heddle_CacheKind : Heddle_Enum<"CacheType",
  [I32EnumAttrCase<"F16", 0, "f16">, I32EnumAttrCase<"Q8", 1, "q8">]>;
def Heddle_CacheType : Heddle_EnumAttr<Heddle_CacheKind, "cache_type">;

def Heddle_UnitKind : Heddle_Enum<"Unit",
  [I32EnumAttrCase<"Heads", 0, "heads">, I32EnumAttrCase<"KvHeads", 1, "kv_heads">, I32EnumAttrCase<"Columns", 2, "columns">]>;

def Heddle_BatchListKind : Heddle_Enum<"BatchList",
  [I32EnumAttrCase<"Ids", 0, "ids">, I32EnumAttrCase<"Positions", 1, "positions">, I32EnumAttrCase<"Sequences", 2, "sequences">,
   I32EnumAttrCase<"Wanted", 3, "wanted">, I32EnumAttrCase<"First", 4, "first">, I32EnumAttrCase<"Last", 5, "last">,
   I32EnumAttrCase<"Types", 6, "types">]>;
def Heddle_BatchList : Heddle_EnumAttr<Heddle_BatchListKind, "batch_list">;

def Heddle_RowCountKind : Heddle_Enum<"RowCount",
  [I32EnumAttrCase<"Tokens", 0, "tokens">, I32EnumAttrCase<"Wanted", 1, "wanted">, I32EnumAttrCase<"Sequences", 2, "sequences">]>;
def Heddle_RowCount : Heddle_EnumAttr<Heddle_RowCountKind, "row_count">;

def Heddle_PlaceKind : Heddle_Enum<"Place",
  [I32EnumAttrCase<"Rank", 0, "rank">, I32EnumAttrCase<"Ranks", 1, "ranks">, I32EnumAttrCase<"Thread", 2, "thread">,
   I32EnumAttrCase<"Threads", 3, "threads">]>;
def Heddle_Place : Heddle_EnumAttr<Heddle_PlaceKind, "place">;

//===---- attributes ------------------------------------------------------------------------------------------------===//
def Heddle_ShardAttr : AttrDef<Heddle_Dialect, "Shard"> {
  let mnemonic = "shard";
  let summary = "how the last dimension of a value is cut over ranks";
  let description = [{
    `#heddle.shard<heads, 64>`: units of 64 features, one per query head; `<kv_heads, 64, group 3>`: one per KV head, which 3 query heads
    read; a rank holds those that its query heads read; `columns`: units of that many features. As the encoding of a tensor type it
    says that only the share of this rank is valid; `heddle.all_gather` makes it whole. On a weight it says which rows a rank holds.
  }];
  let parameters = (ins "Unit":$unit, "int64_t":$size, DefaultValuedParameter<"int64_t", "1">:$group);
  let assemblyFormat = "`<` custom<UnitName>($unit) `,` $size (`,` `group` $group^)? `>`";
  let genVerifyDecl = 1;
  let builders = [AttrBuilder<(ins "Unit":$unit, "int64_t":$size), "return $_get($_ctxt, unit, size, 1);">];
}

def Heddle_KernelAttr : AttrDef<Heddle_Dialect, "Kernel"> {
  let mnemonic = "kernel";
  let summary = "what ran before a barrier, for profiles: its name and what it must read and compute";
  let description = [{
    `weight_bytes`: packed weights read per call by all ranks together, of which `row_bytes` by each row at most, if it is not 0; `integer_macs`, `float_macs`: multiply-adds for each of its
    rows, which are the step's tokens or, `wanted`, the positions whose logits are wanted. Attention: `key_bytes` and `key_macs` for each key that a
    token sees, at most `window` of them if it is not 0.
  }];
  let parameters = (ins StringRefParameter<"its function and role">:$name, DefaultValuedParameter<"int64_t", "0">:$weight_bytes, DefaultValuedParameter<"int64_t", "0">:$row_bytes,
                        DefaultValuedParameter<"int64_t", "0">:$integer_macs, DefaultValuedParameter<"int64_t", "0">:$float_macs,
                        DefaultValuedParameter<"int64_t", "0">:$wanted,
                        DefaultValuedParameter<"int64_t", "0">:$key_bytes, DefaultValuedParameter<"int64_t", "0">:$key_macs,
                        DefaultValuedParameter<"int64_t", "0">:$window);
  let assemblyFormat = "`<` struct(params) `>`";
}

//===---- constraints -----------------------------------------------------------------------------------------------===//
// What operands and attributes may be, said once: verifiers hold only what relates several of them.
class Heddle_Is<string predicate, string what> : Type<CPred<"::heddle::ir::" # predicate # "($_self)">, what>;

/// Activations: a tensor up to stage `sharded`, a buffer from `planned` on.
def Heddle_Rows : Heddle_Is<"isRows", "rows [? × features] of f32 (in buffers whole vectors of 16) or of !heddle.q8 (whole blocks of 32)">;
def Heddle_RealRows : Heddle_Is<"isRealRows", "rows [? × features] of f32 (in buffers whole vectors of 16)">;
def Heddle_Q8Rows : Heddle_Is<"isQ8Rows", "rows [? × features] of !heddle.q8 (whole blocks of 32)">;
def Heddle_Matrix : Heddle_Is<"isMatrix", "a weight [rows × columns] of f32, f16, bf16 or !heddle.quant (whole blocks), in buffers of !heddle.packed">;
def Heddle_Experts : Heddle_Is<"isExperts", "weights [experts × rows × columns] of f32, f16, bf16 or !heddle.quant (whole blocks), in buffers of !heddle.packed">;
def Heddle_Choices : Heddle_Is<"isChoices", "the experts that each token chose, [? × choices] of i32">;
def Heddle_Vector : Heddle_Is<"isVector", "a vector [elements] of f32">;
def Heddle_Indices : Heddle_Is<"isIndices", "a list of i32, tensor<?xi32> or memref<?xi32>">;
def Heddle_Bytes : Heddle_Is<"isByteList", "memref<?xi8>">;
def Heddle_Floats : Heddle_Is<"isFloatList", "memref<?xf32>">;
def Heddle_RowsBuffer : Type<And<[CPred<"::mlir::isa<::mlir::MemRefType>($_self)">, Heddle_Rows.predicate]>, "a buffer of rows">;
def Heddle_RowsTensor : Type<And<[CPred<"::mlir::isa<::mlir::RankedTensorType>($_self)">, Heddle_Rows.predicate]>, "a tensor of rows">;

def Heddle_ChoicesBuffer : Type<And<[CPred<"::mlir::isa<::mlir::MemRefType>($_self)">, Heddle_Choices.predicate]>, "a buffer of choices">;
def Heddle_ChoicesTensor : Type<And<[CPred<"::mlir::isa<::mlir::RankedTensorType>($_self)">, Heddle_Choices.predicate]>, "a tensor of choices">;

def Heddle_Positive : ConfinedAttr<I64Attr, [IntPositive]>;
def Heddle_NonNegative : ConfinedAttr<I64Attr, [IntNonNegative]>;
/// Of norms: added to a mean of squares.
def Heddle_Epsilon : ConfinedAttr<F32Attr, [AttrConstraint<CPred<"::heddle::ir::isWithin($_self, 0x1p-100, 1)">, "above 0 and at most 1">]>;
/// A factor that keeps finite what is finite.
def Heddle_Factor : ConfinedAttr<F32Attr, [AttrConstraint<CPred<"::heddle::ir::isWithin($_self, 1e-30, 1e30)">, "above 0 and finite">]>;
#endif
