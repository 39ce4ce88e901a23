//===- TileOps.td - one register tile's or one token's work (stages kernels and loops) ------------------------------===//
// Tiles act on buffers: activations memref<T×N×f32> or memref<T×N×!heddle.q8>, packed weights memref<N×K×!heddle.packed<…>>, vectors of
// 16 f32 whose lanes are 16 output rows.

def Heddle_Lanes : Type<CPred<"::heddle::ir::isLanes($_self)">, "vector<16xf32>">, BuildableType<"::mlir::VectorType::get({16}, $_builder.getF32Type())">;

def Heddle_BarrierOp : Heddle_Op<"barrier", [MemoryEffects<[MemRead, MemWrite]>]> {
  let summary = "all threads of this rank wait for each other";
  let arguments = (ins OptionalAttr<Heddle_KernelAttr>:$kernel);
  let assemblyFormat = "(`after` $kernel^)? attr-dict";
}

def Heddle_GatherOp : Heddle_Op<"gather", [MemoryEffects<[MemRead, MemWrite]>]> {
  let summary = "threads of all ranks complete a buffer: `units` of `unit_bytes` of each row, cut by runtime/plan/Share.h";
  let arguments = (ins Heddle_RowsBuffer:$buffer, Heddle_Positive:$row_bytes, Heddle_Positive:$units, Heddle_Positive:$unit_bytes,
                       OptionalAttr<Heddle_KernelAttr>:$kernel);
  let assemblyFormat = "$buffer (`after` $kernel^)? attr-dict `:` type($buffer)";
}

def Heddle_TileProductOp : Heddle_Op<"tile_product", [MemoryEffects<[MemRead]>]> {
  let summary = "`row_groups` × 16 rows × some tokens of x · Wᵀ, the whole of K: one accumulator vector per row group and token";
  let description = [{
    The accumulators stand by row group, then by token.
    `row_groups`: how many row groups go through K together, from `group` on.
    `lanes`: how many of the 16 rows a register holds, 16 or 8. With 8 the weights of each half of the rows are unpacked by themselves.
    `through`: of a list of rows: tokens are its elements from `token` on, in place of the numbers from `token` on.
    `ahead`: how many bytes ahead of its reads a quantised tile asks for weights, past the end of its row group too; 0: it does not.
  }];
  let arguments = (ins Heddle_RowsBuffer:$input, Index:$token, AnyTypeOf<[Heddle_Matrix, Heddle_Experts]>:$weights, Index:$group, Optional<Heddle_Indices>:$through,
                       DefaultValuedAttr<I64Attr, "16">:$lanes, DefaultValuedAttr<Heddle_Positive, "1">:$row_groups,
                       DefaultValuedAttr<Heddle_NonNegative, "0">:$ahead);
  let results = (outs Variadic<Heddle_Lanes>:$accumulators);
  let assemblyFormat = [{
    $input `[` $token `]` `,` $weights `[` $group `]` (`through` `(` $through^ `:` type($through) `)`)? attr-dict `:` type($input) `,` type($weights) `->` type($accumulators)
  }];
  let hasVerifier = 1;
}

def Heddle_TileProductPanelOp : Heddle_Op<"tile_product_panel", [MemoryEffects<[MemRead, MemWrite]>]> {
  let summary = "x · Wᵀ of many row groups × many tokens, the whole of K: the accumulators stand in a buffer";
  let description = [{
    sums: memref<row groups × tokens × 16 × f32>, at least as many of both as `groups` and `tokens` say; those are written.
    Quantised formats only. Weights are unpacked once for all tokens and activations splat once for all rows, which pays where registers
    are few. `lanes`: how many of the 16 rows a register holds, 16 or 8. `pairs`: signed codes, and the activations
    that meet them, are widened to pairs of 16 bits, for targets that do not sum four products of bytes at once; unsigned codes always go by
    as quads of bytes. `through` as in tile_product.
  }];
  let arguments = (ins Heddle_Q8Rows:$input, Index:$token, Index:$tokens, AnyTypeOf<[Heddle_Matrix, Heddle_Experts]>:$weights, Index:$group, Index:$groups,
                       MemRefRankOf<[F32], [3]>:$sums, Optional<Heddle_Indices>:$through, DefaultValuedAttr<I64Attr, "8">:$lanes, UnitAttr:$pairs);
  let assemblyFormat = [{
    $input `[` $token `for` $tokens `]` `,` $weights `[` $group `for` $groups `]` `->` $sums (`through` `(` $through^ `:` type($through) `)`)? attr-dict `:` type($input) `,` type($weights) `,` type($sums)
  }];
  let hasVerifier = 1;
}

