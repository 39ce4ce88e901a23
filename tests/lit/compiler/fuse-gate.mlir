// RUN: heddle-opt %s -heddle-fuse-gate -split-input-file | FileCheck %s
// RUN: heddle-opt %s -heddle-fuse-gate="explain=true" -split-input-file -verify-diagnostics
// What is not fused goes on by itself:
// RUN: heddle-opt %s -split-input-file -heddle-to-fused -heddle-to-sharded -heddle-to-planned -heddle-to-kernels -heddle-to-loops | FileCheck %s --check-prefix=LOOPS
//   LOOPS-NOT: heddle.tile_

// The gate is the first weight whatever the order of the factors.
// CHECK-LABEL: func.func private @gated(
//  CHECK-SAME:   %[[X:.*]]: tensor<?x32xf32>, %[[UP:[a-z0-9]*]]: {{.*}}, %[[GATE:[a-z0-9]*]]:
//   CHECK-NOT: heddle.mul
//       CHECK: %[[Y:.*]] = heddle.linear %[[X]] weights(%[[GATE]], %[[UP]]) gate gelu_tanh :
//       CHECK: return %[[Y]]
func.func private @gated(%x: tensor<?x32xf32>, %up: tensor<64x32xf16>, %gate: tensor<64x32xf16>) -> tensor<?x64xf32> {
  %0 = heddle.linear %x weights(%up) : (tensor<?x32xf32>, tensor<64x32xf16>) -> tensor<?x64xf32>
  %1 = heddle.linear %x weights(%gate) : (tensor<?x32xf32>, tensor<64x32xf16>) -> tensor<?x64xf32>
  %2 = heddle.activate gelu_tanh %1 : (tensor<?x64xf32>) -> tensor<?x64xf32>
  %3 = heddle.mul %0, %2 : (tensor<?x64xf32>, tensor<?x64xf32>) -> tensor<?x64xf32>
  return %3 : tensor<?x64xf32>
}

// -----

// A gate that is read elsewhere must still be computed: nothing is folded.
// CHECK-LABEL: func.func private @gate_is_read
//       CHECK: heddle.mul
func.func private @gate_is_read(%x: tensor<?x32xf32>, %up: tensor<64x32xf16>, %gate: tensor<64x32xf16>) -> (tensor<?x64xf32>, tensor<?x64xf32>) {
  %0 = heddle.linear %x weights(%up) : (tensor<?x32xf32>, tensor<64x32xf16>) -> tensor<?x64xf32>
  %1 = heddle.linear %x weights(%gate) : (tensor<?x32xf32>, tensor<64x32xf16>) -> tensor<?x64xf32>
  %2 = heddle.activate silu %1 : (tensor<?x64xf32>) -> tensor<?x64xf32>
  // expected-remark@+1 {{not fused: a product of its factors is used elsewhere too}}
  %3 = heddle.mul %0, %2 : (tensor<?x64xf32>, tensor<?x64xf32>) -> tensor<?x64xf32>
  return %3, %1 : tensor<?x64xf32>, tensor<?x64xf32>
}

// -----

// A third product of the same input does not cost the gate.
// CHECK-LABEL: func.func private @third_product
//       CHECK:   heddle.linear %arg0 weights(%arg3) :
//       CHECK:   heddle.linear %arg0 weights(%arg2, %arg1) gate silu
func.func private @third_product(%x: tensor<?x32xf32>, %up: tensor<64x32xf16>, %gate: tensor<64x32xf16>, %other: tensor<64x32xf16>) -> (tensor<?x64xf32>, tensor<?x64xf32>) {
  %0 = heddle.linear %x weights(%up) : (tensor<?x32xf32>, tensor<64x32xf16>) -> tensor<?x64xf32>
  %1 = heddle.linear %x weights(%gate) : (tensor<?x32xf32>, tensor<64x32xf16>) -> tensor<?x64xf32>
  %2 = heddle.linear %x weights(%other) : (tensor<?x32xf32>, tensor<64x32xf16>) -> tensor<?x64xf32>
  %3 = heddle.activate silu %1 : (tensor<?x64xf32>) -> tensor<?x64xf32>
  %4 = heddle.mul %3, %0 : (tensor<?x64xf32>, tensor<?x64xf32>) -> tensor<?x64xf32>
  return %4, %2 : tensor<?x64xf32>, tensor<?x64xf32>
}

// -----

