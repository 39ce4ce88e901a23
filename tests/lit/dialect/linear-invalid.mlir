// RUN: heddle-opt %s -split-input-file -verify-diagnostics

func.func @f(%x: tensor<?x64xf32>) {
  // expected-error@+1 {{needs at least one weight}}
  heddle.linear %x weights() : (tensor<?x64xf32>) -> ()
  return
}

// -----

func.func @f(%x: tensor<?x64xf32>, %w: tensor<8x32xf32>) {
  // expected-error@+1 {{weight 0 is 'tensor<8x32xf32>'; the input has 64 features}}
  %y = heddle.linear %x weights(%w) : (tensor<?x64xf32>, tensor<8x32xf32>) -> tensor<?x8xf32>
  return
}

// -----

func.func @f(%x: tensor<?x64xf32>, %w: tensor<8x64xf32>) {
  // expected-error@+1 {{weight 0 has 8 rows; its result 16}}
  %y = heddle.linear %x weights(%w) : (tensor<?x64xf32>, tensor<8x64xf32>) -> tensor<?x16xf32>
  return
}

// -----

func.func @f(%x: tensor<?x64xf32>, %w: tensor<8x64xf32>) {
  // expected-error@+1 {{with a gate needs two weights (gate, up), not 1}}
  %y = heddle.linear %x weights(%w) gate silu : (tensor<?x64xf32>, tensor<8x64xf32>) -> tensor<?x8xf32>
  return
}

// -----

func.func @f(%x: tensor<?x64xf32>, %w: tensor<8x64xf32>) {
  // expected-error@+1 {{has 1 results; its weights make 2}}
  %y = heddle.linear %x weights(%w, %w) : (tensor<?x64xf32>, tensor<8x64xf32>, tensor<8x64xf32>) -> tensor<?x8xf32>
  return
}

// -----

func.func @f(%x: tensor<?x64xf32>, %w: tensor<8x64xf32>, %r: tensor<?x8xf32>) {
  // expected-error@+1 {{with a residual must have one result}}
  %y:2 = heddle.linear %x weights(%w, %w) residual(%r) : (tensor<?x64xf32>, tensor<8x64xf32>, tensor<8x64xf32>, tensor<?x8xf32>) -> (tensor<?x8xf32>, tensor<?x8xf32>)
  return
}

// -----

func.func @f(%x: tensor<?x64xf32>, %w: tensor<8x64xf32>, %r: tensor<?x4xf32>) {
  // expected-error@+1 {{residual and result differ in features}}
  %y = heddle.linear %x weights(%w) residual(%r) : (tensor<?x64xf32>, tensor<8x64xf32>, tensor<?x4xf32>) -> tensor<?x8xf32>
  return
}

// -----

func.func @f(%x: tensor<?x64xf32>, %w: tensor<8x64xf32>, %b: index) {
  // expected-error@+1 {{needs one [begin, end) share per weight}}
  %y = heddle.linear %x weights(%w) shares(%b) : (tensor<?x64xf32>, tensor<8x64xf32>, index) -> tensor<?x8xf32>
  return
}

// -----

func.func @f(%x: tensor<?x64x!heddle.q8>, %w: tensor<8x64xf32>) {
  // expected-error@+1 {{weight 0 of 'f32' takes f32 activations, not q8}}
  %y = heddle.linear %x weights(%w) : (tensor<?x64x!heddle.q8>, tensor<8x64xf32>) -> tensor<?x8xf32>
  return
}

// -----

