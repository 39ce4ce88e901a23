//===- PoolingOps.td - one row of each sequence ---------------------------------------------------------------------===//

def Heddle_MeanRowsOp : Heddle_Compute<"mean_rows", ["rowsOf", "rowsEach"]> {
  let summary = "of each sequence, the mean of its tokens' rows";
  let description = [{
    input [T × N] f32; first, last [S]: of each sequence its first and last token, the batch's lists of these names. Result [S × N].
    Sums run in increasing token.
  }];
  let arguments = (ins Heddle_RealRows:$input, Heddle_Indices:$first, Heddle_Indices:$last, Optional<Heddle_RowsBuffer>:$out);
  let results = (outs Optional<Heddle_RowsTensor>:$result);
  let assemblyFormat = "$input `from` $first `to` $last (`outs` `(` $out^ `)`)? attr-dict `:` functional-type(operands, results)";
  let hasVerifier = 1;
}

def Heddle_NormalizeOp : Heddle_Compute<"normalize", ["updated"]> {
  let summary = "every row divided by its length: x / max(sqrt(Σx²), eps)";
  let arguments = (ins Heddle_RealRows:$input, Optional<Heddle_RowsBuffer>:$out, Heddle_Epsilon:$eps);
  let results = (outs Optional<Heddle_RowsTensor>:$result);
  let assemblyFormat = "$input `eps` $eps (`outs` `(` $out^ `)`)? attr-dict `:` functional-type(operands, results)";
  let hasVerifier = 1;
}