// Gate and up of different kinds of formats take different activations: the ops stay by themselves.
// CHECK-LABEL: func.func private @two_kinds
//       CHECK:   heddle.activate
//       CHECK:   heddle.mul
func.func private @two_kinds(%x: tensor<?x32xf32>, %up: tensor<64x32x!heddle.quant<q4_0>>, %gate: tensor<64x32xf16>) -> tensor<?x64xf32> {
  %0 = heddle.linear %x weights(%up) : (tensor<?x32xf32>, tensor<64x32x!heddle.quant<q4_0>>) -> tensor<?x64xf32>
  %1 = heddle.linear %x weights(%gate) : (tensor<?x32xf32>, tensor<64x32xf16>) -> tensor<?x64xf32>
  %2 = heddle.activate silu %1 : (tensor<?x64xf32>) -> tensor<?x64xf32>
  // expected-remark@+1 {{not fused: one weight is quantised and one is not: they take different activations}}
  %3 = heddle.mul %2, %0 : (tensor<?x64xf32>, tensor<?x64xf32>) -> tensor<?x64xf32>
  return %3 : tensor<?x64xf32>
}

// -----

// CHECK-LABEL: func.func private @no_activation
//       CHECK:   heddle.mul
func.func private @no_activation(%x: tensor<?x64xf32>) -> tensor<?x64xf32> {
  // expected-remark@+1 {{not fused: neither factor is an activation}}
  %0 = heddle.mul %x, %x : (tensor<?x64xf32>, tensor<?x64xf32>) -> tensor<?x64xf32>
  return %0 : tensor<?x64xf32>
}

// -----

// A function of up goes along; gpt-oss's two are no different from others.
// CHECK-LABEL: func.func private @both_through_functions
//       CHECK:   heddle.linear %arg0 weights(%arg2, %arg1) gate oss_gate up oss_up :
func.func private @both_through_functions(%x: tensor<?x32xf32>, %up: tensor<64x32xf16>, %gate: tensor<64x32xf16>) -> tensor<?x64xf32> {
  %0 = heddle.linear %x weights(%up) : (tensor<?x32xf32>, tensor<64x32xf16>) -> tensor<?x64xf32>
  %1 = heddle.linear %x weights(%gate) : (tensor<?x32xf32>, tensor<64x32xf16>) -> tensor<?x64xf32>
  %2 = heddle.activate oss_gate %1 : (tensor<?x64xf32>) -> tensor<?x64xf32>
  %3 = heddle.activate oss_up %0 : (tensor<?x64xf32>) -> tensor<?x64xf32>
  %4 = heddle.mul %2, %3 : (tensor<?x64xf32>, tensor<?x64xf32>) -> tensor<?x64xf32>
  return %4 : tensor<?x64xf32>
}

// -----

// CHECK-LABEL: func.func private @no_products
//       CHECK:   heddle.mul
func.func private @no_products(%x: tensor<?x64xf32>) -> tensor<?x64xf32> {
  %0 = heddle.activate silu %x : (tensor<?x64xf32>) -> tensor<?x64xf32>
  // expected-remark@+1 {{not fused: its factors do not come from two products}}
  %1 = heddle.mul %0, %x : (tensor<?x64xf32>, tensor<?x64xf32>) -> tensor<?x64xf32>
  return %1 : tensor<?x64xf32>
}

// -----

// Experts that different choices name stay apart.
// CHECK-LABEL: func.func private @other_experts
//       CHECK:   heddle.mul
func.func private @other_experts(%x: tensor<?x32xf32>, %w: tensor<4x64x32xf16>, %e: tensor<?x2xi32>, %o: tensor<?x2xi32>) -> tensor<?x64xf32> {
  %0 = heddle.linear %x weights(%w) experts(%e) : (tensor<?x32xf32>, tensor<4x64x32xf16>, tensor<?x2xi32>) -> tensor<?x64xf32>
  %1 = heddle.linear %x weights(%w) experts(%o) : (tensor<?x32xf32>, tensor<4x64x32xf16>, tensor<?x2xi32>) -> tensor<?x64xf32>
  %2 = heddle.activate silu %1 : (tensor<?x64xf32>) -> tensor<?x64xf32>
  // expected-remark@+1 {{not fused: the two products are of different experts}}
  %3 = heddle.mul %0, %2 : (tensor<?x64xf32>, tensor<?x64xf32>) -> tensor<?x64xf32>
  return %3 : tensor<?x64xf32>
}

// -----

