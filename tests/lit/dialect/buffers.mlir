// RUN: heddle-opt %s | heddle-opt | FileCheck %s
// RUN: heddle-opt %s -mlir-print-op-generic | heddle-opt | FileCheck %s
// The same ops on buffers (stage planned) and the tile ops of stages kernels and loops.

// CHECK: heddle.state paged @kv layers 2 heads 2 kv_heads 1 head_dim 32{{$}}
heddle.state paged @kv layers 2 heads 2 kv_heads 1 head_dim 32
// CHECK: heddle.state paged @bytes layers 2 heads 2 kv_heads 1 head_dim 32 {type = #heddle<cache_type q8>}
heddle.state paged @bytes layers 2 heads 2 kv_heads 1 head_dim 32 {type = #heddle<cache_type q8>}

// CHECK-LABEL: func.func @planned
func.func @planned(%ids: memref<?xi32>, %table: memref<64x64x!heddle.packed<q4_1>>, %x: memref<?x64xf32>, %q8: memref<?x64x!heddle.q8>, %w: memref<64x64x!heddle.packed<q4_1>>, %norm: memref<64xf32>, %k: memref<?x32xf32>, %i: memref<?xi32>, %layer: index) {
  // CHECK: heddle.embed %{{.*}}, %{{.*}} outs(%{{.*}}) : (memref<?xi32>, memref<64x64x!heddle.packed<q4_1>>, memref<?x64xf32>) -> ()
  heddle.embed %ids, %table outs(%x) : (memref<?xi32>, memref<64x64x!heddle.packed<q4_1>>, memref<?x64xf32>) -> ()
  // CHECK: heddle.rms_norm %{{.*}}, %{{.*}} eps 9.99999974E-6 outs(%{{.*}}) : (memref<?x64xf32>, memref<64xf32>, memref<?x64x!heddle.q8>) -> ()
  heddle.rms_norm %x, %norm eps 1.0e-5 outs(%q8) : (memref<?x64xf32>, memref<64xf32>, memref<?x64x!heddle.q8>) -> ()
  // CHECK: heddle.quantize %{{.*}} outs(%{{.*}}) : (memref<?x64xf32>, memref<?x64x!heddle.q8>) -> ()
  heddle.quantize %x outs(%q8) : (memref<?x64xf32>, memref<?x64x!heddle.q8>) -> ()
  // CHECK: heddle.linear %{{.*}} weights(%{{.*}}) residual(%{{.*}}) outs(%{{.*}}) {unit_rows = array<i64: 16>} :
  heddle.linear %q8 weights(%w) residual(%x) outs(%x) {unit_rows = array<i64: 16>}
      : (memref<?x64x!heddle.q8>, memref<64x64x!heddle.packed<q4_1>>, memref<?x64xf32>, memref<?x64xf32>) -> ()
  // CHECK: heddle.store_kv
  heddle.store_kv keys(%k) values(%k) state @kv layer(%layer) {kv_heads = 1 : i64, head_dim = 32 : i64}
      : memref<?x32xf32>, memref<?x32xf32>, index
  // CHECK: heddle.attention paged query(%{{.*}}) state @kv layer(%{{.*}}) outs(%{{.*}})
  heddle.attention paged query(%x) state @kv layer(%layer) outs(%q8)
      {heads = 2 : i64, kv_heads = 1 : i64, head_dim = 32 : i64, scale = 0.25 : f32, mask = #heddle<mask causal>}
      : (memref<?x64xf32>, index, memref<?x64x!heddle.q8>) -> ()
  // CHECK: heddle.all_gather %{{.*}} shard <columns, 16> {columns = 64 : i64} : (memref<?x64xf32>) -> ()
  heddle.all_gather %x shard <columns, 16> {columns = 64 : i64} : (memref<?x64xf32>) -> ()
  // CHECK: heddle.select_rows %{{.*}}, %{{.*}} outs(%{{.*}}) : (memref<?x64xf32>, memref<?xi32>, memref<?x64xf32>) -> ()
  heddle.select_rows %x, %i outs(%x) : (memref<?x64xf32>, memref<?xi32>, memref<?x64xf32>) -> ()
  return
}

// CHECK-LABEL: func.func @tiles
func.func @tiles(%x: memref<?x64xf32>, %q8: memref<?x64x!heddle.q8>, %w: memref<64x64x!heddle.packed<q4_1>>, %norm: memref<64xf32>, %ids: memref<?xi32>, %kv: memref<?xi8>, %pages: memref<?xi32>, %rope: memref<?xf32>, %thread: index, %t: index) {
  // CHECK: heddle.barrier{{$}}
  heddle.barrier
  // CHECK: heddle.gather %{{.*}} {row_bytes = 256 : i64, unit_bytes = 64 : i64, units = 4 : i64} : memref<?x64xf32>
  heddle.gather %x {row_bytes = 256 : i64, units = 4 : i64, unit_bytes = 64 : i64} : memref<?x64xf32>
  // CHECK: %[[ACC:.*]]:2 = heddle.tile_product %{{.*}}[%{{.*}}], %{{.*}}[%{{.*}}] : memref<?x64x!heddle.q8>, memref<64x64x!heddle.packed<q4_1>> -> vector<16xf32>, vector<16xf32>
  %acc:2 = heddle.tile_product %q8[%t], %w[%t] : memref<?x64x!heddle.q8>, memref<64x64x!heddle.packed<q4_1>> -> vector<16xf32>, vector<16xf32>
  // CHECK: heddle.tile_activate silu %[[ACC]]#0 : vector<16xf32>
  %g = heddle.tile_activate silu %acc#0 : vector<16xf32>
  // CHECK: heddle.tile_quantize %{{.*}}, %{{.*}}, %{{.*}}[%{{.*}}, %{{.*}}] : vector<16xf32>, vector<16xf32>, memref<?x64x!heddle.q8>
  heddle.tile_quantize %g, %acc#1, %q8[%t, %t] : vector<16xf32>, vector<16xf32>, memref<?x64x!heddle.q8>
  // CHECK: heddle.tile_quantize_row %{{.*}}, %{{.*}}[%{{.*}}] : memref<?x64xf32>, memref<?x64x!heddle.q8>
  heddle.tile_quantize_row %x, %q8[%t] : memref<?x64xf32>, memref<?x64x!heddle.q8>
  // CHECK: heddle.tile_rms_norm %{{.*}}, %{{.*}} residual(%{{.*}}) -> %{{.*}}[%{{.*}}] eps 9.99999974E-6 :
  heddle.tile_rms_norm %x, %norm residual(%x) -> %x[%t] eps 1.0e-5 : memref<?x64xf32>, memref<64xf32>, memref<?x64xf32>, memref<?x64xf32>, index
  // CHECK: heddle.tile_embed %{{.*}}, %{{.*}} -> %{{.*}}[%{{.*}}] {scale = 8.000000e+00 : f32} :
  heddle.tile_embed %ids, %w -> %x[%t] {scale = 8.0 : f32} : memref<?xi32>, memref<64x64x!heddle.packed<q4_1>>, memref<?x64xf32>, index
  // CHECK: heddle.tile_copy_row %{{.*}}[%{{.*}}] -> %{{.*}}[%{{.*}}] : memref<?x64xf32>, memref<?x64xf32>
  heddle.tile_copy_row %x[%t] -> %x[%t] : memref<?x64xf32>, memref<?x64xf32>
  // CHECK: heddle.tile_store_kv %{{.*}}, %{{.*}}[%{{.*}}, %{{.*}}] at %{{.*}} -> %{{.*}}[%{{.*}}] rope(%{{.*}})
  heddle.tile_store_kv %x, %x[%t, %t] at %t -> %kv[%t] rope(%rope) {head_dim = 32 : i64, rope_dims = 32 : i64, style = #heddle<rope_style neox>}
      : memref<?x64xf32>, memref<?x64xf32>, index, index, index, memref<?xi8>, index, memref<?xf32>
  // CHECK: heddle.barrier after <name = "f.attn_q", weight_bytes = 640, integer_macs = 4096>
  heddle.barrier after <name = "f.attn_q", weight_bytes = 640, integer_macs = 4096>
  // CHECK: heddle.tile_attention %{{.*}} tokens(%{{.*}}, %{{.*}}) heads(%{{.*}}, %{{.*}}) at(%{{.*}}, %{{.*}}) pages %{{.*}}[%{{.*}}] kv %{{.*}}[%{{.*}}, %{{.*}}] -> %{{.*}} q_norm(%{{.*}})
  heddle.tile_attention %x tokens(%t, %t) heads(%t, %t) at(%t, %t) pages %pages[%t] kv %kv[%t, %t] -> %x q_norm(%norm)
      {head_dim = 64 : i64, rope_dims = 0 : i64, scale = 0.125 : f32, window = 0 : i64, norm_eps = 1.0e-5 : f32, rows = 2 : i64, vectors = 4 : i64}
      : memref<?x64xf32>, memref<?xi32>, memref<?xi8>, memref<?x64xf32>, memref<64xf32>
  // CHECK: heddle.tile_attend_chunks %{{.*}} tokens(%{{.*}}) heads(%{{.*}}) at(%{{.*}}) pages %{{.*}}[%{{.*}}] kv %{{.*}}[%{{.*}}, %{{.*}}] chunks[%{{.*}}, %{{.*}}] -> %{{.*}}[%{{.*}}, %{{.*}}] rope(%{{.*}})
  heddle.tile_attend_chunks %x tokens(%t) heads(%t) at(%t) pages %pages[%t] kv %kv[%t, %t] chunks[%t, %t] -> %rope[%t, %t] rope(%rope)
      {head_dim = 64 : i64, rope_dims = 64 : i64, scale = 0.125 : f32, window = 0 : i64, style = #heddle<rope_style neox>, rows = 2 : i64, vectors = 4 : i64}
      : memref<?x64xf32>, memref<?xi32>, memref<?xi8>, memref<?xf32> rope memref<?xf32>
  // CHECK: heddle.tile_merge_chunks %{{.*}}[%{{.*}}, %{{.*}}] chunks[%{{.*}}, %{{.*}}] -> %{{.*}}[%{{.*}}] heads(%{{.*}}, %{{.*}}) block %{{.*}} {head_dim = 64 : i64, vectors = 2 : i64}
  heddle.tile_merge_chunks %rope[%t, %t] chunks[%t, %t] -> %x[%t] heads(%t, %t) block %t {head_dim = 64 : i64, vectors = 2 : i64} : memref<?xf32>, memref<?x64xf32>
  return
}

// What a step is given and where it runs.
heddle.weight @w : tensor<64x64x!heddle.quant<q4_1>>
heddle.rope_table @rope base 1.0e+04 dims 32 scale 1.0
// CHECK-LABEL: func.func @environment
func.func @environment() {
  // CHECK: heddle.batch ids : memref<?xi32>
  %ids = heddle.batch ids : memref<?xi32>
  // CHECK: heddle.batch wanted : memref<?xi32>
  %wanted = heddle.batch wanted : memref<?xi32>
  // CHECK: %[[ROWS:.*]] = heddle.count wanted{{$}}
  %rows = heddle.count wanted
  // CHECK: heddle.environment rank{{$}}
  %rank = heddle.environment rank
  // CHECK: heddle.get @w : memref<64x64x!heddle.packed<q4_1>>
  %w = heddle.get @w : memref<64x64x!heddle.packed<q4_1>>
  // CHECK: heddle.buffer 256 rows(%[[ROWS]]) : memref<?x64x!heddle.q8>
  %q = heddle.buffer 256 rows(%rows) : memref<?x64x!heddle.q8>
  // CHECK: heddle.output 0 columns 50 rows(%[[ROWS]]) : memref<?x64xf32>
  %y = heddle.output 0 columns 50 rows(%rows) : memref<?x64xf32>
  // CHECK: %{{.*}}, %{{.*}}, %{{.*}} = heddle.pages @kv : memref<?xi8>, memref<?xi32>
  %memory, %table, %width = heddle.pages @kv : memref<?xi8>, memref<?xi32>
  // CHECK: heddle.pages @kv {access = #heddle<access write>} : memref<?xi8>, memref<?xi32>
  %more:3 = heddle.pages @kv {access = #heddle<access write>} : memref<?xi8>, memref<?xi32>
  // CHECK: heddle.lengths @kv : memref<?xi32>
  %lengths = heddle.lengths @kv : memref<?xi32>
  // CHECK: heddle.angles @rope : memref<?xf32>
  %angles = heddle.angles @rope : memref<?xf32>
  // CHECK: heddle.partials : memref<?xf32>
  %partials = heddle.partials : memref<?xf32>
  // CHECK: heddle.bytes %{{.*}} : memref<?x64x!heddle.q8> to memref<?x2x40xi8>
  %bytes = heddle.bytes %q : memref<?x64x!heddle.q8> to memref<?x2x40xi8>
  // CHECK: heddle.copy %{{.*}} outs(%{{.*}}) : (memref<?x64x!heddle.q8>, memref<?x64x!heddle.q8>) -> ()
  heddle.copy %q outs(%q) : (memref<?x64x!heddle.q8>, memref<?x64x!heddle.q8>) -> ()
  return
}

// CHECK-LABEL: func.func @dot
func.func @dot(%init: vector<16xi32>, %sum: i32, %c: vector<64xi8>, %a: vector<64xi8>) -> vector<16xi32> {
  // CHECK: heddle.dot %{{.*}} sum %{{.*}} codes(%{{.*}}, %{{.*}}) activations(%{{.*}}, %{{.*}}) {code_max = 15 : i64} :
  %r = heddle.dot %init sum %sum codes(%c, %c) activations(%a, %a) {code_max = 15 : i64}
      : (vector<16xi32>, i32, vector<64xi8>, vector<64xi8>, vector<64xi8>, vector<64xi8>) -> vector<16xi32>
  // CHECK: heddle.dot {{.*}} {code_max = 127 : i64, signed_codes}
  %s = heddle.dot %r sum %sum codes(%c) activations(%a) {code_max = 127 : i64, signed_codes} : (vector<16xi32>, i32, vector<64xi8>, vector<64xi8>) -> vector<16xi32>
  return %s : vector<16xi32>
}

// CHECK-LABEL: func.func @lookup
func.func @lookup(%i: vector<64xi8>) -> vector<64xi8> {
  // CHECK: heddle.lookup %{{.*}} in [0, 1, 2, 3, 4, 6, 8, 12, 0, -1, -2, -3, -4, -6, -8, -12] : vector<64xi8>
  %r = heddle.lookup %i in [0, 1, 2, 3, 4, 6, 8, 12, 0, -1, -2, -3, -4, -6, -8, -12] : vector<64xi8>
  return %r : vector<64xi8>
}
