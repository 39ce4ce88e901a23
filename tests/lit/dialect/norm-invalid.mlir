// RUN: heddle-opt %s -split-input-file -verify-diagnostics

func.func @f(%x: tensor<?x64xf32>, %w: tensor<32xf32>) {
  // expected-error@+1 {{weight has 32 elements; 64 features in 1 groups need 64}}
  %y = heddle.rms_norm %x, %w eps 1.0e-5 : (tensor<?x64xf32>, tensor<32xf32>) -> tensor<?x64xf32>
  return
}

// -----

func.func @f(%x: tensor<?x64xf32>, %w: tensor<64xf32>) {
  // expected-error@+1 {{attribute 'groups' failed to satisfy constraint: 64-bit signless integer attribute whose value is positive}}
  %y = heddle.rms_norm %x, %w eps 1.0e-5 {groups = 0 : i64} : (tensor<?x64xf32>, tensor<64xf32>) -> tensor<?x64xf32>
  return
}

// -----

func.func @f(%x: tensor<?x64xf32>, %w: tensor<64xf32>) {
  // expected-error@+1 {{needs either a tensor result or a buffer in outs}}
  heddle.rms_norm %x, %w eps 1.0e-5 : (tensor<?x64xf32>, tensor<64xf32>) -> ()
  return
}

// -----

heddle.rope_table @r base 10000.0 dims 8 scale 1.0
func.func @f(%x: tensor<?x64xf32>) {
  // expected-error@+1 {{64 features do not divide over 5 heads}}
  %y = heddle.rope neox %x table @r heads 5 : (tensor<?x64xf32>) -> tensor<?x64xf32>
  return
}

// -----

heddle.rope_table @r base 10000.0 dims 8 scale 1.0
func.func @f(%x: tensor<?x64xf32>) {
  // expected-error@+1 {{result must be 'tensor<?x64xf32>' like its operand, not 'tensor<?x32xf32>'}}
  %y = heddle.rope neox %x table @r heads 4 : (tensor<?x64xf32>) -> tensor<?x32xf32>
  return
}

// -----

func.func @f(%x: tensor<?x64xf32>) {
  // expected-error@+1 {{names no declared RoPE table: @r}}
  %y = heddle.rope neox %x table @r heads 4 : (tensor<?x64xf32>) -> tensor<?x64xf32>
  return
}

// -----

heddle.rope_table @r base 10000.0 dims 32 scale 1.0
func.func @f(%x: tensor<?x64xf32>) {
  // expected-error@+1 {{table rotates 32 dimensions of heads of 16}}
  %y = heddle.rope neox %x table @r heads 4 : (tensor<?x64xf32>) -> tensor<?x64xf32>
  return
}

// -----

func.func @f(%x: tensor<?x64xf32, #heddle.shard<columns, 16>>, %w: tensor<64xf32>) {
  // expected-error@+1 {{input is only this rank's share (#heddle.shard<columns, 16>): gather it first}}
  %y = heddle.rms_norm %x, %w eps 1.0e-5 : (tensor<?x64xf32, #heddle.shard<columns, 16>>, tensor<64xf32>) -> tensor<?x64xf32>
  return
}

// -----

func.func @f(%x: tensor<?x40xf32>, %w: tensor<40xf32>) {
  // expected-error@+1 {{result #0 must be a tensor of rows, but got 'tensor<?x40x!heddle.q8>'}}
  %y = heddle.rms_norm %x, %w eps 1.0e-5 : (tensor<?x40xf32>, tensor<40xf32>) -> tensor<?x40x!heddle.q8>
  return
}

// -----

func.func @f(%x: tensor<?x64xf32>, %w: tensor<64xf32>) {
  // expected-error@+1 {{attribute 'eps' failed to satisfy constraint: 32-bit float attribute above 0 and at most 1}}
  %y = heddle.rms_norm %x, %w eps 0.0 : (tensor<?x64xf32>, tensor<64xf32>) -> tensor<?x64xf32>
  return
}

// -----

func.func @f(%x: tensor<?x64xf32>, %w: tensor<64xf32>, %r: tensor<?x32xf32>) {
  // expected-error@+1 {{input, residual and result differ in features}}
  %y = heddle.rms_norm %x, %w eps 1.0e-5 residual(%r) : (tensor<?x64xf32>, tensor<64xf32>, tensor<?x32xf32>) -> tensor<?x64xf32>
  return
}
