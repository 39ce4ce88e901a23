//===- Dialect.td - the heddle dialect, its types and attributes ----------------------------------------------------===//
#ifndef HEDDLE_DIALECT_TD
#define HEDDLE_DIALECT_TD
include "mlir/IR/OpBase.td"
include "mlir/IR/AttrTypeBase.td"
include "mlir/IR/EnumAttr.td"

def Heddle_Dialect : Dialect {
  let name = "heddle";
  let cppNamespace = "::heddle::ir";
  let summary = "A Transformer as a graph, from exact mathematics down to register tiles";
  let description = [{
    One dialect serves every stage of compilation. At stage `graph` the ops act on tensors `[tokens × features]` and mean exact
    mathematics. From stage `fused` on every op means the one arithmetic of docs/arithmetic.md, bit for bit. At stage `planned`
    the same ops act on buffers (`outs`), and at stage `kernels` tile ops take their place.
  }];
  let useDefaultTypePrinterParser = 1;
  let extraClassDeclaration = "void registerOps();";
  let useDefaultAttributePrinterParser = 1;
  let dependentDialects = ["mlir::func::FuncDialect"];
}

//===---- types -----------------------------------------------------------------------------------------------------===//
class Heddle_Type<string name, string mnem> : TypeDef<Heddle_Dialect, name> { let mnemonic = mnem; }

def Heddle_QuantType : Heddle_Type<"Quant", "quant"> {
  let summary = "element of a block-quantised weight, `!heddle.quant<q4_1>`";
  let description = "The format is a quantised one of runtime/quant/formats. Plain floats are MLIR's own types: f32, f16, bf16.";
  let parameters = (ins StringRefParameter<"format name">:$format);
  let assemblyFormat = "`<` custom<FormatName>($format) `>`";
  let genVerifyDecl = 1;
}

def Heddle_Q8Type : Heddle_Type<"Q8", "q8"> {
  let summary = "element of activations quantised per 32 features (docs/arithmetic.md)";
}

//===---- enums -----------------------------------------------------------------------------------------------------===//
class Heddle_Enum<string name, list<I32EnumAttrCase> cases>
    : I32EnumAttr<name, "", cases> { let cppNamespace = "::heddle::ir"; let genSpecializedAttr = 0; }
// Such an attribute prints a space before its word, for `#heddle<mask causal>`; op formats write `` before it so as not to print two.
class Heddle_EnumAttr<EnumAttrInfo info, string mnem> : EnumAttr<Heddle_Dialect, info, mnem>;

def Heddle_ActivationKind : Heddle_Enum<"Activation",
  [I32EnumAttrCase<"Silu", 0, "silu">, I32EnumAttrCase<"GeluTanh", 1, "gelu_tanh">]>;
def Heddle_Activation : Heddle_EnumAttr<Heddle_ActivationKind, "activation">;

def Heddle_RopeStyleKind : Heddle_Enum<"RopeStyle",
  [I32EnumAttrCase<"Interleaved", 0, "interleaved">, I32EnumAttrCase<"Neox", 1, "neox">]>;
def Heddle_RopeStyle : Heddle_EnumAttr<Heddle_RopeStyleKind, "rope_style">;

def Heddle_MaskKind : Heddle_Enum<"Mask",
  [I32EnumAttrCase<"None", 0, "none">, I32EnumAttrCase<"Causal", 1, "causal">, I32EnumAttrCase<"Window", 2, "window">]>;
def Heddle_Mask : Heddle_EnumAttr<Heddle_MaskKind, "mask">;

def Heddle_SourceKind : Heddle_Enum<"KeySource",
  [I32EnumAttrCase<"Batch", 0, "batch">, I32EnumAttrCase<"Paged", 1, "paged">, I32EnumAttrCase<"Fixed", 2, "fixed">]>;
def Heddle_Source : Heddle_EnumAttr<Heddle_SourceKind, "key_source">;

def Heddle_CacheKind : Heddle_Enum<"CacheType",
  [I32EnumAttrCase<"F16", 0, "f16">, I32EnumAttrCase<"Q8", 1, "q8">]>;
def Heddle_CacheType : Heddle_EnumAttr<Heddle_CacheKind, "cache_type">;

def Heddle_UnitKind : Heddle_Enum<"Unit",
  [I32EnumAttrCase<"Heads", 0, "heads">, I32EnumAttrCase<"KvHeads", 1, "kv_heads">, I32EnumAttrCase<"Columns", 2, "columns">]>;

//===---- attributes ------------------------------------------------------------------------------------------------===//
def Heddle_ShardAttr : AttrDef<Heddle_Dialect, "Shard"> {
  let mnemonic = "shard";
  let summary = "how the last dimension of a value is cut over ranks";
  let description = [{
    `#heddle.shard<heads, 64>`: units of 64 features, one per query head; `kv_heads`: one per KV head, a rank holds those that its
    query heads read; `columns`: units of that many features. As the encoding of a tensor type it says that only the share of
    this rank is valid; `heddle.all_gather` makes it whole. On a weight it says which rows a rank holds.
  }];
  let parameters = (ins "Unit":$unit, "int64_t":$size);
  let assemblyFormat = "`<` custom<UnitName>($unit) `,` $size `>`";
  let genVerifyDecl = 1;
}

def Heddle_KernelAttr : AttrDef<Heddle_Dialect, "Kernel"> {
  let mnemonic = "kernel";
  let summary = "what ran before a barrier, for profiles: its name and what it must read and compute";
  let description = [{
    `weight_bytes`: packed weights read per call by all ranks together; `integer_macs`, `float_macs`: multiply-adds for each of its
    rows, which are the step's tokens or, `wanted`, the positions whose logits are wanted. Attention: `key_bytes` and `key_macs` for each key that a
    token sees, at most `window` of them if it is not 0.
  }];
  let parameters = (ins StringRefParameter<"its function and role">:$name, DefaultValuedParameter<"int64_t", "0">:$weight_bytes,
                        DefaultValuedParameter<"int64_t", "0">:$integer_macs, DefaultValuedParameter<"int64_t", "0">:$float_macs,
                        DefaultValuedParameter<"int64_t", "0">:$wanted,
                        DefaultValuedParameter<"int64_t", "0">:$key_bytes, DefaultValuedParameter<"int64_t", "0">:$key_macs,
                        DefaultValuedParameter<"int64_t", "0">:$window);
  let assemblyFormat = "`<` struct(params) `>`";
}
#endif
