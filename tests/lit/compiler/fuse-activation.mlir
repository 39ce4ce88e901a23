// RUN: heddle-opt %s -heddle-fuse-activation=explain=true -split-input-file -verify-diagnostics | FileCheck %s
// RUN: heddle-opt %s -heddle-to-fused -split-input-file | FileCheck %s --check-prefix=FUSED
// What is not fused goes on by itself:
// RUN: heddle-opt %s -split-input-file -heddle-to-fused -heddle-to-sharded -heddle-to-planned -heddle-to-kernels -heddle-to-loops | FileCheck %s --check-prefix=LOOPS
//   LOOPS-NOT: heddle.tile_

// A plain feed-forward: the wide rows are stored as q8.
// CHECK-LABEL: func.func private @feed_forward(
//       CHECK: %[[Y:.*]] = heddle.linear %{{.*}} weights(%{{.*}}) biases(%{{.*}}) activate gelu_tanh :
//   CHECK-NOT: heddle.activate
// FUSED-LABEL: func.func private @feed_forward(
//       FUSED: heddle.linear %{{.*}} weights(%{{.*}}) biases(%{{.*}}) activate gelu_tanh : {{.*}} -> tensor<?x64x!heddle.q8>
//  FUSED-NEXT: heddle.linear %{{.*}} weights(%{{.*}}) residual(%{{.*}})
func.func private @feed_forward(%x: tensor<?x32xf32>, %u: tensor<64x32x!heddle.quant<q4_0>>, %b: tensor<64xf32>, %d: tensor<32x64x!heddle.quant<q4_0>>) -> tensor<?x32xf32> {
  %0 = heddle.linear %x weights(%u) biases(%b) : (tensor<?x32xf32>, tensor<64x32x!heddle.quant<q4_0>>, tensor<64xf32>) -> tensor<?x64xf32>
  %1 = heddle.activate gelu_tanh %0 : (tensor<?x64xf32>) -> tensor<?x64xf32>
  %2 = heddle.linear %1 weights(%d) : (tensor<?x64xf32>, tensor<32x64x!heddle.quant<q4_0>>) -> tensor<?x32xf32>
  %3 = heddle.add %x, %2 : (tensor<?x32xf32>, tensor<?x32xf32>) -> tensor<?x32xf32>
  return %3 : tensor<?x32xf32>
}

// -----

// FUSED-LABEL: func.func private @scaled(
//       FUSED: heddle.linear %[[X:.*]] weights(%{{.*}}) activate silu scale 2.500000e-01 residual(%[[X]]) :
func.func private @scaled(%x: tensor<?x32xf32>, %w: tensor<32x32xf16>) -> tensor<?x32xf32> {
  %0 = heddle.linear %x weights(%w) : (tensor<?x32xf32>, tensor<32x32xf16>) -> tensor<?x32xf32>
  %1 = heddle.activate silu %0 : (tensor<?x32xf32>) -> tensor<?x32xf32>
  %2 = heddle.scale %1 by 0.25 : (tensor<?x32xf32>) -> tensor<?x32xf32>
  %3 = heddle.add %x, %2 : (tensor<?x32xf32>, tensor<?x32xf32>) -> tensor<?x32xf32>
  return %3 : tensor<?x32xf32>
}

// -----

// CHECK-LABEL: func.func private @used_twice(
//       CHECK: heddle.activate
func.func private @used_twice(%x: tensor<?x32xf32>, %w: tensor<32x32xf16>) -> (tensor<?x32xf32>, tensor<?x32xf32>) {
  %0 = heddle.linear %x weights(%w) : (tensor<?x32xf32>, tensor<32x32xf16>) -> tensor<?x32xf32>
  // expected-remark@+1 {{not fused: the product is used elsewhere too}}
  %1 = heddle.activate silu %0 : (tensor<?x32xf32>) -> tensor<?x32xf32>
  return %0, %1 : tensor<?x32xf32>, tensor<?x32xf32>
}

// -----

// CHECK-LABEL: func.func private @no_product(
//       CHECK: heddle.activate
func.func private @no_product(%x: tensor<?x32xf32>) -> tensor<?x32xf32> {
  // expected-remark@+1 {{not fused: its input is no product}}
  %0 = heddle.activate silu %x : (tensor<?x32xf32>) -> tensor<?x32xf32>
  return %0 : tensor<?x32xf32>
}

// -----

// CHECK-LABEL: func.func private @twice(
//       CHECK: heddle.linear {{.*}} activate silu :
//       CHECK: heddle.activate gelu_tanh
func.func private @twice(%x: tensor<?x32xf32>, %w: tensor<32x32xf16>) -> tensor<?x32xf32> {
  %0 = heddle.linear %x weights(%w) : (tensor<?x32xf32>, tensor<32x32xf16>) -> tensor<?x32xf32>
  %1 = heddle.activate silu %0 : (tensor<?x32xf32>) -> tensor<?x32xf32>
  // expected-remark@+1 {{not fused: the product has an epilogue already}}
  %2 = heddle.activate gelu_tanh %1 : (tensor<?x32xf32>) -> tensor<?x32xf32>
  return %2 : tensor<?x32xf32>
}

// -----

// CHECK-LABEL: func.func private @one_of_two(
//       CHECK: heddle.activate
func.func private @one_of_two(%x: tensor<?x32xf32>, %g: tensor<32x32xf16>, %u: tensor<32x32xf16>) -> (tensor<?x32xf32>, tensor<?x32xf32>) {
  %0:2 = heddle.linear %x weights(%g, %u) : (tensor<?x32xf32>, tensor<32x32xf16>, tensor<32x32xf16>) -> (tensor<?x32xf32>, tensor<?x32xf32>)
  // expected-remark@+1 {{not fused: the product has several results}}
  %1 = heddle.activate silu %0#0 : (tensor<?x32xf32>) -> tensor<?x32xf32>
  return %1, %0#1 : tensor<?x32xf32>, tensor<?x32xf32>
}
