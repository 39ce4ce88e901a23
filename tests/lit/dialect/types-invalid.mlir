// RUN: heddle-opt %s -split-input-file -verify-diagnostics

// expected-error@+1 {{'q3_k' is no quantised weight format (q4_0 q4_1 q5_0 q5_1 q8_0 q4_k q5_k q6_k)}}
func.func private @f(tensor<32x32x!heddle.quant<q3_k>>)

// -----

// expected-error@+1 {{unit must be heads, kv_heads or columns, not rows}}
func.func private @f(tensor<?x32xf32, #heddle.shard<rows, 16>>)
