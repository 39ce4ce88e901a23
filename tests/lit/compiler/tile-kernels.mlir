// RUN: heddle-opt %s -split-input-file -verify-diagnostics -heddle-outline-kernels -heddle-tile-kernels="target=x86-64-v3 cache-bytes=20480" | FileCheck %s --check-prefixes=CHECK,AVX2,MADDUBS
// RUN: heddle-opt %s -split-input-file -verify-diagnostics -heddle-outline-kernels -heddle-tile-kernels="target=x86-64-v3+vnni cache-bytes=20480" | FileCheck %s --check-prefixes=CHECK,AVX2,VNNI256
// RUN: heddle-opt %s -split-input-file -verify-diagnostics -heddle-outline-kernels -heddle-tile-kernels="target=x86-64-v4 cache-bytes=20480" | FileCheck %s --check-prefixes=CHECK,AVX512
// RUN: heddle-opt %s -split-input-file -verify-diagnostics -heddle-outline-kernels -heddle-tile-kernels="target=x86-64-v4 cache-bytes=20480 prefetch-bytes=0" | FileCheck %s --check-prefixes=NEAR

// Blocks of row groups (2,048 bytes each, so five in half of this small cache, fewer for few tokens) outside, token tiles of falling height inside, then
// the residual. Barriers stand between calls. A tile of one token takes four row groups of floats together, and one by one what is left.
// CHECK-LABEL: func.func private @linear_f16_64x64
//       CHECK: %[[FEW:.*]] = arith.cmpi ule, %{{.*}}, %c32
//       CHECK: %[[BLOCK:.*]] = arith.select %[[FEW]], %c4{{.*}}, %c5{{.*}} : index
//       CHECK: scf.for %{{.*}} step %[[BLOCK]]
//      AVX512: scf.for %{{.*}}
//      AVX512: scf.for %{{.*}} step %c1
//      AVX512: heddle.tile_product {{.*}} -> vector<16xf32>, vector<16xf32>, vector<16xf32>, vector<16xf32>, vector<16xf32>, vector<16xf32>, vector<16xf32>, vector<16xf32>
//        AVX2: heddle.tile_product {{.*}} -> vector<16xf32>, vector<16xf32>, vector<16xf32>, vector<16xf32>{{$}}
//       CHECK: vector.load
//       CHECK: arith.addf
//       CHECK: vector.store
//       CHECK: heddle.tile_product {{.*}} {row_groups = 2 : i64} {{.*}}packed<f16>> -> vector<16xf32>, vector<16xf32>, vector<16xf32>, vector<16xf32>{{$}}
//       CHECK: scf.for %{{.*}} step %c4
//       CHECK: heddle.tile_product {{.*}} {row_groups = 4 : i64} {{.*}}packed<f16>> -> vector<16xf32>, vector<16xf32>, vector<16xf32>, vector<16xf32>{{$}}
//       CHECK: heddle.tile_product {{.*}}packed<f16>> -> vector<16xf32>{{$}}
//   CHECK-NOT: heddle.barrier
func.func @product(%w: memref<64x64x!heddle.packed<f16>> {heddle.name = "w"}, %r: memref<?x64xf32> {heddle.name = "r"}, %x: memref<?x64xf32> {heddle.name = "x"}, %b: index {heddle.name = "begin"}, %e: index {heddle.name = "end"}) {
  heddle.linear %x weights(%w) residual(%r) shares(%b, %e) outs(%r) {unit_rows = array<i64: 16>}
      : (memref<?x64xf32>, memref<64x64x!heddle.packed<f16>>, memref<?x64xf32>, index, index, memref<?x64xf32>) -> ()
  return
}