def Heddle_TileActivateOp : Heddle_Op<"tile_activate", [Pure]> {
  let summary = "an activation function on 16 lanes";
  let arguments = (ins Heddle_Lanes:$input, Heddle_Activation:$function);
  let results = (outs Heddle_Lanes:$result);
  let assemblyFormat = "`` $function $input attr-dict `:` type($input)";
}

def Heddle_TileQuantizeOp : Heddle_Op<"tile_quantize", [MemoryEffects<[MemWrite]>]> {
  let summary = "requantises 32 features held in two vectors and stores the block";
  let arguments = (ins Heddle_Lanes:$low, Heddle_Lanes:$high, Heddle_Q8Rows:$out, Index:$token, Index:$block);
  let assemblyFormat = "$low `,` $high `,` $out `[` $token `,` $block `]` attr-dict `:` type($low) `,` type($high) `,` type($out)";
}

def Heddle_TileQuantizeRowOp : Heddle_Op<"tile_quantize_row", [MemoryEffects<[MemRead, MemWrite]>]> {
  let summary = "quantises one token's row";
  let arguments = (ins Heddle_RealRows:$input, Heddle_Q8Rows:$out, Index:$token);
  let assemblyFormat = "$input `,` $out `[` $token `]` attr-dict `:` type($input) `,` type($out)";
  let hasVerifier = 1;
}

def Heddle_TileRmsNormOp : Heddle_Op<"tile_rms_norm", [MemoryEffects<[MemRead, MemWrite]>]> {
  let summary = "rms_norm of one token's row";
  let arguments = (ins Heddle_RealRows:$input, Heddle_Vector:$weight, Optional<Heddle_RealRows>:$residual, Heddle_RowsBuffer:$out, Index:$token,
                       Heddle_Epsilon:$eps);
  let assemblyFormat = [{
    $input `,` $weight (`residual` `(` $residual^ `)`)? `->` $out `[` $token `]` `eps` $eps attr-dict `:` type(operands)
  }];
  let hasVerifier = 1;
}

def Heddle_TileLayerNormOp : Heddle_Op<"tile_layer_norm", [MemoryEffects<[MemRead, MemWrite]>]> {
  let summary = "layer_norm of one token's row";
  let arguments = (ins Heddle_RealRows:$input, Heddle_Vector:$weight, Optional<Heddle_Vector>:$bias, Heddle_RowsBuffer:$out, Index:$token,
                       Heddle_Epsilon:$eps);
  let assemblyFormat = [{
    $input `,` $weight (`bias` `(` $bias^ `)`)? `->` $out `[` $token `]` `eps` $eps attr-dict `:` type(operands)
  }];
  let hasVerifier = 1;
}

def Heddle_TileEmbedOp : Heddle_Op<"tile_embed", [MemoryEffects<[MemRead, MemWrite]>]> {
  let summary = "one token's row of a packed embedding table";
  let arguments = (ins Heddle_Indices:$ids, Heddle_Matrix:$table, Heddle_RealRows:$out, Index:$token, OptionalAttr<Heddle_Factor>:$scale);
  let assemblyFormat = "$ids `,` $table `->` $out `[` $token `]` attr-dict `:` type(operands)";
  let hasVerifier = 1;
}

def Heddle_TileCopyRowOp : Heddle_Op<"tile_copy_row", [MemoryEffects<[MemRead, MemWrite]>]> {
  let summary = "copies a row of activations";
  let arguments = (ins Heddle_RowsBuffer:$input, Index:$from, Heddle_RowsBuffer:$out, Index:$to);
  let assemblyFormat = "$input `[` $from `]` `->` $out `[` $to `]` attr-dict `:` type($input) `,` type($out)";
  let hasVerifier = 1;
}

def Heddle_TileRopeOp : Heddle_Op<"tile_rope", [MemoryEffects<[MemRead, MemWrite]>]> {
  let summary = "rotates one head of one token";
  let arguments = (ins Heddle_RealRows:$input, Heddle_Floats:$rope, Heddle_RealRows:$out, Index:$token, Index:$head, Index:$position,
                       Heddle_Positive:$head_dim, Heddle_Positive:$rope_dims, Heddle_RopeStyle:$style);
  let assemblyFormat = "`` $style $input `,` $rope `->` $out `[` $token `,` $head `]` `at` $position attr-dict `:` type($input) `,` type($rope) `,` type($out)";
  let hasVerifier = 1;
}

