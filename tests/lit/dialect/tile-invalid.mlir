// RUN: heddle-opt %s -split-input-file -verify-diagnostics

func.func @f(%x: memref<?x2x40xi8>, %w: memref<?x640xi8>, %t: index) {
  // expected-error@+1 {{'q9_9' is no weight format}}
  %a = heddle.tile_product "q9_9" %x[%t], %w[%t] columns 64 : memref<?x2x40xi8>, memref<?x640xi8> -> vector<16xf32>
  return
}

// -----

func.func @f(%x: memref<?x64xf32>, %w: memref<?x640xi8>, %t: index) {
  // expected-error@+1 {{input must be q8, not 'memref<?x64xf32>'}}
  %a = heddle.tile_product "q4_1" %x[%t], %w[%t] columns 64 : memref<?x64xf32>, memref<?x640xi8> -> vector<16xf32>
  return
}

// -----

func.func @f(%x: memref<?x2x40xi8>, %w: memref<?x640xi8>, %t: index) {
  // expected-error@+1 {{takes one row group at a time in a quantised format, not 2}}
  %a:2 = heddle.tile_product "q4_1" %x[%t], %w[%t] columns 64 {row_groups = 2 : i64} : memref<?x2x40xi8>, memref<?x640xi8> -> vector<16xf32>, vector<16xf32>
  return
}

// -----

func.func @f(%x: memref<?x2x40xi8>, %w: memref<?x640xi8>, %t: index) {
  // expected-error@+1 {{cannot give 2 row groups the same number of 3 accumulators}}
  %a:3 = heddle.tile_product "q4_1" %x[%t], %w[%t] columns 64 {row_groups = 2 : i64} : memref<?x2x40xi8>, memref<?x640xi8> -> vector<16xf32>, vector<16xf32>, vector<16xf32>
  return
}

// -----

func.func @f(%x: memref<?x2x40xi8>, %w: memref<?x640xi8>, %t: index) {
  // expected-error@+1 {{ahead must be in 0 to 1048576, not -64}}
  %a = heddle.tile_product "q4_1" %x[%t], %w[%t] columns 64 {ahead = -64 : i64} : memref<?x2x40xi8>, memref<?x640xi8> -> vector<16xf32>
  return
}

// -----

func.func @f(%ids: memref<?xi32>, %w: memref<?xi8>, %x: memref<?x64xf32>, %t: index) {
  // expected-error@+1 {{a packed weight must be a buffer [groups × bytes] of i8, not 'memref<?xi8>'}}
  heddle.tile_embed "q4_1" %ids, %w -> %x[%t] : memref<?xi32>, memref<?xi8>, memref<?x64xf32>, index
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

func.func @f(%x: memref<?x64xf32>, %w: memref<?x2048xi8>, %sums: memref<16x16x16xf32>, %t: index) {
  // expected-error@+1 {{takes quantised formats, not 'f16'}}
  heddle.tile_product_panel "f16" %x[%t for %t], %w[%t for %t] columns 64 -> %sums : memref<?x64xf32>, memref<?x2048xi8>, memref<16x16x16xf32>
  return
}

// -----

func.func @f(%x: memref<?x2x40xi8>, %w: memref<?x640xi8>, %sums: memref<16x?x16xf32>, %t: index) {
  // expected-error@+1 {{sums must be a buffer [row groups × tokens × 16] of f32 of known size, not 'memref<16x?x16xf32>'}}
  heddle.tile_product_panel "q4_1" %x[%t for %t], %w[%t for %t] columns 64 -> %sums : memref<?x2x40xi8>, memref<?x640xi8>, memref<16x?x16xf32>
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

func.func @f(%x: memref<?x2x40xi8>, %p: memref<?xf32>, %t: index) {
  // expected-error@+1 {{a q8 result needs pairs of vectors, not 1}}
  heddle.tile_merge_chunks %p[%t, %t] chunks[%t, %t] -> %x[%t] heads(%t) block %t {head_dim = 64 : i64, vectors = 1 : i64} : memref<?xf32>, memref<?x2x40xi8>
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
  // expected-error@+1 {{rows must be positive}}
  heddle.tile_attention %x tokens(%t) heads(%t) at(%t) pages %pages[%t] kv %kv[%t, %t] -> %x
      {head_dim = 64 : i64, rope_dims = 0 : i64, scale = 0.125 : f32, window = 0 : i64, rows = 0 : i64, vectors = 4 : i64}
      : memref<?x64xf32>, memref<?xi32>, memref<?xi8>, memref<?x64xf32>
  return
}

// -----

func.func @f(%i: vector<64xi8>) {
  // expected-error@+1 {{attribute 'table' failed to satisfy constraint: i8 dense array attribute with exactly 16 elements}}
  %r = heddle.lookup %i in [0, 1, 2, 3] : vector<64xi8>
  return
}
