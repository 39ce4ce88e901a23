//===- LinearOps.td - products with weights, requantisation ---------------------------------------------------------===//

def Heddle_LinearOp : Heddle_Compute<"linear", ["kernelName", "rowsEach", "updated", "cut", "shares", "setShares", "rowWeights", "setWholeWeights", "canStoreQuantized", "takesResidual", "setResidual", "keepOf", "addCost"],
                                     [AttrSizedOperandSegments]> {
  let summary = "x · Wᵀ for one or more weights that share x, with its epilogue";
  let description = [{
    input [T × K] f32 or q8, weights [N × K]. Without `gate` there is one result [T × N] per weight. `biases`, one [N] per weight or
    none, are added to the products. With `gate` there are exactly two weights and one result `gate(x·W0ᵀ + b0) * up(x·W1ᵀ + b1)`; without `up`
    the second factor is the product itself.
    `activate` is a function of a result without a gate, after its bias; `scale` multiplies it then, `residual` [T × N] is added last (all three: one
    result only). A result of element type q8 is requantised as it is stored: one result, without a residual. From stage `sharded` on, `shares` has one pair [begin, end) of units per weight, and the results' encoding says what a unit is, at `planned` `unit_rows`;
    `whole_weights` says that ranks hold every row, not only their share.

    With `experts` [T × C], the numbers of those that each token chose (`heddle.choose_experts`), weights are stacks [E × N × K], biases [E · N], and
    each choice has a row of its own, [T · C × N]: row t · C + c is of token t and the expert of its choice c. The input has a row for each token or,
    `by_choice`, for each choice. Only the experts that are chosen are read.
  }];
  let arguments = (ins Heddle_Rows:$input, Variadic<AnyTypeOf<[Heddle_Matrix, Heddle_Experts]>>:$weights, Variadic<Heddle_Vector>:$biases, Optional<Heddle_Choices>:$experts, Optional<Heddle_RealRows>:$residual,
                       Variadic<Index>:$shares, Variadic<Heddle_RowsBuffer>:$outs,
                       OptionalAttr<Heddle_Activation>:$gate, OptionalAttr<Heddle_Activation>:$up, OptionalAttr<Heddle_Activation>:$activation, OptionalAttr<Heddle_Factor>:$scale, OptionalAttr<DenseI64ArrayAttr>:$unit_rows, UnitAttr:$whole_weights, UnitAttr:$by_choice);
  let results = (outs Variadic<Heddle_RowsTensor>:$results);
  let assemblyFormat = [{
    $input `weights` `(` $weights `)` (`biases` `(` $biases^ `)`)? (`experts` `(` $experts^ `)`)? (`gate` `` $gate^)? (`up` `` $up^)? (`activate` `` $activation^)? (`scale` $scale^)? (`residual` `(` $residual^ `)`)? (`shares` `(` $shares^ `)`)?
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

def Heddle_ChooseExpertsOp : Heddle_Compute<"choose_experts"> {
  let summary = "the experts with the largest scores for each token, by increasing number, and how much each counts";
  let description = [{
    Shazeer et al., arXiv:1701.06538. scores [T × E] f32. The results are weights [T × C] f32 and experts [T × C] i32, in which a row's numbers
    increase. Of equal scores the lower number is chosen. Weights are a softmax over the chosen scores or, `over_all`, over all of them.
  }];
  let arguments = (ins Heddle_RealRows:$scores, Variadic<AnyTypeOf<[Heddle_RowsBuffer, Heddle_ChoicesBuffer]>>:$outs,
                       Heddle_Positive:$experts, Heddle_Positive:$choices, UnitAttr:$over_all);
  let results = (outs Variadic<AnyTypeOf<[Heddle_RowsTensor, Heddle_ChoicesTensor]>>:$results);
  let assemblyFormat = [{
    $scores `choices` $choices `of` $experts (`outs` `(` $outs^ `)`)? attr-dict `:` functional-type(operands, results)
  }];
  let hasVerifier = 1;
}

def Heddle_SumExpertsOp : Heddle_Compute<"sum_experts", ["rowsEach", "updated", "canStoreQuantized", "takesResidual", "setResidual"], [AttrSizedOperandSegments]> {
  let summary = "the rows of each token's choices, times their weights, in one sum";
  let description = [{
    input [T · C × N] f32, weights [T × C] f32, for C `choices`. The sum runs in increasing choice, which is increasing expert. `residual` [T × N] is
    added last. A result of element type q8 is requantised as it is stored.
  }];
  let arguments = (ins Heddle_RealRows:$input, Heddle_RealRows:$weights, Optional<Heddle_RealRows>:$residual, Optional<Heddle_RowsBuffer>:$out,
                       Heddle_Positive:$choices);
  let results = (outs Optional<Heddle_RowsTensor>:$result);
  let assemblyFormat = [{
    $input `weights` `(` $weights `)` `choices` $choices (`residual` `(` $residual^ `)`)? (`outs` `(` $out^ `)`)? attr-dict `:` functional-type(operands, results)
  }];
  let hasVerifier = 1;
}
