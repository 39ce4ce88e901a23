// RUN: heddle-opt %s -split-input-file -verify-diagnostics

// expected-error@+1 {{type must be a vector [N], a matrix [N × K] or a stack of them [E × N × K] of static shape, not 'tensor<?x32xf32>'}}
heddle.weight @w : tensor<?x32xf32>

// -----

// expected-error@+1 {{type must be a vector [N], a matrix [N × K] or a stack of them [E × N × K] of static shape, not 'tensor<2x2x2x32xf32>'}}
heddle.weight @w : tensor<2x2x2x32xf32>

// -----

// expected-error@+1 {{element type must be f32, f16, bf16 or !heddle.quant, not 'f64'}}
heddle.weight @w : tensor<2x32xf64>

// -----

// expected-error@+1 {{rows of 96 elements do not divide into blocks of 256}}
heddle.weight @w : tensor<2x96x!heddle.quant<q6_k>>

// -----

// expected-error@+1 {{rows of 48 elements do not divide into blocks of 32}}
heddle.weight @w : tensor<2x48x!heddle.quant<q4_0>>

// -----

// expected-error@+1 {{dims must be even, not 7}}
heddle.rope_table @r base 10000.0 dims 7 scale 1.0

// -----

// expected-error@+1 {{base must be positive}}
heddle.rope_table @r base 0.0 dims 8 scale 1.0

// -----

// expected-error@+1 {{has 2 factors; dims 8 needs 4}}
heddle.rope_table @r base 10000.0 dims 8 scale 1.0 factors [1.0, 1.0]

// -----

// expected-error@+1 {{attribute 'layers' failed to satisfy constraint: 64-bit signless integer attribute whose value is positive}}
heddle.state paged @kv layers 0 heads 4 kv_heads 2 head_dim 16

// -----

// expected-error@+1 {{9 query heads do not divide over 2 KV heads}}
heddle.state paged @kv layers 1 heads 9 kv_heads 2 head_dim 16

// -----

func.func @f() {
  // expected-error@+1 {{names no declared weight: @w}}
  %w = heddle.get @w : tensor<4xf32>
  return
}

// -----

heddle.weight @w : tensor<8xf32>
func.func @f() {
  // expected-error@+1 {{has type 'tensor<4xf32>' but the weight is 'tensor<8xf32>'}}
  %w = heddle.get @w : tensor<4xf32>
  return
}

// -----

func.func @f(%ids: tensor<?xi32>, %table: tensor<10x8xf32>) {
  // expected-error@+1 {{result has 4 features; the table's rows have 8}}
  %x = heddle.embed %ids, %table : (tensor<?xi32>, tensor<10x8xf32>) -> tensor<?x4xf32>
  return
}

// -----

func.func @f(%ids: tensor<?xi32>, %table: tensor<10x8xf32>) {
  // expected-error@+1 {{needs either a tensor result or a buffer in outs}}
  heddle.embed %ids, %table : (tensor<?xi32>, tensor<10x8xf32>) -> ()
  return
}

// -----

func.func @f(%x: tensor<?x8xf32>, %rows: tensor<?xi32>) {
  // expected-error@+1 {{result must be 'tensor<?x8xf32>' like its operand, not 'tensor<?x4xf32>'}}
  %y = heddle.select_rows %x, %rows : (tensor<?x8xf32>, tensor<?xi32>) -> tensor<?x4xf32>
  return
}

// -----

// expected-error@+1 {{scale must be positive}}
heddle.rope_table @rope base 1.0e4 dims 32 scale 0.0

// -----

// expected-error@+1 {{attribute 'heads' failed to satisfy constraint: 64-bit signless integer attribute whose value is non-negative}}
heddle.state paged @kv layers 2 heads -4 kv_heads 2 head_dim 32

// -----

module {
  // expected-error@+1 {{must stand in the outermost module}}
  heddle.weight @w : tensor<64xf32>
}
module {}

// -----

func.func @f(%x: tensor<?x64xf32, #heddle.shard<columns, 16>>, %rows: tensor<?xi32>) {
  // expected-error@+1 {{input is only this rank's share (#heddle.shard<columns, 16>): gather it first}}
  %y = heddle.select_rows %x, %rows : (tensor<?x64xf32, #heddle.shard<columns, 16>>, tensor<?xi32>) -> tensor<?x64xf32>
  return
}

// -----

func.func @f(%ids: tensor<?xi32>, %w: tensor<64x64xf32, #heddle.shard<columns, 16>>) {
  // expected-error@+1 {{table is only this rank's share (#heddle.shard<columns, 16>): gather it first}}
  %y = heddle.embed %ids, %w : (tensor<?xi32>, tensor<64x64xf32, #heddle.shard<columns, 16>>) -> tensor<?x64xf32>
  return
}

// -----

heddle.weight @n : tensor<64xf16>
func.func @f() {
  // expected-error@+1 {{result #0 must be a weight [rows × columns] of f32, f16, bf16 or !heddle.quant (whole blocks), in buffers of !heddle.packed or weights [experts × rows × columns] of f32, f16, bf16 or !heddle.quant (whole blocks), in buffers of !heddle.packed or a vector [elements] of f32, but got 'tensor<64xf16>'}}
  %n = heddle.get @n : tensor<64xf16>
  return
}

// -----

heddle.weight @w : tensor<64x64x!heddle.quant<q4_1>>
func.func @f() {
  // expected-error@+1 {{has type 'memref<64x64x!heddle.packed<q4_0>>' but the weight is 'tensor<64x64x!heddle.quant<q4_1>>'}}
  %w = heddle.get @w : memref<64x64x!heddle.packed<q4_0>>
  return
}

// -----

func.func private @f(%n: index) {
  // expected-error@+1 {{belongs in an entry, a public function}}
  %y = heddle.output 0 columns 50 rows(%n) : memref<?x64xf32>
  return
}

// -----

func.func @f(%n: index) {
  // expected-error@+1 {{pads 50 columns to 80}}
  %y = heddle.output 0 columns 50 rows(%n) : memref<?x80xf32>
  return
}

// -----

func.func @f() {
  // expected-error@+1 {{names no declared state: @kv}}
  %memory, %table, %width = heddle.pages @kv : memref<?xi8>, memref<?xi32>
  return
}

// -----

func.func @f() {
  // expected-error@+1 {{names no declared RoPE table: @rope}}
  %angles = heddle.angles @rope : memref<?xf32>
  return
}

// -----

func.func @f(%x: tensor<?x64xf32>, %y: tensor<?x32xf32>) {
  // expected-error@+1 {{result must be 'tensor<?x64xf32>' like its operand, not 'tensor<?x32xf32>'}}
  %s = heddle.add %x, %y : (tensor<?x64xf32>, tensor<?x32xf32>) -> tensor<?x64xf32>
  return
}

// -----

func.func @f(%x: tensor<?x64xf32, #heddle.shard<columns, 16>>) {
  // expected-error@+1 {{operand is only this rank's share (#heddle.shard<columns, 16>): gather it first}}
  %y = heddle.activate silu %x : (tensor<?x64xf32, #heddle.shard<columns, 16>>) -> tensor<?x64xf32>
  return
}
