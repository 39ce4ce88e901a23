// RUN: heddle-opt %s -heddle-fuse-residual="explain=true" -verify-diagnostics | FileCheck %s
// What is made in another block is not moved over a branch, which might make it where nobody asked.

// CHECK-LABEL: func.func private @branch
//       CHECK:   heddle.linear
//       CHECK:   cf.br
//       CHECK:   heddle.add
func.func private @branch(%x: tensor<?x32xf32>, %w: tensor<32x32xf16>) -> tensor<?x32xf32> {
  %0 = heddle.linear %x weights(%w) : (tensor<?x32xf32>, tensor<32x32xf16>) -> tensor<?x32xf32>
  cf.br ^next
^next:
  // expected-remark@+1 {{not fused: its term is made in another block}}
  %1 = heddle.add %x, %0 : (tensor<?x32xf32>, tensor<?x32xf32>) -> tensor<?x32xf32>
  return %1 : tensor<?x32xf32>
}