// Quantised, with few registers: tiles of up to three tokens, panels of 16 row groups and 16 tokens for more. The last panel's row groups
// and tokens are fewer.
// CHECK-LABEL: func.func private @gated_linear_q4_1_256x64
//  AVX512-NOT: tile_product_panel
//      AVX512: heddle.tile_product {{.*}}packed<q4_1>> -> vector<16xf32>, vector<16xf32>, vector<16xf32>, vector<16xf32>, vector<16xf32>, vector<16xf32>, vector<16xf32>, vector<16xf32>{{$}}
//    AVX2-DAG: %[[GATE:.*]] = memref.alloca() {alignment = 64 : i64} : memref<16x16x16xf32>
//    AVX2-DAG: %[[UP:.*]] = memref.alloca() {alignment = 64 : i64} : memref<16x16x16xf32>
//        AVX2: %[[LOW:.*]] = arith.cmpi ule, %{{.*}}, %c3 : index
//        AVX2: scf.if %[[LOW]]
//        AVX2: heddle.tile_product {{.*}}packed<q4_1>> -> vector<16xf32>, vector<16xf32>{{$}}
//        AVX2: heddle.tile_product {{.*}}packed<q4_1>> -> vector<16xf32>{{$}}
//        AVX2: } else {
//        AVX2: %[[UNITS:.*]] = arith.minsi %c8
//        AVX2: %[[COUNT:.*]] = arith.minsi %c16
//        AVX2: heddle.tile_product_panel %arg0[%[[AT:.*]] for %[[COUNT]]], %arg1[%[[GROUP:.*]] for %{{.*}}] -> %{{.*}} :
//        AVX2: heddle.tile_product_panel %arg0[%[[AT]] for %[[COUNT]]], %arg2[%[[GROUP]] for %{{.*}}] -> %{{.*}} :
//        AVX2: scf.for %{{.*}} = %{{.*}} to %[[COUNT]]
//        AVX2: scf.for %{{.*}} = %{{.*}} to %[[UNITS]]
// AVX2-COUNT-2: heddle.tile_activate
//        AVX2: heddle.tile_quantize
func.func @quantised(%x: memref<?x64x!heddle.q8> {heddle.name = "x"}, %g: memref<128x64x!heddle.packed<q4_1>> {heddle.name = "g"}, %u: memref<128x64x!heddle.packed<q4_1>> {heddle.name = "u"}, %h: memref<?x128x!heddle.q8> {heddle.name = "h"}, %b: index {heddle.name = "begin"}, %e: index {heddle.name = "end"}) {
  heddle.linear %x weights(%g, %u) gate silu shares(%b, %e, %b, %e) outs(%h) {unit_rows = array<i64: 32, 32>}
      : (memref<?x64x!heddle.q8>, memref<128x64x!heddle.packed<q4_1>>, memref<128x64x!heddle.packed<q4_1>>, index, index, index, index, memref<?x128x!heddle.q8>) -> ()
  return
}

// Signed codes may go through a panel in pairs of 16 bits, unless the target sums four products of bytes at once. Tiles of few tokens ask
// for weights ahead.
// CHECK-LABEL: func.func private @linear_q8_0_64x64
//      AVX512: heddle.tile_product {{.*}} : {{.*}} -> vector<16xf32>, vector<16xf32>, vector<16xf32>, vector<16xf32>, vector<16xf32>, vector<16xf32>, vector<16xf32>, vector<16xf32>{{$}}
//      AVX512: heddle.tile_product {{.*}} : {{.*}} -> vector<16xf32>, vector<16xf32>, vector<16xf32>, vector<16xf32>{{$}}
//      AVX512: heddle.tile_product {{.*}} {ahead = 8192 : i64} : {{.*}}packed<q8_0>> -> vector<16xf32>, vector<16xf32>{{$}}
//      AVX512: heddle.tile_product {{.*}} {ahead = 8192 : i64} : {{.*}}packed<q8_0>> -> vector<16xf32>{{$}}
//        NEAR: heddle.tile_product
//    NEAR-NOT: ahead =
//        AVX2: heddle.tile_product {{.*}} {ahead = 8192 : i64, lanes = 8 : i64} : {{.*}}packed<q8_0>> -> vector<16xf32>, vector<16xf32>{{$}}
//        AVX2: heddle.tile_product {{.*}} {ahead = 8192 : i64, lanes = 8 : i64} : {{.*}}packed<q8_0>> -> vector<16xf32>{{$}}
//     MADDUBS: heddle.tile_product_panel {{.*}} {pairs} :
//     VNNI256: heddle.tile_product_panel
// VNNI256-NOT: {pairs}
func.func @signed(%w: memref<64x64x!heddle.packed<q8_0>> {heddle.name = "w"}, %x: memref<?x64x!heddle.q8> {heddle.name = "x"}, %y: memref<?x64xf32> {heddle.name = "y"}, %b: index {heddle.name = "begin"}, %e: index {heddle.name = "end"}) {
  heddle.linear %x weights(%w) shares(%b, %e) outs(%y) {unit_rows = array<i64: 16>}
      : (memref<?x64x!heddle.q8>, memref<64x64x!heddle.packed<q8_0>>, index, index, memref<?x64xf32>) -> ()
  return
}

