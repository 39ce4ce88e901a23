//===- RecurrentOps.td - what tokens of a sequence update one after another -----------------------------------------===//

def Heddle_RecurrenceOp : Heddle_Compute<"recurrence", ["stateAccess", "updated", "unitRead", "cut", "shares", "setShares"],
                                         [AttrSizedOperandSegments, DeclareOpInterfaceMethods<SymbolUserOpInterface>]> {
  let summary = "h = keep · h + input, element by element, from each token of a sequence to the next";
  let description = [{
    keep, input [T × features] f32. h is the sequence's row of the recurrent state at `layer`: zeros for a new sequence. Each token makes
    it fma(keep, h, input), which is the token's row of the result; what the last one leaves, the next step goes on from.
    `shares`: [begin, end) of units of 16 features.
  }];
  let arguments = (ins Heddle_RealRows:$keep, Heddle_RealRows:$input, Index:$layer, Variadic<Index>:$shares, Optional<Heddle_RowsBuffer>:$out,
                       FlatSymbolRefAttr:$state);
  let results = (outs Optional<Heddle_RowsTensor>:$result);
  let assemblyFormat = [{
    $keep `,` $input `state` $state `layer` `(` $layer `)` (`shares` `(` $shares^ `)`)? (`outs` `(` $out^ `)`)? attr-dict
    `:` functional-type(operands, results)
  }];
  let extraClassDeclaration = [{
    static constexpr int64_t kUnit = 16; // features that one rank has, and one vector
  }];
  let hasVerifier = 1;
}
