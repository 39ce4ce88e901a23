// RUN: heddle-opt %s -split-input-file -verify-diagnostics

func.func @f(%x: memref<?x64xf32>, %w: memref<64x64x!heddle.packed<q4_1>>, %t: index) {
  // expected-error@+1 {{input must be q8, not 'memref<?x64xf32>'}}
  %a = heddle.tile_product %x[%t], %w[%t] : memref<?x64xf32>, memref<64x64x!heddle.packed<q4_1>> -> vector<16xf32>
  return
}

// -----

func.func @f(%x: memref<?x64x!heddle.q8>, %w: memref<64x64x!heddle.packed<q4_1>>, %t: index) {
  // expected-error@+1 {{takes one row group at a time in a quantised format, not 2}}
  %a:2 = heddle.tile_product %x[%t], %w[%t] {row_groups = 2 : i64} : memref<?x64x!heddle.q8>, memref<64x64x!heddle.packed<q4_1>> -> vector<16xf32>, vector<16xf32>
  return
}

// -----

func.func @f(%x: memref<?x64x!heddle.q8>, %w: memref<64x64x!heddle.packed<q4_1>>, %t: index) {
  // expected-error@+1 {{cannot give 2 row groups the same number of 3 accumulators}}
  %a:3 = heddle.tile_product %x[%t], %w[%t] {row_groups = 2 : i64} : memref<?x64x!heddle.q8>, memref<64x64x!heddle.packed<q4_1>> -> vector<16xf32>, vector<16xf32>, vector<16xf32>
  return
}

// -----

func.func @f(%x: memref<?x64x!heddle.q8>, %w: memref<64x64x!heddle.packed<q4_1>>, %t: index) {
  // expected-error@+1 {{attribute 'ahead' failed to satisfy constraint: 64-bit signless integer attribute whose value is non-negative}}
  %a = heddle.tile_product %x[%t], %w[%t] {ahead = -64 : i64} : memref<?x64x!heddle.q8>, memref<64x64x!heddle.packed<q4_1>> -> vector<16xf32>
  return
}

// -----

func.func @f(%ids: memref<?xi32>, %w: memref<?xi8>, %x: memref<?x64xf32>, %t: index) {
  // expected-error@+1 {{operand #1 must be a weight [rows × columns] of f32, f16, bf16 or !heddle.quant (whole blocks), in buffers of !heddle.packed, but got 'memref<?xi8>'}}
  heddle.tile_embed %ids, %w -> %x[%t] : memref<?xi32>, memref<?xi8>, memref<?x64xf32>, index
  return
}

// -----

func.func @f(%init: vector<16xi32>, %sum: i32, %c: vector<64xi8>) {
  // expected-error@+1 {{code_max must be in 1 to 129, not 0}}
  %r = heddle.dot %init sum %sum codes(%c) activations(%c) {code_max = 0 : i64} : (vector<16xi32>, i32, vector<64xi8>, vector<64xi8>) -> vector<16xi32>
  return
}

// -----

func.func @f(%init: vector<16xi32>, %sum: i32, %c: vector<64xi8>) {
  // expected-error@+1 {{code_max must be in 1 to 129, not 130}}
  %r = heddle.dot %init sum %sum codes(%c) activations(%c) {code_max = 130 : i64} : (vector<16xi32>, i32, vector<64xi8>, vector<64xi8>) -> vector<16xi32>
  return
}

// -----

func.func @f(%x: memref<?x64xf32>, %w: memref<64x64x!heddle.packed<f16>>, %sums: memref<16x16x16xf32>, %t: index) {
  // expected-error@+1 {{operand #0 must be rows [? × features] of !heddle.q8 (whole blocks of 32), but got 'memref<?x64xf32>'}}
  heddle.tile_product_panel %x[%t for %t], %w[%t for %t] -> %sums : memref<?x64xf32>, memref<64x64x!heddle.packed<f16>>, memref<16x16x16xf32>
  return
}

// -----

