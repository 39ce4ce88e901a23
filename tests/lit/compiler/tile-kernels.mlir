// RUN: heddle-opt %s -split-input-file -verify-diagnostics -heddle-outline-kernels -heddle-tile-kernels="target=x86-64-v3 cache-bytes=20480" | FileCheck %s --check-prefixes=CHECK,AVX2,MADDUBS
// RUN: heddle-opt %s -split-input-file -verify-diagnostics -heddle-outline-kernels -heddle-tile-kernels="target=x86-64-v3+vnni cache-bytes=20480" | FileCheck %s --check-prefixes=CHECK,AVX2,VNNI256
// RUN: heddle-opt %s -split-input-file -verify-diagnostics -heddle-outline-kernels -heddle-tile-kernels="target=x86-64-v4 cache-bytes=20480" | FileCheck %s --check-prefixes=CHECK,AVX512
// RUN: heddle-opt %s -split-input-file -verify-diagnostics -heddle-outline-kernels -heddle-tile-kernels="target=x86-64-v4 cache-bytes=20480 prefetch-bytes=0" | FileCheck %s --check-prefixes=NEAR

// Blocks of row groups (2,048 bytes each, so five in half of this small cache, fewer for few tokens) outside, token tiles of falling height inside, then
// the residual. Barriers stand between calls. A tile of one token takes four row groups of floats together, and one by one what is left.
// CHECK-LABEL: func.func private @linear_f16_64x64
//       CHECK: %[[FEW:.*]] = arith.cmpi ule, %dim, %c32
//       CHECK: %[[BLOCK:.*]] = arith.select %[[FEW]], %c4{{.*}}, %c5{{.*}} : index
//       CHECK: scf.for %{{.*}} step %[[BLOCK]]
//      AVX512: scf.for %{{.*}}
//      AVX512: scf.for %{{.*}} step %c1
//      AVX512: heddle.tile_product "f16" {{.*}} columns 64 {{.*}} -> vector<16xf32>, vector<16xf32>, vector<16xf32>, vector<16xf32>, vector<16xf32>, vector<16xf32>, vector<16xf32>, vector<16xf32>
//        AVX2: heddle.tile_product "f16" {{.*}} columns 64 {{.*}} -> vector<16xf32>, vector<16xf32>, vector<16xf32>, vector<16xf32>{{$}}
//       CHECK: vector.load
//       CHECK: arith.addf
//       CHECK: vector.store
//       CHECK: heddle.tile_product "f16" {{.*}} {row_groups = 2 : i64} {{.*}} -> vector<16xf32>, vector<16xf32>, vector<16xf32>, vector<16xf32>{{$}}
//       CHECK: scf.for %{{.*}} step %c4
//       CHECK: heddle.tile_product "f16" {{.*}} {row_groups = 4 : i64} {{.*}} -> vector<16xf32>, vector<16xf32>, vector<16xf32>, vector<16xf32>{{$}}
//       CHECK: heddle.tile_product "f16" {{.*}} -> vector<16xf32>{{$}}
//   CHECK-NOT: heddle.barrier
func.func @product(%w: memref<4x2048xi8> {heddle.name = "w"}, %r: memref<?x64xf32> {heddle.name = "r"}, %x: memref<?x64xf32> {heddle.name = "x"}, %i: memref<?xi32> {heddle.name = "i"}, %kv: memref<?xi8> {heddle.name = "kv"}, %partials: memref<?xf32> {heddle.name = "partials"}, %thread: index {heddle.name = "thread"}, %threads: index {heddle.name = "threads"}, %context: index {heddle.name = "context"}, %b: index {heddle.name = "begin"}, %e: index {heddle.name = "end"}) {
  heddle.linear %x weights(%w) residual(%r) shares(%b, %e) outs(%r) {formats = ["f16"], rows = array<i64: 64>, unit_rows = array<i64: 16>}
      : (memref<?x64xf32>, memref<4x2048xi8>, memref<?x64xf32>, index, index, memref<?x64xf32>) -> ()
  return
}

