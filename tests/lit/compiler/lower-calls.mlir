// RUN: heddle-opt %s -heddle-lower-calls | FileCheck %s

// One rank has everything: its gather is a barrier. Declarations are gone, as the manifest has told the runtime of them.
//   CHECK-DAG: func.func private @heddle_barrier(i64, i64)
//   CHECK-DAG: func.func private @heddle_all_gather(i64, i64, i64, i64, i64, i64, i64)
//   CHECK-NOT: heddle.weight
// CHECK-LABEL: func.func @f
//       CHECK: call @heddle_barrier
//       CHECK: %[[ALONE:.*]] = arith.cmpi eq
//       CHECK: scf.if %[[ALONE]]
//       CHECK: call @heddle_barrier
//       CHECK: else
//       CHECK: memref.extract_aligned_pointer_as_index
//       CHECK: call @heddle_all_gather
heddle.weight @w : tensor<64xf32>
func.func @f(%x: memref<?x64xf32>, %context: index, %thread: index, %ranks: index) {
  heddle.barrier %context, %thread
  heddle.gather %x, %context, %thread, %ranks {row_bytes = 256 : i64, units = 4 : i64, unit_bytes = 64 : i64} : memref<?x64xf32>
  return
}
