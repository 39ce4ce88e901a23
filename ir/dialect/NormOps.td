//===- NormOps.td - normalisation and rotary embedding --------------------------------------------------------------===//

def Heddle_RmsNormOp : Heddle_Compute<"rms_norm", ["updated", "canStoreQuantized", "takesResidual", "setResidual", "addCost"], [AttrSizedOperandSegments]> {
  let summary = "x / sqrt(mean(x²) + eps) · w, over the row or over each of `groups` equal parts of it";
  let description = [{
    Zhang & Sennrich, arXiv:1910.07467. input [T × N] f32, weight [N / groups] f32. `residual` [T × N] is added to the result (sandwich
    norms). A result of element type q8 is requantised as it is stored.
  }];
  let arguments = (ins Heddle_RealRows:$input, Heddle_Vector:$weight, Optional<Heddle_RealRows>:$residual, Optional<Heddle_RowsBuffer>:$out,
                       Heddle_Epsilon:$eps, DefaultValuedAttr<Heddle_Positive, "1">:$groups);
  let results = (outs Optional<Heddle_RowsTensor>:$result);
  let assemblyFormat = [{
    $input `,` $weight `eps` $eps (`residual` `(` $residual^ `)`)? (`outs` `(` $out^ `)`)? attr-dict
    `:` functional-type(operands, results)
  }];
  let hasVerifier = 1;
}

def Heddle_LayerNormOp : Heddle_Compute<"layer_norm", ["canStoreQuantized", "addCost"], [AttrSizedOperandSegments]> {
  let summary = "(x − mean(x)) / sqrt(var(x) + eps) · w + b over the row";
  let description = [{
    Ba et al., arXiv:1607.06450; var divides by N. input [T × N] f32, weight and bias [N] f32. A result of element type q8 is
    requantised as it is stored.
  }];
  let arguments = (ins Heddle_RealRows:$input, Heddle_Vector:$weight, Optional<Heddle_Vector>:$bias, Optional<Heddle_RowsBuffer>:$out,
                       Heddle_Epsilon:$eps);
  let results = (outs Optional<Heddle_RowsTensor>:$result);
  let assemblyFormat = [{
    $input `,` $weight (`bias` `(` $bias^ `)`)? `eps` $eps (`outs` `(` $out^ `)`)? attr-dict `:` functional-type(operands, results)
  }];
  let hasVerifier = 1;
}

def Heddle_RopeOp : Heddle_Compute<"rope", ["updated"], [DeclareOpInterfaceMethods<SymbolUserOpInterface>]> {
  let summary = "rotary position embedding of each head, by its token's position";
  let description = "Su et al., arXiv:2104.09864. input [T × heads·head_dim] f32.";
  let arguments = (ins Heddle_RealRows:$input, Optional<Heddle_RowsBuffer>:$out, FlatSymbolRefAttr:$table, Heddle_Positive:$heads, Heddle_RopeStyle:$style);
  let results = (outs Optional<Heddle_RowsTensor>:$result);
  let assemblyFormat = [{
    `` $style $input `table` $table `heads` $heads (`outs` `(` $out^ `)`)? attr-dict `:` functional-type(operands, results)
  }];
  let hasVerifier = 1;
}