func.func @f(%x: memref<?x64x!heddle.q8>, %w: memref<64x64x!heddle.packed<q4_1>>, %sums: memref<16x?x16xf32>, %t: index) {
  // expected-error@+1 {{sums must be a buffer [row groups × tokens × 16] of f32 of known size, not 'memref<16x?x16xf32>'}}
  heddle.tile_product_panel %x[%t for %t], %w[%t for %t] -> %sums : memref<?x64x!heddle.q8>, memref<64x64x!heddle.packed<q4_1>>, memref<16x?x16xf32>
  return
}

// -----

func.func @f(%init: vector<8xi32>, %sum: i32, %c: vector<16xi16>) -> vector<8xi32> {
  // expected-error@+1 {{takes pairs of signed codes only}}
  %0 = heddle.dot %init sum %sum codes(%c) activations(%c) {code_max = 15 : i64} : (vector<8xi32>, i32, vector<16xi16>, vector<16xi16>) -> vector<8xi32>
  return %0 : vector<8xi32>
}

// -----

func.func @f(%init: vector<8xi32>, %sum: i32, %c: vector<16xi16>, %a: vector<32xi8>) -> vector<8xi32> {
  // expected-error@+1 {{needs quads of 32 bytes, or pairs of as many, for 8 lanes}}
  %0 = heddle.dot %init sum %sum codes(%c) activations(%a) {code_max = 255 : i64, signed_codes} : (vector<8xi32>, i32, vector<16xi16>, vector<32xi8>) -> vector<8xi32>
  return %0 : vector<8xi32>
}

// -----

func.func @f(%x: memref<?x64x!heddle.q8>, %p: memref<?xf32>, %t: index) {
  // expected-error@+1 {{a q8 result needs pairs of vectors, not 1}}
  heddle.tile_merge_chunks %p[%t, %t] chunks[%t, %t] -> %x[%t] heads(%t) block %t {head_dim = 64 : i64, vectors = 1 : i64} : memref<?xf32>, memref<?x64x!heddle.q8>
  return
}

// -----

func.func @f(%x: memref<?x80xf32>, %p: memref<?xf32>, %t: index) {
  // expected-error@+1 {{head_dim 80 must be a multiple of the features of 2 vectors}}
  heddle.tile_merge_chunks %p[%t, %t] chunks[%t, %t] -> %x[%t] heads(%t) block %t {head_dim = 80 : i64, vectors = 2 : i64} : memref<?xf32>, memref<?x80xf32>
  return
}

// -----

func.func @f(%x: memref<?x64xf32>, %p: memref<?xf32>, %t: index) {
  // expected-error@+1 {{vectors must be 1, 2 or 4, not 1152921504606846976}}
  heddle.tile_merge_chunks %p[%t, %t] chunks[%t, %t] -> %x[%t] heads(%t) block %t {head_dim = 64 : i64, vectors = 1152921504606846976 : i64} : memref<?xf32>, memref<?x64xf32>
  return
}

// -----

func.func @f(%x: memref<?x64xf32>, %p: memref<?xf32>, %t: index) {
  // expected-error@+1 {{needs 1 to 8 heads, not 0}}
  heddle.tile_merge_chunks %p[%t, %t] chunks[%t, %t] -> %x[%t] heads() block %t {head_dim = 64 : i64, vectors = 2 : i64} : memref<?xf32>, memref<?x64xf32>
  return
}

// -----

func.func @f(%x: memref<?x64xf32>, %kv: memref<?xi8>, %pages: memref<?xi32>, %t: index) {
  // expected-error@+2 {{attribute 'rows' failed to satisfy constraint: 64-bit signless integer attribute whose value is positive}}
  heddle.tile_attention %x tokens(%t) heads(%t) at(%t) pages %pages[%t] kv %kv[%t, %t] -> %x
      {head_dim = 64 : i64, rope_dims = 0 : i64, scale = 0.125 : f32, window = 0 : i64, rows = 0 : i64, vectors = 4 : i64}
      : memref<?x64xf32>, memref<?xi32>, memref<?xi8>, memref<?x64xf32>
  return
}

