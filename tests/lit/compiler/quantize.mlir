// RUN: heddle-opt %s -heddle-quantize-activations | FileCheck %s --check-prefix=INSERT
// RUN: heddle-opt %s -heddle-quantize-activations -heddle-fuse-requantisation | FileCheck %s --check-prefix=FUSE

// Activations are quantised once for all products that read them, and never for float weights.
// INSERT-LABEL: func.func @block
//       INSERT: heddle.rms_norm {{.*}} -> tensor<?x64xf32>
//       INSERT: %[[Q:.*]] = heddle.quantize %{{.*}} -> tensor<?x64x!heddle.q8>
//       INSERT: heddle.linear %[[Q]] weights
//       INSERT: heddle.linear %[[Q]] weights
//   INSERT-NOT: heddle.quantize
//       INSERT: heddle.linear %{{.*}} : (tensor<?x64xf32>, tensor<64x64xbf16>)

// Then the norm stores what it makes quantised; here it cannot be, as a float product reads it too.
// FUSE-LABEL: func.func @block
//       FUSE: heddle.quantize
// FUSE-LABEL: func.func @only_quantized
//   FUSE-NOT: heddle.quantize
//       FUSE: heddle.rms_norm {{.*}} -> tensor<?x64x!heddle.q8>
func.func @block(%x: tensor<?x64xf32>, %n: tensor<64xf32>, %a: tensor<64x64x!heddle.quant<q4_1>>, %b: tensor<64x64x!heddle.quant<q8_0>>,
                 %c: tensor<64x64xbf16>) -> (tensor<?x64xf32>, tensor<?x64xf32>, tensor<?x64xf32>) {
  %h = heddle.rms_norm %x, %n eps 1.0e-05 : (tensor<?x64xf32>, tensor<64xf32>) -> tensor<?x64xf32>
  %0 = heddle.linear %h weights(%a) : (tensor<?x64xf32>, tensor<64x64x!heddle.quant<q4_1>>) -> tensor<?x64xf32>
  %1 = heddle.linear %h weights(%b) : (tensor<?x64xf32>, tensor<64x64x!heddle.quant<q8_0>>) -> tensor<?x64xf32>
  %2 = heddle.linear %h weights(%c) : (tensor<?x64xf32>, tensor<64x64xbf16>) -> tensor<?x64xf32>
  return %0, %1, %2 : tensor<?x64xf32>, tensor<?x64xf32>, tensor<?x64xf32>
}

func.func @only_quantized(%x: tensor<?x64xf32>, %n: tensor<64xf32>, %a: tensor<64x64x!heddle.quant<q4_1>>) -> tensor<?x64xf32> {
  %h = heddle.rms_norm %x, %n eps 1.0e-05 : (tensor<?x64xf32>, tensor<64xf32>) -> tensor<?x64xf32>
  %0 = heddle.linear %h weights(%a) : (tensor<?x64xf32>, tensor<64x64x!heddle.quant<q4_1>>) -> tensor<?x64xf32>
  return %0 : tensor<?x64xf32>
}
