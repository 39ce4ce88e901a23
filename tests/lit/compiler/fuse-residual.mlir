// RUN: heddle-opt %s -heddle-fuse-residual -split-input-file | FileCheck %s
// RUN: heddle-opt %s -heddle-fuse-residual="explain=true" -split-input-file -verify-diagnostics
// What is not fused goes on by itself:
// RUN: heddle-opt %s -split-input-file -heddle-to-fused -heddle-to-sharded -heddle-to-planned -heddle-to-kernels -heddle-to-loops | FileCheck %s --check-prefix=LOOPS
//   LOOPS-NOT: heddle.tile_

// CHECK-LABEL: func.func private @after_product(
//  CHECK-SAME:   %[[X:[a-z0-9]*]]: tensor<?x32xf32>
//   CHECK-NOT: heddle.add
//       CHECK: %[[Y:.*]] = heddle.linear %[[X]] weights(%{{.*}}) residual(%[[X]])
//       CHECK: return %[[Y]]
func.func private @after_product(%x: tensor<?x32xf32>, %w: tensor<32x32xf16>) -> tensor<?x32xf32> {
  %0 = heddle.linear %x weights(%w) : (tensor<?x32xf32>, tensor<32x32xf16>) -> tensor<?x32xf32>
  %1 = heddle.add %x, %0 : (tensor<?x32xf32>, tensor<?x32xf32>) -> tensor<?x32xf32>
  return %1 : tensor<?x32xf32>
}

// -----

// Sandwich norms: the sum moves into the norm, not into the product before it.
// CHECK-LABEL: func.func private @after_norm(
//  CHECK-SAME:   %[[X:[a-z0-9]*]]: tensor<?x32xf32>
//       CHECK: %[[L:.*]] = heddle.linear %[[X]] weights(%{{[a-z0-9]*}}) :
//       CHECK: heddle.rms_norm %[[L]], %{{.*}} residual(%[[X]])
//   CHECK-NOT: heddle.add
func.func private @after_norm(%x: tensor<?x32xf32>, %w: tensor<32x32xf16>, %n: tensor<32xf32>) -> tensor<?x32xf32> {
  %0 = heddle.linear %x weights(%w) : (tensor<?x32xf32>, tensor<32x32xf16>) -> tensor<?x32xf32>
  %1 = heddle.rms_norm %0, %n eps 1.0e-06 : (tensor<?x32xf32>, tensor<32xf32>) -> tensor<?x32xf32>
  %2 = heddle.add %x, %1 : (tensor<?x32xf32>, tensor<?x32xf32>) -> tensor<?x32xf32>
  return %2 : tensor<?x32xf32>
}

// -----

// A product that is read elsewhere too is no residual's: both values are needed.
// CHECK-LABEL: func.func private @product_used_twice
//       CHECK:   %[[L:.*]] = heddle.linear
//       CHECK:   %[[S:.*]] = heddle.add %arg0, %[[L]]
//       CHECK:   return %[[S]], %[[L]]
func.func private @product_used_twice(%x: tensor<?x32xf32>, %w: tensor<32x32xf16>) -> (tensor<?x32xf32>, tensor<?x32xf32>) {
  %0 = heddle.linear %x weights(%w) : (tensor<?x32xf32>, tensor<32x32xf16>) -> tensor<?x32xf32>
  // expected-remark@+1 {{not fused: neither term is a product or norm without an epilogue that is used here alone}}
  %1 = heddle.add %x, %0 : (tensor<?x32xf32>, tensor<?x32xf32>) -> tensor<?x32xf32>
  return %1, %0 : tensor<?x32xf32>, tensor<?x32xf32>
}