def Heddle_TileStoreKvOp : Heddle_Op<"tile_store_kv", [AttrSizedOperandSegments, MemoryEffects<[MemRead, MemWrite]>]> {
  let summary = "norms, rotates and stores one token's key and value of one KV head; `page` is the byte of the head's page in kv";
  let arguments = (ins Heddle_RealRows:$keys, Heddle_RealRows:$values, Index:$token, Index:$head, Index:$position, Heddle_Bytes:$kv, Index:$page,
                       Optional<Heddle_Vector>:$k_norm, Optional<Heddle_Floats>:$rope,
                       Heddle_Positive:$head_dim, Heddle_NonNegative:$rope_dims, OptionalAttr<Heddle_Epsilon>:$norm_eps, OptionalAttr<Heddle_RopeStyle>:$style,
                       DefaultValuedAttr<Heddle_CacheType, "::heddle::ir::CacheType::F16">:$type);
  let assemblyFormat = [{
    $keys `,` $values `[` $token `,` $head `]` `at` $position `->` $kv `[` $page `]` (`k_norm` `(` $k_norm^ `)`)?
    (`rope` `(` $rope^ `)`)? attr-dict `:` type(operands)
  }];
  let hasVerifier = 1;
}

// What the two tiles share that attend: 1 to 8 queries whose positions do not decrease and that read one KV head of one sequence, so
// that a key and a value come from memory once for all of them. A query sees the keys up to its own position or, with a `length`,
// as many as that says. Registers hold `rows` of them times `vectors` vectors of keys or
// features, for which each is widened once.
class Heddle_AttentionTile<string name, dag result> : Heddle_Op<name, [AttrSizedOperandSegments, MemoryEffects<[MemRead, MemWrite]>]> {
  dag before = (ins Heddle_RealRows:$query, Variadic<Index>:$tokens, Variadic<Index>:$heads, Variadic<Index>:$positions,
                    Heddle_Indices:$page_table, Index:$first_page, Heddle_Bytes:$kv, Index:$page_stride, Index:$page_base);
  dag after = (ins Optional<Heddle_Vector>:$q_norm, Optional<Heddle_Floats>:$rope, Optional<Index>:$length,
                   Heddle_Positive:$head_dim, Heddle_NonNegative:$rope_dims, Heddle_Factor:$scale, Heddle_NonNegative:$window, OptionalAttr<Heddle_Factor>:$soft_cap,
                   OptionalAttr<Heddle_Epsilon>:$norm_eps, OptionalAttr<Heddle_RopeStyle>:$style, Heddle_Positive:$rows, Heddle_Positive:$vectors,
                   DefaultValuedAttr<Heddle_CacheType, "::heddle::ir::CacheType::F16">:$type);
  let arguments = !con(before, result, after);
  let hasVerifier = 1;
}

def Heddle_TileAttentionOp : Heddle_AttentionTile<"tile_attention", (ins Heddle_RowsBuffer:$out, Optional<Heddle_Vector>:$sinks)> {
  let summary = "online-softmax attention of some queries over all their visible pages";
  let description = [{
    `first_page` is the index in page_table of the sequence's chunk 0; page p of the KV head starts at byte
    p · page_stride + page_base of kv. `out` [T × heads·head_dim] f32 or q8.
  }];
  let assemblyFormat = [{
    $query `tokens` `(` $tokens `)` `heads` `(` $heads `)` `at` `(` $positions `)` `pages` $page_table `[` $first_page `]`
    `kv` $kv `[` $page_stride `,` $page_base `]` `->` $out (`sinks` `(` $sinks^ `:` type($sinks) `)`)? (`q_norm` `(` $q_norm^ `)`)?
    (`rope` `(` $rope^ `)`)? (`length` `(` $length^ `)`)? attr-dict `:` type($query) `,` type($page_table) `,` type($kv) `,` type($out)
    (`,` type($q_norm)^)? (`rope` type($rope)^)?
  }];
}

