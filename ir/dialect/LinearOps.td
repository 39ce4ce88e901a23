//===- LinearOps.td - products with weights, requantisation ---------------------------------------------------------===//

def Heddle_LinearOp : Heddle_Compute<"linear", ["kernelName", "updated", "cut", "shares", "setShares", "rowWeights", "setWholeWeights", "canStoreQuantized", "takesResidual", "setResidual", "keepOf", "addCost"],
                                     [AttrSizedOperandSegments]> {
  let summary = "x · Wᵀ for one or more weights that share x, with its epilogue";
  let description = [{
    input [T × K] f32 or q8, weights [N × K]. Without `gate` there is one result [T × N] per weight. `biases`, one [N] per weight or
    none, are added to the products. With `gate` there are exactly two weights and one result `act(x·W0ᵀ + b0) * (x·W1ᵀ + b1)`.
    `activate` is a function of a result without a gate, after its bias; `scale` multiplies it then, `residual` [T × N] is added last (all three: one
    result only). A result of element type q8 is requantised as it is stored: one result, without a residual. From stage `sharded` on, `shares` has one pair [begin, end) of units per weight, and the results' encoding says what a unit is, at `planned` `unit_rows`;
    `whole_weights` says that ranks hold every row, not only their share.
  }];
  let arguments = (ins Heddle_Rows:$input, Variadic<Heddle_Matrix>:$weights, Variadic<Heddle_Vector>:$biases, Optional<Heddle_RealRows>:$residual,
                       Variadic<Index>:$shares, Variadic<Heddle_RowsBuffer>:$outs,
                       OptionalAttr<Heddle_Activation>:$gate, OptionalAttr<Heddle_Activation>:$activation, OptionalAttr<Heddle_Factor>:$scale, OptionalAttr<DenseI64ArrayAttr>:$unit_rows, UnitAttr:$whole_weights);
  let results = (outs Variadic<Heddle_RowsTensor>:$results);
  let assemblyFormat = [{
    $input `weights` `(` $weights `)` (`biases` `(` $biases^ `)`)? (`gate` `` $gate^)? (`activate` `` $activation^)? (`scale` $scale^)? (`residual` `(` $residual^ `)`)? (`shares` `(` $shares^ `)`)?
    (`outs` `(` $outs^ `)`)? attr-dict `:` functional-type(operands, results)
  }];
  let builders = [OpBuilder<(ins "const LinearSpec &":$spec)>];
  let hasVerifier = 1;
}

def Heddle_QuantizeOp : Heddle_Compute<"quantize"> {
  let summary = "activations quantised per 32 features";
  let arguments = (ins Heddle_RealRows:$input, Optional<Heddle_RowsBuffer>:$out);
  let results = (outs Optional<Heddle_RowsTensor>:$result);
  let assemblyFormat = "$input (`outs` `(` $out^ `)`)? attr-dict `:` functional-type(operands, results)";
  let hasVerifier = 1;
}
