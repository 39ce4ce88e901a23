// RUN: heddle-opt %s -split-input-file -verify-diagnostics -heddle-lower-environment | FileCheck %s

// Functions get the frame of the call and their thread (runtime/plan/Frame.h). One rank has everything: its gather is a barrier.
// Declarations are gone, as the manifest has told the runtime of them.
//   CHECK-DAG: func.func private @heddle_barrier(!llvm.ptr, i64, !llvm.ptr)
//   CHECK-DAG: func.func private @heddle_all_gather(!llvm.ptr, i64, !llvm.ptr, i64, i64, i64, i64, !llvm.ptr)
// What ran before is told by a constant: seven figures and a name (StepKernel).
//   CHECK-DAG: llvm.mlir.global internal constant @kernel_0("\80\02{{.*}}f.attn_q\00")
//   CHECK-NOT: heddle.weight
// CHECK-LABEL: func.func private @f(%arg0: !llvm.ptr, %arg1: i64, %arg2: memref<?x64xf32>)
//       CHECK: llvm.mlir.addressof @kernel_0
//       CHECK: call @heddle_barrier(%arg0, %arg1, %{{.*}})
//       CHECK: %[[ALONE:.*]] = arith.cmpi eq
//       CHECK: scf.if %[[ALONE]]
//       CHECK: call @heddle_barrier
//       CHECK: else
//       CHECK: memref.extract_aligned_pointer_as_index
//       CHECK: call @heddle_all_gather
heddle.weight @w : tensor<64xf32>
func.func private @f(%x: memref<?x64xf32>) {
  heddle.barrier after <name = "f.attn_q", weight_bytes = 640, integer_macs = 1024>
  heddle.gather %x {row_bytes = 256 : i64, units = 4 : i64, unit_bytes = 64 : i64} : memref<?x64xf32>
  return
}

// -----

// An entry gets a name of its own, which says that it is one. What it asks for are loads from the frame; rows of q8 are their bytes.
//       CHECK: func.func @heddle_entry_step(%[[FRAME:.*]]: !llvm.ptr, %[[THREAD:.*]]: i64)
//       CHECK:   llvm.getelementptr %[[FRAME]]
//       CHECK:   llvm.load
//       CHECK:   call @g(%[[FRAME]], %[[THREAD]], %{{.*}}) : (!llvm.ptr, i64, memref<?x2x40xi8>) -> ()
//   CHECK-NOT:   heddle.
func.func private @g(%q: memref<?x64x!heddle.q8>) {
  return
}
func.func @step() {
  %n = heddle.count tokens
  %q = heddle.buffer 256 rows(%n) : memref<?x64x!heddle.q8>
  call @g(%q) : (memref<?x64x!heddle.q8>) -> ()
  return
}

// -----

// expected-error@+1 {{entry step must have no arguments and no results}}
func.func @step(%x: index) {
  return
}

// -----

func.func private @f(%x: memref<?x64xf32>) {
  // expected-error@+1 {{is not lowered: this is no stage of loops}}
  heddle.copy %x outs(%x) : (memref<?x64xf32>, memref<?x64xf32>) -> ()
  return
}
