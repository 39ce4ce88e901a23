//===- CollectiveOps.td - shares of ranks and what crosses between them ---------------------------------------------===//

def Heddle_ShareOp : Heddle_Op<"share", [Pure]> {
  let summary = "the share of this rank: [begin, end) of `units` (runtime/plan/Share.h)";
  let description = [{
    `heddle.share heads 9, 3 at %rank, %ranks`. For `heads` and `columns`: units·rank/ranks rounded down, to units·(rank+1)/ranks. For `kv_heads`: the
    KV heads that the rank's query heads read; `units` counts query heads and `group` query heads per KV head.
  }];
  let arguments = (ins Index:$rank, Index:$ranks, I64Attr:$units, I64Attr:$group, BoolAttr:$kv);
  let results = (outs Index:$begin, Index:$end);
  let assemblyFormat = "$units `group` $group `kv` $kv `at` $rank `,` $ranks attr-dict";
  let hasVerifier = 1;
}

def Heddle_AllGatherOp : Heddle_Op<"all_gather"> {
  let summary = "makes a value whole on every rank; data moves, nothing is added";
  let description = "At `planned` it acts in place on a buffer; `shard` then says what a unit is and `columns` the features of a row.";
  let arguments = (ins Heddle_Rows:$input, Optional<Index>:$ranks, OptionalAttr<Heddle_ShardAttr>:$shard,
                       OptionalAttr<I64Attr>:$columns);
  let results = (outs Optional<AnyRankedTensor>:$result);
  let assemblyFormat = "$input (`ranks` `(` $ranks^ `)`)? (`shard` $shard^)? attr-dict `:` functional-type(operands, results)";
  let hasVerifier = 1;
}
