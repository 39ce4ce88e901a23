//===- TileOps.td - one register tile's or one token's work (stages kernels and loops) ------------------------------===//
// Tiles act on buffers: activations memref<T×N×f32> or q8 memref<T×N/32×40×i8> (runtime/quant/Activation.h), packed weights
// memref<groups×group_bytes×i8> (runtime/quant/README.md), vectors of 16 f32 whose lanes are 16 output rows.

def Heddle_Lanes : Type<CPred<"::heddle::ir::isLanes($_self)">, "vector<16xf32>">, BuildableType<"::mlir::VectorType::get({16}, $_builder.getF32Type())">;

def Heddle_BarrierOp : Heddle_Op<"barrier", [MemoryEffects<[MemRead, MemWrite]>]> {
  let summary = "all threads of this rank wait for each other";
  let arguments = (ins Index:$context, Index:$thread);
  let assemblyFormat = "$context `,` $thread attr-dict";
}

def Heddle_GatherOp : Heddle_Op<"gather", [MemoryEffects<[MemRead, MemWrite]>]> {
  let summary = "threads of all ranks complete a buffer: `units` of `unit_bytes` of each row, cut by runtime/plan/Share.h";
  let arguments = (ins AnyMemRef:$buffer, Index:$context, Index:$thread, Index:$ranks, I64Attr:$row_bytes, I64Attr:$units,
                       I64Attr:$unit_bytes);
  let assemblyFormat = "$buffer `,` $context `,` $thread `,` $ranks attr-dict `:` type($buffer)";
  let hasVerifier = 1;
}

