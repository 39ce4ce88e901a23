// RUN: heddle-opt %s -split-input-file -heddle-fuse-shared-input | FileCheck %s
// What is not fused goes on by itself:
// RUN: heddle-opt %s -split-input-file -heddle-to-fused -heddle-to-sharded -heddle-to-planned -heddle-to-kernels -heddle-to-loops | FileCheck %s --check-prefix=LOOPS
//   LOOPS-NOT: heddle.tile_

// Products of the same activations become one; weights of float formats stay apart from quantised ones.
// CHECK-LABEL: func.func private @block
//       CHECK: %[[QK:.*]]:2 = heddle.linear %{{.*}} weights(%{{.*}}, %{{.*}}) :
//       CHECK: %[[V:.*]] = heddle.linear %{{.*}} weights(%{{.*}}) : (tensor<?x32xf32>, tensor<32x32xf16>)
//       CHECK: return %[[QK]]#0, %[[QK]]#1, %[[V]]
func.func private @block(%x: tensor<?x32xf32>, %q: tensor<64x32x!heddle.quant<q4_0>>, %k: tensor<32x32x!heddle.quant<q8_0>>, %v: tensor<32x32xf16>)
    -> (tensor<?x64xf32>, tensor<?x32xf32>, tensor<?x32xf32>) {
  %0 = heddle.linear %x weights(%q) : (tensor<?x32xf32>, tensor<64x32x!heddle.quant<q4_0>>) -> tensor<?x64xf32>
  %1 = heddle.linear %x weights(%k) : (tensor<?x32xf32>, tensor<32x32x!heddle.quant<q8_0>>) -> tensor<?x32xf32>
  %2 = heddle.linear %x weights(%v) : (tensor<?x32xf32>, tensor<32x32xf16>) -> tensor<?x32xf32>
  return %0, %1, %2 : tensor<?x64xf32>, tensor<?x32xf32>, tensor<?x32xf32>
}

// -----

// A weight that is gotten later moves before the product, and stays before its other readers.
// CHECK-LABEL: func.func private @later_weight
//       CHECK:   %[[A:.*]] = heddle.get @a
//       CHECK:   %[[B:.*]] = heddle.get @b
//       CHECK:   %[[R:.*]]:2 = heddle.linear %{{.*}} weights(%[[A]], %[[B]])
//       CHECK:   heddle.linear %[[R]]#0 weights(%[[B]])
heddle.weight @a : tensor<32x32xf16>
heddle.weight @b : tensor<32x32xf16>
func.func private @later_weight(%x: tensor<?x32xf32>) -> (tensor<?x32xf32>, tensor<?x32xf32>) {
  %a = heddle.get @a : tensor<32x32xf16>
  %0 = heddle.linear %x weights(%a) : (tensor<?x32xf32>, tensor<32x32xf16>) -> tensor<?x32xf32>
  %b = heddle.get @b : tensor<32x32xf16>
  %1 = heddle.linear %0 weights(%b) : (tensor<?x32xf32>, tensor<32x32xf16>) -> tensor<?x32xf32>
  %2 = heddle.linear %x weights(%b) : (tensor<?x32xf32>, tensor<32x32xf16>) -> tensor<?x32xf32>
  return %1, %2 : tensor<?x32xf32>, tensor<?x32xf32>
}
