//===- LinearOps.td - products with weights, requantisation ---------------------------------------------------------===//

def Heddle_LinearOp : Heddle_Op<"linear", [AttrSizedOperandSegments]> {
  let summary = "x · Wᵀ for one or more weights that share x, with its epilogue";
  let description = [{
    input [T × K] f32 or q8, weights [N × K]. Without `gate` there is one result [T × N] per weight. With `gate` there are exactly two
    weights and one result `act(x·W0ᵀ) * (x·W1ᵀ)`. `residual` [T × N] is added last (one result only). A result of element type q8
    is requantised as it is stored. From stage `sharded` on, `shares` has one pair [begin, end) of units per weight, and the
    results' encoding says what a unit is; `whole_weights` says that ranks hold every row, not only their share. At `planned` the results
    are buffers `outs`, weights are packed row groups, and `formats`, `rows` (of each weight) and `unit_rows` say what the types no longer do.
  }];
  let arguments = (ins Heddle_Rows:$input, Variadic<Heddle_Rows>:$weights, Optional<Heddle_Rows>:$residual,
                       Variadic<Index>:$shares, Variadic<AnyMemRef>:$outs,
                       OptionalAttr<Heddle_Activation>:$gate, OptionalAttr<StrArrayAttr>:$formats,
                       OptionalAttr<DenseI64ArrayAttr>:$rows, OptionalAttr<DenseI64ArrayAttr>:$unit_rows, UnitAttr:$whole_weights);
  let results = (outs Variadic<AnyRankedTensor>:$results);
  let assemblyFormat = [{
    $input `weights` `(` $weights `)` (`gate` `` $gate^)? (`residual` `(` $residual^ `)`)? (`shares` `(` $shares^ `)`)?
    (`outs` `(` $outs^ `)`)? attr-dict `:` functional-type(operands, results)
  }];
  let hasVerifier = 1;
}

def Heddle_QuantizeOp : Heddle_Op<"quantize"> {
  let summary = "activations quantised per 32 features";
  let arguments = (ins Heddle_Rows:$input, Optional<AnyMemRef>:$out);
  let results = (outs Optional<AnyRankedTensor>:$result);
  let assemblyFormat = "$input (`outs` `(` $out^ `)`)? attr-dict `:` functional-type(operands, results)";
  let hasVerifier = 1;
}