func.func @f(%x: tensor<?x64xf32, #heddle.shard<columns, 16>>, %w: tensor<8x64xf32>) {
  // expected-error@+1 {{input is only this rank's share (#heddle.shard<columns, 16>): gather it first}}
  %y = heddle.linear %x weights(%w) : (tensor<?x64xf32, #heddle.shard<columns, 16>>, tensor<8x64xf32>) -> tensor<?x8xf32>
  return
}

// -----

func.func @f(%x: memref<?x64xf32>, %w: memref<?xi8>) {
  // expected-error@+1 {{mixes tensors and buffers}}
  %y = heddle.linear %x weights(%w) : (memref<?x64xf32>, memref<?xi8>) -> tensor<?x8xf32>
  return
}

// -----

func.func @f(%x: memref<?x64xf32>, %w: memref<?xi8>, %y: memref<?x8xf32>) {
  // expected-error@+1 {{on buffers needs one format per weight}}
  heddle.linear %x weights(%w) outs(%y) : (memref<?x64xf32>, memref<?xi8>, memref<?x8xf32>) -> ()
  return
}

// -----

func.func @f(%x: tensor<?x40xf32>) {
  // expected-error@+1 {{features must be a multiple of 32, not 40}}
  %q = heddle.quantize %x : (tensor<?x40xf32>) -> tensor<?x40x!heddle.q8>
  return
}

// -----

func.func @f(%x: tensor<?x64xf32>) {
  // expected-error@+1 {{result must have element type !heddle.q8}}
  %q = heddle.quantize %x : (tensor<?x64xf32>) -> tensor<?x64xf32>
  return
}

// -----

func.func @f(%x: tensor<?x64xf32>, %w: tensor<16x64xf32>, %r: tensor<?x16xf32, #heddle.shard<columns, 16>>) {
  // expected-error@+1 {{residual is only this rank's share (#heddle.shard<columns, 16>): gather it first}}
  %y = heddle.linear %x weights(%w) residual(%r) : (tensor<?x64xf32>, tensor<16x64xf32>, tensor<?x16xf32, #heddle.shard<columns, 16>>) -> tensor<?x16xf32>
  return
}

// -----

func.func @f(%x: tensor<?x64xf32>, %w: tensor<40x64xf32>) {
  // expected-error@+1 {{result of element type !heddle.q8 needs features that are a multiple of 32, not 40}}
  %y = heddle.linear %x weights(%w, %w) gate silu : (tensor<?x64xf32>, tensor<40x64xf32>, tensor<40x64xf32>) -> tensor<?x40x!heddle.q8>
  return
}

// -----

func.func @f(%x: tensor<?x64xf32, #heddle.shard<columns, 16>>) {
  // expected-error@+1 {{a share in units of 16 features cuts a block of 32 features: gather it first}}
  %q = heddle.quantize %x : (tensor<?x64xf32, #heddle.shard<columns, 16>>) -> tensor<?x64x!heddle.q8>
  return
}

// -----

func.func @f(%x: tensor<?x64xf32, #heddle.shard<heads, 32>>) {
  // expected-error@+1 {{input is only this rank's share (#heddle.shard<heads, 32>): gather it first}}
  %q = heddle.quantize %x : (tensor<?x64xf32, #heddle.shard<heads, 32>>) -> tensor<?x64x!heddle.q8>
  return
}

// -----

func.func @f(%x: memref<?x64xf32>, %w: memref<4x2048xi8>, %u: memref<2x2048xi8>, %y: memref<?x64xf32>) {
  // expected-error@+1 {{gate and up differ in rows: 64 and 32}}
  heddle.linear %x weights(%w, %u) gate silu outs(%y) {formats = ["f16", "f16"], rows = array<i64: 64, 32>, unit_rows = array<i64: 16, 16>}
      : (memref<?x64xf32>, memref<4x2048xi8>, memref<2x2048xi8>, memref<?x64xf32>) -> ()
  return
}

// -----

func.func @f(%x: memref<?x64xf32>, %w: memref<4x2048xi8>, %y: memref<?x64xf32>) {
  // expected-error@+1 {{'q9_1' is no weight format}}
  heddle.linear %x weights(%w) outs(%y) {formats = ["q9_1"], rows = array<i64: 64>, unit_rows = array<i64: 16>}
      : (memref<?x64xf32>, memref<4x2048xi8>, memref<?x64xf32>) -> ()
  return
}

// -----

func.func @f(%x: memref<?x64xf32>, %w: memref<4x2048xi8>, %y: memref<?x64xf32>, %i: index) {
  // expected-error@+1 {{unit_rows must be multiples of 16, not 24}}
  heddle.linear %x weights(%w) shares(%i, %i) outs(%y) {formats = ["f16"], rows = array<i64: 64>, unit_rows = array<i64: 24>}
      : (memref<?x64xf32>, memref<4x2048xi8>, index, index, memref<?x64xf32>) -> ()
  return
}

// -----

func.func @f(%x: memref<?x64xf32>, %w: memref<4x2048xi8>, %y: memref<?x64xf32>) {
  // expected-error@+1 {{on buffers needs rows and unit_rows for each weight}}
  heddle.linear %x weights(%w) outs(%y) {formats = ["f16"]} : (memref<?x64xf32>, memref<4x2048xi8>, memref<?x64xf32>) -> ()
  return
}

// -----

func.func @f(%x: memref<?x64xf32>, %w: memref<4x2048xi8>, %y: memref<?x64xf32>) {
  // expected-error@+1 {{weight 0 of format q4_0 takes q8 activations}}
  heddle.linear %x weights(%w) outs(%y) {formats = ["q4_0"], rows = array<i64: 64>, unit_rows = array<i64: 16>}
      : (memref<?x64xf32>, memref<4x2048xi8>, memref<?x64xf32>) -> ()
  return
}

// -----

func.func @f(%x: memref<?x2x36xi8>, %y: memref<?x64xf32>) {
  // expected-error@+1 {{input must be a buffer [tokens × features] of f32 (a multiple of 16) or [tokens × blocks × 40] of i8, not 'memref<?x2x36xi8>'}}
  heddle.linear %x weights(%y) outs(%y) : (memref<?x2x36xi8>, memref<?x64xf32>, memref<?x64xf32>) -> ()
  return
}
