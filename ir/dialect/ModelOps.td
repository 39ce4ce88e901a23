//===- ModelOps.td - symbols of a model, embedding, element-wise ops ------------------------------------------------===//

def Heddle_WeightOp : Heddle_Declaration<"weight"> {
  let summary = "declares a weight: its name, shape, format and, once sharded, the rows that a rank holds";
  let description = [{
    Weights never enter the IR. `embed` marks a table read by token id, which every rank holds whole. `from` is the expression over the
    checkpoint's tensors that makes it (docs/checkpoints.md); without it the weight is the tensor of its name.
  }];
  let arguments = (ins SymbolNameAttr:$sym_name, TypeAttr:$type, OptionalAttr<Heddle_ShardAttr>:$share, OptionalAttr<StrAttr>:$from);
  let assemblyFormat = "$sym_name `:` $type (`share` $share^)? (`from` $from^)? attr-dict";
  let hasVerifier = 1;
}

def Heddle_RopeTableOp : Heddle_Declaration<"rope_table"> {
  let summary = "declares a table of rotary position angles (docs/arithmetic.md, RoPE)";
  let arguments = (ins SymbolNameAttr:$sym_name, F64Attr:$base, I64Attr:$dims, F64Attr:$linear_scale,
                       OptionalAttr<DenseF64ArrayAttr>:$factors);
  let assemblyFormat = "$sym_name `base` $base `dims` $dims `scale` $linear_scale (`factors` $factors^)? attr-dict";
  let hasVerifier = 1;
}

def Heddle_PagedStateOp : Heddle_Declaration<"paged_state"> {
  let summary = "declares a KV cache in pages of 64 positions, f16 or 8 bits (docs/arithmetic.md, Attention)";
  let arguments = (ins SymbolNameAttr:$sym_name, I64Attr:$layers, I64Attr:$heads, I64Attr:$kv_heads, I64Attr:$head_dim,
                       DefaultValuedAttr<Heddle_CacheType, "::heddle::ir::CacheType::F16">:$type);
  let assemblyFormat = "$sym_name `layers` $layers `heads` $heads `kv_heads` $kv_heads `head_dim` $head_dim attr-dict";
  let hasVerifier = 1;
}

def Heddle_GetOp : Heddle_Op<"get", [Pure, DeclareOpInterfaceMethods<SymbolUserOpInterface>]> {
  let summary = "the value of a declared weight";
  let arguments = (ins FlatSymbolRefAttr:$weight);
  let results = (outs AnyRankedTensor:$result);
  let assemblyFormat = "$weight `:` type($result) attr-dict";
}

def Heddle_EmbedOp : Heddle_Op<"embed"> {
  let summary = "rows of an embedding table by token id, times an optional scale";
  let arguments = (ins Heddle_Rows:$ids, Heddle_Rows:$table, Optional<AnyMemRef>:$out, OptionalAttr<F32Attr>:$scale,
                       OptionalAttr<StrAttr>:$format);
  let results = (outs Optional<AnyRankedTensor>:$result);
  let assemblyFormat = "$ids `,` $table (`outs` `(` $out^ `)`)? attr-dict `:` functional-type(operands, results)";
  let hasVerifier = 1;
}

def Heddle_SelectRowsOp : Heddle_Op<"select_rows"> {
  let summary = "the tokens whose logits are wanted";
  let arguments = (ins Heddle_Rows:$input, Heddle_Rows:$rows, Optional<AnyMemRef>:$out);
  let results = (outs Optional<AnyRankedTensor>:$result);
  let assemblyFormat = "$input `,` $rows (`outs` `(` $out^ `)`)? attr-dict `:` functional-type(operands, results)";
  let hasVerifier = 1;
}

class Heddle_Binary<string name, string what> : Heddle_Op<name, [Pure, SameOperandsAndResultType]> {
  let summary = what;
  let arguments = (ins AnyRankedTensor:$lhs, AnyRankedTensor:$rhs);
  let results = (outs AnyRankedTensor:$result);
  let assemblyFormat = "$lhs `,` $rhs attr-dict `:` type($result)";
}
def Heddle_AddOp : Heddle_Binary<"add", "element-wise sum (stage graph)">;
def Heddle_MulOp : Heddle_Binary<"mul", "element-wise product (stage graph)">;

def Heddle_ActivateOp : Heddle_Op<"activate", [Pure, SameOperandsAndResultType]> {
  let summary = "element-wise activation function (stage graph)";
  let arguments = (ins AnyRankedTensor:$input, Heddle_Activation:$function);
  let results = (outs AnyRankedTensor:$result);
  let assemblyFormat = "`` $function $input attr-dict `:` type($result)";
}
