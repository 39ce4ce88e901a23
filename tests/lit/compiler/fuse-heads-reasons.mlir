// RUN: heddle-opt %s -heddle-fuse-heads | FileCheck %s
// RUN: heddle-opt %s -verify-diagnostics -heddle-fuse-heads="explain=true"

// A bias has a column for each token of the step: keys stay those of the step.
// CHECK-LABEL: func.func private @with_bias(
//       CHECK:   heddle.attention batch query(%arg0) keys(%arg1) values(%arg1) bias(%arg2)
func.func private @with_bias(%q: tensor<?x64xf32>, %k: tensor<?x32xf32>, %b: tensor<2x?x?xf32>) -> tensor<?x64xf32> {
  // expected-remark@+1 {{not fused: a bias or probed weights tell the tokens of the step apart}}
  %a = heddle.attention batch query(%q) keys(%k) values(%k) bias(%b)
      {heads = 2 : i64, kv_heads = 1 : i64, head_dim = 32 : i64, scale = 0.125 : f32, mask = #heddle<mask none>}
      : (tensor<?x64xf32>, tensor<?x32xf32>, tensor<?x32xf32>, tensor<2x?x?xf32>) -> tensor<?x64xf32>
  return %a : tensor<?x64xf32>
}