// Quantised, with few registers: tiles of up to three tokens, panels of 16 row groups and 16 tokens for more. The last panel's row groups
// and tokens are fewer.
// CHECK-LABEL: func.func private @gated_linear_q4_1_256x64
//  AVX512-NOT: tile_product_panel
//      AVX512: heddle.tile_product "q4_1" {{.*}} -> vector<16xf32>, vector<16xf32>, vector<16xf32>, vector<16xf32>, vector<16xf32>, vector<16xf32>, vector<16xf32>, vector<16xf32>{{$}}
//    AVX2-DAG: %[[GATE:.*]] = memref.alloca() {alignment = 64 : i64} : memref<16x16x16xf32>
//    AVX2-DAG: %[[UP:.*]] = memref.alloca() {alignment = 64 : i64} : memref<16x16x16xf32>
//        AVX2: %[[LOW:.*]] = arith.cmpi ule, %{{.*}}, %c3 : index
//        AVX2: scf.if %[[LOW]]
//        AVX2: heddle.tile_product "q4_1" {{.*}} -> vector<16xf32>, vector<16xf32>{{$}}
//        AVX2: heddle.tile_product "q4_1" {{.*}} -> vector<16xf32>{{$}}
//        AVX2: } else {
//        AVX2: %[[UNITS:.*]] = arith.minsi %c8
//        AVX2: %[[COUNT:.*]] = arith.minsi %c16
//        AVX2: heddle.tile_product_panel "q4_1" %arg0[%[[AT:.*]] for %[[COUNT]]], %arg1[%[[GROUP:.*]] for %{{.*}}] columns 64 -> %{{.*}} :
//        AVX2: heddle.tile_product_panel "q4_1" %arg0[%[[AT]] for %[[COUNT]]], %arg2[%[[GROUP]] for %{{.*}}] columns 64 -> %{{.*}} :
//        AVX2: scf.for %{{.*}} = %{{.*}} to %[[COUNT]]
//        AVX2: scf.for %{{.*}} = %{{.*}} to %[[UNITS]]
// AVX2-COUNT-2: heddle.tile_activate
//        AVX2: heddle.tile_quantize
func.func @quantised(%x: memref<?x2x40xi8> {heddle.name = "x"}, %g: memref<8x640xi8> {heddle.name = "g"}, %u: memref<8x640xi8> {heddle.name = "u"}, %h: memref<?x4x40xi8> {heddle.name = "h"}, %i: memref<?xi32> {heddle.name = "i"}, %kv: memref<?xi8> {heddle.name = "kv"}, %partials: memref<?xf32> {heddle.name = "partials"}, %thread: index {heddle.name = "thread"}, %threads: index {heddle.name = "threads"}, %context: index {heddle.name = "context"}, %b: index {heddle.name = "begin"}, %e: index {heddle.name = "end"}) {
  heddle.linear %x weights(%g, %u) gate silu shares(%b, %e, %b, %e) outs(%h) {formats = ["q4_1", "q4_1"], rows = array<i64: 128, 128>, unit_rows = array<i64: 32, 32>}
      : (memref<?x2x40xi8>, memref<8x640xi8>, memref<8x640xi8>, index, index, index, index, memref<?x4x40xi8>) -> ()
  return
}

