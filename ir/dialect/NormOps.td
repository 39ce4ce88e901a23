//===- NormOps.td - normalisation and rotary embedding --------------------------------------------------------------===//

def Heddle_RmsNormOp : Heddle_Op<"rms_norm", [AttrSizedOperandSegments]> {
  let summary = "x / sqrt(mean(x²) + eps) · w, over the row or over each of `groups` equal parts of it";
  let description = [{
    Zhang & Sennrich, arXiv:1910.07467. input [T × N] f32, weight [N / groups] f32. `residual` [T × N] is added to the result (sandwich
    norms). A result of element type q8 is requantised as it is stored.
  }];
  let arguments = (ins Heddle_Rows:$input, Heddle_Rows:$weight, Optional<Heddle_Rows>:$residual, Optional<AnyMemRef>:$out,
                       F32Attr:$eps, DefaultValuedAttr<I64Attr, "1">:$groups);
  let results = (outs Optional<AnyRankedTensor>:$result);
  let assemblyFormat = [{
    $input `,` $weight `eps` $eps (`residual` `(` $residual^ `)`)? (`outs` `(` $out^ `)`)? attr-dict
    `:` functional-type(operands, results)
  }];
  let hasVerifier = 1;
}

def Heddle_RopeOp : Heddle_Op<"rope", [DeclareOpInterfaceMethods<SymbolUserOpInterface>]> {
  let summary = "rotary position embedding of each head (stage graph)";
  let description = "Su et al., arXiv:2104.09864. input [T × heads·head_dim] f32, positions [T] i32.";
  let arguments = (ins AnyRankedTensor:$input, AnyRankedTensor:$positions, FlatSymbolRefAttr:$table, I64Attr:$heads,
                       Heddle_RopeStyle:$style);
  let results = (outs AnyRankedTensor:$result);
  let assemblyFormat = "`` $style $input `at` $positions `table` $table `heads` $heads attr-dict `:` functional-type(operands, results)";
  let hasVerifier = 1;
}
