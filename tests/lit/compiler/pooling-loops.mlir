// RUN: heddle-opt %s -heddle-tile-kernels | FileCheck %s

// Threads share sequences and vectors of 16 features; a sum runs over the tokens of its sequence.
// CHECK-LABEL: func.func private @mean_rows
//       CHECK: scf.for
//       CHECK: %[[FIRST:.*]] = memref.load
//       CHECK: scf.for {{.*}} iter_args
//       CHECK: arith.addf
//       CHECK: arith.sitofp
//       CHECK: arith.divf
//       CHECK: vector.store
func.func private @mean_rows(%x: memref<?x64xf32>, %first: memref<?xi32>, %last: memref<?xi32>, %y: memref<?x64xf32>) {
  heddle.mean_rows %x from %first to %last outs(%y) : (memref<?x64xf32>, memref<?xi32>, memref<?xi32>, memref<?x64xf32>) -> ()
  return
}

// CHECK-LABEL: func.func private @normalize
//       CHECK: scf.for {{.*}} iter_args
//       CHECK: math.fma
//       CHECK: math.sqrt
//       CHECK: arith.divf
func.func private @normalize(%x: memref<?x64xf32>) {
  heddle.normalize %x eps 1.0e-12 outs(%x) : (memref<?x64xf32>, memref<?x64xf32>) -> ()
  return
}