// Signed codes may go through a panel in pairs of 16 bits, unless the target sums four products of bytes at once. Tiles of few tokens ask
// for weights ahead.
// CHECK-LABEL: func.func private @linear_q8_0_64x64
//      AVX512: heddle.tile_product "q8_0" {{.*}} columns 64 : {{.*}} -> vector<16xf32>, vector<16xf32>, vector<16xf32>, vector<16xf32>, vector<16xf32>, vector<16xf32>, vector<16xf32>, vector<16xf32>{{$}}
//      AVX512: heddle.tile_product "q8_0" {{.*}} columns 64 : {{.*}} -> vector<16xf32>, vector<16xf32>, vector<16xf32>, vector<16xf32>{{$}}
//      AVX512: heddle.tile_product "q8_0" {{.*}} {ahead = 8192 : i64} : {{.*}} -> vector<16xf32>, vector<16xf32>{{$}}
//      AVX512: heddle.tile_product "q8_0" {{.*}} {ahead = 8192 : i64} : {{.*}} -> vector<16xf32>{{$}}
//        NEAR: heddle.tile_product "q8_0"
//    NEAR-NOT: ahead =
//        AVX2: heddle.tile_product "q8_0" {{.*}} {ahead = 8192 : i64, lanes = 8 : i64} : {{.*}} -> vector<16xf32>, vector<16xf32>{{$}}
//        AVX2: heddle.tile_product "q8_0" {{.*}} {ahead = 8192 : i64, lanes = 8 : i64} : {{.*}} -> vector<16xf32>{{$}}
//     MADDUBS: heddle.tile_product_panel "q8_0" {{.*}} {pairs} :
//     VNNI256: heddle.tile_product_panel "q8_0"
// VNNI256-NOT: {pairs}
func.func @signed(%w: memref<4x1088xi8> {heddle.name = "w"}, %x: memref<?x2x40xi8> {heddle.name = "x"}, %y: memref<?x64xf32> {heddle.name = "y"}, %i: memref<?xi32> {heddle.name = "i"}, %kv: memref<?xi8> {heddle.name = "kv"}, %partials: memref<?xf32> {heddle.name = "partials"}, %thread: index {heddle.name = "thread"}, %threads: index {heddle.name = "threads"}, %context: index {heddle.name = "context"}, %b: index {heddle.name = "begin"}, %e: index {heddle.name = "end"}) {
  heddle.linear %x weights(%w) shares(%b, %e) outs(%y) {formats = ["q8_0"], rows = array<i64: 64>, unit_rows = array<i64: 16>}
      : (memref<?x2x40xi8>, memref<4x1088xi8>, index, index, memref<?x64xf32>) -> ()
  return
}

