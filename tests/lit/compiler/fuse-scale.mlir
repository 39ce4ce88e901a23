// RUN: heddle-opt %s -heddle-fuse-scale=explain=true -split-input-file -verify-diagnostics | FileCheck %s
// RUN: heddle-opt %s -heddle-fuse-scale -heddle-fuse-residual -split-input-file | FileCheck %s --check-prefix=BOTH

// CHECK-LABEL: func.func @after_product(
//       CHECK: %[[Y:.*]] = heddle.linear %{{.*}} weights(%{{.*}}) scale 2.500000e-01 :
//   CHECK-NOT: heddle.scale
// BOTH-LABEL: func.func @after_product(
//       BOTH: heddle.linear %[[X:.*]] weights(%{{.*}}) scale 2.500000e-01 residual(%[[X]]) :
func.func @after_product(%x: tensor<?x32xf32>, %w: tensor<32x32xf16>) -> tensor<?x32xf32> {
  %0 = heddle.linear %x weights(%w) : (tensor<?x32xf32>, tensor<32x32xf16>) -> tensor<?x32xf32>
  %1 = heddle.scale %0 by 0.25 : (tensor<?x32xf32>) -> tensor<?x32xf32>
  %2 = heddle.add %x, %1 : (tensor<?x32xf32>, tensor<?x32xf32>) -> tensor<?x32xf32>
  return %2 : tensor<?x32xf32>
}

// -----

// CHECK-LABEL: func.func @used_twice(
//       CHECK: heddle.scale
func.func @used_twice(%x: tensor<?x32xf32>, %w: tensor<32x32xf16>) -> (tensor<?x32xf32>, tensor<?x32xf32>) {
  %0 = heddle.linear %x weights(%w) : (tensor<?x32xf32>, tensor<32x32xf16>) -> tensor<?x32xf32>
  // expected-remark@+1 {{not fused: the product is used elsewhere too}}
  %1 = heddle.scale %0 by 0.25 : (tensor<?x32xf32>) -> tensor<?x32xf32>
  return %0, %1 : tensor<?x32xf32>, tensor<?x32xf32>
}

// -----

// CHECK-LABEL: func.func @no_product(
//       CHECK: heddle.scale
func.func @no_product(%x: tensor<?x32xf32>) -> tensor<?x32xf32> {
  // expected-remark@+1 {{not fused: its input is no product}}
  %0 = heddle.scale %x by 0.25 : (tensor<?x32xf32>) -> tensor<?x32xf32>
  return %0 : tensor<?x32xf32>
}

// -----

// CHECK-LABEL: func.func @gated(
//       CHECK: heddle.scale
func.func @gated(%x: tensor<?x32xf32>, %g: tensor<32x32xf16>, %u: tensor<32x32xf16>) -> tensor<?x32xf32> {
  %0 = heddle.linear %x weights(%g, %u) gate silu : (tensor<?x32xf32>, tensor<32x32xf16>, tensor<32x32xf16>) -> tensor<?x32xf32>
  // expected-remark@+1 {{not fused: the product has an epilogue already}}
  %1 = heddle.scale %0 by 0.25 : (tensor<?x32xf32>) -> tensor<?x32xf32>
  return %1 : tensor<?x32xf32>
}

// -----

// CHECK-LABEL: func.func @one_of_two(
//       CHECK: heddle.scale
func.func @one_of_two(%x: tensor<?x32xf32>, %g: tensor<32x32xf16>, %u: tensor<32x32xf16>) -> (tensor<?x32xf32>, tensor<?x32xf32>) {
  %0:2 = heddle.linear %x weights(%g, %u) : (tensor<?x32xf32>, tensor<32x32xf16>, tensor<32x32xf16>) -> (tensor<?x32xf32>, tensor<?x32xf32>)
  // expected-remark@+1 {{not fused: the product has several results}}
  %1 = heddle.scale %0#0 by 0.25 : (tensor<?x32xf32>) -> tensor<?x32xf32>
  return %1, %0#1 : tensor<?x32xf32>, tensor<?x32xf32>
}