// -----

func.func @f(%x: memref<?x64xf32>, %kv: memref<?xi8>, %pages: memref<?xi32>, %t: index) {
  // expected-error@+1 {{sees a length or a window of keys, not both}}
  heddle.tile_attention %x tokens(%t) heads(%t) at(%t) pages %pages[%t] kv %kv[%t, %t] -> %x length(%t)
      {head_dim = 64 : i64, rope_dims = 0 : i64, scale = 0.125 : f32, window = 8 : i64, rows = 1 : i64, vectors = 4 : i64}
      : memref<?x64xf32>, memref<?xi32>, memref<?xi8>, memref<?x64xf32>
  return
}

// -----

func.func @f(%i: vector<64xi8>) {
  // expected-error@+1 {{attribute 'table' failed to satisfy constraint: i8 dense array attribute with exactly 16 elements}}
  %r = heddle.lookup %i in [0, 1, 2, 3] : vector<64xi8>
  return
}

// -----

func.func @f(%x: memref<?x64x!heddle.q8>, %w: memref<64x64x!heddle.packed<q4_1>>, %t: index) {
  // expected-error@+1 {{ahead must be in 0 to 1048576, not 1048577}}
  %a = heddle.tile_product %x[%t], %w[%t] {ahead = 1048577 : i64} : memref<?x64x!heddle.q8>, memref<64x64x!heddle.packed<q4_1>> -> vector<16xf32>
  return
}

// -----

func.func @f(%x: memref<?x32x!heddle.q8>, %w: memref<64x64x!heddle.packed<q4_1>>, %t: index) {
  // expected-error@+1 {{cannot take 64 columns in blocks of 32 of an input of 32}}
  %a = heddle.tile_product %x[%t], %w[%t] : memref<?x32x!heddle.q8>, memref<64x64x!heddle.packed<q4_1>> -> vector<16xf32>
  return
}

// -----

func.func @f(%x: memref<?x64x!heddle.q8>, %w: memref<64x64x!heddle.packed<q4_1>>, %t: index) {
  // expected-error@+1 {{lanes must be 16 or 8, not 4}}
  %a = heddle.tile_product %x[%t], %w[%t] {lanes = 4 : i64} : memref<?x64x!heddle.q8>, memref<64x64x!heddle.packed<q4_1>> -> vector<16xf32>
  return
}

// -----

func.func @f(%x: memref<?x64xf32>, %q: memref<?x32x!heddle.q8>, %t: index) {
  // expected-error@+1 {{changes the number of features}}
  heddle.tile_quantize_row %x, %q[%t] : memref<?x64xf32>, memref<?x32x!heddle.q8>
  return
}

// -----

func.func @f(%x: memref<?x64xf32>, %n: memref<32xf32>, %t: index) {
  // expected-error@+1 {{weight has 32 elements; rows have 64}}
  heddle.tile_rms_norm %x, %n -> %x[%t] eps 1.0e-5 : memref<?x64xf32>, memref<32xf32>, memref<?x64xf32>, index
  return
}

// -----

func.func @f(%x: memref<?x64xf32>, %q: memref<?x64x!heddle.q8>, %t: index) {
  // expected-error@+1 {{changes the type of a row}}
  heddle.tile_copy_row %x[%t] -> %q[%t] : memref<?x64xf32>, memref<?x64x!heddle.q8>
  return
}

// -----

func.func @f(%x: memref<?x64xf32>, %r: memref<?xf32>, %t: index) {
  // expected-error@+1 {{cannot rotate 64 of 32 dimensions in this style}}
  heddle.tile_rope neox %x, %r -> %x[%t, %t] at %t {head_dim = 32 : i64, rope_dims = 64 : i64} : memref<?x64xf32>, memref<?xf32>, memref<?x64xf32>
  return
}
