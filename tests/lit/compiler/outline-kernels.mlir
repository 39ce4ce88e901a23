// RUN: heddle-opt %s -split-input-file -verify-diagnostics -heddle-outline-kernels | FileCheck %s

// Two blocks, three norms, one function: only the values of operands differ. A residual makes another kernel of the third.
// CHECK-LABEL: func.func private @rms_norm(
//  CHECK-SAME:   %{{.*}}: memref<?x64xf32> {heddle.name = "x"}, %{{.*}}: memref<64xf32> {heddle.name = "weight"}, %{{.*}}: memref<?x64xf32> {heddle.name = "y"}) {
//       CHECK:   heddle.rms_norm %arg0, %arg1 eps 9.99999974E-6 outs(%arg2)
//       CHECK:   return
// CHECK-LABEL: func.func private @rms_norm_2(
//       CHECK:   heddle.rms_norm %arg0, %arg1 eps 9.99999974E-6 residual(%arg2)
//   CHECK-NOT: func.func private @rms_norm
// CHECK-LABEL: func.func @a(
//  CHECK-NEXT:   call @rms_norm(%arg1, %arg0, %arg1)
//  CHECK-NEXT:   heddle.barrier after <name = "a.n">
//  CHECK-NEXT:   return
func.func @a(%n: memref<64xf32> {heddle.name = "n"}, %x: memref<?x64xf32> {heddle.name = "x"}) {
  heddle.rms_norm %x, %n eps 1.0e-5 outs(%x) : (memref<?x64xf32>, memref<64xf32>, memref<?x64xf32>) -> ()
  return
}
// A gathered value needs no barrier of its own: the gather waits for the threads.
// CHECK-LABEL: func.func @b(
//  CHECK-NEXT:   call @rms_norm(%arg2, %arg0, %arg1)
//  CHECK-NEXT:   heddle.barrier after <name = "b.m">
//  CHECK-NEXT:   call @rms_norm_2(%arg2, %arg0, %arg1, %arg1)
//  CHECK-NEXT:   heddle.gather %arg1 after <name = "b.m"> {row_bytes = 256 : i64, unit_bytes = 64 : i64, units = 4 : i64}
//  CHECK-NEXT:   return
func.func @b(%m: memref<64xf32> {heddle.name = "m"}, %y: memref<?x64xf32> {heddle.name = "y"}, %x: memref<?x64xf32> {heddle.name = "x"}) {
  heddle.rms_norm %x, %m eps 1.0e-5 outs(%y) : (memref<?x64xf32>, memref<64xf32>, memref<?x64xf32>) -> ()
  heddle.rms_norm %x, %m eps 1.0e-5 residual(%y) outs(%y) : (memref<?x64xf32>, memref<64xf32>, memref<?x64xf32>, memref<?x64xf32>) -> ()
  heddle.all_gather %y shard <columns, 16> {columns = 64 : i64} : (memref<?x64xf32>) -> ()
  return
}

// -----

