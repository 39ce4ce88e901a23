// RUN: heddle-opt %s -split-input-file -heddle-quantize-activations -heddle-fuse-requantisation -heddle-fuse-residual | FileCheck %s --check-prefix=FUSE

// The norm stores what it makes quantised.
// FUSE-LABEL: func.func @quantized
//   FUSE-NOT: heddle.quantize
//       FUSE: heddle.layer_norm {{.*}} -> tensor<?x64x!heddle.q8>
func.func @quantized(%x: tensor<?x64xf32>, %n: tensor<64xf32>, %a: tensor<64x64x!heddle.quant<q4_1>>) -> tensor<?x64xf32> {
  %h = heddle.layer_norm %x, %n bias(%n) eps 1.0e-05 : (tensor<?x64xf32>, tensor<64xf32>, tensor<64xf32>) -> tensor<?x64xf32>
  %0 = heddle.linear %h weights(%a) : (tensor<?x64xf32>, tensor<64x64x!heddle.quant<q4_1>>) -> tensor<?x64xf32>
  return %0 : tensor<?x64xf32>
}

// -----

// It takes no residual.
// FUSE-LABEL: func.func @residual
//       FUSE: %[[Y:.*]] = heddle.layer_norm %{{.*}}, %{{.*}} eps
//       FUSE: heddle.add %{{.*}}, %[[Y]]
func.func @residual(%x: tensor<?x64xf32>, %n: tensor<64xf32>) -> tensor<?x64xf32> {
  %h = heddle.layer_norm %x, %n eps 1.0e-05 : (tensor<?x64xf32>, tensor<64xf32>) -> tensor<?x64xf32>
  %0 = heddle.add %x, %h : (tensor<?x64xf32>, tensor<?x64xf32>) -> tensor<?x64xf32>
  return %0 : tensor<?x64xf32>
}
