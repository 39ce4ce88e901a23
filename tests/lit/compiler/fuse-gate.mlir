// RUN: heddle-opt %s -heddle-fuse-shared-input -heddle-fuse-gate -split-input-file | FileCheck %s

// The gate is the first weight whatever the order of the factors.
// CHECK-LABEL: func.func @gated(
//  CHECK-SAME:   %[[X:.*]]: tensor<?x32xf32>, %[[UP:[a-z0-9]*]]: {{.*}}, %[[GATE:[a-z0-9]*]]:
//   CHECK-NOT: heddle.mul
//       CHECK: %[[Y:.*]] = heddle.linear %[[X]] weights(%[[GATE]], %[[UP]]) gate gelu_tanh :
//       CHECK: return %[[Y]]
func.func @gated(%x: tensor<?x32xf32>, %up: tensor<64x32xf16>, %gate: tensor<64x32xf16>) -> tensor<?x64xf32> {
  %0 = heddle.linear %x weights(%up) : (tensor<?x32xf32>, tensor<64x32xf16>) -> tensor<?x64xf32>
  %1 = heddle.linear %x weights(%gate) : (tensor<?x32xf32>, tensor<64x32xf16>) -> tensor<?x64xf32>
  %2 = heddle.activate gelu_tanh %1 : (tensor<?x64xf32>) -> tensor<?x64xf32>
  %3 = heddle.mul %0, %2 : (tensor<?x64xf32>, tensor<?x64xf32>) -> tensor<?x64xf32>
  return %3 : tensor<?x64xf32>
}

// -----

// A gate that is read elsewhere must still be computed: nothing is folded.
// CHECK-LABEL: func.func @gate_is_read
//       CHECK: heddle.mul
func.func @gate_is_read(%x: tensor<?x32xf32>, %up: tensor<64x32xf16>, %gate: tensor<64x32xf16>) -> (tensor<?x64xf32>, tensor<?x64xf32>) {
  %0 = heddle.linear %x weights(%up) : (tensor<?x32xf32>, tensor<64x32xf16>) -> tensor<?x64xf32>
  %1 = heddle.linear %x weights(%gate) : (tensor<?x32xf32>, tensor<64x32xf16>) -> tensor<?x64xf32>
  %2 = heddle.activate silu %1 : (tensor<?x64xf32>) -> tensor<?x64xf32>
  %3 = heddle.mul %0, %2 : (tensor<?x64xf32>, tensor<?x64xf32>) -> tensor<?x64xf32>
  return %3, %1 : tensor<?x64xf32>, tensor<?x64xf32>
}