def Heddle_TileProductOp : Heddle_Op<"tile_product", [MemoryEffects<[MemRead]>]> {
  let summary = "16 rows × `tokens` tokens of x · Wᵀ, the whole of K: one accumulator vector per token";
  let arguments = (ins AnyMemRef:$input, Index:$token, AnyMemRef:$weights, Index:$group, StrAttr:$format, I64Attr:$columns);
  let results = (outs Variadic<Heddle_Lanes>:$accumulators);
  let assemblyFormat = [{
    $format $input `[` $token `]` `,` $weights `[` $group `]` `columns` $columns attr-dict `:` type($input) `,` type($weights) `->` type($accumulators)
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
  let arguments = (ins Heddle_Lanes:$low, Heddle_Lanes:$high, AnyMemRef:$out, Index:$token, Index:$block);
  let assemblyFormat = "$low `,` $high `,` $out `[` $token `,` $block `]` attr-dict `:` type($low) `,` type($high) `,` type($out)";
  let hasVerifier = 1;
}

def Heddle_TileQuantizeRowOp : Heddle_Op<"tile_quantize_row", [MemoryEffects<[MemRead, MemWrite]>]> {
  let summary = "quantises one token's row";
  let arguments = (ins AnyMemRef:$input, AnyMemRef:$out, Index:$token);
  let assemblyFormat = "$input `,` $out `[` $token `]` attr-dict `:` type($input) `,` type($out)";
  let hasVerifier = 1;
}

def Heddle_TileRmsNormOp : Heddle_Op<"tile_rms_norm", [MemoryEffects<[MemRead, MemWrite]>]> {
  let summary = "rms_norm of one token's row";
  let arguments = (ins AnyMemRef:$input, AnyMemRef:$weight, Optional<AnyMemRef>:$residual, AnyMemRef:$out, Index:$token, F32Attr:$eps);
  let assemblyFormat = [{
    $input `,` $weight (`residual` `(` $residual^ `)`)? `->` $out `[` $token `]` `eps` $eps attr-dict `:` type(operands)
  }];
  let hasVerifier = 1;
}

def Heddle_TileEmbedOp : Heddle_Op<"tile_embed", [MemoryEffects<[MemRead, MemWrite]>]> {
  let summary = "one token's row of a packed embedding table";
  let arguments = (ins AnyMemRef:$ids, AnyMemRef:$table, AnyMemRef:$out, Index:$token, StrAttr:$format, OptionalAttr<F32Attr>:$scale);
  let assemblyFormat = "$format $ids `,` $table `->` $out `[` $token `]` attr-dict `:` type(operands)";
  let hasVerifier = 1;
}

def Heddle_TileCopyRowOp : Heddle_Op<"tile_copy_row", [MemoryEffects<[MemRead, MemWrite]>]> {
  let summary = "copies a row of activations";
  let arguments = (ins AnyMemRef:$input, Index:$from, AnyMemRef:$out, Index:$to);
  let assemblyFormat = "$input `[` $from `]` `->` $out `[` $to `]` attr-dict `:` type($input) `,` type($out)";
  let hasVerifier = 1;
}

def Heddle_TileStoreKvOp : Heddle_Op<"tile_store_kv", [AttrSizedOperandSegments, MemoryEffects<[MemRead, MemWrite]>]> {
  let summary = "norms, rotates and stores one token's key and value of one KV head; `slot` is the byte of the head's page in kv";
  let arguments = (ins AnyMemRef:$keys, AnyMemRef:$values, Index:$token, Index:$head, Index:$position, AnyMemRef:$kv, Index:$page,
                       Optional<AnyMemRef>:$k_norm, Optional<AnyMemRef>:$rope, Optional<Index>:$rope_offset,
                       I64Attr:$head_dim, I64Attr:$rope_dims, OptionalAttr<F32Attr>:$norm_eps, OptionalAttr<Heddle_RopeStyle>:$style);
  let assemblyFormat = [{
    $keys `,` $values `[` $token `,` $head `]` `at` $position `->` $kv `[` $page `]` (`k_norm` `(` $k_norm^ `)`)?
    (`rope` `(` $rope^ `[` $rope_offset `]` `)`)? attr-dict `:` type(operands)
  }];
  let hasVerifier = 1;
}

def Heddle_TileAttentionOp : Heddle_Op<"tile_attention", [AttrSizedOperandSegments, MemoryEffects<[MemRead, MemWrite]>]> {
  let summary = "online-softmax attention of one query and one head over its visible pages";
  let description = [{
    `first_page` is the index in page_table of the sequence's chunk 0; page p of the KV head starts at byte
    p · page_stride + page_base of kv. `out` [T × heads·head_dim] f32 or q8.
  }];
  let arguments = (ins AnyMemRef:$query, Index:$token, Index:$head, Index:$position, AnyMemRef:$page_table, Index:$first_page,
                       AnyMemRef:$kv, Index:$page_stride, Index:$page_base, AnyMemRef:$out,
                       Optional<AnyMemRef>:$q_norm, Optional<AnyMemRef>:$rope, Optional<Index>:$rope_offset,
                       I64Attr:$head_dim, I64Attr:$rope_dims, F32Attr:$scale, I64Attr:$window, OptionalAttr<F32Attr>:$soft_cap,
                       OptionalAttr<F32Attr>:$norm_eps, OptionalAttr<Heddle_RopeStyle>:$style);
  let assemblyFormat = [{
    $query `[` $token `,` $head `]` `at` $position `pages` $page_table `[` $first_page `]` `kv` $kv `[` $page_stride `,` $page_base `]` `->` $out
    (`q_norm` `(` $q_norm^ `)`)? (`rope` `(` $rope^ `[` $rope_offset `]` `)`)? attr-dict `:` type(operands)
  }];
  let hasVerifier = 1;
}

def Heddle_DotOp : Heddle_Op<"dot", [Pure, SameVariadicOperandSize]> {
  let summary = "16 lanes of Σ code·q, exact in i32: the integer heart of every quantised product (stage loops)";
  let description = [{
    codes and activations: equally many vector<64xi8> quads (runtime/quant/README.md), four K per lane. Codes are unsigned and at most
    `code_max` or, with `signed_codes`, signed; `sum` is Σ q of all quads, which some targets need for signed codes. result = init + Σ.
  }];
  let arguments = (ins VectorOfLengthAndType<[16], [I32]>:$init, I32:$sum, Variadic<VectorOfLengthAndType<[64], [I8]>>:$codes,
                       Variadic<VectorOfLengthAndType<[64], [I8]>>:$activations, I64Attr:$code_max, UnitAttr:$signed_codes);
  let results = (outs VectorOfLengthAndType<[16], [I32]>:$result);
  let assemblyFormat = "$init `sum` $sum `codes` `(` $codes `)` `activations` `(` $activations `)` attr-dict `:` functional-type(operands, results)";
  let hasVerifier = 1;
}