// CHECK-LABEL: func.func private @rms_norm
//       CHECK: heddle.tile_rms_norm
func.func @norm(%n: memref<64xf32> {heddle.name = "n"}, %x: memref<?x64xf32> {heddle.name = "x"}) {
  heddle.rms_norm %x, %n eps 1.0e-5 outs(%x) : (memref<?x64xf32>, memref<64xf32>, memref<?x64xf32>) -> ()
  return
}

// -----

// Three query heads read a KV head. Few tokens: tiles of a token's three heads. Many: tiles of six queries, of any heads and tokens that
// follow each other, and as many vectors of keys as the registers hold beside them; what is no whole tile goes by itself.
// CHECK-LABEL: func.func private @attention_2
//       CHECK: scf.if
//       CHECK: heddle.tile_attend_chunks %arg0 tokens(%{{[^,]*}}, %{{[^,]*}}, %{{[^,]*}}) heads
//       CHECK: heddle.tile_attend_chunks %arg0 tokens(%{{[^,]*}}) heads
//       CHECK: heddle.tile_merge_chunks {{.*}} heads(%{{[^,]*}}, %{{[^,]*}}, %{{[^,]*}}) block {{.*}} vectors = 4 : i64}
//       CHECK: heddle.tile_merge_chunks {{.*}} heads(%{{[^,]*}}) block
//       CHECK: } else {
//       CHECK: scf.if
//       CHECK: heddle.tile_attention %arg0 tokens(%{{[^,]*}}, %{{[^,]*}}, %{{[^,]*}}, %{{[^,]*}}, %{{[^,]*}}, %{{[^,]*}}) heads
//   AVX2-SAME: vectors = 1 : i64
// AVX512-SAME: vectors = 4 : i64
//       CHECK: } else {
//       CHECK: heddle.tile_attention %arg0 tokens(%{{[^,]*}}) heads
heddle.state paged @kv layers 2 heads 6 kv_heads 2 head_dim 64
func.func @attention(%x: memref<?x384xf32> {heddle.name = "x"}, %b: index {heddle.name = "begin"}, %e: index {heddle.name = "end"}) {
  heddle.attention paged query(%x) state @kv layer(%b) shares(%b, %e, %b, %e) outs(%x)
      {heads = 6 : i64, kv_heads = 2 : i64, head_dim = 64 : i64, scale = 0.125 : f32, mask = #heddle<mask causal>}
      : (memref<?x384xf32>, index, index, index, index, index, memref<?x384xf32>) -> ()
  return
}

// -----

// Eight query heads read a KV head: a tile in any case, which 16 registers of 256 bits take in two parts. A merge takes 32 features at a time.
// CHECK-LABEL: func.func private @attention_2
//       CHECK: heddle.tile_attend_chunks %arg0 tokens(%{{[^,]*}}, %{{[^,]*}}, %{{[^,]*}}, %{{[^,]*}}, %{{[^,]*}}, %{{[^,]*}}, %{{[^,]*}}, %{{[^,]*}}) heads
//   AVX2-SAME: rows = 4 : i64, {{.*}}vectors = 1 : i64
// AVX512-SAME: rows = 8 : i64, {{.*}}vectors = 2 : i64
//       CHECK: heddle.tile_merge_chunks {{.*}} vectors = 2 : i64}
heddle.state paged @kv layers 2 heads 16 kv_heads 2 head_dim 64
func.func @attention(%x: memref<?x1024xf32> {heddle.name = "x"}, %b: index {heddle.name = "begin"}, %e: index {heddle.name = "end"}) {
  heddle.attention paged query(%x) state @kv layer(%b) shares(%b, %e, %b, %e) outs(%x)
      {heads = 16 : i64, kv_heads = 2 : i64, head_dim = 64 : i64, scale = 0.125 : f32, mask = #heddle<mask causal>}
      : (memref<?x1024xf32>, index, index, index, index, index, memref<?x1024xf32>) -> ()
  return
}

// -----

func.func @f(%m: memref<32xf32> {heddle.name = "m"}, %x: memref<?x64xf32> {heddle.name = "x"}) {
  // expected-error@+1 {{cannot be lowered yet over groups, except where attention or store_kv takes it along}}
  heddle.rms_norm %x, %m eps 1.0e-5 outs(%x) {groups = 2 : i64} : (memref<?x64xf32>, memref<32xf32>, memref<?x64xf32>) -> ()
  return
}

// -----

// Without a mask a token sees as many keys as the state has of its sequence, and so do its neighbours in a tile.
// CHECK-LABEL: func.func private @cross_attention(
//       CHECK:   %[[LENGTHS:.*]] = heddle.lengths @source
//       CHECK:   heddle.tile_attend_chunks {{.*}} length(%{{[^)]*}})
//       CHECK:   heddle.tile_attention {{.*}} length(%{{[^)]*}})
heddle.state fixed @source layers 2 heads 2 kv_heads 2 head_dim 32
func.func @cross(%x: memref<?x64xf32> {heddle.name = "x"}, %b: index {heddle.name = "begin"}, %e: index {heddle.name = "end"}) {
  heddle.attention fixed query(%x) state @source layer(%b) shares(%b, %e, %b, %e) outs(%x)
      {heads = 2 : i64, kv_heads = 2 : i64, head_dim = 32 : i64, scale = 0.25 : f32, mask = #heddle<mask none>}
      : (memref<?x64xf32>, index, index, index, index, index, memref<?x64xf32>) -> ()
  return
}

// -----

// A recurrence: each thread goes through all tokens with its vectors of features.
// CHECK-LABEL: func.func private @recurrence(
//       CHECK:   heddle.pages @memory {access = #heddle<access update>}
//       CHECK:   scf.for
//       CHECK:     scf.for
//       CHECK:       %[[H:.*]] = math.fma
//       CHECK:       vector.store
//       CHECK:       vector.store %[[H]]
heddle.state recurrent @memory layers 2 features 64
func.func @remember(%x: memref<?x64xf32> {heddle.name = "x"}, %b: index {heddle.name = "begin"}, %e: index {heddle.name = "end"}) {
  heddle.recurrence %x, %x state @memory layer(%b) shares(%b, %e) outs(%x) : (memref<?x64xf32>, memref<?x64xf32>, index, index, index, memref<?x64xf32>) -> ()
  return
}

// -----

heddle.state paged @kv layers 2 heads 2 kv_heads 2 head_dim 32
func.func @f(%x: memref<?x64xf32> {heddle.name = "x"}, %bias: memref<2x?x?xf32> {heddle.name = "bias"}, %b: index {heddle.name = "begin"}, %e: index {heddle.name = "end"}) {
  // expected-error@+1 {{cannot be lowered yet with a bias}}
  heddle.attention paged query(%x) state @kv layer(%b) bias(%bias) shares(%b, %e, %b, %e) outs(%x)
      {heads = 2 : i64, kv_heads = 2 : i64, head_dim = 32 : i64, scale = 0.25 : f32, mask = #heddle<mask causal>}
      : (memref<?x64xf32>, index, memref<2x?x?xf32>, index, index, index, index, memref<?x64xf32>) -> ()
  return
}

// -----

func.func @f(%x: memref<?x64xf32> {heddle.name = "x"}, %b: index {heddle.name = "begin"}, %e: index {heddle.name = "end"}) {
  // expected-error@+1 {{cannot be lowered with keys of its own: heddle-fuse-heads stores them in a state}}
  heddle.attention batch query(%x) keys(%x) values(%x) shares(%b, %e, %b, %e) outs(%x)
      {heads = 2 : i64, kv_heads = 2 : i64, head_dim = 32 : i64, scale = 0.25 : f32, mask = #heddle<mask causal>}
      : (memref<?x64xf32>, memref<?x64xf32>, memref<?x64xf32>, index, index, index, index, memref<?x64xf32>) -> ()
  return
}

// -----

heddle.state paged @kv layers 2 heads 8 kv_heads 8 head_dim 8
func.func @f(%x: memref<?x64xf32> {heddle.name = "x"}, %b: index {heddle.name = "begin"}, %e: index {heddle.name = "end"}) {
  // expected-error@+1 {{cannot be lowered yet for a head size of 8: it must be a multiple of 16}}
  heddle.attention paged query(%x) state @kv layer(%b) shares(%b, %e, %b, %e) outs(%x)
      {heads = 8 : i64, kv_heads = 8 : i64, head_dim = 8 : i64, scale = 0.25 : f32, mask = #heddle<mask causal>}
      : (memref<?x64xf32>, index, index, index, index, index, memref<?x64xf32>) -> ()
  return
}

// -----

heddle.state paged @kv layers 2 heads 2 kv_heads 2 head_dim 32
func.func @f(%x: memref<?x64xf32> {heddle.name = "x"}, %b: index {heddle.name = "begin"}) {
  // expected-error@+1 {{has no shares: stage sharded gives them}}
  heddle.attention paged query(%x) state @kv layer(%b)  outs(%x)
      {heads = 2 : i64, kv_heads = 2 : i64, head_dim = 32 : i64, scale = 0.25 : f32, mask = #heddle<mask causal>}
      : (memref<?x64xf32>, index, memref<?x64xf32>) -> ()
  return
}

// -----

// Attention weights that are asked for are results on tensors, which buffers have no place for.
heddle.state paged @kv layers 2 heads 2 kv_heads 2 head_dim 32
func.func @f(%x: memref<?x64xf32> {heddle.name = "x"}, %b: index {heddle.name = "begin"}, %e: index {heddle.name = "end"}) -> tensor<?x1x?xf32> {
  // expected-error@+1 {{mixes tensors and buffers}}
  %0 = heddle.attention paged query(%x) state @kv layer(%b) shares(%b, %e, %b, %e) outs(%x)
      {heads = 2 : i64, kv_heads = 2 : i64, head_dim = 32 : i64, scale = 0.25 : f32, mask = #heddle<mask causal>, probe_heads = array<i64: 1>}
      : (memref<?x64xf32>, index, index, index, index, index, memref<?x64xf32>) -> tensor<?x1x?xf32>
  return %0 : tensor<?x1x?xf32>
}

// -----

// Two states, two geometries: each kernel reads its own.
// CHECK-LABEL: func.func private @attention(
//       CHECK:   heddle.pages @wide
//       CHECK:   head_dim = 64 : i64
// CHECK-LABEL: func.func private @attention_2(
//       CHECK:   heddle.pages @narrow
//       CHECK:   head_dim = 32 : i64
//       CHECK:   type = #heddle<cache_type q8>
heddle.state paged @wide layers 2 heads 1 kv_heads 1 head_dim 64
heddle.state paged @narrow layers 1 heads 2 kv_heads 2 head_dim 32 {type = #heddle<cache_type q8>}
func.func @two_states(%x: memref<?x64xf32> {heddle.name = "x"}, %b: index {heddle.name = "begin"}, %e: index {heddle.name = "end"}) {
  heddle.attention paged query(%x) state @wide layer(%b) shares(%b, %e, %b, %e) outs(%x)
      {heads = 1 : i64, kv_heads = 1 : i64, head_dim = 64 : i64, scale = 0.25 : f32, mask = #heddle<mask causal>}
      : (memref<?x64xf32>, index, index, index, index, index, memref<?x64xf32>) -> ()
  heddle.attention paged query(%x) state @narrow layer(%b) shares(%b, %e, %b, %e) outs(%x)
      {heads = 2 : i64, kv_heads = 2 : i64, head_dim = 32 : i64, scale = 0.25 : f32, mask = #heddle<mask causal>}
      : (memref<?x64xf32>, index, index, index, index, index, memref<?x64xf32>) -> ()
  return
}

// -----

// Element-wise ops: vectors of 16 features of this thread's tokens. A rotation takes the position of its token, a head at a time.
// CHECK-LABEL: func.func private @add(
//       CHECK:   arith.addf {{.*}} : vector<16xf32>
// CHECK-LABEL: func.func private @mul(
//       CHECK:   arith.mulf {{.*}} : vector<16xf32>
// CHECK-LABEL: func.func private @activate(
//       CHECK:   heddle.tile_activate silu
// CHECK-LABEL: func.func private @copy(
//       CHECK:   heddle.tile_copy_row
// CHECK-LABEL: func.func private @rope(
//   CHECK-DAG:   heddle.batch positions
//   CHECK-DAG:   heddle.angles @turns
//       CHECK:   heddle.tile_rope neox
heddle.rope_table @turns base 1.0e+04 dims 32 scale 1.0
func.func @element_wise(%x: memref<?x64xf32> {heddle.name = "x"}, %y: memref<?x64xf32> {heddle.name = "y"}) {
  heddle.add %x, %y outs(%x) : (memref<?x64xf32>, memref<?x64xf32>, memref<?x64xf32>) -> ()
  heddle.mul %x, %y outs(%x) : (memref<?x64xf32>, memref<?x64xf32>, memref<?x64xf32>) -> ()
  heddle.activate silu %x outs(%x) : (memref<?x64xf32>, memref<?x64xf32>) -> ()
  heddle.copy %x outs(%y) : (memref<?x64xf32>, memref<?x64xf32>) -> ()
  heddle.rope neox %x table @turns heads 2 outs(%x) : (memref<?x64xf32>, memref<?x64xf32>) -> ()
  return
}
