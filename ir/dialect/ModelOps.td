//===- ModelOps.td - symbols of a model, embedding, element-wise ops ------------------------------------------------===//

def Heddle_WeightOp : Heddle_Declaration<"weight"> {
  let summary = "declares a weight: its name, shape, format and, once sharded, the rows that a rank holds";
  let description = [{
    Weights never enter the IR. `from` is the expression over the checkpoint's tensors that makes it (docs/checkpoints.md); without it
    the weight is the tensor of its name.
  }];
  let arguments = (ins SymbolNameAttr:$sym_name, TypeAttr:$type, OptionalAttr<Heddle_ShardAttr>:$share, OptionalAttr<StrAttr>:$from);
  let assemblyFormat = "$sym_name `:` $type (`share` $share^)? (`from` $from^)? attr-dict";
  let hasVerifier = 1;
}

def Heddle_RopeTableOp : Heddle_Declaration<"rope_table"> {
  let summary = "declares a table of rotary position angles (docs/arithmetic.md, RoPE)";
  let description = [{
    `factors`, one for each of the dims / 2 pairs, divide its frequency, and `scale` all of them. `long_factors` take their place where
    the served context is longer than `beyond` positions. cos and sin are multiplied by `magnitude`.
  }];
  let arguments = (ins SymbolNameAttr:$sym_name, F64Attr:$base, Heddle_Positive:$dims, F64Attr:$linear_scale,
                       OptionalAttr<DenseF64ArrayAttr>:$factors, OptionalAttr<DenseF64ArrayAttr>:$long_factors,
                       OptionalAttr<Heddle_Positive>:$original, OptionalAttr<F64Attr>:$magnitude);
  let assemblyFormat = [{
    $sym_name `base` $base `dims` $dims `scale` $linear_scale (`factors` custom<Doubles>($factors)^)?
    (`long_factors` custom<Doubles>($long_factors)^)? (`beyond` $original^)?
    (`magnitude` $magnitude^)? attr-dict
  }];
  let hasVerifier = 1;
}

def Heddle_StateOp : Heddle_Declaration<"state", [DeclareOpInterfaceMethods<SymbolUserOpInterface>]> {
  let summary = "declares what outlives a kernel and is no value: keys and values, or a row, of each sequence";
  let description = [{
    Keys and values stand in pages of 64 positions, f16 or 8 bits (docs/arithmetic.md, Attention):
    - `paged`: grows by the tokens of a step; later steps read it.
    - `fixed`: written once by one entry, read by others, all of it, as long as it is for each sequence.
    - `transient`: of the tokens of this very step; without layers, as the next one may write over it.

    `recurrent`: a row of `features` f32 for each sequence and layer, from zeros on, which the tokens of a step update one after another.
  }];
  let arguments = (ins Heddle_StateKind:$kind, SymbolNameAttr:$sym_name, OptionalAttr<Heddle_Positive>:$layers,
                       DefaultValuedAttr<Heddle_NonNegative, "0">:$heads, DefaultValuedAttr<Heddle_NonNegative, "0">:$kv_heads,
                       DefaultValuedAttr<Heddle_NonNegative, "0">:$head_dim, DefaultValuedAttr<Heddle_NonNegative, "0">:$features,
                       DefaultValuedAttr<Heddle_CacheType, "::heddle::ir::CacheType::F16">:$type);
  let assemblyFormat = [{
    `` $kind $sym_name (`layers` $layers^)? (`heads` $heads^ `kv_heads` $kv_heads `head_dim` $head_dim)? (`features` $features^)? attr-dict
  }];
  let builders = [OpBuilder<(ins "StateKind":$kind, "::mlir::StringRef":$name, "const KvGeometry &":$geometry)>];
  let extraClassDeclaration = [{
    int64_t layerCount() { return getLayers().value_or(1); }
    /// Of keys and values.
    KvGeometry geometry() { return {layerCount(), int64_t(getHeads()), int64_t(getKvHeads()), int64_t(getHeadDim()), getType()}; }
  }];
  let hasVerifier = 1;
}

def Heddle_EmbedOp : Heddle_Compute<"embed"> {
  let summary = "rows of a table by token id (or position), times an optional scale";
  let arguments = (ins Heddle_Indices:$ids, Heddle_Matrix:$table, Optional<Heddle_RowsBuffer>:$out, OptionalAttr<Heddle_Factor>:$scale);
  let results = (outs Optional<Heddle_RowsTensor>:$result);
  let assemblyFormat = "$ids `,` $table (`outs` `(` $out^ `)`)? attr-dict `:` functional-type(operands, results)";
  let hasVerifier = 1;
}

def Heddle_SelectRowsOp : Heddle_Compute<"select_rows", ["rowsOf", "rowsEach"]> {
  let summary = "the rows of the tokens that `rows` lists";
  let arguments = (ins Heddle_Rows:$input, Heddle_Indices:$rows, Optional<Heddle_RowsBuffer>:$out);
  let results = (outs Optional<Heddle_RowsTensor>:$result);
  let assemblyFormat = "$input `,` $rows (`outs` `(` $out^ `)`)? attr-dict `:` functional-type(operands, results)";
  let hasVerifier = 1;
}

class Heddle_Binary<string name, string what> : Heddle_Compute<name, ["updated"]> {
  let summary = what;
  let arguments = (ins Heddle_RealRows:$lhs, Heddle_RealRows:$rhs, Optional<Heddle_RowsBuffer>:$out);
  let results = (outs Optional<Heddle_RowsTensor>:$result);
  let assemblyFormat = "$lhs `,` $rhs (`outs` `(` $out^ `)`)? attr-dict `:` functional-type(operands, results)";
  let hasVerifier = 1;
}
def Heddle_AddOp : Heddle_Binary<"add", "element-wise sum">;
def Heddle_MulOp : Heddle_Binary<"mul", "element-wise product">;

def Heddle_ActivateOp : Heddle_Compute<"activate", ["updated"]> {
  let summary = "element-wise activation function";
  let arguments = (ins Heddle_RealRows:$input, Optional<Heddle_RowsBuffer>:$out, Heddle_Activation:$function);
  let results = (outs Optional<Heddle_RowsTensor>:$result);
  let assemblyFormat = "`` $function $input (`outs` `(` $out^ `)`)? attr-dict `:` functional-type(operands, results)";
  let hasVerifier = 1;
}

def Heddle_ScaleOp : Heddle_Compute<"scale", ["updated"]> {
  let summary = "every element times a constant";
  let arguments = (ins Heddle_RealRows:$input, Optional<Heddle_RowsBuffer>:$out, Heddle_Factor:$by);
  let results = (outs Optional<Heddle_RowsTensor>:$result);
  let assemblyFormat = "$input `by` $by (`outs` `(` $out^ `)`)? attr-dict `:` functional-type(operands, results)";
  let hasVerifier = 1;
}

def Heddle_CopyOp : Heddle_Compute<"copy"> {
  let summary = "the same rows in another buffer (stage planned on): where a value must outlive an update of its buffer";
  let arguments = (ins Heddle_Rows:$input, Optional<Heddle_RowsBuffer>:$out);
  let results = (outs Optional<Heddle_RowsTensor>:$result);
  let assemblyFormat = "$input (`outs` `(` $out^ `)`)? attr-dict `:` functional-type(operands, results)";
  let hasVerifier = 1;
}