// CHECK-LABEL: func.func private @rms_norm
//       CHECK: heddle.tile_rms_norm
func.func @norm(%n: memref<64xf32> {heddle.name = "n"}, %x: memref<?x64xf32> {heddle.name = "x"}, %i: memref<?xi32> {heddle.name = "i"}, %kv: memref<?xi8> {heddle.name = "kv"}, %partials: memref<?xf32> {heddle.name = "partials"}, %thread: index {heddle.name = "thread"}, %threads: index {heddle.name = "threads"}, %context: index {heddle.name = "context"}, %b: index {heddle.name = "begin"}, %e: index {heddle.name = "end"}) {
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
heddle.paged_state @kv layers 2 heads 6 kv_heads 2 head_dim 64
func.func @attention(%x: memref<?x384xf32> {heddle.name = "x"}, %i: memref<?xi32> {heddle.name = "i"}, %kv: memref<?xi8> {heddle.name = "kv"}, %partials: memref<?xf32> {heddle.name = "partials"}, %thread: index {heddle.name = "thread"}, %threads: index {heddle.name = "threads"}, %context: index {heddle.name = "context"}, %b: index {heddle.name = "begin"}, %e: index {heddle.name = "end"}) {
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
heddle.paged_state @kv layers 2 heads 16 kv_heads 2 head_dim 64
func.func @attention(%x: memref<?x1024xf32> {heddle.name = "x"}, %i: memref<?xi32> {heddle.name = "i"}, %kv: memref<?xi8> {heddle.name = "kv"}, %partials: memref<?xf32> {heddle.name = "partials"}, %thread: index {heddle.name = "thread"}, %threads: index {heddle.name = "threads"}, %context: index {heddle.name = "context"}, %b: index {heddle.name = "begin"}, %e: index {heddle.name = "end"}) {
  heddle.attention paged query(%x) state @kv layer(%b) shares(%b, %e, %b, %e) outs(%x)
      {heads = 16 : i64, kv_heads = 2 : i64, head_dim = 64 : i64, scale = 0.125 : f32, mask = #heddle<mask causal>}
      : (memref<?x1024xf32>, index, index, index, index, index, memref<?x1024xf32>) -> ()
  return
}

// -----

func.func @f(%n: memref<40xf32> {heddle.name = "n"}, %m: memref<32xf32> {heddle.name = "m"}, %x: memref<?x64xf32> {heddle.name = "x"}, %i: memref<?xi32> {heddle.name = "i"}, %kv: memref<?xi8> {heddle.name = "kv"}, %partials: memref<?xf32> {heddle.name = "partials"}, %thread: index {heddle.name = "thread"}, %threads: index {heddle.name = "threads"}, %context: index {heddle.name = "context"}, %b: index {heddle.name = "begin"}, %e: index {heddle.name = "end"}) {
  // expected-error@+1 {{cannot be lowered yet over groups, except where attention or store_kv takes it along}}
  heddle.rms_norm %x, %m eps 1.0e-5 outs(%x) {groups = 2 : i64} : (memref<?x64xf32>, memref<32xf32>, memref<?x64xf32>) -> ()
  return
}

// -----

heddle.paged_state @kv layers 2 heads 2 kv_heads 2 head_dim 32
func.func @f(%x: memref<?x64xf32> {heddle.name = "x"}, %i: memref<?xi32> {heddle.name = "i"}, %kv: memref<?xi8> {heddle.name = "kv"}, %partials: memref<?xf32> {heddle.name = "partials"}, %thread: index {heddle.name = "thread"}, %threads: index {heddle.name = "threads"}, %context: index {heddle.name = "context"}, %b: index {heddle.name = "begin"}, %e: index {heddle.name = "end"}) {
  // expected-error@+1 {{cannot be lowered yet with mask none}}
  heddle.attention paged query(%x) state @kv layer(%b) shares(%b, %e, %b, %e) outs(%x)
      {heads = 2 : i64, kv_heads = 2 : i64, head_dim = 32 : i64, scale = 0.25 : f32, mask = #heddle<mask none>}
      : (memref<?x64xf32>, index, index, index, index, index, memref<?x64xf32>) -> ()
  return
}

// -----

heddle.paged_state @kv layers 2 heads 2 kv_heads 2 head_dim 32
func.func @f(%x: memref<?x64xf32> {heddle.name = "x"}, %i: memref<?xi32> {heddle.name = "i"}, %kv: memref<?xi8> {heddle.name = "kv"}, %partials: memref<?xf32> {heddle.name = "partials"}, %thread: index {heddle.name = "thread"}, %threads: index {heddle.name = "threads"}, %context: index {heddle.name = "context"}, %bias: memref<2x?x?xf32> {heddle.name = "bias"}, %b: index {heddle.name = "begin"}, %e: index {heddle.name = "end"}) {
  // expected-error@+1 {{cannot be lowered yet with a bias}}
  heddle.attention paged query(%x) state @kv layer(%b) bias(%bias) shares(%b, %e, %b, %e) outs(%x)
      {heads = 2 : i64, kv_heads = 2 : i64, head_dim = 32 : i64, scale = 0.25 : f32, mask = #heddle<mask causal>}
      : (memref<?x64xf32>, index, memref<2x?x?xf32>, index, index, index, index, memref<?x64xf32>) -> ()
  return
}

// -----

heddle.paged_state @kv layers 2 heads 2 kv_heads 2 head_dim 32
func.func @f(%x: memref<?x64xf32> {heddle.name = "x"}, %i: memref<?xi32> {heddle.name = "i"}, %kv: memref<?xi8> {heddle.name = "kv"}, %partials: memref<?xf32> {heddle.name = "partials"}, %thread: index {heddle.name = "thread"}, %threads: index {heddle.name = "threads"}, %context: index {heddle.name = "context"}, %b: index {heddle.name = "begin"}, %e: index {heddle.name = "end"}) {
  // expected-error@+1 {{cannot be lowered yet from source fixed}}
  heddle.attention fixed query(%x) keys(%x) values(%x) state @kv layer(%b) shares(%b, %e, %b, %e) outs(%x)
      {heads = 2 : i64, kv_heads = 2 : i64, head_dim = 32 : i64, scale = 0.25 : f32, mask = #heddle<mask causal>}
      : (memref<?x64xf32>, memref<?x64xf32>, memref<?x64xf32>, index, index, index, index, index, memref<?x64xf32>) -> ()
  return
}

// -----

heddle.paged_state @kv layers 2 heads 8 kv_heads 8 head_dim 8
func.func @f(%x: memref<?x64xf32> {heddle.name = "x"}, %i: memref<?xi32> {heddle.name = "i"}, %kv: memref<?xi8> {heddle.name = "kv"}, %partials: memref<?xf32> {heddle.name = "partials"}, %thread: index {heddle.name = "thread"}, %threads: index {heddle.name = "threads"}, %context: index {heddle.name = "context"}, %b: index {heddle.name = "begin"}, %e: index {heddle.name = "end"}) {
  // expected-error@+1 {{cannot be lowered yet for a head size of 8: it must be a multiple of 16}}
  heddle.attention paged query(%x) state @kv layer(%b) shares(%b, %e, %b, %e) outs(%x)
      {heads = 8 : i64, kv_heads = 8 : i64, head_dim = 8 : i64, scale = 0.25 : f32, mask = #heddle<mask causal>}
      : (memref<?x64xf32>, index, index, index, index, index, memref<?x64xf32>) -> ()
  return
}

// -----

heddle.paged_state @kv layers 2 heads 2 kv_heads 2 head_dim 32
func.func @f(%x: memref<?x64xf32> {heddle.name = "x"}, %i: memref<?xi32> {heddle.name = "i"}, %kv: memref<?xi8> {heddle.name = "kv"}, %partials: memref<?xf32> {heddle.name = "partials"}, %thread: index {heddle.name = "thread"}, %threads: index {heddle.name = "threads"}, %context: index {heddle.name = "context"}, %b: index {heddle.name = "begin"}, %e: index {heddle.name = "end"}) {
  // expected-error@+1 {{has no shares: stage sharded gives them}}
  heddle.attention paged query(%x) state @kv layer(%b)  outs(%x)
      {heads = 2 : i64, kv_heads = 2 : i64, head_dim = 32 : i64, scale = 0.25 : f32, mask = #heddle<mask causal>}
      : (memref<?x64xf32>, index, memref<?x64xf32>) -> ()
  return
}

// -----

heddle.paged_state @kv layers 2 heads 2 kv_heads 2 head_dim 32
// expected-error@+1 {{function f has no argument 'kv'}}
func.func @f(%x: memref<?x64xf32> {heddle.name = "x"}, %i: memref<?xi32> {heddle.name = "i"}, %kv: memref<?xi8> , %partials: memref<?xf32> {heddle.name = "partials"}, %thread: index {heddle.name = "thread"}, %threads: index {heddle.name = "threads"}, %context: index {heddle.name = "context"}, %b: index {heddle.name = "begin"}, %e: index {heddle.name = "end"}) {
  heddle.attention paged query(%x) state @kv layer(%b) shares(%b, %e, %b, %e) outs(%x)
      {heads = 2 : i64, kv_heads = 2 : i64, head_dim = 32 : i64, scale = 0.25 : f32, mask = #heddle<mask causal>}
      : (memref<?x64xf32>, index, index, index, index, index, memref<?x64xf32>) -> ()
  return
}

// -----

heddle.paged_state @kv layers 2 heads 2 kv_heads 2 head_dim 32
func.func @f(%x: memref<?x64xf32> {heddle.name = "x"}, %i: memref<?xi32> {heddle.name = "i"}, %kv: memref<?xi8> {heddle.name = "kv"}, %partials: memref<?xf32> {heddle.name = "partials"}, %thread: index {heddle.name = "thread"}, %threads: index {heddle.name = "threads"}, %context: index {heddle.name = "context"}, %b: index {heddle.name = "begin"}, %e: index {heddle.name = "end"}) -> tensor<?x1x?xf32> {
  // expected-error@+1 {{stands on tensors: stage planned has buffers}}
  %0 = heddle.attention paged query(%x) state @kv layer(%b) shares(%b, %e, %b, %e) outs(%x)
      {heads = 2 : i64, kv_heads = 2 : i64, head_dim = 32 : i64, scale = 0.25 : f32, mask = #heddle<mask causal>, probe_heads = array<i64: 1>}
      : (memref<?x64xf32>, index, index, index, index, index, memref<?x64xf32>) -> tensor<?x1x?xf32>
  return %0 : tensor<?x1x?xf32>
}
