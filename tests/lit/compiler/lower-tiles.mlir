// RUN: heddle-opt %s -heddle-lower-tiles | FileCheck %s

// Two tokens of Q4_1: one loop over blocks of 32 K, the weights unpacked once, an accumulator and two FMA (scale, minimum) a token.
// Packed weights and q8 activations are read as the bytes that they are.
// CHECK-LABEL: func.func @product
//   CHECK-DAG: heddle.bytes %arg0 : memref<?x64x!heddle.q8> to memref<?x2x40xi8>
//   CHECK-DAG: heddle.bytes %arg1 : memref<64x64x!heddle.packed<q4_1>> to memref<4x640xi8>
//       CHECK: %[[ACC:.*]]:2 = scf.for {{.*}} -> (vector<16xf32>, vector<16xf32>)
// CHECK-COUNT-4: vector.load {{.*}} : memref<4x640xi8>, vector<64xi8>
//   CHECK-NOT: vector.load {{.*}} : memref<4x640xi8>
//       CHECK: heddle.dot
// CHECK-COUNT-2: math.fma
//       CHECK: heddle.dot
// CHECK-COUNT-2: math.fma
//   CHECK-NOT: math.fma
//       CHECK: return %[[ACC]]#0
func.func @product(%x: memref<?x64x!heddle.q8>, %w: memref<64x64x!heddle.packed<q4_1>>, %t: index) -> vector<16xf32> {
  %acc:2 = heddle.tile_product %x[%t], %w[%t] : memref<?x64x!heddle.q8>, memref<64x64x!heddle.packed<q4_1>> -> vector<16xf32>, vector<16xf32>
  return %acc#0 : vector<16xf32>
}

// Weights are asked for ahead where the tile says so, a cache line at a time.
// CHECK-LABEL: func.func @ahead
//       CHECK: arith.constant 8192 : index
//       CHECK: memref.prefetch
//       CHECK: arith.constant 8256 : index
// CHECK-COUNT-4: memref.prefetch
//   CHECK-NOT: memref.prefetch
//       CHECK: return
func.func @ahead(%x: memref<?x64x!heddle.q8>, %w: memref<64x64x!heddle.packed<q4_0>>, %t: index) -> vector<16xf32> {
  %acc = heddle.tile_product %x[%t], %w[%t] {ahead = 8192 : i64} : memref<?x64x!heddle.q8>, memref<64x64x!heddle.packed<q4_0>> -> vector<16xf32>
  return %acc : vector<16xf32>
}

// A panel: for each block of 32 K the tokens' activations are splat into memory; the weights of 8 rows at a time are unpacked once, for a loop
// over the tokens, whose accumulators stand in memory.
// CHECK-LABEL: func.func @panel
//       CHECK: %[[SPLATS:.*]] = memref.alloca() {alignment = 64 : i64} : memref<16x320xi8>
//       CHECK: vector.store {{.*}} : memref<16x16x16xf32>, vector<16xf32>
//       CHECK: scf.for
//       CHECK: scf.for
// CHECK-COUNT-10: vector.store {{.*}}, %[[SPLATS]]{{\[}}
//       CHECK: scf.for
//       CHECK: memref.prefetch
// CHECK-COUNT-4: vector.load {{.*}} : memref<4x576xi8>, vector<32xi8>
//       CHECK: scf.for
// CHECK-COUNT-10: vector.load %[[SPLATS]]{{\[}}
//       CHECK: heddle.dot
//       CHECK: math.fma
//       CHECK: vector.store {{.*}} : memref<16x16x16xf32>, vector<8xf32>
// CHECK-COUNT-4: vector.load {{.*}} : memref<4x576xi8>, vector<32xi8>
//       CHECK: heddle.dot
//   CHECK-NOT: heddle.dot
//       CHECK: return
func.func @panel(%x: memref<?x64x!heddle.q8>, %w: memref<64x64x!heddle.packed<q4_0>>, %sums: memref<16x16x16xf32>, %t: index, %n: index) {
  heddle.tile_product_panel %x[%t for %n], %w[%t for %n] -> %sums : memref<?x64x!heddle.q8>, memref<64x64x!heddle.packed<q4_0>>, memref<16x16x16xf32>
  return
}