def Heddle_TileAttendChunksOp : Heddle_AttentionTile<"tile_attend_chunks", (ins Index:$from, Index:$to, Heddle_Floats:$partials, Index:$state, Index:$head_stride)> {
  let summary = "the states of chunks [from, to) of keys for some heads of one token, all of them visible";
  let description = [{
    o[head_dim] of query i after chunk c alone starts at element state + i · head_stride + c · (head_dim + 16) of `partials`
    (runtime/plan/Frame.h). After that of query 0 come m of all queries, and, 8 elements on, l of all.
  }];
  let assemblyFormat = [{
    $query `tokens` `(` $tokens `)` `heads` `(` $heads `)` `at` `(` $positions `)` `pages` $page_table `[` $first_page `]`
    `kv` $kv `[` $page_stride `,` $page_base `]` `chunks` `[` $from `,` $to `]` `->` $partials `[` $state `,` $head_stride `]`
    (`q_norm` `(` $q_norm^ `)`)? (`rope` `(` $rope^ `)`)? (`length` `(` $length^ `)`)? attr-dict
    `:` type($query) `,` type($page_table) `,` type($kv) `,` type($partials) (`,` type($q_norm)^)? (`rope` type($rope)^)?
  }];
}

def Heddle_TileMergeChunksOp : Heddle_Op<"tile_merge_chunks", [AttrSizedOperandSegments, MemoryEffects<[MemRead, MemWrite]>]> {
  let summary = "merges the states of chunks [from, to), in increasing order, into a block of features of the attention of some heads of one token";
  let description = [{
    The heads are those of one tile_attend_chunks, whose states lie at `state` and `head_stride`. Blocks are of 16 · `vectors` features.
  }];
  let arguments = (ins Heddle_Floats:$partials, Index:$state, Index:$head_stride, Index:$from, Index:$to, Heddle_RowsBuffer:$out, Index:$token,
                       Variadic<Index>:$heads, Index:$block, Optional<Heddle_Vector>:$sinks, Heddle_Positive:$head_dim, Heddle_Positive:$vectors);
  let assemblyFormat = [{
    $partials `[` $state `,` $head_stride `]` `chunks` `[` $from `,` $to `]` `->` $out `[` $token `]` `heads` `(` $heads `)`
    `block` $block (`sinks` `(` $sinks^ `:` type($sinks) `)`)? attr-dict `:` type($partials) `,` type($out)
  }];
  let hasVerifier = 1;
}

def Heddle_LookupOp : Heddle_Op<"lookup", [Pure, AllTypesMatch<["indices", "result"]>]> {
  let summary = "bytes looked up in a table of 16, by indices 0 to 15 (stage loops): codes whose bits do not count evenly";
  let arguments = (ins VectorOfLengthAndType<[32, 64], [I8]>:$indices, ConfinedAttr<DenseI8ArrayAttr, [DenseArrayCount<16>]>:$table);
  let results = (outs VectorOfLengthAndType<[32, 64], [I8]>:$result);
  let assemblyFormat = "$indices `in` $table attr-dict `:` type($indices)";
}

def Heddle_DotOperand : AnyTypeOf<[VectorOfLengthAndType<[32, 64], [I8]>, VectorOfLengthAndType<[16, 32], [I16]>],
                                  "quads of i8 or pairs of i16">;

def Heddle_DotOp : Heddle_Op<"dot", [Pure, SameVariadicOperandSize]> {
  let summary = "16 or 8 lanes of Σ code·q, exact in i32: the integer heart of every quantised product (stage loops)";
  let description = [{
    codes and activations: equally many vector<64xi8> or vector<32xi8> quads (runtime/quant/README.md), four K per lane. Codes are unsigned and at most
    `code_max` or, with `signed_codes`, signed; `sum` is Σ q of all quads, which some targets need for signed codes. result = init + Σ.
    Signed codes may stand in pairs instead, vector<32xi16> or vector<16xi16>, two K per lane, and the activations with them
    in the same order.
  }];
  let arguments = (ins VectorOfLengthAndType<[8, 16], [I32]>:$init, I32:$sum, Variadic<Heddle_DotOperand>:$codes,
                       Variadic<Heddle_DotOperand>:$activations, I64Attr:$code_max, UnitAttr:$signed_codes);
  let results = (outs VectorOfLengthAndType<[8, 16], [I32]>:$result);
  let assemblyFormat = "$init `sum` $sum `codes` `(` $codes `)` `activations` `(` $activations `)` attr-dict `:` functional-type(operands, results)";
  let hasVerifier = 1;
}
