//===- EnvironmentOps.td - what a step is given, and where it runs --------------------------------------------------===//
// None of these takes an operand: they name what compiler/lowering/LowerEnvironment.cpp finds in the frame of the call
// (runtime/plan/Frame.h). At stage graph a person needs `batch` alone.

def Heddle_BatchOp : Heddle_Op<"batch", [Pure]> {
  let summary = "a list of the step's batch";
  let description = [{
    `%ids = heddle.batch ids : tensor<?xi32>`. For each token: `ids`, `positions`, the `sequences` that they belong to, and `types`, which
    tell the parts of a text apart (0 where nobody says otherwise). `wanted`: the tokens whose rows are wanted. `first` and `last`: of each
    sequence, its first and last token in the step.
  }];
  let arguments = (ins Heddle_BatchList:$list);
  let results = (outs Heddle_Indices:$result);
  let assemblyFormat = "`` $list attr-dict `:` type($result)";
  let extraClassDeclaration = [{
    /// What the list has an element for.
    RowCount elements() {
      return getList() == BatchList::Wanted                                      ? RowCount::Wanted
             : getList() == BatchList::First || getList() == BatchList::Last ? RowCount::Sequences
                                                                             : RowCount::Tokens;
    }
  }];
}

def Heddle_CountOp : Heddle_Op<"count", [Pure]> {
  let summary = "how many tokens, wanted rows or sequences the step has";
  let arguments = (ins Heddle_RowCount:$rows);
  let results = (outs Index:$result);
  let assemblyFormat = "`` $rows attr-dict";
}

def Heddle_EnvironmentOp : Heddle_Op<"environment", [Pure]> {
  let summary = "the number of this rank or thread, or of all of them";
  let arguments = (ins Heddle_Place:$place);
  let results = (outs Index:$result);
  let assemblyFormat = "`` $place attr-dict";
}

def Heddle_GetOp : Heddle_Op<"get", [Pure, DeclareOpInterfaceMethods<SymbolUserOpInterface>]> {
  let summary = "the value of a declared weight; from stage `planned` on its buffer, of which this rank may hold its share only";
  let arguments = (ins FlatSymbolRefAttr:$weight);
  let results = (outs AnyTypeOf<[Heddle_Matrix, Heddle_Experts, Heddle_Vector]>:$result);
  let assemblyFormat = "$weight `:` type($result) attr-dict";
}

def Heddle_BufferOp : Heddle_Op<"buffer", [Pure]> {
  let summary = "rows in the arena, `offset` bytes a token from its start";
  let description = "Rows that are fewer than tokens lie at the same place; where each token has several, its bytes are theirs together. Which offsets overlap is decided by liveness (compiler/planning).";
  let arguments = (ins Heddle_NonNegative:$offset, Index:$rows);
  let results = (outs AnyTypeOf<[Heddle_RowsBuffer, Heddle_ChoicesBuffer]>:$result);
  let assemblyFormat = "$offset `rows` `(` $rows `)` attr-dict `:` type($result)";
}

def Heddle_OutputOp : Heddle_Op<"output", [Pure]> {
  let summary = "the buffer of an entry's result number `number`, which the caller owns: rows of `columns` values, padded to whole vectors";
  let arguments = (ins Heddle_NonNegative:$number, Heddle_Positive:$columns, Index:$rows);
  let results = (outs Heddle_RealRows:$result);
  let assemblyFormat = "$number `columns` $columns `rows` `(` $rows `)` attr-dict `:` type($result)";
  let hasVerifier = 1;
}

def Heddle_PagesOp : Heddle_Op<"pages", [Pure, DeclareOpInterfaceMethods<SymbolUserOpInterface>]> {
  let summary = "a state's memory on this rank, its page table [sequences · width] and the table's width";
  let description = "`access` says what is done with the memory: entries are described by it. A page of a recurrent state is a sequence's row.";
  let arguments = (ins FlatSymbolRefAttr:$state, DefaultValuedAttr<Heddle_Access, "::heddle::ir::Access::Read">:$access);
  let results = (outs Heddle_Bytes:$memory, Heddle_Indices:$table, Index:$width);
  let assemblyFormat = "$state attr-dict `:` type($memory) `,` type($table)";
}

def Heddle_LengthsOp : Heddle_Op<"lengths", [Pure, DeclareOpInterfaceMethods<SymbolUserOpInterface>]> {
  let summary = "how many positions of each sequence a state holds, those of this step included";
  let arguments = (ins FlatSymbolRefAttr:$state);
  let results = (outs Heddle_Indices:$result);
  let assemblyFormat = "$state attr-dict `:` type($result)";
}

def Heddle_AnglesOp : Heddle_Op<"angles", [Pure, DeclareOpInterfaceMethods<SymbolUserOpInterface>]> {
  let summary = "a RoPE table's values, [position][dims/2][cos, sin]";
  let arguments = (ins FlatSymbolRefAttr:$table);
  let results = (outs Heddle_Floats:$result);
  let assemblyFormat = "$table attr-dict `:` type($result)";
}

def Heddle_PartialsOp : Heddle_Op<"partials", [Pure]> {
  let summary = "scratch for the partial states of attention (runtime/plan/Frame.h)";
  let results = (outs Heddle_Floats:$result);
  let assemblyFormat = "attr-dict `:` type($result)";
}

def Heddle_BytesOp : Heddle_Op<"bytes", [Pure]> {
  let summary = "what a buffer of !heddle.q8 or !heddle.packed is made of";
  let description = [{
    Rows of q8, [tokens × features], are [tokens × features/32 × 40] bytes; a packed weight, [rows × columns], is [row groups × bytes].
  }];
  let arguments = (ins AnyMemRef:$buffer);
  let results = (outs MemRefOf<[I8]>:$result);
  let assemblyFormat = "$buffer attr-dict `:` type($buffer) `to` type($result)";
}
