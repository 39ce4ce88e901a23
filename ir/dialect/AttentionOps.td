//===- AttentionOps.td - attention and its key/value cache ----------------------------------------------------------===//

def Heddle_AttentionOp : Heddle_Op<"attention", [AttrSizedOperandSegments, DeclareOpInterfaceMethods<SymbolUserOpInterface>]> {
  let summary = "softmax(scale · q·kᵀ + bias, masked) · v, per head";
  let description = [{
    q [T × heads·head_dim] f32. Keys and values come from `source`:
    - `batch`: operands `keys`, `values` [T × kv_heads·head_dim]. With a `state` they are appended to it first, at each token's position,
      and attention sees the state (stage graph of a decoder); without one attention sees just the batch (encoders).
    - `paged`: the state alone, written before by `heddle.store_kv` (stage fused on).
    - `fixed`: operands `keys`, `values` [S × kv_heads·head_dim] of another sequence (cross attention).
    positions, sequences [T] i32 say where each token stands; page_table [sequences × pages] i32 where its chunks lie.
    `mask` none, causal, or window (causal and position > query − window). `soft_cap` c: s = c·tanh(s/c) when c > 0. `bias` [heads × T × S] f32.
    From stage `fused` on q may arrive raw: `q_norm` [head_dim] with `norm_eps`, then `rope` with `style`, are applied per head first.
    `shares`: [begin, end) of query heads, then of KV heads. The optional second result, asked for by `probe_heads`, holds the
    attention weights [T × probe_heads × S] f32 from a second walk with the final maximum and sum; the first keeps its bits.
  }];
  let arguments = (ins Heddle_Rows:$query, Optional<Heddle_Rows>:$keys, Optional<Heddle_Rows>:$values,
                       Optional<Heddle_Rows>:$positions, Optional<Heddle_Rows>:$sequences, Optional<Heddle_Rows>:$page_table,
                       Optional<Index>:$layer, Optional<Heddle_Rows>:$q_norm, Optional<Heddle_Rows>:$bias,
                       Variadic<Index>:$shares, Optional<AnyMemRef>:$out,
                       Heddle_Source:$source, OptionalAttr<FlatSymbolRefAttr>:$state,
                       I64Attr:$heads, I64Attr:$kv_heads, I64Attr:$head_dim, F32Attr:$scale, Heddle_Mask:$mask,
                       DefaultValuedAttr<I64Attr, "0">:$window, OptionalAttr<F32Attr>:$soft_cap,
                       OptionalAttr<F32Attr>:$norm_eps, OptionalAttr<FlatSymbolRefAttr>:$rope, OptionalAttr<Heddle_RopeStyle>:$style,
                       OptionalAttr<DenseI64ArrayAttr>:$probe_heads);
  let results = (outs Variadic<AnyRankedTensor>:$results);
  let assemblyFormat = [{
    `` $source `query` `(` $query `)` (`keys` `(` $keys^ `)`)? (`values` `(` $values^ `)`)? (`at` `(` $positions^ `)`)? (`sequences` `(` $sequences^ `)`)?
    (`pages` `(` $page_table^ `)`)? (`state` $state^)? (`layer` `(` $layer^ `)`)? (`q_norm` `(` $q_norm^ `)`)? (`bias` `(` $bias^ `)`)?
    (`shares` `(` $shares^ `)`)? (`outs` `(` $out^ `)`)? attr-dict `:` functional-type(operands, results)
  }];
  let hasVerifier = 1;
}

def Heddle_StoreKvOp : Heddle_Op<"store_kv", [AttrSizedOperandSegments, DeclareOpInterfaceMethods<SymbolUserOpInterface>]> {
  let summary = "norms and rotates keys, then writes keys and values of the step's tokens into a paged state, rounded to its type";
  let description = "keys, values [T × kv_heads·head_dim] f32, raw; `shares`: [begin, end) of KV heads.";
  let arguments = (ins Heddle_Rows:$keys, Heddle_Rows:$values, Heddle_Rows:$positions, Heddle_Rows:$sequences,
                       Heddle_Rows:$page_table, Index:$layer, Optional<Heddle_Rows>:$k_norm, Variadic<Index>:$shares,
                       FlatSymbolRefAttr:$state, I64Attr:$kv_heads, I64Attr:$head_dim,
                       OptionalAttr<F32Attr>:$norm_eps, OptionalAttr<FlatSymbolRefAttr>:$rope, OptionalAttr<Heddle_RopeStyle>:$style);
  let assemblyFormat = [{
    `keys` `(` $keys `)` `values` `(` $values `)` `at` `(` $positions `)` `sequences` `(` $sequences `)` `pages` `(` $page_table `)`
    `state` $state `layer` `(` $layer `)` (`k_norm` `(` $k_norm^ `)`)? (`shares` `(` $shares^ `)`)? attr-dict `:` type(operands)
  }];
  let hasVerifier = 1;
}
