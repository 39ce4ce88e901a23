// RUN: heddle-opt %s -split-input-file -heddle-fuse-heads | FileCheck %s
// RUN: heddle-opt %s -split-input-file -verify-diagnostics -heddle-fuse-heads="explain=true"
// What is not fused goes on by itself:
// RUN: heddle-opt %s -split-input-file -heddle-to-fused -heddle-to-sharded -heddle-to-planned -heddle-to-kernels -heddle-to-loops | FileCheck %s --check-prefix=LOOPS
//   LOOPS-NOT: heddle.tile_

// Norm and RoPE leave as attributes of the cache write and of attention, which then reads the cache alone.
// CHECK-LABEL: func.func private @block(
//  CHECK-SAME:   %[[Q:[a-z0-9]*]]: tensor<?x64xf32>, %[[K:[a-z0-9]*]]: tensor<?x32xf32>, %[[V:[a-z0-9]*]]: tensor<?x32xf32>
//   CHECK-NOT: heddle.rope {{.*}}%
//       CHECK: heddle.store_kv keys(%[[K]]) values(%[[V]]) {{.*}} k_norm(%{{.*}}) {{.*}}rope = @rope
//       CHECK: heddle.attention paged query(%[[Q]]) state @kv {{.*}}q_norm(%{{.*}}) {{.*}}window = 512
heddle.rope_table @rope base 1.0e+04 dims 32 scale 1.0
heddle.state paged @kv layers 2 heads 2 kv_heads 1 head_dim 32
func.func private @block(%q: tensor<?x64xf32>, %k: tensor<?x32xf32>, %v: tensor<?x32xf32>, %n: tensor<32xf32>, %layer: index) -> tensor<?x64xf32> {
  %q1 = heddle.rms_norm %q, %n eps 1.0e-06 {groups = 2 : i64} : (tensor<?x64xf32>, tensor<32xf32>) -> tensor<?x64xf32>
  %q2 = heddle.rope neox %q1 table @rope heads 2 : (tensor<?x64xf32>) -> tensor<?x64xf32>
  %k1 = heddle.rms_norm %k, %n eps 1.0e-06 : (tensor<?x32xf32>, tensor<32xf32>) -> tensor<?x32xf32>
  %k2 = heddle.rope neox %k1 table @rope heads 1 : (tensor<?x32xf32>) -> tensor<?x32xf32>
  // expected-remark@+1 {{not fused: its keys are in a state already}}
  %a = heddle.attention batch query(%q2) keys(%k2) values(%v) state @kv layer(%layer)
      {heads = 2 : i64, kv_heads = 1 : i64, head_dim = 32 : i64, scale = 0.125 : f32, mask = #heddle<mask window>, window = 512 : i64}
      : (tensor<?x64xf32>, tensor<?x32xf32>, tensor<?x32xf32>, index) -> tensor<?x64xf32>
  return %a : tensor<?x64xf32>
}

// -----

// A rotation that is read elsewhere too stays an op: attention takes what it makes.
// CHECK-LABEL: func.func private @rotation_used_twice(
//       CHECK:   %[[R:.*]] = heddle.rope neox %arg0
//       CHECK:   heddle.attention paged query(%[[R]]) state @kv layer(%{{[a-z0-9]*}}) {
//       CHECK:   return %{{.*}}, %[[R]]
heddle.rope_table @rope base 1.0e+04 dims 32 scale 1.0
heddle.state paged @kv layers 2 heads 2 kv_heads 1 head_dim 32
func.func private @rotation_used_twice(%q: tensor<?x64xf32>, %k: tensor<?x32xf32>, %layer: index) -> (tensor<?x64xf32>, tensor<?x64xf32>) {
  // expected-remark@+1 {{not fused: the rotation is of other heads or used elsewhere too}}
  %r = heddle.rope neox %q table @rope heads 2 : (tensor<?x64xf32>) -> tensor<?x64xf32>
  // expected-remark@+1 {{not fused: its keys are in a state already}}
  %a = heddle.attention batch query(%r) keys(%k) values(%k) state @kv layer(%layer)
      {heads = 2 : i64, kv_heads = 1 : i64, head_dim = 32 : i64, scale = 0.125 : f32, mask = #heddle<mask causal>}
      : (tensor<?x64xf32>, tensor<?x32xf32>, tensor<?x32xf32>, index) -> tensor<?x64xf32>
  return %a, %r : tensor<?x64xf32>, tensor<?x64xf32>
}

// -----

// Keys that nobody keeps go through a transient state, one for all attention of a geometry. A bias tells the tokens of a step apart.
//       CHECK: heddle.state transient @transient heads 2 kv_heads 1 head_dim 32
//       CHECK: heddle.state transient @transient_2 heads 1 kv_heads 1 head_dim 64
// CHECK-LABEL: func.func private @encoder_block(
//       CHECK:   heddle.store_kv keys(%arg1) values(%arg1) state @transient {
//       CHECK:   heddle.attention transient query(%arg0) state @transient {{.*}}mask none
//       CHECK:   heddle.store_kv keys(%{{.*}}) values(%arg1) state @transient {{.*}}rope = @rope
//       CHECK:   heddle.attention transient query(%{{.*}}) state @transient {{.*}}mask causal
//       CHECK:   heddle.attention transient query(%{{.*}}) state @transient_2
heddle.rope_table @rope base 1.0e+04 dims 32 scale 1.0
func.func private @encoder_block(%q: tensor<?x64xf32>, %k: tensor<?x32xf32>) -> tensor<?x64xf32> {
  // expected-remark@+1 {{not fused: its keys are in a state already}}
  %a = heddle.attention batch query(%q) keys(%k) values(%k)
      {heads = 2 : i64, kv_heads = 1 : i64, head_dim = 32 : i64, scale = 0.125 : f32, mask = #heddle<mask none>}
      : (tensor<?x64xf32>, tensor<?x32xf32>, tensor<?x32xf32>) -> tensor<?x64xf32>
  %r = heddle.rope neox %k table @rope heads 1 : (tensor<?x32xf32>) -> tensor<?x32xf32>
  // expected-remark@+1 {{not fused: its keys are in a state already}}
  %b = heddle.attention batch query(%a) keys(%r) values(%k)
      {heads = 2 : i64, kv_heads = 1 : i64, head_dim = 32 : i64, scale = 0.125 : f32, mask = #heddle<mask causal>}
      : (tensor<?x64xf32>, tensor<?x32xf32>, tensor<?x32xf32>) -> tensor<?x64xf32>
  // expected-remark@+1 {{not fused: its keys are in a state already}}
  %c = heddle.attention batch query(%b) keys(%b) values(%b)
      {heads = 1 : i64, kv_heads = 1 : i64, head_dim = 64 : i64, scale = 0.125 : f32, mask = #heddle<mask none>}
      : (tensor<?x64xf32>, tensor<?x64xf32>, tensor<?x64xf32>) -> tensor<?x64xf32>
  return %c : tensor<?x64xf32>
}

// -----

// A norm over the whole row, not over each head, stays an op; so does a rotation of another number of heads.
// CHECK-LABEL: func.func private @norm_of_rows(
//       CHECK:   %[[N:.*]] = heddle.rms_norm %arg0
//       CHECK:   %[[R:.*]] = heddle.rope neox %arg1 table @rope heads 2
//       CHECK:   heddle.store_kv keys(%[[R]])
//   CHECK-NOT:   rope
//       CHECK:   heddle.attention paged query(%[[N]]) state @kv layer(%{{[a-z0-9]*}}) {
heddle.rope_table @rope base 1.0e+04 dims 16 scale 1.0
heddle.state paged @kv layers 2 heads 2 kv_heads 1 head_dim 32
func.func private @norm_of_rows(%q: tensor<?x64xf32>, %k: tensor<?x32xf32>, %n: tensor<64xf32>, %layer: index) -> tensor<?x64xf32> {
  // expected-remark@+1 {{not fused: the norm is not of these heads alone, or used elsewhere too}}
  %q1 = heddle.rms_norm %q, %n eps 1.0e-06 : (tensor<?x64xf32>, tensor<64xf32>) -> tensor<?x64xf32>
  // expected-remark@+1 {{not fused: the rotation is of other heads or used elsewhere too}}
  %k1 = heddle.rope neox %k table @rope heads 2 : (tensor<?x32xf32>) -> tensor<?x32xf32>
  // expected-remark@+1 {{not fused: its keys are in a state already}}
  %a = heddle.attention batch query(%q1) keys(%k1) values(%k) state @kv layer(%layer)
      {heads = 2 : i64, kv_heads = 1 : i64, head_dim = 32 : i64, scale = 0.125 : f32, mask = #heddle<mask causal>}
      : (tensor<?x64xf32>, tensor<?x32xf32>, tensor<?x32xf32>, index) -> tensor<?x64xf32>
  return %a : tensor<?x64xf32>
}
