// RUN: heddle-opt %s -heddle-lower-calls | FileCheck %s

// One rank has everything: its gather is a barrier. Declarations are gone, as the manifest has told the runtime of them.
//   CHECK-DAG: func.func private @heddle_barrier(i64, i64, i64)
//   CHECK-DAG: func.func private @heddle_all_gather(i64, i64, i64, i64, i64, i64, i64, i64)
// What ran before is told by a constant: seven figures and a name (StepKernel of runtime/plan/Frame.h).
//   CHECK-DAG: llvm.mlir.global internal constant @kernel_0("\80\02{{.*}}f.attn_q\00")
//   CHECK-NOT: heddle.weight
// CHECK-LABEL: func.func @f
//       CHECK: llvm.mlir.addressof @kernel_0
//       CHECK: call @heddle_barrier
//       CHECK: %[[ALONE:.*]] = arith.cmpi eq
//       CHECK: scf.if %[[ALONE]]
//       CHECK: call @heddle_barrier
//       CHECK: else
//       CHECK: memref.extract_aligned_pointer_as_index
//       CHECK: call @heddle_all_gather
heddle.weight @w : tensor<64xf32>
func.func @f(%x: memref<?x64xf32>) {
  heddle.barrier after <name = "f.attn_q", weight_bytes = 640, integer_macs = 1024>
  heddle.gather %x {row_bytes = 256 : i64, units = 4 : i64, unit_bytes = 64 : i64} : memref<?x64xf32>
  return
}
