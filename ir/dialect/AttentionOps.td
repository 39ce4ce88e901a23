//===- AttentionOps.td - attention and its key/value cache ----------------------------------------------------------===//

def Heddle_AttentionOp : Heddle_Compute<"attention", ["kernelName", "stateAccess", "canStoreQuantized", "unitRead", "cut", "shares", "setShares", "addCost"],
                                        [AttrSizedOperandSegments, DeclareOpInterfaceMethods<SymbolUserOpInterface>]> {
  let summary = "softmax(scale · q·kᵀ + bias, masked) · v, per head";
  let description = [{
    q [T × heads·head_dim] f32. Keys and values come from `source`:
    - `batch`: operands `keys`, `values` [T × kv_heads·head_dim]. With a paged `state` they are appended to it first, at each token's
      position, and attention sees the state (stage graph of a decoder); with a transient one, or none, attention sees just the
      tokens of this step (encoders).
    - `paged`, `transient`: that state alone, written before by `heddle.store_kv` (stage fused on).
    - `fixed`: that state, which another entry has written (cross attention).
    Where each token stands, and in which sequence, the batch says: it sees its own sequence's keys alone.
    `mask` none, causal, or window (causal and position > query − window). All of a fixed state is seen: none. Of a paged one a token never
    sees later ones, as whether they are there already depends on how a prompt comes in steps. `soft_cap` c: s = c·tanh(s/c) when c > 0. `bias` [heads × T × S] f32.
    From stage `fused` on q may arrive raw: `q_norm` [head_dim] with `norm_eps`, then `rope` with `style`, are applied per head first.
    `sinks` [heads]: the score of a further key of each head, which every query sees and which has no value (Xiao et al., arXiv:2309.17453).
    `shares`: [begin, end) of query heads, then of KV heads. The optional second result, asked for by `probe_heads`, holds the
    attention weights [T × probe_heads × S] f32 from a second walk with the final maximum and sum; the first keeps its bits.
  }];
  let arguments = (ins Heddle_RealRows:$query, Optional<Heddle_RealRows>:$keys, Optional<Heddle_RealRows>:$values,
                       Optional<Index>:$layer, Optional<Heddle_Vector>:$q_norm, Optional<AnyTypeOf<[AnyRankedTensor, AnyMemRef]>>:$bias, Optional<Heddle_Vector>:$sinks,
                       Variadic<Index>:$shares, Optional<Heddle_RowsBuffer>:$out,
                       Heddle_Source:$source, OptionalAttr<FlatSymbolRefAttr>:$state,
                       Heddle_Positive:$heads, Heddle_Positive:$kv_heads, Heddle_Positive:$head_dim, Heddle_Factor:$scale, Heddle_Mask:$mask,
                       DefaultValuedAttr<Heddle_NonNegative, "0">:$window, OptionalAttr<Heddle_Factor>:$soft_cap,
                       OptionalAttr<Heddle_Epsilon>:$norm_eps, OptionalAttr<FlatSymbolRefAttr>:$rope, OptionalAttr<Heddle_RopeStyle>:$style,
                       OptionalAttr<DenseI64ArrayAttr>:$probe_heads);
  let results = (outs Variadic<AnyRankedTensor>:$results);
  let assemblyFormat = [{
    `` $source `query` `(` $query `)` (`keys` `(` $keys^ `)`)? (`values` `(` $values^ `)`)? (`state` $state^)? (`layer` `(` $layer^ `)`)?
    (`q_norm` `(` $q_norm^ `)`)? (`bias` `(` $bias^ `)`)? (`sinks` `(` $sinks^ `)`)? (`shares` `(` $shares^ `)`)? (`outs` `(` $out^ `)`)? attr-dict
    `:` functional-type(operands, results)
  }];
  let builders = [OpBuilder<(ins "const AttentionSpec &":$spec)>];
  let hasVerifier = 1;
}

def Heddle_StoreKvOp : Heddle_Compute<"store_kv", ["stateAccess", "unitRead", "shares", "setShares"],
                                      [AttrSizedOperandSegments, DeclareOpInterfaceMethods<SymbolUserOpInterface>]> {
  let summary = "norms and rotates keys, then writes keys and values of the step's tokens into a state, rounded to its type";
  let description = "keys, values [T × kv_heads·head_dim] f32, raw; `shares`: [begin, end) of KV heads.";
  let arguments = (ins Heddle_RealRows:$keys, Heddle_RealRows:$values, Optional<Index>:$layer, Optional<Heddle_Vector>:$k_norm, Variadic<Index>:$shares,
                       FlatSymbolRefAttr:$state, Heddle_Positive:$kv_heads, Heddle_Positive:$head_dim,
                       OptionalAttr<Heddle_Epsilon>:$norm_eps, OptionalAttr<FlatSymbolRefAttr>:$rope, OptionalAttr<Heddle_RopeStyle>:$style);
  let assemblyFormat = [{
    `keys` `(` $keys `)` `values` `(` $values `)` `state` $state (`layer` `(` $layer^ `)`)? (`k_norm` `(` $k_norm^ `)`)? (`shares` `(` $shares^ `)`)?
    attr-dict `:` type(operands)
  }];
  let builders = [OpBuilder<(ins "const StoreKvSpec &":$spec)>];
  let hasVerifier = 1;
}