// In pairs, signed bytes go by half a block at a time: the sums of the first half wait in memory.
// CHECK-LABEL: func.func @panel_of_bytes
//       CHECK: %[[HALF:.*]] = memref.alloca() {alignment = 64 : i64} : memref<16x8xi32>
// CHECK-COUNT-8: arith.shrsi {{.*}} : vector<16xi16>
//       CHECK: %[[DOT:.*]] = heddle.dot {{.*}} vector<16xi16>
//       CHECK: vector.store %[[DOT]], %[[HALF]]{{\[}}
//       CHECK: %[[START:.*]] = vector.load %[[HALF]]{{\[}}
//       CHECK: heddle.dot %[[START]]
//       CHECK: math.fma
func.func @panel_of_bytes(%x: memref<?x64x!heddle.q8>, %w: memref<64x64x!heddle.packed<q8_0>>, %sums: memref<16x16x16xf32>, %t: index, %n: index) {
  heddle.tile_product_panel %x[%t for %n], %w[%t for %n] -> %sums {pairs} : memref<?x64x!heddle.q8>, memref<64x64x!heddle.packed<q8_0>>, memref<16x16x16xf32>
  return
}

// Without, as quads, a whole block at a time.
// CHECK-LABEL: func.func @panel_of_quads
//   CHECK-NOT: arith.shrsi {{.*}} : vector<16xi16>
//       CHECK: heddle.dot {{.*}} vector<32xi8>
//       CHECK: math.fma
func.func @panel_of_quads(%x: memref<?x64x!heddle.q8>, %w: memref<64x64x!heddle.packed<q8_0>>, %sums: memref<16x16x16xf32>, %t: index, %n: index) {
  heddle.tile_product_panel %x[%t for %n], %w[%t for %n] -> %sums : memref<?x64x!heddle.q8>, memref<64x64x!heddle.packed<q8_0>>, memref<16x16x16xf32>
  return
}

// A key is scattered by a loop, not by a store for each of its elements.
// What is cached is finite.
// CHECK-LABEL: func.func @store
//       CHECK: memref.alloca() {alignment = 64 : i64} : memref<128xi8>
//       CHECK: arith.constant 6.550400e+04 : f32
//       CHECK: arith.constant -6.550400e+04 : f32
//       CHECK: arith.truncf
//       CHECK: scf.for
//       CHECK: vector.store {{.*}} : memref<?xi8>, vector<2xi8>
//   CHECK-NOT: vector<2xi8>
//       CHECK: return
func.func @store(%x: memref<?x64xf32>, %kv: memref<?xi8>, %t: index) {
  heddle.tile_store_kv %x, %x[%t, %t] at %t -> %kv[%t] {head_dim = 64 : i64, rope_dims = 0 : i64}
      : memref<?x64xf32>, memref<?x64xf32>, index, index, index, memref<?xi8>, index
  return
}

