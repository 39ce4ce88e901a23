// RUN: heddle-opt %S/Inputs/tiny-graph.mlir -heddle-to-fused -heddle-to-sharded -heddle-to-planned -heddle-to-kernels -heddle-to-loops | FileCheck %s
// RUN: heddle-opt %S/Inputs/tiny-graph.mlir -heddle-to-fused -heddle-to-sharded -heddle-to-planned -heddle-to-kernels -heddle-to-loops -heddle-to-llvm | FileCheck %s --check-prefix=LLVM

// An FMA of the one arithmetic is math.fma: vector.fma becomes fmuladd, which LLVM may split into two roundings.
//   CHECK-NOT: vector.fma
//       CHECK: math.fma
//   CHECK-NOT: vector.fma
//    LLVM-NOT: fmuladd
//        LLVM: llvm.intr.fma
//    LLVM-NOT: fmuladd
//    LLVM-NOT: fastmath