// What an op is made of tells kernels apart, even where all operands have the same types: here the RoPE table, then the window, then eps.
// CHECK-LABEL: func.func private @store_kv(
//       CHECK:   rope = @near
// CHECK-LABEL: func.func private @store_kv_2(
//       CHECK:   rope = @far
// CHECK-LABEL: func.func private @attention_window128(
//  CHECK-SAME:   {heddle.name = "heads_begin"}, %{{.*}}: index {heddle.name = "heads_end"}, %{{.*}}: index {heddle.name = "kv_heads_begin"}, %{{.*}}: index {heddle.name = "kv_heads_end"}, %{{.*}}: memref<?x32xf32> {heddle.name = "out"}) {
// CHECK-LABEL: func.func private @attention(
// CHECK-LABEL: func.func private @rms_norm(
//       CHECK:   eps 9.99999997E-7
// CHECK-LABEL: func.func private @rms_norm_2(
//       CHECK:   eps 9.99999974E-6
// CHECK-LABEL: func.func private @linear_q8_0_q4_0_32x32(
// CHECK-LABEL: func.func @kinds(
//       CHECK:   call @store_kv(
//       CHECK:   call @store_kv_2(
//       CHECK:   call @attention_window128(
//       CHECK:   call @attention(
//       CHECK:   call @rms_norm(
//       CHECK:   call @rms_norm_2(
heddle.state paged @kv layers 1 heads 1 kv_heads 1 head_dim 32
heddle.rope_table @near base 1.0e+04 dims 32 scale 1.0
heddle.rope_table @far base 1.0e+06 dims 32 scale 1.0
func.func @kinds(%x: memref<?x32xf32> {heddle.name = "x"}, %n: memref<32xf32> {heddle.name = "n"}, %q: memref<?x32x!heddle.q8> {heddle.name = "q"}, %w: memref<16x32x!heddle.packed<q8_0>> {heddle.name = "w"}, %v: memref<16x32x!heddle.packed<q4_0>> {heddle.name = "v"}, %y: memref<?x16xf32> {heddle.name = "y"}, %b: index {heddle.name = "begin"}, %e: index {heddle.name = "end"}) {
  heddle.store_kv keys(%x) values(%x) state @kv layer(%b) shares(%b, %e) {kv_heads = 1 : i64, head_dim = 32 : i64, rope = @near, style = #heddle<rope_style neox>}
      : memref<?x32xf32>, memref<?x32xf32>, index, index, index
  heddle.store_kv keys(%x) values(%x) state @kv layer(%b) shares(%b, %e) {kv_heads = 1 : i64, head_dim = 32 : i64, rope = @far, style = #heddle<rope_style neox>}
      : memref<?x32xf32>, memref<?x32xf32>, index, index, index
  heddle.attention paged query(%x) state @kv layer(%b) shares(%b, %e, %b, %e) outs(%x)
      {heads = 1 : i64, kv_heads = 1 : i64, head_dim = 32 : i64, scale = 0.25 : f32, mask = #heddle<mask window>, window = 128 : i64}
      : (memref<?x32xf32>, index, index, index, index, index, memref<?x32xf32>) -> ()
  heddle.attention paged query(%x) state @kv layer(%b) shares(%b, %e, %b, %e) outs(%x)
      {heads = 1 : i64, kv_heads = 1 : i64, head_dim = 32 : i64, scale = 0.25 : f32, mask = #heddle<mask causal>}
      : (memref<?x32xf32>, index, index, index, index, index, memref<?x32xf32>) -> ()
  heddle.rms_norm %x, %n eps 1.0e-6 outs(%x) : (memref<?x32xf32>, memref<32xf32>, memref<?x32xf32>) -> ()
  heddle.rms_norm %x, %n eps 1.0e-5 outs(%x) : (memref<?x32xf32>, memref<32xf32>, memref<?x32xf32>) -> ()
  heddle.linear %q weights(%w, %v) shares(%b, %e, %b, %e) outs(%y, %y) {unit_rows = array<i64: 16, 16>}
      : (memref<?x32x!heddle.q8>, memref<16x32x!heddle.packed<q8_0>>, memref<16x32x!heddle.packed<q4_0>>, index, index, index, index, memref<?x16xf32>, memref<?x16xf32>) -> ()
  return
}

// -----

// Rows of q8 blocks move as 40 bytes each. A gather that does not directly follow its kernel leaves it a barrier.
// CHECK-LABEL: func.func @gathers(
//       CHECK:   call @quantize(
//  CHECK-NEXT:   heddle.gather %arg1 after <name = "gathers.quantize"> {row_bytes = 80 : i64, unit_bytes = 40 : i64, units = 2 : i64}
//  CHECK-NEXT:   call @quantize(
//  CHECK-NEXT:   heddle.barrier after <name = "gathers.quantize">
//  CHECK-NEXT:   arith.constant
//  CHECK-NEXT:   heddle.gather %arg1 {row_bytes
func.func @gathers(%x: memref<?x64xf32> {heddle.name = "x"}, %q: memref<?x64x!heddle.q8> {heddle.name = "q"}) {
  heddle.quantize %x outs(%q) : (memref<?x64xf32>, memref<?x64x!heddle.q8>) -> ()
  heddle.all_gather %q shard <columns, 32> {columns = 64 : i64} : (memref<?x64x!heddle.q8>) -> ()
  heddle.quantize %x outs(%q) : (memref<?x64xf32>, memref<?x64x!heddle.q8>) -> ()
  %one = arith.constant 1 : index
  heddle.all_gather %q shard <columns, 32> {columns = 64 : i64} : (memref<?x64x!heddle.q8>) -> ()
  return
}

// -----

func.func @f(%n: tensor<64xf32>, %x: tensor<?x64xf32>) -> tensor<?x64xf32> {
  // expected-error@+1 {{stands on tensors: stage planned has buffers}}
  %0 = heddle.rms_norm %x, %n eps 1.0e-5 : (tensor<?x64xf32>, tensor<64xf32>) -> tensor<?x64xf32>
  return %0 : tensor<?x64xf32>
}