// With 8 bits a page holds bytes, and a scale for each block of 32 features of each key and value.
// CHECK-LABEL: func.func @store_bytes
//       CHECK: memref.alloca() {alignment = 64 : i64} : memref<64xi8>
//       CHECK: scf.for
//       CHECK: vector.store {{.*}} : memref<?xi8>, vector<1xi8>
// CHECK-COUNT-2: vector.store {{.*}} : memref<?xi8>, vector<4xi8>
// CHECK-COUNT-4: vector.store {{.*}} : memref<?xi8>, vector<16xi8>
// CHECK-COUNT-2: vector.store {{.*}} : memref<?xi8>, vector<4xi8>
//   CHECK-NOT: vector.store
//       CHECK: return
func.func @store_bytes(%x: memref<?x64xf32>, %kv: memref<?xi8>, %t: index) {
  heddle.tile_store_kv %x, %x[%t, %t] at %t -> %kv[%t] {head_dim = 64 : i64, rope_dims = 0 : i64, type = #heddle<cache_type q8>}
      : memref<?x64xf32>, memref<?x64xf32>, index, index, index, memref<?xi8>, index
  return
}

// Three query heads share keys: of each feature four vectors of keys are widened once, and used by all three.
// CHECK-LABEL: func.func @attend
//       CHECK: scf.for {{.*}} -> (vector<16xf32>, vector<16xf32>, vector<16xf32>, vector<16xf32>, vector<16xf32>, vector<16xf32>, vector<16xf32>, vector<16xf32>, vector<16xf32>, vector<16xf32>, vector<16xf32>, vector<16xf32>)
// CHECK-COUNT-4: arith.extf
//   CHECK-NOT: arith.extf
// CHECK-COUNT-12: math.fma
//       CHECK: scf.yield
func.func @attend(%x: memref<?x192xf32>, %kv: memref<?xi8>, %pages: memref<?xi32>, %partials: memref<?xf32>, %t: index, %h: index) {
  heddle.tile_attend_chunks %x tokens(%t, %t, %t) heads(%h, %h, %h) at(%t, %t, %t) pages %pages[%t] kv %kv[%t, %t] chunks[%t, %h] -> %partials[%t, %t]
      {head_dim = 64 : i64, rope_dims = 0 : i64, scale = 0.125 : f32, window = 0 : i64, rows = 3 : i64, vectors = 4 : i64}
      : memref<?x192xf32>, memref<?xi32>, memref<?xi8>, memref<?xf32>
  return
}

// Registers for two queries only: the keys of a turn are widened again for the third, and come from memory once. A half of a page is asked for
// twice, into L1 and a chunk ahead into L2, by the first part alone.
// CHECK-LABEL: func.func @attend_in_parts
//       CHECK: scf.for {{.*}} -> (vector<16xf32>, vector<16xf32>)
//       CHECK: memref.prefetch {{.*}}, read, locality<3>, data
//       CHECK: memref.prefetch {{.*}}, read, locality<2>, data
// CHECK-COUNT-2: math.fma
//       CHECK: scf.for {{.*}} -> (vector<16xf32>)
//   CHECK-NOT: memref.prefetch
//       CHECK: math.fma
//   CHECK-NOT: math.fma
//       CHECK: scf.yield
func.func @attend_in_parts(%x: memref<?x192xf32>, %kv: memref<?xi8>, %pages: memref<?xi32>, %partials: memref<?xf32>, %t: index, %h: index) {
  heddle.tile_attend_chunks %x tokens(%t, %t, %t) heads(%h, %h, %h) at(%t, %t, %t) pages %pages[%t] kv %kv[%t, %t] chunks[%t, %h] -> %partials[%t, %t]
      {head_dim = 64 : i64, rope_dims = 0 : i64, scale = 0.125 : f32, window = 0 : i64, rows = 2 : i64, vectors = 1 : i64}
      : memref<?x192xf32>, memref<?xi32>, memref<?xi8>, memref<?xf32>
  return
}

// Two heads' 32 features: the first chunk is copied, every other one enters with a factor for what was and one for what comes. The exponentials of
// both heads are one vector's, of which the rounding is the only one here.
// CHECK-LABEL: func.func @merge
//       CHECK: %[[FIRST:.*]] = vector.load %arg1
// CHECK-COUNT-4: vector.load %arg1
//       CHECK: scf.for {{.*}} iter_args(%{{.*}} = %[[FIRST]], {{.*}}) -> (vector<16xf32>, vector<16xf32>, vector<16xf32>, vector<16xf32>, vector<16xf32>, vector<16xf32>)
//       CHECK: math.roundeven
//   CHECK-NOT: math.roundeven
//       CHECK: scf.yield
// CHECK-COUNT-4: arith.divf
func.func @merge(%x: memref<?x128xf32>, %partials: memref<?xf32>, %t: index, %h: index) {
  heddle.tile_merge_chunks %partials[%t, %h] chunks[%t, %h] -> %x[%t] heads(%t, %h) block %t {head_dim = 64 : i64, vectors = 2 : i64} : memref<?xf32>, memref<?x128xf32>
  return
}
