// RUN: heddle-opt %s -split-input-file -verify-diagnostics

// expected-error@+1 {{'q3_k' is no quantised weight format (}}
func.func private @f(tensor<32x32x!heddle.quant<q3_k>>)

// -----

// A float is its own type.
// expected-error@+1 {{'f16' is no quantised weight format (}}
func.func private @f(tensor<32x32x!heddle.quant<f16>>)

// -----

// expected-error@+1 {{unit must be heads, kv_heads or columns, not rows}}
func.func private @f(tensor<?x32xf32, #heddle.shard<rows, 16>>)
