// RUN: heddle-opt %s -heddle-fuse-shared-input="explain=true" -split-input-file -verify-diagnostics | FileCheck %s
// Each reason for which products of the same activations stay apart.

// CHECK-LABEL: func.func private @alone
//       CHECK:   heddle.linear
func.func private @alone(%x: tensor<?x32xf32>, %w: tensor<32x32xf16>) -> tensor<?x32xf32> {
  // expected-remark@+1 {{not fused: no other product reads its input}}
  %0 = heddle.linear %x weights(%w) : (tensor<?x32xf32>, tensor<32x32xf16>) -> tensor<?x32xf32>
  return %0 : tensor<?x32xf32>
}

// -----

// CHECK-LABEL: func.func private @epilogue
//       CHECK:   heddle.linear %{{.*}} weights(%{{[a-z0-9]*}}) residual
//       CHECK:   heddle.linear %{{.*}} weights(%{{[a-z0-9]*}}) :
func.func private @epilogue(%x: tensor<?x32xf32>, %w: tensor<32x32xf16>, %v: tensor<32x32xf16>) -> (tensor<?x32xf32>, tensor<?x32xf32>) {
  // expected-remark@+1 {{not fused: it has an epilogue or experts}}
  %0 = heddle.linear %x weights(%w) residual(%x) : (tensor<?x32xf32>, tensor<32x32xf16>, tensor<?x32xf32>) -> tensor<?x32xf32>
  // expected-remark@+1 {{not fused: no other product reads its input}}
  %1 = heddle.linear %x weights(%v) : (tensor<?x32xf32>, tensor<32x32xf16>) -> tensor<?x32xf32>
  return %0, %1 : tensor<?x32xf32>, tensor<?x32xf32>
}

// -----

// CHECK-LABEL: func.func private @two_kinds
// CHECK-COUNT-2: heddle.linear
func.func private @two_kinds(%x: tensor<?x32xf32>, %w: tensor<32x32x!heddle.quant<q4_0>>, %v: tensor<32x32xf16>) -> (tensor<?x32xf32>, tensor<?x32xf32>) {
  // expected-remark@+2 {{not fused: one weight is quantised and one is not: they take different activations}}
  // expected-remark@+1 {{not fused: no other product reads its input}}
  %0 = heddle.linear %x weights(%w) : (tensor<?x32xf32>, tensor<32x32x!heddle.quant<q4_0>>) -> tensor<?x32xf32>
  // expected-remark@+2 {{not fused: one weight is quantised and one is not: they take different activations}}
  // expected-remark@+1 {{not fused: no other product reads its input}}
  %1 = heddle.linear %x weights(%v) : (tensor<?x32xf32>, tensor<32x32xf16>) -> tensor<?x32xf32>
  return %0, %1 : tensor<?x32xf32>, tensor<?x32xf32>
}

// -----

// CHECK-LABEL: func.func private @one_bias
// CHECK-COUNT-2: heddle.linear
func.func private @one_bias(%x: tensor<?x32xf32>, %w: tensor<32x32xf16>, %v: tensor<32x32xf16>, %b: tensor<32xf32>) -> (tensor<?x32xf32>, tensor<?x32xf32>) {
  // expected-remark@+2 {{not fused: one product has a bias and one has not}}
  // expected-remark@+1 {{not fused: no other product reads its input}}
  %0 = heddle.linear %x weights(%w) biases(%b) : (tensor<?x32xf32>, tensor<32x32xf16>, tensor<32xf32>) -> tensor<?x32xf32>
  // expected-remark@+2 {{not fused: one product has a bias and one has not}}
  // expected-remark@+1 {{not fused: no other product reads its input}}
  %1 = heddle.linear %x weights(%v) : (tensor<?x32xf32>, tensor<32x32xf16>) -> tensor<?x32xf32>
  return %0, %1 : tensor<?x32xf32>, tensor<?x32xf32>
}

// -----

// A weight that a call makes cannot move before the first product.
// CHECK-LABEL: func.func private @weight_made_between
// CHECK-COUNT-2: heddle.linear
func.func private @made() -> tensor<32x32xf16>
func.func private @weight_made_between(%x: tensor<?x32xf32>, %w: tensor<32x32xf16>) -> (tensor<?x32xf32>, tensor<?x32xf32>) {
  // expected-remark@+1 {{not fused: no other product reads its input}}
  %0 = heddle.linear %x weights(%w) : (tensor<?x32xf32>, tensor<32x32xf16>) -> tensor<?x32xf32>
  %v = call @made() : () -> tensor<32x32xf16>
  // expected-remark@+2 {{not fused: its weight is made after the first product of that input}}
  // expected-remark@+1 {{not fused: an earlier product of the same input takes it along, or cannot}}
  %1 = heddle.linear %x weights(%v) : (tensor<?x32xf32>, tensor<32x32xf16>) -> tensor<?x32xf32>
  return %0, %1 : tensor<?x32xf32>, tensor<?x32xf32>
}
