// RUN: heddle-opt %s -heddle-quantize-activations="explain=true" -heddle-fuse-requantisation="explain=true" -split-input-file -verify-diagnostics | FileCheck %s
// Each reason for which activations are not quantised, or not as they are stored.

// CHECK-LABEL: func.func private @float_weights
//   CHECK-NOT:   heddle.quantize
func.func private @float_weights(%x: tensor<?x32xf32>, %w: tensor<32x32xf16>) -> tensor<?x32xf32> {
  // expected-remark@+1 {{not fused: its weights are floats and take f32}}
  %0 = heddle.linear %x weights(%w) : (tensor<?x32xf32>, tensor<32x32xf16>) -> tensor<?x32xf32>
  return %0 : tensor<?x32xf32>
}

// -----

// CHECK-LABEL: func.func private @quantised_already
//       CHECK:   heddle.linear %arg0
func.func private @quantised_already(%x: tensor<?x32x!heddle.q8>, %w: tensor<32x32x!heddle.quant<q4_0>>) -> tensor<?x32xf32> {
  // expected-remark@+1 {{not fused: its input is quantised already}}
  %0 = heddle.linear %x weights(%w) : (tensor<?x32x!heddle.q8>, tensor<32x32x!heddle.quant<q4_0>>) -> tensor<?x32xf32>
  return %0 : tensor<?x32xf32>
}

// -----

// An argument is stored by whoever calls; a sum has no place for a scale.
// CHECK-LABEL: func.func private @nobody_stores_it
// CHECK-COUNT-2: heddle.quantize
func.func private @nobody_stores_it(%x: tensor<?x32xf32>) -> (tensor<?x32x!heddle.q8>, tensor<?x32x!heddle.q8>) {
  // expected-remark@+1 {{not fused: what makes its input cannot store q8}}
  %0 = heddle.quantize %x : (tensor<?x32xf32>) -> tensor<?x32x!heddle.q8>
  %s = heddle.add %x, %x : (tensor<?x32xf32>, tensor<?x32xf32>) -> tensor<?x32xf32>
  // expected-remark@+1 {{not fused: what makes its input cannot store q8}}
  %1 = heddle.quantize %s : (tensor<?x32xf32>) -> tensor<?x32x!heddle.q8>
  return %0, %1 : tensor<?x32x!heddle.q8>, tensor<?x32x!heddle.q8>
}

// -----

// Nor can a product whose result takes a residual, or attention over heads that are no whole blocks of 32.
// CHECK-LABEL: func.func private @residual
//       CHECK:   heddle.linear {{.*}} residual(%{{.*}}) : {{.*}} -> tensor<?x32xf32>
//       CHECK:   heddle.quantize
//       CHECK:   heddle.attention {{.*}}
//       CHECK:   heddle.quantize
func.func private @residual(%x: tensor<?x32xf32>, %w: tensor<32x32xf16>) -> (tensor<?x32x!heddle.q8>, tensor<?x32x!heddle.q8>) {
  // expected-remark@+1 {{not fused: its weights are floats and take f32}}
  %y = heddle.linear %x weights(%w) residual(%x) : (tensor<?x32xf32>, tensor<32x32xf16>, tensor<?x32xf32>) -> tensor<?x32xf32>
  // expected-remark@+1 {{not fused: what makes its input cannot store q8}}
  %0 = heddle.quantize %y : (tensor<?x32xf32>) -> tensor<?x32x!heddle.q8>
  %a = heddle.attention batch query(%x) keys(%x) values(%x) {heads = 2 : i64, kv_heads = 2 : i64, head_dim = 16 : i64, scale = 0.25 : f32,
      mask = #heddle<mask none>} : (tensor<?x32xf32>, tensor<?x32xf32>, tensor<?x32xf32>) -> tensor<?x32xf32>
  // expected-remark@+1 {{not fused: what makes its input cannot store q8}}
  %1 = heddle.quantize %a : (tensor<?x32xf32>) -> tensor<?x32x!heddle.q8>
  return %0, %1 : tensor<?x32x!heddle.q8>, tensor<?x32x!heddle.q8>
}

// -----

// CHECK-LABEL: func.func private @used_as_f32
//       CHECK:   heddle.rms_norm {{.*}} -> tensor<?x32xf32>
//       CHECK:   heddle.quantize
func.func private @used_as_f32(%x: tensor<?x32xf32>, %n: tensor<32xf32>) -> (tensor<?x32xf32>, tensor<?x32x!heddle.q8>) {
  %h = heddle.rms_norm %x, %n eps 1.0e-05 : (tensor<?x32xf32>, tensor<32xf32>) -> tensor<?x32xf32>
  // expected-remark@+1 {{not fused: its input is used as f32 too}}
  %0 = heddle.quantize %h : (tensor<?x32xf32>) -> tensor<?x32x!heddle.q8>
  return %h, %0 : tensor<?x32xf32>, tensor<?x32x!heddle.q8>
}
