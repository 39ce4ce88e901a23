//===- Check.td - the check dialect: numbers in .mlir tests ---------------------------------------------------------===//
#ifndef HEDDLE_CHECK_TD
#define HEDDLE_CHECK_TD
include "mlir/IR/AttrTypeBase.td"
include "mlir/IR/BuiltinAttributeInterfaces.td"
include "mlir/IR/EnumAttr.td"
include "mlir/IR/OpBase.td"
include "mlir/Interfaces/SideEffectInterfaces.td"

def Check_Dialect : Dialect {
  let name = "check";
  let cppNamespace = "::heddle::check";
  let summary = "what a function of a test must compute";
  let description = [{
    For `heddle-opt` alone: no plan holds these ops. `heddle-opt -heddle-run-checks` runs every function that holds an expectation in
    the reference interpreter and reports each one that does not hold. Passes see an expectation as one more reader of its value, and
    never remove it.
  }];
  let useDefaultAttributePrinterParser = 1;
}

def Check_MeaningKind : I32EnumAttr<"Meaning", "",
  [I32EnumAttrCase<"Exact", 0, "exact">, I32EnumAttrCase<"One", 1, "one">]> {
  let cppNamespace = "::heddle::check";
  let genSpecializedAttr = 0;
}
/// Which meaning of the ops an expectation is about: exact mathematics in f64, or the one arithmetic.
def Check_Meaning : EnumAttr<Check_Dialect, Check_MeaningKind, "meaning">;

class Check_Op<string mnemonic, list<Trait> traits = []> : Op<Check_Dialect, mnemonic, traits>;

def Check_WeightOp : Check_Op<"weight"> {
  let summary = "the content of a declared weight";
  let description = [{
    `check.weight @w dense<…> : tensor<32x64xf16>`: the elements of a float weight, in its own type; or, for any format,
    `tensor<32x36xi8>`: the bytes of its rows as a GGUF file stores them.
  }];
  let arguments = (ins FlatSymbolRefAttr:$weight, ElementsAttr:$data);
  let assemblyFormat = "$weight $data attr-dict";
  let hasVerifier = 1;
}

def Check_BatchOp : Check_Op<"batch"> {
  let summary = "the batch of the step that this function is run as";
  let description = [{
    What `heddle.batch` and ops that ask for positions or pages are given: `ids`, `positions`, `sequences` and `types` have an element a token,
    `rows` lists the tokens whose results are wanted, `pages` has the pages of each sequence, `page_width` of them. A list that is not
    given is not there.
  }];
  let arguments = (ins OptionalAttr<DenseI32ArrayAttr>:$ids, OptionalAttr<DenseI32ArrayAttr>:$positions,
                       OptionalAttr<DenseI32ArrayAttr>:$sequences, OptionalAttr<DenseI32ArrayAttr>:$rows,
                       OptionalAttr<DenseI32ArrayAttr>:$pages, OptionalAttr<DenseI32ArrayAttr>:$types,
                       DefaultValuedAttr<ConfinedAttr<I64Attr, [IntPositive]>, "1">:$page_width);
  let assemblyFormat = "attr-dict";
  let hasVerifier = 1;
}

def Check_InputOp : Check_Op<"input", [Pure]> {
  let summary = "rows, or a list, of constants";
  let description = "`%x = check.input dense<[[1.0, 2.0]]> : tensor<1x2xf32> -> tensor<?x2xf32>`, of f32 or i32.";
  let arguments = (ins ElementsAttr:$value);
  let results = (outs AnyRankedTensor:$result);
  let assemblyFormat = "$value `->` type($result) attr-dict";
  let hasVerifier = 1;
}

def Check_ExpectEqOp : Check_Op<"expect_eq"> {
  let summary = "two values are the same, bit for bit";
  let description = "In both meanings, or in the one that is named.";
  let arguments = (ins AnyRankedTensor:$lhs, AnyRankedTensor:$rhs, OptionalAttr<Check_Meaning>:$meaning);
  let assemblyFormat = "$lhs `,` $rhs (`in` `` $meaning^)? attr-dict `:` type($lhs) `,` type($rhs)";
  let hasVerifier = 1;
}

def Check_ExpectAlmostEqOp : Check_Op<"expect_almost_eq"> {
  let summary = "each element is within `tolerance` of the expected one";
  let description = [{
    In both meanings, or in the one that is named. Expected elements are f32 or f64; a NaN is near nothing but a NaN. Activations in q8
    are compared as what they stand for, q · d.
  }];
  let arguments = (ins AnyRankedTensor:$value, ElementsAttr:$expected, F64Attr:$tolerance, OptionalAttr<Check_Meaning>:$meaning);
  let assemblyFormat = "$value `is` $expected `within` $tolerance (`in` `` $meaning^)? attr-dict `:` type($value)";
  let hasVerifier = 1;
}

def Check_ExpectBitsOp : Check_Op<"expect_bits"> {
  let summary = "each element has the expected bits in the one arithmetic";
  let description = "Expected elements are f32, decimal or `0x3F800000`. A −0 is not a 0, and a NaN only itself.";
  let arguments = (ins AnyRankedTensor:$value, ElementsAttr:$expected);
  let assemblyFormat = "$value `is` $expected attr-dict `:` type($value)";
  let hasVerifier = 1;
}
#endif
