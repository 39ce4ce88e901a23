// RUN: heddle-opt %s -split-input-file -verify-diagnostics -heddle-outline-kernels | FileCheck %s

// Two blocks, three norms, one function: only the values of operands differ. A residual makes another kernel of the third.
// CHECK-LABEL: func.func private @rms_norm(
//  CHECK-SAME:   %{{.*}}: memref<?x64xf32> {heddle.name = "x"}, %{{.*}}: memref<64xf32> {heddle.name = "weight"}, %{{.*}}: memref<?x64xf32> {heddle.name = "y"},
//  CHECK-SAME:   %{{.*}}: index {heddle.name = "thread"}, %{{.*}}: index {heddle.name = "threads"}) {
//       CHECK:   heddle.rms_norm %arg0, %arg1 eps 9.99999974E-6 outs(%arg2)
//       CHECK:   return
// CHECK-LABEL: func.func private @rms_norm_2(
//       CHECK:   heddle.rms_norm %arg0, %arg1 eps 9.99999974E-6 residual(%arg2)
//   CHECK-NOT: func.func private @rms_norm
// CHECK-LABEL: func.func @a(
//  CHECK-NEXT:   call @rms_norm(%arg1, %arg0, %arg1, %arg2, %arg3)
//  CHECK-NEXT:   heddle.barrier %arg4, %arg2 after <name = "a.n">
//  CHECK-NEXT:   return
func.func @a(%n: memref<64xf32> {heddle.name = "n"}, %x: memref<?x64xf32> {heddle.name = "x"}, %thread: index {heddle.name = "thread"}, %threads: index {heddle.name = "threads"}, %context: index {heddle.name = "context"}) {
  heddle.rms_norm %x, %n eps 1.0e-5 outs(%x) : (memref<?x64xf32>, memref<64xf32>, memref<?x64xf32>) -> ()
  return
}
// A gathered value needs no barrier of its own: the gather waits for the threads.
// CHECK-LABEL: func.func @b(
//  CHECK-NEXT:   call @rms_norm(%arg2, %arg0, %arg1, %arg3, %arg4)
//  CHECK-NEXT:   heddle.barrier %arg5, %arg3 after <name = "b.m">
//  CHECK-NEXT:   call @rms_norm_2(%arg2, %arg0, %arg1, %arg1, %arg3, %arg4)
//  CHECK-NEXT:   heddle.gather %arg1, %arg5, %arg3, %arg6 after <name = "b.m"> {row_bytes = 256 : i64, unit_bytes = 64 : i64, units = 4 : i64}
//  CHECK-NEXT:   return
func.func @b(%m: memref<64xf32> {heddle.name = "m"}, %y: memref<?x64xf32> {heddle.name = "y"}, %x: memref<?x64xf32> {heddle.name = "x"}, %thread: index {heddle.name = "thread"}, %threads: index {heddle.name = "threads"}, %context: index {heddle.name = "context"}, %ranks: index {heddle.name = "ranks"}) {
  heddle.rms_norm %x, %m eps 1.0e-5 outs(%y) : (memref<?x64xf32>, memref<64xf32>, memref<?x64xf32>) -> ()
  heddle.rms_norm %x, %m eps 1.0e-5 residual(%y) outs(%y) : (memref<?x64xf32>, memref<64xf32>, memref<?x64xf32>, memref<?x64xf32>) -> ()
  heddle.all_gather %y ranks(%ranks) shard <columns, 16> {columns = 64 : i64} : (memref<?x64xf32>, index) -> ()
  return
}

// -----

// expected-error@+1 {{function f has no argument 'thread'}}
func.func @f(%n: memref<64xf32> {heddle.name = "n"}, %x: memref<?x64xf32> {heddle.name = "x"}, %threads: index {heddle.name = "threads"}, %context: index {heddle.name = "context"}) {
  heddle.rms_norm %x, %n eps 1.0e-5 outs(%x) : (memref<?x64xf32>, memref<64xf32>, memref<?x64xf32>) -> ()
  return
}
