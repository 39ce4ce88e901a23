//===- CollectiveOps.td - shares of ranks and what crosses between them ---------------------------------------------===//

def Heddle_ShareOp : Heddle_Op<"share", [Pure]> {
  let summary = "the share of this rank: [begin, end) of `units` (runtime/plan/Share.h)";
  let description = [{
    `heddle.share 9`: units·rank/ranks rounded down, to units·(rank+1)/ranks. `heddle.share 9 group 3`: the KV heads that the rank's share of
    9 query heads reads, 3 query heads to a KV head.
  }];
  let arguments = (ins Heddle_Positive:$units, OptionalAttr<Heddle_Positive>:$group);
  let results = (outs Index:$begin, Index:$end);
  let assemblyFormat = "$units (`group` $group^)? attr-dict";
  let hasVerifier = 1;
}

def Heddle_AllGatherOp : Heddle_Op<"all_gather"> {
  let summary = "makes a value whole on every rank; data moves, nothing is added";
  let description = "At `planned` it acts in place on a buffer; `shard` then says what a unit is and `columns` the features of a row.";
  let arguments = (ins Heddle_Rows:$input, OptionalAttr<Heddle_ShardAttr>:$shard, OptionalAttr<Heddle_Positive>:$columns);
  let results = (outs Optional<Heddle_RowsTensor>:$result);
  let assemblyFormat = "$input (`shard` $shard^)? attr-dict `:` functional-type(operands, results)";
  let hasVerifier = 1;
}
