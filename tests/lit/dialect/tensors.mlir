// RUN: heddle-opt %s | heddle-opt | FileCheck %s
// RUN: heddle-opt %s -mlir-print-op-generic | heddle-opt | FileCheck %s
// Every op of stages graph, fused and sharded survives printing and parsing, in both forms.

// CHECK: heddle.weight @embed : tensor<100x64xf16>
heddle.weight @embed : tensor<100x64xf16>
// CHECK: heddle.weight @blk.0.attn_q.weight : tensor<64x64x!heddle.quant<q4_1>> share <heads, 16>
heddle.weight @"blk.0.attn_q.weight" : tensor<64x64x!heddle.quant<q4_1>> share <heads, 16>
heddle.weight @k : tensor<32x64x!heddle.quant<q4_1>>
heddle.weight @o : tensor<64x64x!heddle.quant<q4_1>>
heddle.weight @norm : tensor<64xf32>
heddle.weight @head_norm : tensor<16xf32>
// CHECK: heddle.rope_table @rope base 1.000000e+04 dims 8 scale 2.000000e+00 factors [1.000000e+00, 2.000000e+00, 4.000000e+00, 8.000000e+00]
heddle.rope_table @rope base 10000.0 dims 8 scale 2.0 factors [1.0, 2.0, 4.0, 8.0]
// CHECK: heddle.state paged @kv layers 2 heads 4 kv_heads 2 head_dim 16
heddle.state paged @kv layers 2 heads 4 kv_heads 2 head_dim 16
// CHECK: heddle.state fixed @cross layers 1 heads 4 kv_heads 2 head_dim 16 {type = #heddle<cache_type q8>}
heddle.state fixed @cross layers 1 heads 4 kv_heads 2 head_dim 16 {type = #heddle<cache_type q8>}
// CHECK: heddle.state transient @now heads 4 kv_heads 2 head_dim 16
heddle.state transient @now heads 4 kv_heads 2 head_dim 16
// CHECK: heddle.state recurrent @memory layers 3 features 64
heddle.state recurrent @memory layers 3 features 64

// CHECK-LABEL: func.func @graph
func.func @graph(%bias: tensor<4x?x?xf32>) -> tensor<?x64xf32> {
  // CHECK: heddle.batch ids : tensor<?xi32>
  %ids = heddle.batch ids : tensor<?xi32>
  // CHECK: heddle.batch wanted : tensor<?xi32>
  %rows = heddle.batch wanted : tensor<?xi32>
  %layer = arith.constant 1 : index
  // CHECK: %[[TABLE:.*]] = heddle.get @embed : tensor<100x64xf16>
  %table = heddle.get @embed : tensor<100x64xf16>
  %norm = heddle.get @norm : tensor<64xf32>
  %head_norm = heddle.get @head_norm : tensor<16xf32>
  %wq = heddle.get @"blk.0.attn_q.weight" : tensor<64x64x!heddle.quant<q4_1>>
  %wk = heddle.get @k : tensor<32x64x!heddle.quant<q4_1>>
  // CHECK: heddle.embed %{{.*}}, %[[TABLE]] {scale = 8.000000e+00 : f32} : (tensor<?xi32>, tensor<100x64xf16>) -> tensor<?x64xf32>
  %x = heddle.embed %ids, %table {scale = 8.0 : f32} : (tensor<?xi32>, tensor<100x64xf16>) -> tensor<?x64xf32>
  // CHECK: heddle.rms_norm %{{.*}}, %{{.*}} eps 9.99999974E-6 : (tensor<?x64xf32>, tensor<64xf32>) -> tensor<?x64xf32>
  %h = heddle.rms_norm %x, %norm eps 1.0e-5 : (tensor<?x64xf32>, tensor<64xf32>) -> tensor<?x64xf32>
  // CHECK: heddle.linear %{{.*}} weights(%{{.*}}) : (tensor<?x64xf32>, tensor<64x64x!heddle.quant<q4_1>>) -> tensor<?x64xf32>
  %q = heddle.linear %h weights(%wq) : (tensor<?x64xf32>, tensor<64x64x!heddle.quant<q4_1>>) -> tensor<?x64xf32>
  %k = heddle.linear %h weights(%wk) : (tensor<?x64xf32>, tensor<32x64x!heddle.quant<q4_1>>) -> tensor<?x32xf32>
  // CHECK: heddle.rms_norm %{{.*}}, %{{.*}} eps 9.99999974E-6 {groups = 4 : i64} :
  %qn = heddle.rms_norm %q, %head_norm eps 1.0e-5 {groups = 4 : i64} : (tensor<?x64xf32>, tensor<16xf32>) -> tensor<?x64xf32>
  // CHECK: heddle.rope interleaved %{{.*}} table @rope heads 4 : (tensor<?x64xf32>) -> tensor<?x64xf32>
  %qr = heddle.rope interleaved %qn table @rope heads 4 : (tensor<?x64xf32>) -> tensor<?x64xf32>
  // CHECK: heddle.rope neox
  %kr = heddle.rope neox %k table @rope heads 2 : (tensor<?x32xf32>) -> tensor<?x32xf32>
  // CHECK: heddle.attention batch query(%{{.*}}) keys(%{{.*}}) values(%{{.*}}) state @kv layer(%{{.*}}) {
  // CHECK-SAME: mask = #heddle<mask window>
  // CHECK-SAME: soft_cap = 5.000000e+01 : f32
  // CHECK-SAME: window = 512 : i64
  %a = heddle.attention batch query(%qr) keys(%kr) values(%k) state @kv layer(%layer)
      {heads = 4 : i64, kv_heads = 2 : i64, head_dim = 16 : i64, scale = 0.25 : f32, mask = #heddle<mask window>, window = 512 : i64, soft_cap = 50.0 : f32}
      : (tensor<?x64xf32>, tensor<?x32xf32>, tensor<?x32xf32>, index) -> tensor<?x64xf32>
  // CHECK: heddle.attention batch query(%{{.*}}) keys(%{{.*}}) values(%{{.*}}) bias(%{{.*}}) {
  // CHECK-SAME: probe_heads = array<i64: 0, 3>
  // CHECK-SAME: -> (tensor<?x64xf32>, tensor<?x2x?xf32>)
  %e:2 = heddle.attention batch query(%a) keys(%kr) values(%k) bias(%bias)
      {heads = 4 : i64, kv_heads = 2 : i64, head_dim = 16 : i64, scale = 0.25 : f32, mask = #heddle<mask none>, probe_heads = array<i64: 0, 3>}
      : (tensor<?x64xf32>, tensor<?x32xf32>, tensor<?x32xf32>, tensor<4x?x?xf32>) -> (tensor<?x64xf32>, tensor<?x2x?xf32>)
  %first = arith.constant 0 : index
  // CHECK: heddle.attention fixed query(%{{.*}}) state @cross layer(%{{.*}}) {
  %c0 = heddle.attention fixed query(%e#0) state @cross layer(%first)
      {heads = 4 : i64, kv_heads = 2 : i64, head_dim = 16 : i64, scale = 0.25 : f32, mask = #heddle<mask none>}
      : (tensor<?x64xf32>, index) -> tensor<?x64xf32>
  // CHECK: heddle.store_kv keys(%{{.*}}) values(%{{.*}}) state @now {
  heddle.store_kv keys(%kr) values(%k) state @now {kv_heads = 2 : i64, head_dim = 16 : i64} : tensor<?x32xf32>, tensor<?x32xf32>
  // CHECK: heddle.attention transient query(%{{.*}}) state @now {
  %t = heddle.attention transient query(%c0) state @now
      {heads = 4 : i64, kv_heads = 2 : i64, head_dim = 16 : i64, scale = 0.25 : f32, mask = #heddle<mask none>}
      : (tensor<?x64xf32>) -> tensor<?x64xf32>
  // CHECK: heddle.recurrence %{{.*}}, %{{.*}} state @memory layer(%{{.*}}) : (tensor<?x64xf32>, tensor<?x64xf32>, index) -> tensor<?x64xf32>
  %c = heddle.recurrence %t, %c0 state @memory layer(%layer) : (tensor<?x64xf32>, tensor<?x64xf32>, index) -> tensor<?x64xf32>
  // CHECK: heddle.activate gelu_tanh %{{.*}} : (tensor<?x64xf32>) -> tensor<?x64xf32>
  %g = heddle.activate gelu_tanh %c : (tensor<?x64xf32>) -> tensor<?x64xf32>
  // CHECK: heddle.mul %{{.*}}, %{{.*}} : (tensor<?x64xf32>, tensor<?x64xf32>) -> tensor<?x64xf32>
  %m = heddle.mul %g, %c : (tensor<?x64xf32>, tensor<?x64xf32>) -> tensor<?x64xf32>
  // CHECK: heddle.add %{{.*}}, %{{.*}} : (tensor<?x64xf32>, tensor<?x64xf32>) -> tensor<?x64xf32>
  %s = heddle.add %x, %m : (tensor<?x64xf32>, tensor<?x64xf32>) -> tensor<?x64xf32>
  // CHECK: heddle.select_rows %{{.*}}, %{{.*}} : (tensor<?x64xf32>, tensor<?xi32>) -> tensor<?x64xf32>
  %r = heddle.select_rows %s, %rows : (tensor<?x64xf32>, tensor<?xi32>) -> tensor<?x64xf32>
  return %r : tensor<?x64xf32>
}

// CHECK-LABEL: func.func @sharded
func.func @sharded(%x: tensor<?x64xf32>, %layer: index) -> tensor<?x64xf32> {
  %wq = heddle.get @"blk.0.attn_q.weight" : tensor<64x64x!heddle.quant<q4_1>>
  %wk = heddle.get @k : tensor<32x64x!heddle.quant<q4_1>>
  %wo = heddle.get @o : tensor<64x64x!heddle.quant<q4_1>>
  %head_norm = heddle.get @head_norm : tensor<16xf32>
  %norm = heddle.get @norm : tensor<64xf32>
  // CHECK: %[[HB:.*]], %[[HE:.*]] = heddle.share 4
  %hb, %he = heddle.share 4
  // CHECK: %[[KB:.*]], %[[KE:.*]] = heddle.share 4 group 2
  %kb, %ke = heddle.share 4 group 2
  // CHECK: heddle.quantize %{{.*}} : (tensor<?x64xf32>) -> tensor<?x64x!heddle.q8>
  %h = heddle.quantize %x : (tensor<?x64xf32>) -> tensor<?x64x!heddle.q8>
  // CHECK: heddle.linear %{{.*}} weights(%{{.*}}, %{{.*}}, %{{.*}}) shares(%[[HB]], %[[HE]], %[[KB]], %[[KE]], %[[KB]], %[[KE]])
  // CHECK-SAME: tensor<?x64xf32, #heddle.shard<heads, 16>>, tensor<?x32xf32, #heddle.shard<kv_heads, 16, group 2>>, tensor<?x32xf32, #heddle.shard<kv_heads, 16, group 2>>
  %q, %k, %v = heddle.linear %h weights(%wq, %wk, %wk) shares(%hb, %he, %kb, %ke, %kb, %ke)
      : (tensor<?x64x!heddle.q8>, tensor<64x64x!heddle.quant<q4_1>>, tensor<32x64x!heddle.quant<q4_1>>, tensor<32x64x!heddle.quant<q4_1>>, index, index, index, index, index, index)
      -> (tensor<?x64xf32, #heddle.shard<heads, 16>>, tensor<?x32xf32, #heddle.shard<kv_heads, 16, group 2>>, tensor<?x32xf32, #heddle.shard<kv_heads, 16, group 2>>)
  // CHECK: heddle.store_kv keys(%{{.*}}) values(%{{.*}}) state @kv layer(%{{.*}}) k_norm(%{{.*}}) shares(%[[KB]], %[[KE]])
  // CHECK-SAME: style = #heddle<rope_style neox>
  heddle.store_kv keys(%k) values(%v) state @kv layer(%layer) k_norm(%head_norm) shares(%kb, %ke)
      {kv_heads = 2 : i64, head_dim = 16 : i64, norm_eps = 1.0e-6 : f32, rope = @rope, style = #heddle<rope_style neox>}
      : tensor<?x32xf32, #heddle.shard<kv_heads, 16, group 2>>, tensor<?x32xf32, #heddle.shard<kv_heads, 16, group 2>>, index, tensor<16xf32>, index, index
  // CHECK: heddle.attention paged query(%{{.*}}) state @kv layer(%{{.*}}) q_norm(%{{.*}}) shares(%[[HB]], %[[HE]], %[[KB]], %[[KE]])
  %a = heddle.attention paged query(%q) state @kv layer(%layer) q_norm(%head_norm) shares(%hb, %he, %kb, %ke)
      {heads = 4 : i64, kv_heads = 2 : i64, head_dim = 16 : i64, scale = 0.25 : f32, mask = #heddle<mask causal>, norm_eps = 1.0e-6 : f32,
      rope = @rope, style = #heddle<rope_style neox>}
      : (tensor<?x64xf32, #heddle.shard<heads, 16>>, index, tensor<16xf32>, index, index, index, index) -> tensor<?x64xf32, #heddle.shard<heads, 16>>
  // CHECK: heddle.all_gather %{{.*}} : (tensor<?x64xf32, #heddle.shard<heads, 16>>) -> tensor<?x64xf32>
  %g = heddle.all_gather %a : (tensor<?x64xf32, #heddle.shard<heads, 16>>) -> tensor<?x64xf32>
  // CHECK: heddle.rms_norm %{{.*}}, %{{.*}} eps 9.99999997E-7 residual(%{{.*}}) : (tensor<?x64xf32>, tensor<64xf32>, tensor<?x64xf32>) -> tensor<?x64x!heddle.q8>
  %n = heddle.rms_norm %g, %norm eps 1.0e-6 residual(%x) : (tensor<?x64xf32>, tensor<64xf32>, tensor<?x64xf32>) -> tensor<?x64x!heddle.q8>
  // CHECK: heddle.linear %{{.*}} weights(%{{.*}}, %{{.*}}) gate silu residual(%{{.*}}) : (
  %y = heddle.linear %n weights(%wo, %wo) gate silu residual(%x)
      : (tensor<?x64x!heddle.q8>, tensor<64x64x!heddle.quant<q4_1>>, tensor<64x64x!heddle.quant<q4_1>>, tensor<?x64xf32>) -> tensor<?x64xf32>
  return %y : tensor<?x64xf32>
}