// x·W times its own activation is no gate: there is one product.
// CHECK-LABEL: func.func private @one_product
//       CHECK:   heddle.mul
func.func private @one_product(%x: tensor<?x32xf32>, %w: tensor<64x32xf16>) -> tensor<?x64xf32> {
  %0 = heddle.linear %x weights(%w) : (tensor<?x32xf32>, tensor<64x32xf16>) -> tensor<?x64xf32>
  %1 = heddle.activate silu %0 : (tensor<?x64xf32>) -> tensor<?x64xf32>
  // expected-remark@+1 {{not fused: its factors do not come from two products}}
  %2 = heddle.mul %1, %0 : (tensor<?x64xf32>, tensor<?x64xf32>) -> tensor<?x64xf32>
  return %2 : tensor<?x64xf32>
}

// -----

// CHECK-LABEL: func.func private @scaled_up
//       CHECK:   heddle.mul
func.func private @scaled_up(%x: tensor<?x32xf32>, %up: tensor<64x32xf16>, %gate: tensor<64x32xf16>) -> tensor<?x64xf32> {
  %0 = heddle.linear %x weights(%up) scale 0.5 : (tensor<?x32xf32>, tensor<64x32xf16>) -> tensor<?x64xf32>
  %1 = heddle.linear %x weights(%gate) : (tensor<?x32xf32>, tensor<64x32xf16>) -> tensor<?x64xf32>
  %2 = heddle.activate silu %1 : (tensor<?x64xf32>) -> tensor<?x64xf32>
  // expected-remark@+1 {{not fused: a product of its factors has several weights or an epilogue already}}
  %3 = heddle.mul %2, %0 : (tensor<?x64xf32>, tensor<?x64xf32>) -> tensor<?x64xf32>
  return %3 : tensor<?x64xf32>
}

// -----

// CHECK-LABEL: func.func private @activation_is_read
//       CHECK:   heddle.mul
func.func private @activation_is_read(%x: tensor<?x32xf32>, %up: tensor<64x32xf16>, %gate: tensor<64x32xf16>) -> (tensor<?x64xf32>, tensor<?x64xf32>) {
  %0 = heddle.linear %x weights(%up) : (tensor<?x32xf32>, tensor<64x32xf16>) -> tensor<?x64xf32>
  %1 = heddle.linear %x weights(%gate) : (tensor<?x32xf32>, tensor<64x32xf16>) -> tensor<?x64xf32>
  %2 = heddle.activate silu %1 : (tensor<?x64xf32>) -> tensor<?x64xf32>
  // expected-remark@+1 {{not fused: the activation is used elsewhere too}}
  %3 = heddle.mul %2, %0 : (tensor<?x64xf32>, tensor<?x64xf32>) -> tensor<?x64xf32>
  return %3, %2 : tensor<?x64xf32>, tensor<?x64xf32>
}

// -----

// CHECK-LABEL: func.func private @two_inputs
//       CHECK:   heddle.mul
func.func private @two_inputs(%x: tensor<?x32xf32>, %y: tensor<?x32xf32>, %up: tensor<64x32xf16>, %gate: tensor<64x32xf16>) -> tensor<?x64xf32> {
  %0 = heddle.linear %x weights(%up) : (tensor<?x32xf32>, tensor<64x32xf16>) -> tensor<?x64xf32>
  %1 = heddle.linear %y weights(%gate) : (tensor<?x32xf32>, tensor<64x32xf16>) -> tensor<?x64xf32>
  %2 = heddle.activate silu %1 : (tensor<?x64xf32>) -> tensor<?x64xf32>
  // expected-remark@+1 {{not fused: the two products have different inputs}}
  %3 = heddle.mul %2, %0 : (tensor<?x64xf32>, tensor<?x64xf32>) -> tensor<?x64xf32>
  return %3 : tensor<?x64xf32>
}

// -----

// CHECK-LABEL: func.func private @one_bias
//       CHECK:   heddle.mul
func.func private @one_bias(%x: tensor<?x32xf32>, %up: tensor<64x32xf16>, %gate: tensor<64x32xf16>, %b: tensor<64xf32>) -> tensor<?x64xf32> {
  %0 = heddle.linear %x weights(%up) : (tensor<?x32xf32>, tensor<64x32xf16>) -> tensor<?x64xf32>
  %1 = heddle.linear %x weights(%gate) biases(%b) : (tensor<?x32xf32>, tensor<64x32xf16>, tensor<64xf32>) -> tensor<?x64xf32>
  %2 = heddle.activate silu %1 : (tensor<?x64xf32>) -> tensor<?x64xf32>
  // expected-remark@+1 {{not fused: one product has a bias and one has not}}
  %3 = heddle.mul %2, %0 : (tensor<?x64xf32>, tensor<?x64xf32>) -> tensor<?x64xf32>
  return %3 : tensor<?x64xf32>
}
