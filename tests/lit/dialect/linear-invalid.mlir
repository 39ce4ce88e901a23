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

func.func @f(%x: memref<?x64xf32>, %w: memref<16x64x!heddle.packed<f16>>) {
  // expected-error@+1 {{mixes tensors and buffers}}
  %y = heddle.linear %x weights(%w) : (memref<?x64xf32>, memref<16x64x!heddle.packed<f16>>) -> tensor<?x16xf32>
  return
}

// -----

func.func @f(%x: memref<?x64xf32>, %w: memref<?xi8>, %y: memref<?x16xf32>) {
  // expected-error@+1 {{operand #1 must be variadic of a weight [rows × columns] of f32, f16, bf16 or !heddle.quant (whole blocks), in buffers of !heddle.packed or weights [experts × rows × columns] of f32, f16, bf16 or !heddle.quant (whole blocks), in buffers of !heddle.packed, but got 'memref<?xi8>'}}
  heddle.linear %x weights(%w) outs(%y) : (memref<?x64xf32>, memref<?xi8>, memref<?x16xf32>) -> ()
  return
}

// -----

func.func @f(%x: tensor<?x40xf32>) {
  // expected-error@+1 {{result #0 must be a tensor of rows, but got 'tensor<?x40x!heddle.q8>'}}
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
  // expected-error@+1 {{result #0 must be variadic of a tensor of rows, but got 'tensor<?x40x!heddle.q8>'}}
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

func.func @f(%x: memref<?x64xf32>, %w: memref<64x64x!heddle.packed<f16>>, %u: memref<32x64x!heddle.packed<f16>>, %y: memref<?x64xf32>) {
  // expected-error@+1 {{weight 1 has 32 rows; its result 64}}
  heddle.linear %x weights(%w, %u) gate silu outs(%y) : (memref<?x64xf32>, memref<64x64x!heddle.packed<f16>>, memref<32x64x!heddle.packed<f16>>, memref<?x64xf32>) -> ()
  return
}

// -----

// expected-error@+1 {{'q9_1' is no weight format}}
func.func private @f(memref<64x64x!heddle.packed<q9_1>>)

// -----

func.func @f(%x: memref<?x64xf32>, %w: memref<64x64x!heddle.packed<f16>>, %y: memref<?x64xf32>, %i: index) {
  // expected-error@+1 {{unit_rows must be multiples of 16, not 24}}
  heddle.linear %x weights(%w) shares(%i, %i) outs(%y) {unit_rows = array<i64: 24>} : (memref<?x64xf32>, memref<64x64x!heddle.packed<f16>>, index, index, memref<?x64xf32>) -> ()
  return
}

// -----

func.func @f(%x: memref<?x64xf32>, %w: memref<64x64x!heddle.packed<f16>>, %y: memref<?x64xf32>, %i: index) {
  // expected-error@+1 {{on buffers needs unit_rows for each weight}}
  heddle.linear %x weights(%w) shares(%i, %i) outs(%y) : (memref<?x64xf32>, memref<64x64x!heddle.packed<f16>>, index, index, memref<?x64xf32>) -> ()
  return
}

// -----

func.func @f(%x: memref<?x64xf32>, %w: memref<64x64x!heddle.packed<q4_0>>, %y: memref<?x64xf32>) {
  // expected-error@+1 {{weight 0 of '!heddle.packed<q4_0>' takes q8 activations, not f32}}
  heddle.linear %x weights(%w) outs(%y) : (memref<?x64xf32>, memref<64x64x!heddle.packed<q4_0>>, memref<?x64xf32>) -> ()
  return
}

// -----

func.func @f(%x: memref<?x64xf32>, %w: memref<64x64x!heddle.packed<f16>>, %y: memref<?x64x!heddle.q8>) {
  // expected-error@+1 {{with several results or a residual must have f32 results}}
  heddle.linear %x weights(%w) residual(%x) outs(%y) : (memref<?x64xf32>, memref<64x64x!heddle.packed<f16>>, memref<?x64xf32>, memref<?x64x!heddle.q8>) -> ()
  return
}

// -----

func.func @f(%x: memref<?x64xf32>, %w: memref<64x64x!heddle.packed<f16>>, %y: memref<?x64x!heddle.q8>, %z: memref<?x64x!heddle.q8>) {
  // expected-error@+1 {{with several results or a residual must have f32 results}}
  heddle.linear %x weights(%w, %w) outs(%y, %z) : (memref<?x64xf32>, memref<64x64x!heddle.packed<f16>>, memref<64x64x!heddle.packed<f16>>, memref<?x64x!heddle.q8>, memref<?x64x!heddle.q8>) -> ()
  return
}

// -----

func.func @f(%x: tensor<?x64xf32>, %w: tensor<64x64xf16>) {
  // expected-error@+1 {{with an activation must have one result and no gate}}
  %0 = heddle.linear %x weights(%w, %w) gate silu activate silu : (tensor<?x64xf32>, tensor<64x64xf16>, tensor<64x64xf16>) -> tensor<?x64xf32>
  return
}

// -----

func.func @f(%x: tensor<?x64xf32>, %w: tensor<64x64xf16>) {
  // expected-error@+1 {{with an activation must have one result and no gate}}
  %0:2 = heddle.linear %x weights(%w, %w) activate silu : (tensor<?x64xf32>, tensor<64x64xf16>, tensor<64x64xf16>) -> (tensor<?x64xf32>, tensor<?x64xf32>)
  return
}

// -----

func.func @f(%x: memref<?x40xf32>, %w: memref<64x64x!heddle.packed<f16>>, %y: memref<?x64xf32>) {
  // expected-error@+1 {{operand #0 must be rows [? × features] of f32 (in buffers whole vectors of 16) or of !heddle.q8 (whole blocks of 32), but got 'memref<?x40xf32>'}}
  heddle.linear %x weights(%w) outs(%y) : (memref<?x40xf32>, memref<64x64x!heddle.packed<f16>>, memref<?x64xf32>) -> ()
  return
}

// -----

func.func @f(%x: tensor<?x64xf32>, %w: tensor<8x64xf32>, %b: tensor<8xf32>) {
  // expected-error@+1 {{needs one bias per weight or none, not 1}}
  %y:2 = heddle.linear %x weights(%w, %w) biases(%b) : (tensor<?x64xf32>, tensor<8x64xf32>, tensor<8x64xf32>, tensor<8xf32>) -> (tensor<?x8xf32>, tensor<?x8xf32>)
  return
}

// -----

func.func @f(%x: tensor<?x64xf32>, %w: tensor<8x64xf32>, %b: tensor<4xf32>) {
  // expected-error@+1 {{bias 0 has 4 elements; its weight has 8 rows}}
  %y = heddle.linear %x weights(%w) biases(%b) : (tensor<?x64xf32>, tensor<8x64xf32>, tensor<4xf32>) -> tensor<?x8xf32>
  return
}

// -----

// No file has a row that ends within a block; an edited stage may.
func.func @part_of_a_block(%x: tensor<?x48xf32>, %w: tensor<32x48x!heddle.quant<q4_0>>) -> tensor<?x32xf32> {
  // expected-error@+1 {{operand #1 must be variadic of a weight [rows × columns] of f32, f16, bf16 or !heddle.quant (whole blocks), in buffers of !heddle.packed or weights [experts × rows × columns] of f32, f16, bf16 or !heddle.quant (whole blocks), in buffers of !heddle.packed, but got 'tensor<32x48x!heddle.quant<q4_0>>'}}
  %0 = heddle.linear %x weights(%w) : (tensor<?x48xf32>, tensor<32x48x!heddle.quant<q4_0>>) -> tensor<?x32xf32>
  return %0 : tensor<?x32xf32>
}
